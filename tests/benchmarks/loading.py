"""The loading rows: a target reading a file of messages into a database or files, against programs that do the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from connectors.orders import generate_records
from figures import ELAPSED_RATE, RATE, Bounds, Figure, Judged, Line, RowResult, figure_of
from inputs import write_messages
from loaders import DESTINATIONS, Destination, Loader, Peer
from processes import CommandFailed, Usage, run
from rows import MEGABYTE, SMALLEST_CPU_S, Bench
from same_work import CHECKED_ROWS, write_invalid
from sides import PeerUnavailable
from stores import as_stored

LOSES_ONE = {"target-duckdb": "DuckDB takes the first line of its CSV file for a header"}
"""Peers that lose one record of a batch, and why; what they do with the others is the same work."""


@dataclass(frozen=True)
class Cost:
    """What one loader took: its run on no records, and that on its share of them."""

    start_up: Usage
    full: Usage
    records: int

    def rate(self, of: str, records: int, *, start_up: bool) -> float:
        """Give records per second of `cpu_s` or `elapsed_s`, as of a run on so many records."""
        began: float = getattr(self.start_up, of)
        per_record = max(getattr(self.full, of) - began, SMALLEST_CPU_S) / self.records
        return records / (began + records * per_record) if start_up else 1 / per_record


def measure_loading(bench: Bench, row: str) -> RowResult:
    """Measure singerkit's target for a destination, and its peers, in turns."""
    destination = DESTINATIONS[row]
    loaders, notes = _open_loaders(bench, row, destination)
    faults = []
    for loader in list(loaders):
        bench.say(f"{row}: does {loader.name} store every record?")
        found = _check(loader, bench.folder)
        if loader.name in LOSES_ONE and found == [_stores(CHECKED_ROWS - 1)]:
            notes.append(f"{loader.name} {found[0]}: {LOSES_ONE[loader.name]}; its rate is given all the same")
            continue
        faults += [f"{loader.name} {fault}" for fault in found]
        if found and loader is not loaders[0]:
            loaders.remove(loader)
    costs = _costs(bench, row, loaders)
    for loader in loaders:
        loader.store.empty()
    lines = [line for peer in destination.peers for line in _lines(bench, row, destination, peer, costs)]
    return RowResult((*lines, *_peak_lines(row, destination, costs)), tuple(notes), tuple(faults))


def _open_loaders(bench: Bench, row: str, destination: Destination) -> tuple[list[Loader], list[str]]:
    loaders, notes = [destination.open(bench.folder, f"{row}-singerkit")], []
    for number, peer in enumerate(destination.peers if bench.with_peers else ()):
        try:
            loaders.append(peer.open(bench.folder, f"{row}-peer-{number}", install=bench.install))
        except PeerUnavailable as reason:
            notes.append(f"{peer.name} is not measured: {reason}")
    return loaders, notes


def _check(loader: Loader, folder: Path) -> list[str]:
    """Load a few records and compare what is stored; singerkit's target must refuse an invalid one too."""
    messages = write_messages(folder / "checked.jsonl", CHECKED_ROWS)
    try:
        _load(loader, folder, messages)
        stored = as_stored(loader.store.read())
    except CommandFailed as failure:
        return [str(failure)]
    expected = [(record["id"], record["name"], record["quantity"]) for record in generate_records(CHECKED_ROWS)]
    faults = [] if stored == expected else [_stores(len(stored))]
    if loader.name == "singerkit":
        try:
            _load(loader, folder, write_invalid(messages))
        except CommandFailed:
            return faults
        faults.append("accepts a record that violates its schema")
    return faults


def _stores(count: int) -> str:
    return f"stores other records than it was given: {count:,} of {CHECKED_ROWS:,}"


def _load(loader: Loader, folder: Path, messages: Path) -> Usage:
    loader.store.empty()
    config = folder / "loader.json"
    config.write_text(json.dumps(loader.settings))
    return run(loader.start(config), stdin=messages)


def _costs(bench: Bench, row: str, loaders: Sequence[Loader]) -> dict[str, list[Cost]]:
    costs: dict[str, list[Cost]] = {loader.name: [] for loader in loaders}
    counts = {0, *(loader.records_of(bench.records) for loader in loaders)}
    files = {count: write_messages(bench.folder / f"loaded-{count}.jsonl", count) for count in counts}
    try:
        for turn in range(1, bench.repeats + 1):
            for loader in loaders:
                bench.say(f"{row}: {loader.name}, {turn} of {bench.repeats}")
                count = loader.records_of(bench.records)
                start_up, full = (_load(loader, bench.folder, files[records]) for records in (0, count))
                costs[loader.name].append(Cost(start_up, full, count))
    finally:
        for path in files.values():
            path.unlink()
    return costs


def _lines(bench: Bench, row: str, destination: Destination, peer: Peer, costs: dict[str, list[Cost]]) -> list[Line]:
    """Give a peer's lines: start-up counted, not counted and, where a server does the work, by the clock."""

    def line(title: str, unit: str, of: str, bounds: Bounds | None, *, start_up: bool) -> Line:
        ours, theirs = (
            _figure([cost.rate(of, bench.records, start_up=start_up) for cost in costs.get(name, ())])
            for name in ("singerkit", peer.name)
        )
        return Line(row, title, unit, Judged.TIMES_MORE, ours, theirs, bounds)

    lines = [
        line(f"{destination.title} / {peer.name}", RATE, "cpu_s", peer.bounds, start_up=True),
        line("  without start-up", RATE, "cpu_s", None, start_up=False),
    ]
    if destination.is_server:
        lines.append(line("  by the clock", ELAPSED_RATE, "elapsed_s", None, start_up=True))
    return lines


def _peak_lines(row: str, destination: Destination, costs: dict[str, list[Cost]]) -> list[Line]:
    peaks = {name: _figure([cost.full.peak_bytes / MEGABYTE for cost in values]) for name, values in costs.items()}
    ours = peaks.pop("singerkit")
    lines = [Line(row, f"{destination.title}, peak", "MB", Judged.AT_MOST, ours, None, destination.peak)]
    return lines + [Line(row, f"  of {name}", "MB", Judged.AT_MOST, None, theirs) for name, theirs in peaks.items()]


def _figure(values: Sequence[float]) -> Figure | None:
    return figure_of(values) if values else None
