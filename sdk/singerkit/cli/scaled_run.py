"""`singerkit run` of a pipeline as units: all on an executor, a share of them, or one."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from singerkit.cli.run_display import JSONLines, Unfailing, display_for
from singerkit.cli.told_runs import Teller
from singerkit.cli.workplace import Workplace
from singerkit.errors import ConfigurationError
from singerkit.runner.executors import open_workers
from singerkit.runner.job import Job
from singerkit.runner.listener import Listener
from singerkit.runner.prepare import prepare
from singerkit.runner.project import Project
from singerkit.runner.scale_out import ScaleOut, shard_of
from singerkit.runner.store.base import RunRecord, StoredState
from singerkit.runner.supervise.attempt import Ending, Progress
from singerkit.runner.unit_runs import Where, run_unit
from singerkit.runner.units import KEY_MARK, Unit, plan_units


@dataclass(frozen=True)
class UnitLog:
    """Shows the runs of units on the stderr of the worker that has them, a line each when something happens."""

    unit: str

    def started(self, job: Job, record: RunRecord) -> None:
        """Write that it began."""
        self._lines().started(job, record)

    def log(self, program: str, line: str) -> None:
        """Write a log line."""
        self._lines().log(f"{self.unit}/{program}", line)

    def progress(self, progress: Progress) -> None:
        """Write nothing: many of them run at once."""

    def retrying(self, ending: Ending, seconds: float) -> None:
        """Write why."""
        self._lines().retrying(ending, seconds)

    def ended(self, record: RunRecord, before: StoredState | None, after: StoredState | None) -> None:
        """Write how it ended."""
        self._lines().ended(record, before, after)

    def _lines(self) -> JSONLines:
        return JSONLines(Unfailing(sys.stderr))


def run_one_unit(text: str, project: Project, place: Workplace) -> RunRecord:
    """Run one line of `singerkit plan`."""
    return run_unit(text, _where(project, place), display_for())


def run_scaled(
    job: Job, teller: Teller, project: Project, executor: str, share: tuple[int, int] | None, wait_s: float
) -> RunRecord:
    """Prepare the target, then run all units or a share (index from 0, count) on an executor.

    Errors: ``ConfigurationError``, ``LockedError``, ``StoreError``, ``SyncError`` when the target can't be prepared.
    """
    place = teller.place
    name = f"share-{share[0]}-of-{share[1]}" if share else ""
    key = f"{job.state_key}{KEY_MARK}{name}" if share else job.state_key
    with ExitStack() as opened:
        with teller.beginning(job.name, key):
            workers = opened.enter_context(open_workers(executor, job.resources))
            units = plan_units(job, place.folder)
            if share is not None:
                units = shard_of(units, *share)
            prepare(job, place.folder)
        where = _where(project, place)
        scale_out = ScaleOut(job, units, where, place.store, display_for(), share=name, wait_s=wait_s)
        return scale_out(workers, _unit_log)


def _unit_log(unit: Unit) -> Listener:
    return UnitLog(unit.id)


def share_of(text: str) -> tuple[int, int]:
    """Read ``INDEX/COUNT``.

    Errors: ``ConfigurationError`` for anything else.
    """
    index, slash, count = text.partition("/")
    if not (slash and index.isdecimal() and count.isdecimal()):
        raise ConfigurationError(f"--shard wants INDEX/COUNT, counted from 0, as in 0/4, not '{text}'")
    return int(index), int(count)


def _where(project: Project, place: Workplace) -> Where:
    return Where(str(Path(project.path).absolute()), project.environment, place.url)
