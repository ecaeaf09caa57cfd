"""The state of all pipelines as one self-contained page: no script, nothing loaded from anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape

from singerkit.runner.report.freshness import Standing
from singerkit.runner.report.plots import freshness_plot, history_plot, rate_plot
from singerkit.runner.report.refused import refused_in
from singerkit.runner.report.shares import is_of
from singerkit.runner.report.spans import span
from singerkit.runner.store.base import RunRecord

_RUNS_SHOWN = 60
_FAILURES_SHOWN = 3

_STYLE = """
:root { color-scheme: light dark; --ok: #2a8a4a; --bad: #c8362d; --warn: #c77f0a; --line: #8884; --soft: #8881; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.1rem; margin: 0 }
.muted { opacity: .7 } .right { text-align: right }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 } th { text-align: left; font-weight: 600 }
td, th { padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line) }
section { border: 1px solid var(--line); border-radius: .6rem; padding: 1rem 1.2rem; margin: 1.2rem 0 }
.badge { border-radius: 1rem; color: #fff; font-size: .8rem; padding: .1rem .6rem; white-space: nowrap }
.ok { background: var(--ok) } .bad { background: var(--bad) } .warn { background: var(--warn) }
.plots { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); margin: .8rem 0 }
figure { margin: 0 }
figcaption { font-size: .85rem; opacity: .7 } svg { width: 100%; height: auto; display: block }
pre { background: var(--soft); border-radius: .4rem; overflow-x: auto; padding: .6rem; font-size: .8rem }
svg text { fill: currentColor; font: 10px system-ui, sans-serif; opacity: .7 }
"""


def page(standings: Sequence[Standing], runs: Sequence[RunRecord], now: datetime) -> str:
    """Give the page; ``runs`` are newest first."""
    return "".join(_parts(standings, runs, now))


def _parts(standings: Sequence[Standing], runs: Sequence[RunRecord], now: datetime) -> Iterator[str]:
    unhealthy = [standing for standing in standings if not standing.is_healthy]
    headline = (
        f"{len(unhealthy)} of {len(standings)} pipelines need attention" if unhealthy else "All pipelines are well"
    )
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{headline}</title><style>{_STYLE}</style></head><body>"
    yield f"<h1>{headline if standings else 'No pipelines yet'}</h1>"
    yield f'<p class="muted">as of {now:%Y-%m-%d %H:%M} UTC</p>'
    yield from _overview(standings)
    for standing in sorted(standings, key=lambda standing: standing.is_healthy):
        own = [run for run in runs if run.pipeline == standing.pipeline and is_of(run, standing.state_key)]
        yield from _section(standing, own[:_RUNS_SHOWN][::-1], now)
    yield "</body></html>\n"


def _overview(standings: Sequence[Standing]) -> Iterator[str]:
    yield '<table><tr><th>pipeline<th>now<th class="right">last success<th class="right">at most'
    yield '<th class="right">records<th class="right">oldest bookmark</tr>'
    for standing in standings:
        cells = (
            f"{span(standing.age_s)} ago" if standing.age_s is not None else "never",
            span(standing.stale_after_s),
            f"{standing.records:,}",
            span(max(standing.lags.values())) if standing.lags else "",
        )
        yield f'<tr><td><a href="#{escape(standing.pipeline)}">{escape(standing.pipeline)}</a><td>{_badge(standing)}'
        yield "".join(f'<td class="right">{escape(cell)}' for cell in cells) + "</tr>"
    yield "</table>"


def _badge(standing: Standing) -> str:
    status = standing.last_run.status if standing.last_run else "never ran"
    kind = "ok" if standing.is_healthy else "warn" if status in ("success", "running", "never ran") else "bad"
    words = f"{status}, stale" if standing.is_stale else status
    return f'<span class="badge {kind}">{escape(words)}</span>'


def _section(standing: Standing, runs: Sequence[RunRecord], now: datetime) -> Iterator[str]:
    yield f'<section id="{escape(standing.pipeline)}"><h2>{escape(standing.pipeline)} {_badge(standing)}</h2>'
    if runs:
        yield f'<div class="plots"><figure>{history_plot(runs)}<figcaption>How long its runs took</figcaption></figure>'
        yield f"<figure>{rate_plot(runs)}<figcaption>Records a second</figcaption></figure>"
        fresh = freshness_plot(runs, now, standing.stale_after_s)
        yield f"<figure>{fresh}<figcaption>Age of the last success</figcaption></figure></div>"
        if standing.refused:
            yield f'<p><span class="badge warn">{standing.refused:,} records refused</span> by the target in the last'
            yield " success, and left out: its log, or its quarantine, says which and why.</p>"
        yield from _streams(standing)
    failures = [run for run in reversed(runs) if run.status not in ("success", "running")]
    for run in failures[:_FAILURES_SHOWN]:
        yield from _failure(run)
    yield "</section>"


def _streams(standing: Standing) -> Iterator[str]:
    streams = standing.last_success.streams if standing.last_success else {}
    refused = refused_in(standing.last_success) if standing.last_success else {}
    names = sorted({*streams, *standing.lags, *refused})
    if not names:
        return
    yield '<details><summary>Streams of the last success</summary><table><tr><th>stream<th class="right">records'
    yield '<th class="right">refused by the target<th class="right">age of its bookmark</tr>'
    for name in names:
        records = f"{streams[name]['records']:,}" if name in streams else ""
        lag = span(standing.lags.get(name))
        left_out = f"{refused[name]:,}" if name in refused else ""
        yield f"<tr><td>{escape(name)}"
        yield "".join(f'<td class="right">{cell}' for cell in (records, left_out, lag)) + "</tr>"
    yield "</table></details>"


def _failure(run: RunRecord) -> Iterator[str]:
    lines = [f"{program} | {line}" for program, log in run.last_lines.items() for line in log]
    yield f"<details><summary>{run.started:%Y-%m-%d %H:%M} {escape(run.status)}: {escape(run.failure or '')}</summary>"
    yield f"<pre>{escape(chr(10).join(lines)) or 'nothing was logged'}</pre>"
    yield f'<p class="muted">singerkit show {escape(run.id)}</p></details>'
