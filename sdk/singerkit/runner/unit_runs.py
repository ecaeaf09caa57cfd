"""Units where they are run: here, or in the process of a worker on a cluster, which is told from outside to stop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

from singerkit.runner.job import Job
from singerkit.runner.keeper import lease_seconds
from singerkit.runner.listener import Listener
from singerkit.runner.project import load_project
from singerkit.runner.run import Run
from singerkit.runner.store.base import RunRecord, StateStore
from singerkit.runner.store.open import open_store
from singerkit.runner.unit_states import part_of
from singerkit.runner.units import Unit, unit_job, unit_of_text

#: What runs in this process, and the signals that it was told of, by owner.
_running: dict[str, set[Run]] = {}
_stopped: dict[str, list[int]] = {}
_lock = Lock()


@dataclass(frozen=True)
class Where:
    """What a worker needs to find, wherever it is: the project's file, its environment, the store."""

    project: str
    environment: str | None
    state_url: str


def run_unit(text: str, where: Where, listener: Listener, owner: str = "", wait_s: float | None = None) -> RunRecord:
    """Run one unit, where this is called, and give its record; what fails is in the record.

    ``owner`` is the run that the unit belongs to; :func:`stop_units` stops all of one. ``wait_s`` is how long to wait
    for another run of the unit to end (seconds): by default for as long as one that was lost may keep its lease.

    Errors: ``LockedError`` when that one goes on; those of the store and of the project.
    """
    unit = unit_of_text(text)
    project = load_project(Path(where.project), where.environment)
    store = open_store(where.state_url)
    try:
        job = _beginning_with_its_part(project.job(unit.pipeline), unit, store)
        wait_s = 2 * lease_seconds() + 30 if wait_s is None else wait_s
        facts = {"unit": unit.id, **({"part_of": owner} if owner else {})}
        run = Run(job, store, listener, project.folder / ".singerkit", facts=facts, wait_s=wait_s)
        with _stoppable(run, owner):
            return run()
    finally:
        store.close()


def _beginning_with_its_part(job: Job, unit: Unit, store: StateStore) -> Job:
    whole = store.get(job.state_key)
    return replace(unit_job(job, unit), initial_state=part_of(whole.state, unit) if whole else None)


def stop_units(owner: str, signals: Sequence[int]) -> None:
    """Stop the units of an owner that run in this process, or that it is given later.

    ``signals`` are all that have come so far, so that saying it again changes nothing.
    """
    with _lock:
        known = _stopped.setdefault(owner, [])
        for number in signals[len(known) :]:
            known.append(number)
            for run in _running.get(owner, ()):
                run.stop(number)


@contextmanager
def _stoppable(run: Run, owner: str) -> Iterator[None]:
    with _lock:
        _running.setdefault(owner, set()).add(run)
        for number in _stopped.get(owner, ()):
            run.stop(number)
    try:
        yield
    finally:
        with _lock:
            _running[owner].discard(run)
            if not _running[owner]:
                del _running[owner]
