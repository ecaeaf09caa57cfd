"""`singerkit run`: a pipeline of the project, or any commands, supervised."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from singerkit.cli.run import boundary
from singerkit.cli.run_display import display_for
from singerkit.cli.told_runs import Teller
from singerkit.cli.workplace import complete_pipelines, workplace, workplace_options
from singerkit.digests import digest_of
from singerkit.errors import ConfigurationError
from singerkit.runner.job import Job, Limits, Program
from singerkit.runner.project import Project
from singerkit.runner.project.commands import found_program, words_of
from singerkit.runner.run import Run
from singerkit.runner.store.base import LockedError, RunRecord

_HELP = """Run `tap | target`, with state, retries, progress and a record of the run.

WHAT is the name of a pipeline of singer.toml (or several, run one after the other), or two commands: a tap and a
target, mappers between them. Each is run as a shell would find it, and gets --state and, where it has one, --catalog.

\b
Examples:
  singerkit run orders
  singerkit run "tap-x --config a.json" "target-y --config b.json"
  singerkit run orders --full-refresh customers
  singerkit run orders --backfill 2025-01-01..2025-02-01

The exit code is 0 for success, 1 for a failure that may pass, 2 for one that must be mended, 75 where another run
holds the lease, 124 after a timeout, 130 or 143 after a signal. Of several pipelines all are run; the code is that of
the first that failed, and 75 only where none did.
"""
#: A signal's number is added to this.
_STOPPED = 128
_CONNECTOR = re.compile(r"(tap|target|map|mapper)[-_][\w-]+")


class _RunCommand(click.Command):
    """The command, with a word on what beginners write."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Take the words apart.

        Errors: ``click.UsageError``.
        """
        try:
            return super().parse_args(context, args)
        except click.NoSuchOption as error:
            raise click.UsageError(
                f"{error.format_message()} A connector's own options go with its name, in quotes:"
                ' singerkit run "tap-x --config a.json" "target-y --config b.json"',
                context,
            ) from None
        except click.MissingParameter:
            raise click.UsageError(
                "Name a pipeline of singer.toml, or a tap and a target, as in: singerkit run tap-x target-y", context
            ) from None


@click.command("run", cls=_RunCommand, help=_HELP)
@click.argument("what", nargs=-1, required=True, shell_complete=complete_pipelines)
@workplace_options
@click.option("--state-key", help="The state's name in the store.")
@click.option("--catalog", type=click.Path(path_type=Path), help="A catalog for the tap.")
@click.option("--full-refresh", multiple=True, metavar="STREAM", help="Read this stream from the start ('*': all).")
@click.option(
    "--backfill", metavar="START..END", help="Read a window, with a state of its own; sets start_date, end_date."
)
@click.option("--timeout", type=float, help="Seconds after which the tap is stopped.")
@click.option("--idle-timeout", type=float, help="Seconds without any movement after which the tap is stopped.")
@click.option("--wait", "wait_s", type=float, default=0.0, help="Seconds to wait for another run of it to end.")
@click.option("--retries", type=int, help="How often to try again.")
@click.option("--after", multiple=True, help="A shell command to run after a success.")
@click.option("--executor", help="Run it as units: local:N, or dask://HOST:PORT.")
@click.option("--shard", metavar="INDEX/COUNT", help="Run one share of its units, counted from 0.")
@click.option("--unit", metavar="JSON", help="Run one line of `singerkit plan`.")
@click.option(
    "--log-format", type=click.Choice(["auto", "text", "json"]), default="auto", help="What is shown on stderr."
)
@click.option("--dry-run", is_flag=True, help="Show what would be run, and from which state.")
def run(
    what: tuple[str, ...],
    project_path: Path | None,
    environment: str | None,
    state_url: str | None,
    state_key: str | None,
    catalog: Path | None,
    full_refresh: tuple[str, ...],
    backfill: str | None,
    timeout: float | None,
    idle_timeout: float | None,
    wait_s: float,
    retries: int | None,
    after: tuple[str, ...],
    executor: str | None,
    shard: str | None,
    unit: str | None,
    log_format: str,
    dry_run: bool,
) -> None:
    """Run; ends the process with the run's exit code."""

    def work() -> int:
        if executor or shard or unit:
            _refuse_for_units(state_key, catalog, full_refresh, backfill, timeout, idle_timeout, retries)
        with workplace(project_path, environment, state_url) as place:
            display = partial(display_for, json_lines={"text": False, "json": True}.get(log_format))
            teller = Teller(place, lambda line: display().log("singerkit", line))

            def run_one(ready: Callable[[], Job]) -> int:
                job = _with_options(ready(), state_key, catalog, full_refresh, after)
                job = _with_limits(job, timeout, idle_timeout, retries)
                job = _backfilled(job, backfill) if backfill else job
                if dry_run:
                    _show(job, place.url)
                    return 0
                if executor or shard or unit:
                    record = _scaled(job, teller, executor or "local:1", shard, unit, wait_s)
                else:
                    record = Run(job, place.store, display(), place.folder, wait_s=wait_s)()
                teller.tell(record)
                return record.exit_code or 0

            jobs = _jobs(what, place.project, None if dry_run else teller)
            return _in_turn([partial(run_one, ready) for ready in jobs])

    sys.exit(boundary("singerkit", work))


def _in_turn(runs: Sequence[Callable[[], int]]) -> int:
    """Run pipelines one after the other, and give one exit code for all; one that fails keeps no other from running.

    The first failure counts, and a pipeline that somebody else runs only where nothing failed: that passes by itself.
    """
    codes: list[int] = []
    for run_one in runs:
        codes.append(boundary("singerkit", run_one))
        if codes[-1] > _STOPPED:
            break
    failed = [code for code in codes if code]
    return next((code for code in failed if code != LockedError.exit_code), next(iter(failed), 0))


def _refuse_for_units(*options: object) -> None:
    """Refuse what units would not see: each reads the project anew, wherever it runs."""
    if any(option not in (None, ()) for option in options):
        raise ConfigurationError(
            "--executor, --shard and --unit run the pipeline as singer.toml says it: --state-key, --catalog, "
            "--full-refresh, --backfill, --timeout, --idle-timeout and --retries can't be combined with them"
        )


def _scaled(job: Job, teller: Teller, executor: str, shard: str | None, unit: str | None, wait_s: float) -> RunRecord:
    # Imported here: most runs are of one tap and one target.
    from singerkit.cli.scaled_run import run_one_unit, run_scaled, share_of

    place = teller.place
    if place.project is None:
        raise ConfigurationError("--executor, --shard and --unit need a pipeline of a singer.toml")
    if unit:
        return run_one_unit(unit, place.project, place)
    return run_scaled(job, teller, place.project, executor, share_of(shard) if shard else None, wait_s)


def _jobs(what: Sequence[str], project: Project | None, teller: Teller | None) -> list[Callable[[], Job]]:
    """Give what makes each job, to be called when it is its turn: what one needs may be missing.

    ``teller`` then tells of it.

    Errors: ``ConfigurationError`` for a name that is no pipeline's, and for commands that can't be run.
    """
    if project is not None and all(word in project.pipelines for word in what):
        return [partial(_job_of, project, word, teller) for word in what]
    if len(what) < 2:
        if project is None:
            raise ConfigurationError(
                f"'{what[0]}' alone can't be run: name a tap and a target, or write pipelines into a singer.toml"
            )
        project.pipeline(what[0])  # says that there is no such pipeline, and which there are
    try:
        job = _job_of_commands(what)
    except ConfigurationError:
        if project is not None and any(word in project.pipelines for word in what):
            for word in what:
                project.pipeline(word)
        raise
    return [lambda: job]


def _job_of(project: Project, name: str, teller: Teller | None) -> Job:
    with teller.beginning(name, project.state_key(name)) if teller else nullcontext():
        return project.job(name)


def _job_of_commands(what: Sequence[str]) -> Job:
    tap, *mappers, target = (_program(word) for word in what)
    # Other options mean other data, and so do the files of another folder: the state belongs to exactly these commands.
    name = f"{tap.name}-to-{target.name}-{digest_of(chr(0).join([str(Path.cwd()), *what]))}"
    return Job(name=name, state_key=name, tap=tap, mappers=tuple(mappers), target=target, folder=Path.cwd())


def _program(command: str) -> Program:
    words = words_of(command, "the command line")
    if not words:
        raise ConfigurationError("a command is empty")
    names = [os.path.basename(word) for word in words]  # noqa: PTH119 - words, no paths of ours
    # Behind a launcher, as in `uv run tap-x` and `python -m tap_x`, the connector's name says more than the program's.
    name = next((name for name in names if _CONNECTOR.fullmatch(name)), names[0])
    return Program(name=name, argv=found_program(Path.cwd(), words, f"'{command}'"))


def _with_options(
    job: Job, state_key: str | None, catalog: Path | None, full_refresh: Sequence[str], after: Sequence[str]
) -> Job:
    return replace(
        job,
        state_key=state_key or job.state_key,
        catalog=catalog or job.catalog,
        full_refresh=frozenset(full_refresh) or job.full_refresh,
        after=(*job.after, *after),
    )


def _with_limits(job: Job, timeout_s: float | None, idle_timeout_s: float | None, retries: int | None) -> Job:
    given = {"timeout_s": timeout_s, "idle_timeout_s": idle_timeout_s, "retries": retries}
    limits: Limits = replace(job.limits, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    return replace(job, limits=limits)


def _backfilled(job: Job, window: str) -> Job:
    """Give the job that reads one window, under a key of its own."""
    start, dots, end = window.partition("..")
    if not (start and dots and end):
        raise ConfigurationError(f"--backfill wants START..END, as in 2025-01-01..2025-02-01, not '{window}'")
    if job.tap.config is None:
        raise ConfigurationError(
            "--backfill sets start_date and end_date in the tap's config, so that has to be in singer.toml"
        )
    config = {**job.tap.config, "start_date": start, "end_date": end}
    return replace(job, tap=replace(job.tap, config=config), state_key=f"{job.state_key}:backfill:{window}")


def _show(job: Job, url: str) -> None:
    click.echo(f"pipeline   {job.name}\nstate      {job.state_key} in {_state_place(job, url)}")
    for kind, program in _kinds(job):
        click.echo(f"{kind:<10} {shlex.join(program.argv)}")
    for step in job.after:
        click.echo(f"after      {step}")


def _state_place(job: Job, url: str) -> str:
    place = url.partition("?")[0]
    return f"{job.target.name}, mirrored in {place}" if job.state_in_target else place


def _kinds(job: Job) -> Iterator[tuple[str, Program]]:
    yield "tap", job.tap
    yield from (("mapper", mapper) for mapper in job.mappers)
    yield "target", job.target
