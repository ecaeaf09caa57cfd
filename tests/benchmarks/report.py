"""What a reader sees: the table on the terminal, the same as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from figures import ELAPSED_RATE, RATE, Figure, Judged, Line, RowResult, Verdict
from rich.console import Console
from rich.table import Table
from sides import PEER_DISTRIBUTION, Side

COLOURS = {Verdict.AIM: "green", Verdict.REACHED: "yellow", Verdict.MISSED: "red", Verdict.OPEN: "dim"}


def print_report(console: Console, results: Mapping[str, RowResult], heading: Sequence[str]) -> None:
    """Print the table, and under it what makes a row's figures worth less: failed runs, work not done."""
    for sentence in heading:
        console.print(sentence, style="dim", highlight=False)
    table = Table(
        title=f"Rates are records per CPU second, the peer is {PEER_DISTRIBUTION} where none is named. "
        "Figures are medians (lowest - highest)."
    )
    table.add_column("")
    for name in ("singerkit", "peer", "ratio", "at least", "aim"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for result in results.values():
        for line in result.lines:
            table.add_row(*_cells(line))
        table.add_section()
    console.print(table)
    for row, result in results.items():
        for note in result.notes:
            console.print(f"{row}: {note}", style="yellow", markup=False, highlight=False)
        for failure in result.failures:
            console.print(f"{row}: {failure}", style="red", markup=False, highlight=False)


def describe_run(sides: Sequence[Side], records: int, repeats: int) -> list[str]:
    """Say in a few sentences how the figures came about."""
    versions = ", ".join(f"{side.name} {side.version}" for side in sides)
    sentences = [
        f"{versions}; Python {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} CPUs; {records:,} records, {repeats} repeats in turns, CPU user + system.",
    ]
    sentences += [
        f"{side.name} runs {side.records_of(records):,} records (1/{side.share}): its rates are per record, "
        f"with start-up spread over {records:,}; its memory is that of 1/{side.share} of the records."
        for side in sides
        if side.share > 1
    ]
    return sentences


def report_as_json(results: Mapping[str, RowResult], sides: Sequence[Side], **facts: Any) -> dict[str, Any]:
    """Give everything that was measured as plain JSON values."""
    return {
        **facts,
        "versions": {side.name: side.version for side in sides},
        "records_run": {side.name: side.records_of(facts["records"]) for side in sides},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "rows": {row: _row_as_json(result) for row, result in results.items()},
    }


def _row_as_json(result: RowResult) -> dict[str, Any]:
    return {
        "lines": [_line_as_json(line) for line in result.lines],
        "notes": list(result.notes),
        "failures": list(result.failures),
    }


def _line_as_json(line: Line) -> dict[str, Any]:
    return {
        **asdict(line),
        "judged": line.judged.value,
        "ratio": line.ratio,
        "verdict": line.verdict.value,
    }


def _cells(line: Line) -> list[str]:
    bounds = line.bounds
    verdict = line.verdict
    return [
        line.title,
        _figure(line.ours, line.unit),
        _figure(line.theirs, line.unit),
        "" if line.ratio is None else _times(line.ratio, line, digits=1),
        "" if bounds is None else _bound(bounds.least, line),
        "" if bounds is None or bounds.aim is None else _bound(bounds.aim, line),
        f"[{COLOURS[verdict]}]{verdict.value}[/]" if verdict in COLOURS else "",
    ]


_UNITS = {RATE: (1_000, "k/s"), ELAPSED_RATE: (1_000, "k/s")}


def _figure(figure: Figure | None, unit: str) -> str:
    if figure is None:
        return "-"
    divisor, shown_unit = _UNITS.get(unit, (1, unit))
    middle, low, high = (_number(value / divisor) for value in (figure.median, figure.low, figure.high))
    shown = f"{middle} {shown_unit}"
    return shown if low == high else f"{shown} ({low} - {high})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"


def _bound(value: float, line: Line) -> str:
    return f"<= {value:g} {line.unit}" if line.judged is Judged.AT_MOST else _times(value, line, digits=0)


def _times(ratio: float, line: Line, *, digits: int) -> str:
    """Say a ratio the way its row is spoken of: 12 x the rate, 1/3 of the cost."""
    return f"{ratio:.{digits}f} x" if line.judged is Judged.TIMES_MORE else f"1/{ratio:.{digits}f}"
