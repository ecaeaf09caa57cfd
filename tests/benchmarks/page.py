"""The figures as the documentation shows them: tables, and plots as SVG, all made of `measured.json`.

`python tests/benchmarks --publish` puts the rows it measured there and writes the page; those of other runs stay.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

MEASURED = Path(__file__).parent / "measured.json"
DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "explanation" / "performance.md"
BEGIN, END = "<!-- written by tests/benchmarks/page.py -->", "<!-- end -->"

RATE = "records per CPU second"
#: What comes first; stores follow.
FIRST = ("tap", "tap-incremental", "rest", "target", "target-spaced", "pipe", "help", "about")
KEPT = ("title", "unit", "ours", "theirs", "bounds", "ratio", "verdict")

Measured = Mapping[str, Mapping[str, Any]]


def publish(document: Mapping[str, Any]) -> None:
    """Take over the rows of a run's JSON report, and write the page and its plots."""
    kept = json.loads(MEASURED.read_text()) if MEASURED.exists() else {}
    facts = {name: document[name] for name in ("records", "repeats", "python", "cpus")}
    facts["measured"] = document["measured_at"][:10]
    for row, result in document["rows"].items():
        lines = [{name: line[name] for name in KEPT} for line in result["lines"]]
        if lines:
            kept[row] = {**facts, "lines": lines}
    kept = {row: kept[row] for row in sorted(kept, key=lambda row: FIRST.index(row) if row in FIRST else len(FIRST))}
    MEASURED.write_text(json.dumps(kept, indent=1) + "\n")
    for path, text in files(kept).items():
        path.write_text(text, encoding="utf-8")


def files(measured: Measured) -> dict[Path, str]:
    """Give the text of each file of the documentation that holds figures."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    return {
        PAGE: f"{before}{BEGIN}\n\n{_section(measured)}\n\n{END}{rest.partition(END)[2]}",
        DOCS / "_static" / "ratios.svg": _ratio_plot(measured),
        DOCS / "_static" / "memory.svg": _memory_plot(measured),
    }


# Tables


def _section(measured: Measured) -> str:
    days = sorted({row["measured"] for row in measured.values()})
    span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    some = next(iter(measured.values()))
    return "\n".join(
        [
            f"Measured {span} with Python {some['python']} on {some['cpus']} cores; {some['records']:,} records, "
            "start-up counted; medians of runs in turns. The other is singer-sdk where none is named.",
            "",
            "![How many times as fast as the other](../_static/ratios.svg)",
            "",
            "| | singerkit | the other | ratio | wanted at least | aim |",
            "|---|--:|--:|--:|--:|--:|",
            *(_rate_cells(title, line) for title, line in _rates(measured)),
            "",
            "![Peak memory](../_static/memory.svg)",
            "",
            "| peak memory | MB |",
            "|---|--:|",
            *(f"| {title} | {line['median']:,.0f} |" for title, line in _peaks(measured)),
        ]
    )


def _rate_cells(title: str, line: Mapping[str, Any]) -> str:
    bounds = line["bounds"] or {}
    least, aim = (f"{bounds[name]:g}" if bounds.get(name) else "" for name in ("least", "aim"))
    if line["verdict"] == "not reached":
        least += ": missed"
    ours, theirs = (_figure(line[side], line["unit"]) for side in ("ours", "theirs"))
    return f"| {title.replace('|', '&#124;')} | {ours} | {theirs} | {line['ratio']:.1f} | {least} | {aim} |"


def _figure(figure: Mapping[str, float], unit: str) -> str:
    if unit != RATE:
        return f"{figure['median']:,.0f} {unit}"
    thousands = figure["median"] / 1_000
    return f"{thousands:,.0f} k/s" if thousands >= 100 else f"{thousands:.1f} k/s"


def _rates(measured: Measured) -> list[tuple[str, Mapping[str, Any]]]:
    """Give what compares records per CPU second, start-up counted, and the CPU time of the start-up."""
    return [
        (_named(line), line)
        for result in measured.values()
        for line in result["lines"]
        if line["unit"] in (RATE, "ms") and line["ratio"] and not line["title"].startswith(" ")
    ]


def _peaks(measured: Measured) -> list[tuple[str, Mapping[str, float]]]:
    peaks = []
    for result in measured.values():
        store = ""
        for line in result["lines"]:
            title = line["title"]
            if title.endswith(", peak"):
                store = title.removesuffix(", peak")
                peaks.append((f"{store}: singerkit", line["ours"]))
            elif title.startswith("  of ") and line["theirs"]:
                peaks.append((f"{store}: {title.removeprefix('  of ')}", line["theirs"]))
    return peaks


def _named(line: Mapping[str, Any]) -> str:
    store, _, peer = line["title"].partition(" / ")
    return f"{store}, against {peer}" if peer else store


# Plots

_WIDTH, _ROW, _LABELS, _VALUES = 760, 20, 330, 60
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#7d7d7d}"
    ".ours{fill:#3b82c4}.theirs{fill:#a8a8a8}.wanted{stroke:#d97706;stroke-width:2}"
)


def _ratio_plot(measured: Measured) -> str:
    """Draw a bar for each ratio, on a logarithmic scale, and a mark where it has to be."""
    rows = _rates(measured)
    top = max((line["ratio"] for _, line in rows), default=1.0)

    def across(ratio: float) -> float:
        return max(math.log(ratio) / math.log(top), 0.0) if top > 1 else 1.0

    bars = []
    for number, (title, line) in enumerate(rows):
        bars += _bar(number, title, across(line["ratio"]), f"{line['ratio']:.1f} x", "ours")
        if line["bounds"]:
            bars.append(_mark(number, across(line["bounds"]["least"])))
    caption = "times as fast, in CPU time, as the other; the mark is what was wanted (logarithmic)"
    return _drawing(bars, len(rows), caption)


def _memory_plot(measured: Measured) -> str:
    rows = _peaks(measured)
    top = max((figure["median"] for _, figure in rows), default=1.0)
    bars: list[str] = []
    for number, (title, figure) in enumerate(rows):
        kind = "ours" if title.endswith(": singerkit") else "theirs"
        bars += _bar(number, title, figure["median"] / top, f"{figure['median']:,.0f} MB", kind)
    return _drawing(bars, len(rows), "peak memory of a run")


def _bar(number: int, title: str, share: float, value: str, kind: str) -> Iterable[str]:
    y, width = number * _ROW, share * (_WIDTH - _LABELS - _VALUES)
    return (
        f'<text x="{_LABELS - 8}" y="{y + 14}" text-anchor="end">{escape(title)}</text>',
        f'<rect class="{kind}" x="{_LABELS}" y="{y + 3}" width="{width:.1f}" height="{_ROW - 6}"/>',
        f'<text x="{_LABELS + width + 6:.1f}" y="{y + 14}">{escape(value)}</text>',
    )


def _mark(number: int, share: float) -> str:
    x = _LABELS + share * (_WIDTH - _LABELS - _VALUES)
    return f'<line class="wanted" x1="{x:.1f}" x2="{x:.1f}" y1="{number * _ROW + 1}" y2="{(number + 1) * _ROW - 1}"/>'


def _drawing(parts: Sequence[str], rows: int, caption: str) -> str:
    height = (rows + 1) * _ROW + 8
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
            f"<title>{escape(caption)}</title><style>{_STYLE}</style>",
            *parts,
            f'<text x="{_WIDTH / 2:g}" y="{height - 6}" text-anchor="middle">{escape(caption)}</text>',
            "</svg>\n",
        ]
    )
