"""Runs the units of a pipeline on an executor, or one share of them: each a supervised run with a lease of its own.

What is lost with a worker is a run that stopped somewhere: its unit is tried again, from the bookmark that its target
acknowledged, by whoever gets it next, once the lost run's lease has ended. So no unit is written by two at a time.
"""

from __future__ import annotations

import signal
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import suppress
from dataclasses import replace
from functools import partial
from queue import SimpleQueue
from typing import Any

from singerkit.clock import monotonic, utc_now
from singerkit.digests import digest_of
from singerkit.errors import ConfigurationError, SingerKitError
from singerkit.runner.after import Failed, facts_for_steps, follow
from singerkit.runner.executors import Workers
from singerkit.runner.job import Job
from singerkit.runner.keeper import Keeper, lease_seconds
from singerkit.runner.listener import Listener
from singerkit.runner.report.refused import refused_in_all
from singerkit.runner.run import new_run_id
from singerkit.runner.running import beaten, close_crashed, crashed_run, signs_of_life
from singerkit.runner.signals import rest, signals_into
from singerkit.runner.store.base import FencedError, LockedError, RunRecord, StateStore, StoreAwayError
from singerkit.runner.supervise.outcome import Status, exit_code_of
from singerkit.runner.unit_runs import Where, run_unit, stop_units
from singerkit.runner.units import KEY_MARK, Unit, unit_key
from singerkit.telemetry.redact import Redactor

#: How many workers a unit may lose, one after the other, without coming any further.
_LOST_WORKERS = 5
_LOOK_AGAIN_S = 0.2
#: How long a unit waits, where it is run, for a run of it that somebody else has; then others have their turn.
_HELD_S = 10.0
#: How long units may take to say that they have ended, beyond the grace that their programs have.
_SAY_SO_S = 15.0
#: How long a share waits for others that gather.
_GATHER_WAIT_S = 600.0


def shard_of(units: Sequence[Unit], index: int, count: int) -> list[Unit]:
    """Give one of ``count`` shares, counted from 0: a unit is always in the same one, whatever others there are.

    Errors: ``ConfigurationError`` when there is no such share.
    """
    if not 0 <= index < count:
        raise ConfigurationError(f"there is no share {index} of {count}: shares are counted from 0 to {count - 1}")
    return [unit for unit in units if int(digest_of(unit.id), 16) % count == index]


class _Stopped(Exception):
    """A signal came."""


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
        self._job = replace(job, state_key=key)
        self._units = units
        self._where = where
        self._store = store
        self._listener = listener
        self._redactor = Redactor(job.secrets)
        self._wait_s = wait_s
        self._signals: SimpleQueue[int] = SimpleQueue()
        self._stops: list[int] = []
        self._give_up_at = float("inf")
        #: Nothing is handed over until then: a store that is away is given time to come back.
        self._not_before = float("-inf")
        #: By unit: how many workers it has lost since its state moved, and the state's revision then.
        self._lost: dict[str, tuple[int, int | None]] = {}
        self._said_so = False
        self._held: set[str] = set()
        self._records: dict[str, RunRecord] = {}
        self._failures: dict[str, str] = {}

    def __call__(self, workers: Workers, unit_listener: Callable[[Unit], Listener]) -> RunRecord:
        """Run all units and give the record of the whole.

        Errors: ``LockedError`` when the pipeline runs already; ``StoreError``.
        """
        keeper = Keeper(self._store, self._job, run=new_run_id(), listener=self._listener, wait_s=self._wait_s)
        try:
            with signals_into(self._signals):
                return self._run(keeper, workers, unit_listener)
        finally:
            keeper.close()

    def _run(self, keeper: Keeper, workers: Workers, unit_listener: Callable[[Unit], Listener]) -> RunRecord:
        before = keeper.stored
        record = RunRecord(
            id=keeper.run,
            pipeline=self._job.name,
            state_key=self._job.state_key,
            started=utc_now(),
            revision_before=before.revision if before else None,
            facts={**signs_of_life(keeper.lease_s), "labels": dict(self._job.labels), "units": len(self._units)},
        )
        close_crashed(self._store, self._job)
        self._store.log(record)
        keeper.beat = lambda progress: self._store.log(beaten(record, progress))
        self._listener.started(self._job, record)
        try:
            self._work_off(keeper, workers, unit_listener)
            if not self._stops:
                with suppress(_Stopped):
                    self._gather(keeper)
        except SingerKitError as error:
            with suppress(SingerKitError):  # it may be the store that fails
                self._store.log(replace(crashed_run(record), ended=utc_now(), failure=error.describe()))
            raise
        record = self._ended(record, keeper)
        keeper.insist(partial(self._store.log, record))
        keeper.forget_old_runs()
        self._listener.ended(record, before, keeper.stored)
        return record

    def _gather(self, keeper: Keeper) -> None:
        """Put the units' states into the pipeline's, whose lease a share has to take for that.

        What is not gathered, as a signal came, is so by the next run.
        """

        def go_on() -> None:
            keeper.keep_lease()
            if not self._signals.empty():
                self._stops.append(self._signals.get())
                raise _Stopped

        if self._whole.state_key == self._job.state_key:
            keeper.gather(self._units, go_on)
            return
        whole = Keeper(
            self._store, self._whole, run=keeper.run, listener=self._listener, wait_s=_GATHER_WAIT_S, tick=go_on
        )
        try:
            whole.gather(self._units, go_on)
        finally:
            whole.close()

    def _work_off(self, keeper: Keeper, workers: Workers, unit_listener: Callable[[Unit], Listener]) -> None:
        waiting = deque(self._units)
        running: dict[Future[RunRecord], Unit] = {}
        while (waiting and not self._stops) or running:
            while waiting and self._may_hand_over and len(running) < self._limit(workers):
                unit = waiting.popleft()
                work = (unit.text(), self._where, unit_listener(unit), keeper.run, _HELD_S)
                running[workers.submit(run_unit, *work)] = unit
            self._say_why_none_moves(workers, len(running))
            if not running:
                rest(self._signals)
            done, _ = wait(running, timeout=_LOOK_AGAIN_S, return_when=FIRST_COMPLETED)
            for future in done:
                unit = running.pop(future)
                if self._is_to_be_run_again(future, unit, workers):
                    waiting.append(unit)
            keeper.keep_lease()
            self._take_signals(keeper.run, workers, running)

    @property
    def _may_hand_over(self) -> bool:
        return not self._stops and monotonic() >= self._not_before

    def _say_why_none_moves(self, workers: Workers, count: int) -> None:
        if workers.slots():
            self._said_so = False
        elif not self._said_so:
            self._said_so = True
            takes = f" with {', '.join(self._job.resources)}" if self._job.resources else ""
            self._listener.log("singerkit", f"{count} units wait: the cluster has no worker{takes} at the moment")

    def _limit(self, workers: Workers) -> int:
        return min(workers.capacity, self._job.max_units or len(self._units))

    def _is_to_be_run_again(self, future: Future[RunRecord], unit: Unit, workers: Workers) -> bool:
        """Note how a unit ended; says whether it is to be handed over again."""
        try:
            self._records[unit.id] = future.result()
        except LockedError as error:
            return self._is_held(unit, error)
        except (StoreAwayError, FencedError) as error:
            self._not_before = monotonic() + lease_seconds() / 4
            return self._is_lost(unit, error)
        except SingerKitError as error:
            self._failures[unit.id] = error.describe()
        except (Exception, CancelledError) as error:  # noqa: BLE001 - what an executor and the work may raise
            if workers.is_lost(error):
                return self._is_lost(unit, error)
            self._failures[unit.id] = f"{type(error).__name__}: {error}"
        return False

    def _is_held(self, unit: Unit, error: LockedError) -> bool:
        """Say, once, that somebody else runs a unit: one that a driver left that was killed, or a lost worker's."""
        if self._stops:
            self._failures[unit.id] = error.describe()
            return False
        if unit.id not in self._held:
            self._held.add(unit.id)
            self._listener.log("singerkit", f"unit {unit.id} has to wait: {error.describe()}")
        return True

    def _is_lost(self, unit: Unit, error: BaseException) -> bool:
        if self._stops:
            self._failures[unit.id] = "it was not begun, or its worker was lost"
            return False
        count, before = self._lost.get(unit.id, (0, None))
        revision = before
        with suppress(StoreAwayError):
            stored = self._store.get(unit_key(self._whole, unit))
            revision = stored.revision if stored else None
        count = count + 1 if revision == before else 1
        self._lost[unit.id] = count, revision
        if count > _LOST_WORKERS:
            self._failures[unit.id] = f"it broke off {count} times ({type(error).__name__}), and it came no further"
            return False
        self._listener.log("singerkit", f"unit {unit.id} broke off ({type(error).__name__}); it is tried again")
        return True

    def _take_signals(self, owner: str, workers: Workers, running: Mapping[Future[RunRecord], Unit]) -> None:
        """Stop the units by a signal: they drain. By a second one at once; those that do not answer are left behind."""
        while not self._signals.empty():
            self._stops.append(self._signals.get())
            grace_s = self._job.limits.grace_s if len(self._stops) == 1 else 0
            self._give_up_at = monotonic() + grace_s + _SAY_SO_S
        if not self._stops or not running:
            return
        workers.tell(partial(stop_units, owner, tuple(self._stops)))
        if monotonic() > self._give_up_at or not workers.slots():
            for future in running:
                future.cancel()

    def _ended(self, record: RunRecord, keeper: Keeper) -> RunRecord:
        """Give the record of the whole: of its units the counts, and what failed."""
        failed = {name: run.failure or run.status for name, run in self._records.items() if run.status != "success"}
        failed |= self._failures
        status = Status.SUCCESS if not failed else Status.TAP_FAILED
        if self._stops:
            status = Status.CANCELLED
        elif failed:
            status = next((Status(run.status) for run in self._records.values() if run.status != "success"), status)
        failure = _failure(failed, len(self._units)) if failed else None
        streams = _sum(self._records.values())
        facts = {**record.facts, **refused_in_all(self._records.values())}
        if status is Status.SUCCESS and (step := self._after(streams, keeper)):
            status, failure = step.status, step.failure
            self._stops += [] if step.signal is None else [step.signal]
        return replace(
            record,
            ended=utc_now(),
            status=str(status),
            exit_code=exit_code_of(status, next(iter(self._stops), signal.SIGTERM)),
            streams=streams,
            facts=facts,
            revision_after=keeper.stored.revision if keeper.stored else None,
            failure=failure and self._redactor.redact(failure),
        )

    def _after(self, streams: Mapping[str, Mapping[str, int]], keeper: Keeper) -> Failed | None:
        records = {stream: counts["records"] for stream, counts in streams.items()}
        return follow(
            self._job,
            facts=facts_for_steps(keeper.run, self._job.name, records, keeper.stored),
            log=self._listener.log,
            redactor=self._redactor,
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
