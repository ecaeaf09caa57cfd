"""The lease and the state of one run."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from singerkit.clock import monotonic
from singerkit.errors import ConfigurationError
from singerkit.runner.job import Job
from singerkit.runner.listener import Listener
from singerkit.runner.states import merged
from singerkit.runner.store.base import (
    LONGEST_LEASE_S,
    ConflictError,
    FencedError,
    Lease,
    LockedError,
    State,
    StateStore,
    StoreAwayError,
    StoreError,
)
from singerkit.runner.supervise.attempt import Progress
from singerkit.runner.unit_states import gather
from singerkit.runner.units import Unit

T = TypeVar("T")

#: A lease outlasts a few missed renewals, and not by much a runner that was killed.
LEASE_S = 60.0
#: The environment variable that says how long a lease lasts (seconds).
LEASE_VARIABLE = "SINGERKIT_LEASE_SECONDS"
_RENEWALS_IN_A_LEASE = 4
_LOOK_AGAIN_S = 0.5
#: The share of a lease after which a store that can't be reached ends the run.
_PATIENCE = 0.7
#: A long run persists less often, so that its states do not fill the history: never more than half a minute is redone.
_PERSIST_EVERY_S = (5.0, 30.0)
_SLOWER_AFTER_S = 300.0
#: The history is looked after once in so many runs of a key (each takes a lease), and revisions.
_RUNS_AT_ONCE = 50
_REVISIONS_AT_ONCE = 100
#: The lease and the state of a unit are numbered by its run and by who gathers it in turns.
_IN_A_ROW = 2
#: How long gathering waits for units that somebody else runs (seconds).
_UNITS_WAIT_S = 30.0


class Keeper:
    """Keeps the lease and the state of a run; the watcher of its attempts."""

    def __init__(
        self,
        store: StateStore,
        job: Job,
        *,
        run: str,
        listener: Listener,
        wait_s: float = 0.0,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        """Take the lease, for which to wait so long if another run holds it, and read the state.

        ``tick`` is called several times a second while it waits.

        Errors: ``LockedError`` when another run holds the lease; ``ConfigurationError`` for a lease of no length; what
        ``tick`` raises.
        """
        self._store = store
        self._job = job
        self._key = key = job.state_key
        self._initial = dict(job.initial_state) if job.initial_state else None
        self.run = run
        self._listener = listener
        self.lease_s = lease_seconds()
        self._lease = _acquired(store, key, f"{platform.node()}:{os.getpid()}:{run}", self.lease_s, wait_s, tick)
        try:
            #: What the store holds.
            self.stored = store.get(key)
        except BaseException:
            self.close()
            raise
        self._renewed = self._asked = self._began = monotonic()
        self._persisted = 0.0
        self._pending: dict[str, Any] | None = None
        #: Told now and then, each time the lease was renewed.
        self.beat: Callable[[Progress], None] = lambda progress: None
        #: How far the attempt had come when it was last looked at.
        self.progress = Progress()

    @property
    def state(self) -> State | None:
        """The state to go on from."""
        return self.stored.state if self.stored else self._initial

    def log(self, program: str, line: str) -> None:
        """Show a log line."""
        self._listener.log(program, line)

    def tick(self, progress: Progress) -> None:
        """Keep lease and state, show progress.

        A store that can't be reached for a while is asked again, as long as the lease lasts.
        """
        self.progress = progress
        self.keep_lease()
        if self._pending is not None and monotonic() - self._persisted > self._persist_every_s:
            with self._patience():
                self.persist()
        self._listener.progress(progress)

    @property
    def _persist_every_s(self) -> float:
        return _PERSIST_EVERY_S[monotonic() - self._began > _SLOWER_AFTER_S]

    def acknowledge(self, state: dict[str, Any]) -> None:
        """Note a state to persist."""
        self._pending = state

    def keep_lease(self) -> None:
        """Renew the lease if it is time to.

        Errors: ``FencedError`` when it was lost; ``StoreError`` when the store was away for too long.
        """
        now = monotonic()
        if now - self._renewed < self.lease_s / _RENEWALS_IN_A_LEASE or now - self._asked < _LOOK_AGAIN_S:
            return
        self._asked = now
        with self._patience():
            self._lease = self._store.renew(self._lease, self.lease_s)
            self._renewed = now
            self.beat(self.progress)

    @contextmanager
    def _patience(self) -> Iterator[None]:
        """Let a failure of the store pass while the lease still lasts for a while: nobody else writes meanwhile."""
        try:
            yield
        except (FencedError, ConflictError):
            raise
        except StoreError as error:
            self._bear(error)

    def insist(self, work: Callable[[], T]) -> T:
        """Do what the store has to do now, again while it is away and the lease still lasts for a while."""
        while True:
            try:
                return work()
            except StoreAwayError as error:
                self._bear(error)
            time.sleep(_LOOK_AGAIN_S)
            self.keep_lease()

    def _bear(self, error: StoreError) -> None:
        """Say that the store failed; raise that once the lease may be another's soon."""
        if monotonic() - self._renewed > self.lease_s * _PATIENCE:
            raise error
        self._listener.log("singerkit", f"the store can't be reached, trying again: {error.describe()}")

    def persist(self) -> None:
        """Persist the newest state that the target vouches for, merged into what was there."""
        if self._pending is None:
            return
        self._persisted = monotonic()
        try:
            self._put(self._pending)
        except ConflictError:
            found = self._store.get(self._key)
            if found is None or found.run != self.run:
                raise
            self.stored = found  # by ourselves, and the answer was lost
            self._put(self._pending)
        self._pending = None

    def _put(self, new: Mapping[str, Any]) -> None:
        # A mirror shows what is there; the target itself joined nothing.
        state = dict(new) if self._job.state_in_target else merged(self.state or {}, new)
        if self.stored is not None and state == self.stored.state:
            return
        expected = self.stored.revision if self.stored else None
        self.stored = self._store.put(self._key, state, expected=expected, lease=self._lease, run=self.run)
        if self.stored.revision % _REVISIONS_AT_ONCE < _IN_A_ROW:
            self._forget_old_revisions()

    def _forget_old_revisions(self) -> None:
        if self._job.retention.revisions:
            with self._unimportant():
                self._store.prune(self._key, self._job.retention.revisions)

    def forget_old_runs(self) -> None:
        """Forget runs that are too old to be kept; mostly there is nothing to do, as it is done for many at once."""
        if self._job.retention.runs and self._lease.token % _RUNS_AT_ONCE < _IN_A_ROW:
            with self._unimportant():
                success = self._store.newest_success(self._job.name, self._key)
                spare = success.id if success else None
                self._store.prune_runs(self._job.name, self._job.retention.runs, spare=spare)

    @contextmanager
    def _unimportant(self) -> Iterator[None]:
        try:
            yield
        except StoreError as error:
            self._listener.log("singerkit", f"the history could not be tidied up: {error.describe()}")

    def gather(self, units: Sequence[Unit], tick: Callable[[], None] = lambda: None) -> None:
        """Put the states of units into this one; ``tick`` is called before each of them.

        A unit that somebody else runs is waited for a while, as it may be a run that a driver left which was killed.

        Errors: ``StoreError``; what ``tick`` raises.
        """
        before = self.stored.revision if self.stored else 0
        until = monotonic() + _UNITS_WAIT_S
        left = list(units)
        while left := [unit for unit in left if not self._gathered(unit, tick)]:
            if monotonic() > until:
                names = ", ".join(unit.id for unit in left)
                self._listener.log("singerkit", f"somebody else runs {names}; the next run gathers what that comes to")
                break
            time.sleep(_LOOK_AGAIN_S)
        self.stored = self._store.get(self._key)
        if self.stored and self.stored.revision // _REVISIONS_AT_ONCE > before // _REVISIONS_AT_ONCE:
            self._forget_old_revisions()

    def _gathered(self, unit: Unit, tick: Callable[[], None]) -> bool:
        tick()
        self.keep_lease()
        return self.insist(partial(gather, self._store, self._job, unit, self.run, self._lease))

    def close(self) -> None:
        """Give the lease back; where the store fails it ends by itself."""
        try:
            self._store.release(self._lease)
        except StoreError as error:
            why = error.describe()
            self._listener.log("singerkit", f"the lease is not given back, and ends in {self.lease_s:g} s: {why}")


def lease_seconds() -> float:
    """Give how long a lease lasts.

    Errors: ``ConfigurationError`` when the environment says nonsense.
    """
    given = os.environ.get(LEASE_VARIABLE, str(LEASE_S))
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= LONGEST_LEASE_S:
        raise ConfigurationError(f"{LEASE_VARIABLE}: '{given}' is no number of seconds from 1 to {LONGEST_LEASE_S}")
    return seconds


def _acquired(
    store: StateStore, key: str, owner: str, lease_s: float, wait_s: float, tick: Callable[[], None]
) -> Lease:
    until = monotonic() + wait_s
    while True:
        try:
            return store.acquire(key, owner, lease_s)
        except LockedError:
            if monotonic() >= until:
                raise
        tick()
        time.sleep(_LOOK_AGAIN_S)
