"""Small plots of a pipeline's runs as SVG, drawn for a page that loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape

from singerkit.runner.report.spans import span
from singerkit.runner.store.base import RunRecord

_WIDTH, _HEIGHT = 480, 110
_LEFT, _BOTTOM, _TOP = 64, 16, 8


def history_plot(runs: Sequence[RunRecord]) -> str:
    """Give a bar for each run, oldest first, as high as it took long, in the colour of how it ended."""
    values = [_seconds(run) for run in runs]
    top = max(values, default=0.0) or 1.0
    width = (_WIDTH - _LEFT) / len(runs)
    bars = "".join(
        f'<rect x="{_LEFT + at * width + 0.5:.1f}" y="{_y(value / top):.1f}" width="{max(width - 1, 1):.1f}" '
        f'height="{max(_y(0) - _y(value / top), 2):.1f}" fill="{_color(run)}"><title>{_about(run)}</title></rect>'
        for at, (run, value) in enumerate(zip(runs, values, strict=True))
    )
    return _frame(bars, span(top), runs, "How long each run took, coloured by how it ended")


def rate_plot(runs: Sequence[RunRecord]) -> str:
    """Give the records a second of each run that moved any, oldest first."""
    rates = [_records(run) / max(_seconds(run), 0.001) for run in runs]
    top = max(rates, default=0.0) or 1.0
    step = (_WIDTH - _LEFT) / len(runs)
    points = [(_LEFT + (at + 0.5) * step, _y(rate / top)) for at, rate in enumerate(rates)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{_color(run)}">'
        f"<title>{_about(run)}: {rate:,.0f} a second</title></circle>"
        for (x, y), run, rate in zip(points, runs, rates, strict=True)
    )
    path = f'<polyline points="{line}" fill="none" stroke="currentColor" stroke-opacity=".5" stroke-width="1.5"/>'
    return _frame(path + dots, f"{top:,.0f}", runs, "Records a second of each run")


def freshness_plot(runs: Sequence[RunRecord], now: datetime, limit_s: float | None) -> str:
    """Give the age of the last success over time: it grows until the next one; a line shows how old it may get."""
    began = runs[0].started
    whole_s = max((now - began).total_seconds(), 1.0)
    last, points = began, [(0.0, 0.0)]
    for run in runs:
        if run.status == "success" and run.ended:
            at = (run.ended - began).total_seconds()
            points += [(at, (run.ended - last).total_seconds()), (at, 0.0)]
            last = run.ended
    points.append((whole_s, (now - last).total_seconds()))
    top = max([age for _, age in points] + ([limit_s] if limit_s else [])) or 1.0
    line = " ".join(f"{_LEFT + x / whole_s * (_WIDTH - _LEFT):.1f},{_y(age / top):.1f}" for x, age in points)
    path = f'<polyline points="{line}" fill="none" stroke="var(--ok)" stroke-width="1.5"/>'
    limit = ""
    if limit_s:
        y = f"{_y(limit_s / top):.1f}"
        limit = f'<path d="M{_LEFT} {y} H{_WIDTH}" stroke="var(--bad)" stroke-dasharray="4 3"/>'
    return _frame(path + limit, span(top), runs, "Age of the last success over time")


def _frame(content: str, top: str, runs: Sequence[RunRecord], title: str) -> str:
    first, last = f"{runs[0].started:%m-%d %H:%M}", f"{runs[-1].started:%m-%d %H:%M}"
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title}">'
        f'<line x1="{_LEFT}" y1="{_y(0)}" x2="{_WIDTH}" y2="{_y(0)}" stroke="currentColor" stroke-opacity=".3"/>'
        f'<text x="{_LEFT - 4}" y="{_TOP + 8}" text-anchor="end">{escape(top)}</text>'
        f'<text x="{_LEFT - 4}" y="{_y(0)}" text-anchor="end">0</text>'
        f'<text x="{_LEFT}" y="{_HEIGHT - 3}">{first}</text>'
        f'<text x="{_WIDTH}" y="{_HEIGHT - 3}" text-anchor="end">{last if len(runs) > 1 else ""}</text>{content}</svg>'
    )


def _y(share: float) -> float:
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP)


def _color(run: RunRecord) -> str:
    return {"success": "var(--ok)", "running": "var(--line)", "cancelled": "var(--warn)"}.get(run.status, "var(--bad)")


def _about(run: RunRecord) -> str:
    return escape(f"{run.started:%Y-%m-%d %H:%M} UTC, {run.status}, {span(_seconds(run))}, {_records(run):,} records")


def _seconds(run: RunRecord) -> float:
    return (run.ended - run.started).total_seconds() if run.ended else 0.0


def _records(run: RunRecord) -> int:
    return sum(counts["records"] for counts in run.streams.values())
