"""The rows of the table: what each of them runs, on which side, and what it must reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from figures import RATE, Bounds, Figure, Judged, Line, RowResult, figure_of
from inputs import COMPACT, SPACED, open_api, write_config, write_messages
from processes import Usage, run, run_piped
from same_work import check_tap, check_target, read_messages
from sides import Side

MEGABYTE = 1_000_000
MEMORY_FACTOR = 5
"""The larger of the two runs whose peak memory is compared reads this many times the records of the smaller."""
CHILDREN_PER_PARENT = 3
SMALLEST_CPU_S = 1e-9
"""Keeps the rate of a run of a few records finite, where noise exceeds the cost of the records."""


@dataclass(frozen=True)
class Bench:
    """What every row is given: the sides in the order of their turns, sizes, a folder for files, a progress display."""

    sides: Sequence[Side]
    records: int
    parents: int
    repeats: int
    folder: Path
    say: Callable[[str], None]
    install: bool = False
    """Whether environments may be made for the peers of the loading rows."""
    with_peers: bool = True
    """Whether the loading rows have peers; elsewhere the peer is one of the sides."""


Row = Callable[[Bench, str], RowResult]
CpuOf = Callable[[Side, int], float]
"""Run a workload on so many records; give the CPU seconds of all its processes."""


def measure_tap(bench: Bench, row: str, *, source: str, title: str, bounds: Bounds | None = None) -> RowResult:
    """Measure a tap that makes its records, written to /dev/null."""
    faults = [fault for side in bench.sides for fault in check_tap(side, bench.folder, source=source)]
    return _throughput(bench, row, title, bounds, faults, partial(_cpu_of_tap, bench.folder, {"source": source}))


def measure_rest(bench: Bench, row: str, *, bounds: Bounds) -> RowResult:
    """Measure a tap that reads the loopback API."""
    with open_api() as url:
        settings = {"source": "rest", "api_url": url}
        faults = [fault for side in bench.sides for fault in check_tap(side, bench.folder, **settings)]
        cpu_of = partial(_cpu_of_tap, bench.folder, settings)
        return _throughput(bench, row, "REST tap, 1,000 records a page", bounds, faults, cpu_of)


def measure_target(
    bench: Bench, row: str, *, separators: tuple[str, str], title: str, bounds: Bounds | None = None
) -> RowResult:
    """Measure the target that drops its batches, reading a file of messages."""
    faults = [fault for side in bench.sides for fault in check_target(side, bench.folder, separators=separators)]
    files: dict[int, Path] = {}

    def cpu_of(side: Side, records: int) -> float:
        if records not in files:
            path = bench.folder / f"messages-{records}.jsonl"
            files[records] = write_messages(path, records, separators=separators)
        return run(side.target("--config", write_config(bench.folder)), stdin=files[records]).cpu_s

    try:
        return _throughput(bench, row, title, bounds, faults, cpu_of)
    finally:
        for path in files.values():
            path.unlink()


def measure_pipe(bench: Bench, row: str, *, bounds: Bounds) -> RowResult:
    """Measure the tap from memory piped into the target: CPU of both."""

    def cpu_of(side: Side, records: int) -> float:
        tap = side.tap("--config", write_config(bench.folder, source="memory", records=records))
        usages = run_piped(tap, side.target("--config", write_config(bench.folder)))
        return sum(usage.cpu_s for usage in usages)

    return _throughput(bench, row, "tap | target, CPU of both", bounds, [], cpu_of)


def measure_start_up(bench: Bench, row: str, *, option: str, bounds: Bounds) -> RowResult:
    """Measure what the tap costs when it only answers a question about itself."""
    costs = _in_turns(bench, row, lambda side: 1_000 * run(side.tap(option)).cpu_s, repeats=3 * bench.repeats)
    ours, theirs = _both(costs)
    return RowResult((Line(row, f"tap {option}, CPU", "ms", Judged.TIMES_LESS, ours, theirs, bounds),))


def measure_memory(bench: Bench, row: str, *, peak: Bounds, growth: Bounds) -> RowResult:
    """Measure the peak memory of a tap over that of an empty Python, and how much more five times the records take."""

    def peaks(side: Side) -> tuple[float, ...]:
        small, large = side.records_of(bench.records), side.records_of(bench.records * MEMORY_FACTOR)
        empty = run(side.empty_python()).peak_bytes
        return tuple(
            (_usage_of_tap(bench.folder, {"source": "memory"}, side, records).peak_bytes - empty) / MEGABYTE
            for records in (small, large)
        )

    measured = _in_turns(bench, row, peaks)
    ours, theirs = _both({name: [large for _, large in values] for name, values in measured.items()})
    our_growth, their_growth = _both({name: [large - small for small, large in v] for name, v in measured.items()})
    small, large = f"{bench.records:,}", f"{bench.records * MEMORY_FACTOR:,}"
    return RowResult(
        (
            Line(row, f"tap of {large}, peak over empty Python", "MB", Judged.AT_MOST, ours, theirs, peak),
            Line(row, f"  its growth from {small}", "MB", Judged.AT_MOST, our_growth, their_growth, growth),
        )
    )


def measure_parents(bench: Bench, row: str, *, source: str, title: str, cost: Bounds, state: Bounds) -> RowResult:
    """Measure a stream with children against a flat stream of as many records, and its STATE lines: singerkit only."""
    side, parents = bench.sides[0], bench.parents
    nested = {"source": source, "children": CHILDREN_PER_PARENT}
    flat_records = parents * (1 + CHILDREN_PER_PARENT)
    factors, net_factors = [], []
    for _ in range(3 * bench.repeats):
        bench.say(f"{row}: {side.name}")
        cpu = {
            (name, records): _cpu_of_tap(bench.folder, settings, side, records)
            for name, settings, full in (("flat", {"source": "memory"}, flat_records), ("nested", nested, parents))
            for records in (0, full)
        }
        factors.append(cpu["nested", parents] / cpu["flat", flat_records])
        flat_cost = max(cpu["flat", flat_records] - cpu["flat", 0], SMALLEST_CPU_S)
        net_factors.append((cpu["nested", parents] - cpu["nested", 0]) / flat_cost)
    share, faults = _state_share(bench, side, nested, flat_records)
    name = f"{parents:,} parents x {CHILDREN_PER_PARENT} {title}"
    return RowResult(
        (
            Line(row, f"{name}, CPU / flat stream", "x", Judged.AT_MOST, figure_of(factors), None, cost),
            Line(row, "  without start-up", "x", Judged.AT_MOST, figure_of(net_factors), None),
            Line(row, "  bytes of STATE lines, of RECORD lines", "%", Judged.AT_MOST, share, None, state),
        ),
        failures=tuple(faults),
    )


def _state_share(bench: Bench, side: Side, settings: Mapping[str, Any], records: int) -> tuple[Figure, list[str]]:
    output = bench.folder / "nested.jsonl"
    run(side.tap("--config", write_config(bench.folder, records=bench.parents, **settings)), stdout=output)
    with output.open("rb") as lines:
        sizes = [len(line) for line in lines]
    types = [message["type"] for message in read_messages(output)]
    output.unlink()
    bytes_of = {
        kind: sum(size for size, line_type in zip(sizes, types, strict=True) if line_type == kind)
        for kind in ("RECORD", "STATE")
    }
    written = types.count("RECORD")
    faults = [] if written == records else [f"{side.name} writes {written} of {records} records"]
    return figure_of([100 * bytes_of["STATE"] / max(bytes_of["RECORD"], 1)]), faults


def _throughput(
    bench: Bench, row: str, title: str, bounds: Bounds | None, faults: Sequence[str], cpu_of: CpuOf
) -> RowResult:
    """Give records per CPU second as two lines: start-up counted, as of a run on all the records; and not counted."""

    def costs(side: Side) -> tuple[float, float]:
        records = side.records_of(bench.records)
        start_up = cpu_of(side, 0)
        return start_up, max(cpu_of(side, records) - start_up, SMALLEST_CPU_S) / records

    measured = _in_turns(bench, row, costs)
    whole = {
        name: [bench.records / (start_up + bench.records * per_record) for start_up, per_record in values]
        for name, values in measured.items()
    }
    net = {name: [1 / per_record for _, per_record in values] for name, values in measured.items()}
    return RowResult(
        (
            Line(row, title, RATE, Judged.TIMES_MORE, *_both(whole), bounds),
            Line(row, "  without start-up", RATE, Judged.TIMES_MORE, *_both(net)),
        ),
        failures=tuple(faults),
    )


def _in_turns(
    bench: Bench, row: str, measure: Callable[[Side], Any], *, repeats: int | None = None
) -> dict[str, list[Any]]:
    """Measure the sides in turns (A B A B), so that a change of the machine's speed meets both alike."""
    repeats = repeats or bench.repeats
    values: dict[str, list[Any]] = {side.package: [] for side in bench.sides}
    for turn in range(1, repeats + 1):
        for side in bench.sides:
            bench.say(f"{row}: {side.name}, {turn} of {repeats}")
            values[side.package].append(measure(side))
    return values


def _both(values: Mapping[str, Sequence[float]]) -> tuple[Figure | None, Figure | None]:
    ours, theirs = (
        figure_of(values[package]) if package in values else None for package in ("singerkit", "singer_sdk")
    )
    return ours, theirs


def _cpu_of_tap(folder: Path, settings: Mapping[str, Any], side: Side, records: int) -> float:
    return _usage_of_tap(folder, settings, side, records).cpu_s


def _usage_of_tap(folder: Path, settings: Mapping[str, Any], side: Side, records: int) -> Usage:
    return run(side.tap("--config", write_config(folder, records=records, **settings)))


ROWS: dict[str, Row] = {
    "tap": partial(measure_tap, source="memory", title="tap from memory to /dev/null", bounds=Bounds(12, 25)),
    "tap-incremental": partial(measure_tap, source="incremental", title="the same with a replication key"),
    "rest": partial(measure_rest, bounds=Bounds(10, 20)),
    "target": partial(
        measure_target, separators=COMPACT, title="target, no-op BatchSink, validating", bounds=Bounds(25, 45)
    ),
    "target-spaced": partial(measure_target, separators=SPACED, title="the same, input spaced as by json.dumps"),
    "pipe": partial(measure_pipe, bounds=Bounds(15, 25)),
    "help": partial(measure_start_up, option="--help", bounds=Bounds(3, 5)),
    "about": partial(measure_start_up, option="--about", bounds=Bounds(3, 5)),
    "memory": partial(measure_memory, peak=Bounds(60), growth=Bounds(2)),
    "parents": partial(measure_parents, source="parents", title="children", cost=Bounds(2), state=Bounds(5)),
    "parents-incremental": partial(
        measure_parents,
        source="incremental-parents",
        title="children with a key",
        cost=Bounds(2),
        state=Bounds(5),
    ),
}
