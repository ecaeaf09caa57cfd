"""The lease and the state of one run."""

from __future__ import annotations

import os
import platform
from typing import Any

from singerkit.clock import monotonic
from singerkit.runner.listener import Listener
from singerkit.runner.states import merged
from singerkit.runner.store.base import StateStore
from singerkit.runner.supervise.attempt import Progress

#: A lease outlasts a few missed renewals, and not by much a runner that was killed.
LEASE_S = 60.0
_RENEW_EVERY_S = 15.0
_PERSIST_EVERY_S = 5.0


class Keeper:
    """Keeps the lease and the state of a run; the watcher of its attempts."""

    def __init__(self, store: StateStore, key: str, *, run: str, listener: Listener) -> None:
        """Take the lease and read the state.

        Errors: ``LockedError`` when another run holds the lease.
        """
        self._store = store
        self._key = key
        self._run = run
        self._listener = listener
        self._lease = store.acquire(key, f"{platform.node()}:{os.getpid()}:{run}", LEASE_S)
        #: What the store holds.
        self.stored = store.get(key)
        self._renewed = monotonic()
        self._persisted = 0.0
        self._pending: dict[str, Any] | None = None

    def log(self, program: str, line: str) -> None:
        """Show a log line."""
        self._listener.log(program, line)

    def tick(self, progress: Progress) -> None:
        """Keep lease and state, show progress."""
        self.keep_lease()
        if self._pending is not None and monotonic() - self._persisted > _PERSIST_EVERY_S:
            self.persist()
        self._listener.progress(progress)

    def acknowledge(self, state: dict[str, Any]) -> None:
        """Note a state to persist."""
        self._pending = state

    def keep_lease(self) -> None:
        """Renew the lease if it is time to.

        Errors: ``FencedError`` when it was lost.
        """
        if monotonic() - self._renewed > _RENEW_EVERY_S:
            self._lease = self._store.renew(self._lease, LEASE_S)
            self._renewed = monotonic()

    def persist(self) -> None:
        """Persist the newest state that the target vouches for, merged into what was there."""
        if self._pending is None:
            return
        before = self.stored
        state = merged(before.state if before else {}, self._pending)
        self._pending, self._persisted = None, monotonic()
        if before is None or state != before.state:
            expected = before.revision if before else None
            self.stored = self._store.put(self._key, state, expected=expected, lease=self._lease, run=self._run)

    def close(self) -> None:
        """Give the lease back."""
        self._store.release(self._lease)
