"""`singerkit status`: how the pipelines stand; a health check, a page, metrics."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click

from singerkit.cli.run import boundary, write_stdout
from singerkit.cli.text_tables import aligned
from singerkit.cli.workplace import Workplace, workplace, workplace_options
from singerkit.clock import utc_now
from singerkit.config.problems import suggestion
from singerkit.errors import ConfigurationError
from singerkit.protocol.codec import encode
from singerkit.runner.project import Project
from singerkit.runner.project.durations import seconds_of
from singerkit.runner.report.freshness import (
    Expectation,
    Standing,
    believable,
    expectation_of,
    known_by_runs,
    standings,
)
from singerkit.runner.report.page import page
from singerkit.runner.report.prometheus import exposition
from singerkit.runner.report.spans import span

_COLUMNS = ("pipeline", "last run", "last success", "records", "oldest bookmark", "")

_HELP = """Show how the pipelines stand: last run, last success and its age, rows, lag of the bookmarks.

The exit code is 1 when a pipeline is stale (its last success is older than `stale_after`, or than its schedule allows)
or its last run failed, so this serves as a health check. In a project, the pipelines of singer.toml are judged, each by
the runs of its environment; others, as of two commands typed once, where they are named.
"""


@click.command("status", help=_HELP)
@click.argument("pipelines", nargs=-1)
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page, with plots, to this file.")
@click.option(
    "--prometheus", type=click.Path(path_type=Path, dir_okay=False), help="Write metrics, for a textfile collector."
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON, for scripts.")
@workplace_options
def status(
    pipelines: tuple[str, ...],
    html: Path | None,
    prometheus: Path | None,
    as_json: bool,
    project_path: Path | None,
    environment: str | None,
    state_url: str | None,
) -> None:
    """Write a line for each pipeline, or what is asked for."""

    def work() -> int:
        now = utc_now()
        with workplace(project_path, environment, state_url) as place:
            found = standings(place.store, _expectations(place, pipelines, now), now)
            if html:
                _write(html, page(found, believable(place.store.runs(limit=1_000), now), now))
            if prometheus:
                _write(prometheus, exposition(found))
        if as_json:
            write_stdout(encode([standing.facts() for standing in found]).decode())
        elif not html and not prometheus:
            _table(found)
        return int(not all(standing.is_healthy for standing in found))

    sys.exit(boundary("singerkit", work))


def _expectations(place: Workplace, names: Sequence[str], now: datetime) -> list[Expectation]:
    """Give the pipelines that are named, of all there are; a health check of none must not be a healthy one.

    Without names, a project's own: what was only tried beside it is nobody's to look after.
    """
    project = place.project
    own = list(project.pipelines) if project else []
    tried = {expectation.pipeline: expectation for expectation in known_by_runs(place.store, now)}
    for name in names:
        if name not in own and name not in tried:
            raise ConfigurationError(f"there is no pipeline '{name}'{suggestion(name, [*own, *tried])}")
    chosen = names or own or list(tried)
    return [_expectation(project, name, now) if project and name in own else tried[name] for name in chosen]


def _expectation(project: Project, name: str, now: datetime) -> Expectation:
    said = project.pipeline(name)
    stale_after_s = None if said.stale_after is None else seconds_of(said.stale_after)
    try:
        return expectation_of(name, project.state_key(name), said.schedule or None, stale_after_s, now)
    except ConfigurationError as error:
        raise ConfigurationError(f"pipelines.{name}.schedule: {error}") from None


def _table(found: Sequence[Standing]) -> None:
    if not found:
        click.echo("there are no pipelines yet", err=True)
        return
    write_stdout("\n".join(aligned(_COLUMNS, [_row(standing) for standing in found])))


def _row(standing: Standing) -> tuple[str, ...]:
    run = standing.last_run
    words = [f"STALE (at most {span(standing.stale_after_s)})"] if standing.is_stale else []
    if standing.is_damaged:
        words.append("its state is DAMAGED (singerkit state history)")
    if standing.failures:
        words.append(f"{standing.failures} failed since")
    if standing.refused:
        words.append(f"{standing.refused:,} refused by the target")
    return (
        standing.pipeline,
        run.status if run else "never ran",
        f"{span(standing.age_s)} ago" if standing.age_s is not None else "never",
        f"{standing.records:,}",
        span(max(standing.lags.values())) if standing.lags else "",
        ", ".join(words),
    )


def _write(path: Path, text: str) -> None:
    """Replace a file as a whole: who reads it sees the old one or the new one."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text, "utf-8")
    temporary.replace(path)
