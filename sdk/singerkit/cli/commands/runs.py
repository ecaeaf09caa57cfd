"""`singerkit runs` and `singerkit show`: what ran, and how one run went."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec

from singerkit.cli.run import boundary, write_stdout
from singerkit.cli.text_tables import aligned
from singerkit.cli.workplace import Workplace, workplace, workplace_options
from singerkit.config.problems import suggestion
from singerkit.errors import ConfigurationError
from singerkit.protocol.codec import encode
from singerkit.runner.report.spans import span
from singerkit.runner.report.summary import summary
from singerkit.runner.running import as_known
from singerkit.runner.store.base import RunRecord, StoredState

_COLUMNS = ("run", "pipeline", "began (UTC)", "took", "status", "records")


@click.command("runs", help="List the runs of a PIPELINE, or of all, newest first.")
@click.argument("pipeline", required=False)
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, for scripts.")
@workplace_options
def runs(
    pipeline: str | None,
    limit: int,
    as_json: bool,
    project_path: Path | None,
    environment: str | None,
    state_url: str | None,
) -> None:
    """Write a line for each run."""

    def work() -> None:
        with workplace(project_path, environment, state_url) as place:
            found = [as_known(run) for run in place.store.runs(pipeline, limit=limit)]
            if pipeline and not found:
                _check_name(place, pipeline)
        if as_json:
            write_stdout(encode([msgspec.to_builtins(run) for run in found]).decode())
        elif found:
            write_stdout("\n".join(aligned(_COLUMNS, [_row(run) for run in found])))
        else:
            click.echo("there are no runs yet", err=True)

    sys.exit(boundary("singerkit", work))


def _check_name(place: Workplace, pipeline: str) -> None:
    known = {run.pipeline for run in place.store.runs(limit=1_000)}.union(
        place.project.pipelines if place.project else ()
    )
    if pipeline not in known:
        raise ConfigurationError(f"there is no pipeline '{pipeline}'{suggestion(pipeline, sorted(known))}")


def _row(run: RunRecord) -> tuple[str, ...]:
    took = span((run.ended - run.started).total_seconds()) if run.ended else ""
    records = sum(counts["records"] for counts in run.streams.values())
    return (run.id, run.pipeline, f"{run.started:%Y-%m-%d %H:%M:%S}", took, run.status, f"{records:,}")


@click.command(
    "show", help="Show how a RUN went: why it failed, the last lines, rows, bookmarks. `latest` is the newest."
)
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, for scripts.")
@workplace_options
def show(run: str, as_json: bool, project_path: Path | None, environment: str | None, state_url: str | None) -> None:
    """Write the summary of one run."""

    def work() -> None:
        with workplace(project_path, environment, state_url) as place:
            record = as_known(_found(place, run))
            history = {stored.revision: stored for stored in place.store.history(record.state_key)}
        if as_json:
            write_stdout(encode(msgspec.to_builtins(record)).decode())
            return
        before, after = _state(history, record.revision_before), _state(history, record.revision_after)
        about = f"run {record.id} of {record.pipeline}, began {record.started:%Y-%m-%d %H:%M:%S} UTC"
        write_stdout("\n".join([about, *summary(record, before, after)]))

    sys.exit(boundary("singerkit", work))


def _found(place: Workplace, name: str) -> RunRecord:
    if name == "latest":
        latest = place.store.runs(limit=1)
        if not latest:
            raise ConfigurationError("there are no runs yet")
        return latest[0]
    record = place.store.run(name)
    if record is None:
        known = [run.id for run in place.store.runs(limit=50)]
        raise ConfigurationError(f"there is no run '{name}'{suggestion(name, known)}; `singerkit runs` lists them")
    return record


def _state(history: dict[int, StoredState], revision: int | None) -> StoredState | None:
    return history.get(revision) if revision is not None else None
