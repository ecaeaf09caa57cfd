"""Runs the units of a pipeline on an executor, or one share of them: each a supervised run with a lease of its own.

What is lost with a worker is a run that stopped somewhere: its unit is tried again, from the bookmark that its target
acknowledged, by whoever gets it next, once the lost run's lease has ended. So no unit is written by two at a time.
"""

from __future__ import annotations

import signal
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

from singerkit.clock import utc_now
from singerkit.digests import digest_of
from singerkit.errors import ConfigurationError, SingerKitError
from singerkit.runner.after import run_steps
from singerkit.runner.job import Job
from singerkit.runner.keeper import Keeper, lease_seconds
from singerkit.runner.listener import Listener
from singerkit.runner.project import load_project
from singerkit.runner.run import Run, new_run_id
from singerkit.runner.running import beaten, signs_of_life
from singerkit.runner.signals import signals_into
from singerkit.runner.store.base import RunRecord, StateStore
from singerkit.runner.store.open import open_store
from singerkit.runner.supervise.outcome import Status, exit_code_of
from singerkit.runner.unit_states import part_of
from singerkit.runner.units import KEY_MARK, Unit, unit_job, unit_of_text

#: How often a unit is given to somebody else after its worker was lost.
_LOST_WORKERS = 50
_LOOK_AGAIN_S = 0.2
#: How long a share waits for others that gather.
_GATHER_WAIT_S = 600.0


@dataclass(frozen=True)
class Where:
    """What a worker needs to find, wherever it is: the project's file, its environment, the store."""

    project: str
    environment: str | None
    state_url: str


def shard_of(units: Sequence[Unit], index: int, count: int) -> list[Unit]:
    """Give one of ``count`` shares, counted from 0: a unit is always in the same one, whatever others there are.

    Errors: ``ConfigurationError`` when there is no such share.
    """
    if not 0 <= index < count:
        raise ConfigurationError(f"there is no share {index} of {count}: shares are counted from 0 to {count - 1}")
    return [unit for unit in units if int(digest_of(unit.id), 16) % count == index]


# A worker's side ------------------------------------------------------------------------------------------------------

_running: set[Run] = set()
_lock = Lock()


def run_unit(text: str, where: Where, listener: Listener) -> RunRecord:
    """Run one unit, where this is called, and give its record.

    It waits for the lease that a lost worker may have left; what fails is in the record.

    Errors: those of the store and of the project.
    """
    unit = unit_of_text(text)
    project = load_project(Path(where.project), where.environment)
    store = open_store(where.state_url)
    try:
        job = project.job(unit.pipeline)
        whole = store.get(job.state_key)
        job = replace(unit_job(job, unit), initial_state=part_of(whole.state, unit) if whole else None)
        run = Run(
            job,
            store,
            listener,
            project.folder / ".singerkit",
            facts={"unit": unit.id},
            wait_s=2 * lease_seconds() + 30,
        )
        with _stoppable(run):
            return run()
    finally:
        store.close()


@contextmanager
def _stoppable(run: Run) -> Iterator[None]:
    with _lock:
        _running.add(run)
    try:
        yield
    finally:
        with _lock:
            _running.discard(run)


def stop_units(number: int) -> None:
    """Stop the units that run in this process, as by a signal."""
    with _lock:
        for run in _running:
            run.stop(number)


# The driver's side ----------------------------------------------------------------------------------------------------


class ScaleOut:
    """One run of a pipeline as units, all of them or a share."""

    def __init__(
        self,
        job: Job,
        units: Sequence[Unit],
        where: Where,
        store: StateStore,
        listener: Listener,
        *,
        share: str = "",
        wait_s: float = 0.0,
    ) -> None:
        """``share`` names a share of the units, so that other shares can run at the same time."""
        self._whole = job
        key = f"{job.state_key}{KEY_MARK}{share}" if share else job.state_key
        self._job = replace(job, name=f"{job.name}{KEY_MARK}{share}" if share else job.name, state_key=key)
        self._units = units
        self._where = where
        self._store = store
        self._listener = listener
        self._wait_s = wait_s
        self._signals: SimpleQueue[int] = SimpleQueue()
        self._signal: int | None = None
        self._lost: Counter[str] = Counter()
        self._records: dict[str, RunRecord] = {}
        self._failures: dict[str, str] = {}

    def __call__(self, executor: Executor, limit: int, unit_listener: Callable[[Unit], Listener]) -> RunRecord:
        """Run all units, at most ``limit`` at once, and give the record of the whole.

        Errors: ``LockedError`` when the pipeline runs already; ``StoreError``.
        """
        keeper = Keeper(self._store, self._job, run=new_run_id(), listener=self._listener, wait_s=self._wait_s)
        try:
            with signals_into(self._signals):
                return self._run(keeper, executor, limit, unit_listener)
        finally:
            keeper.close()

    def _run(
        self, keeper: Keeper, executor: Executor, limit: int, unit_listener: Callable[[Unit], Listener]
    ) -> RunRecord:
        before = keeper.stored
        record = RunRecord(
            id=keeper.run,
            pipeline=self._job.name,
            state_key=self._job.state_key,
            started=utc_now(),
            revision_before=before.revision if before else None,
            facts={**signs_of_life(keeper.lease_s), "labels": dict(self._job.labels), "units": len(self._units)},
        )
        self._store.log(record)
        keeper.beat = lambda progress: self._store.log(beaten(record, progress))
        self._listener.started(self._job, record)
        self._work_off(keeper, executor, limit, unit_listener)
        if self._signal is None:
            self._gather(keeper)
        record = self._ended(record, keeper)
        self._store.log(record)
        self._listener.ended(record, before, keeper.stored)
        return record

    def _gather(self, keeper: Keeper) -> None:
        """Put the units' states into the pipeline's, whose lease a share has to take for that."""
        if self._whole.state_key == self._job.state_key:
            keeper.gather(self._units)
            return
        whole = Keeper(self._store, self._whole, run=keeper.run, listener=self._listener, wait_s=_GATHER_WAIT_S)
        try:
            whole.gather(self._units)
        finally:
            whole.close()

    def _work_off(
        self, keeper: Keeper, executor: Executor, limit: int, unit_listener: Callable[[Unit], Listener]
    ) -> None:
        waiting = deque(self._units)
        running: dict[Future[RunRecord], Unit] = {}
        while (waiting and self._signal is None) or running:
            while waiting and self._signal is None and len(running) < limit:
                unit = waiting.popleft()
                running[executor.submit(run_unit, unit.text(), self._where, unit_listener(unit))] = unit
            done, _ = wait(running, timeout=_LOOK_AGAIN_S, return_when=FIRST_COMPLETED)
            for future in done:
                unit = running.pop(future)
                if self._is_lost(future, unit):
                    waiting.append(unit)
            keeper.keep_lease()
            self._take_signals(running)

    def _is_lost(self, future: Future[RunRecord], unit: Unit) -> bool:
        """Note how a unit ended; says whether it is to be given to another worker."""
        try:
            self._records[unit.id] = future.result()
        except SingerKitError as error:
            self._failures[unit.id] = error.describe()
        except CancelledError:
            self._failures[unit.id] = "it was not begun"
        except Exception as error:  # noqa: BLE001 - whatever an executor raises when a worker is gone
            self._lost[unit.id] += 1
            if self._lost[unit.id] <= _LOST_WORKERS and self._signal is None:
                self._listener.log("singerkit", f"the worker of unit {unit.id} was lost; it is tried again")
                return True
            self._failures[unit.id] = f"its workers were lost: {type(error).__name__}"
        return False

    def _take_signals(self, running: Mapping[Future[RunRecord], Unit]) -> None:
        while not self._signals.empty():
            self._signal = self._signals.get()
            stop_units(self._signal)
            for future in running:
                future.cancel()

    def _ended(self, record: RunRecord, keeper: Keeper) -> RunRecord:
        """Give the record of the whole: of its units the counts, and what failed."""
        failed = {name: run.failure or run.status for name, run in self._records.items() if run.status != "success"}
        failed |= self._failures
        status = Status.SUCCESS if not failed else Status.TAP_FAILED
        if self._signal is not None:
            status = Status.CANCELLED
        elif failed:
            status = next((Status(run.status) for run in self._records.values() if run.status != "success"), status)
        failure = _failure(failed, len(self._units)) if failed else None
        if status is Status.SUCCESS and (step := self._after(keeper)):
            status, failure = Status.AFTER_FAILED, f"All units were loaded; the step `{step[0]}` that follows failed."
        return replace(
            record,
            ended=utc_now(),
            status=str(status),
            exit_code=exit_code_of(status, self._signal or signal.SIGTERM),
            streams=_sum(self._records.values()),
            revision_after=keeper.stored.revision if keeper.stored else None,
            failure=failure,
        )

    def _after(self, keeper: Keeper) -> tuple[str, int] | None:
        return run_steps(
            self._job.after,
            facts={"SINGERKIT_PIPELINE": self._job.name, "SINGERKIT_RUN_ID": keeper.run},
            folder=self._job.folder,
            show=lambda line: self._listener.log("after", line),
            signals=self._signals,
            tick=keeper.keep_lease,
        )


def _failure(failed: Mapping[str, str], count: int) -> str:
    shown = [f"{name}: {why}" for name, why in list(failed.items())[:5]]
    more = [f"and {len(failed) - 5} more"] if len(failed) > 5 else []
    return f"{len(failed)} of {count} units failed. " + " | ".join([*shown, *more])


def _sum(records: Any) -> dict[str, dict[str, int]]:
    total: dict[str, Counter[str]] = {}
    for record in records:
        for stream, counts in record.streams.items():
            total.setdefault(stream, Counter()).update(counts)
    return {stream: dict(counts) for stream, counts in total.items()}
