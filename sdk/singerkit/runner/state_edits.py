"""Changes of stored states by hand: each under the lease of its key, so never while a run may write."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from singerkit.config.problems import suggestion
from singerkit.errors import ConfigurationError
from singerkit.runner.state_changes import changes
from singerkit.runner.states import ALL_STREAMS, bookmarks_of, names_streams, without_streams
from singerkit.runner.store.base import DamagedStateError, Lease, State, StateStore, StoredState
from singerkit.runner.units import KEY_MARK

_LEASE_S = 120.0


@dataclass(frozen=True)
class Edit:
    """What was changed of one key; ``None``: there was no state, or there is none now."""

    key: str
    before: StoredState | None
    after: StoredState | None

    @property
    def changes(self) -> list[str]:
        """Say what differs, a line a stream."""
        return changes(self.before.state if self.before else None, self.after.state if self.after else None)


@dataclass(frozen=True)
class Editor:
    """Changes states of a store; each change is a new revision, so that it can be taken back.

    ``force``: a lease that a run holds is taken from it. Its target may go on writing; its state is refused from then
    on, and the run fails.

    Errors: of each method: ``LockedError`` while a run holds a key; ``ConfigurationError`` for a key that has no state.
    """

    store: StateStore
    force: bool = False

    def found(self, key: str) -> StoredState:
        """Give the state of a key.

        Errors: ``ConfigurationError`` that says which key may have been meant.
        """
        stored = self.store.get(key)
        if stored is None:
            raise ConfigurationError(self._missing(key))
        return stored

    def set(self, key: str, state: State, *, run: str, replace: bool = True) -> Edit:
        """Put a state in place of whatever there is; only where there is none, without ``replace``."""
        with self._leases(run, key) as leases:
            before = self._newest(key)
            if before is not None and not replace:
                raise ConfigurationError(f"'{key}' has a state already (revision {before.revision}): use --replace")
            return self._put(leases[key], before, state, run)

    def change(self, key: str, edit: Callable[[State], State], *, run: str) -> Edit:
        """Put what ``edit`` makes of a key's state."""
        with self._leases(run, key) as leases:
            before = self.found(key)
            return self._put(leases[key], before, edit(before.state), run)

    def clear(self, key: str, streams: Collection[str]) -> Edit:
        """Forget a key's state, or the bookmarks of some streams; also those of its units that were not gathered yet.

        Errors: ``ConfigurationError`` for a stream that has no bookmark.
        """
        units = self.store.keys(f"{key}{KEY_MARK}")
        if streams and ALL_STREAMS not in streams:
            edit = self.change(key, lambda state: _without(key, state, streams), run="clear")
            for unit in units:
                self.change(unit, lambda state: without_streams(state, streams), run="clear")
            return edit
        with self._leases("clear", key, *units) as leases:
            before = self._newest(key)
            if before is None and not units:
                self.found(key)  # says that there is none
            for unit in units:
                self.store.delete(unit, lease=leases[unit], run="clear")
            if before is not None:
                self.store.delete(key, lease=leases[key], run="clear")
            return Edit(key, before, None)

    def copy(self, source: str, to: str, *, replace: bool = False) -> Edit:
        """Put the state of one key under another one too."""
        state = self.found(source).state
        return self.set(to, state, run="copy", replace=replace)

    def move(self, source: str, to: str, *, replace: bool = False) -> list[Edit]:
        """Put the state of one key under another one; it is under both should this be killed in between."""
        if source == to:
            raise ConfigurationError(f"'{source}' can't be moved to itself")
        with self._leases("move", source, to) as leases:
            old, before = self.found(source), self._newest(to)
            if before is not None and not replace:
                raise ConfigurationError(f"'{to}' has a state already (revision {before.revision}): use --replace")
            moved = self._put(leases[to], before, old.state, "move")
            self.store.delete(source, lease=leases[source], run="move")
            return [moved, Edit(source, old, None)]

    def restore(self, key: str, revision: int) -> Edit:
        """Put an old state of a key as its newest one.

        Errors: ``ConfigurationError`` that says which revisions there are.
        """
        with self._leases("restore", key) as leases:
            old = revision_of(self.store, key, revision)
            return self._put(leases[key], self._newest(key), old.state, "restore")

    def _newest(self, key: str) -> StoredState | None:
        """Give what is to be replaced; one that is damaged as an empty one, for its revision is known."""
        try:
            return self.store.get(key)
        except DamagedStateError as error:
            return StoredState({}, error.revision, error.at, error.run)

    def _put(self, lease: Lease, before: StoredState | None, state: State, run: str) -> Edit:
        expected = None if before is None else before.revision
        after = self.store.put(lease.key, state, expected=expected, lease=lease, run=run)
        return Edit(lease.key, before, after)

    @contextmanager
    def _leases(self, verb: str, *keys: str) -> Iterator[dict[str, Lease]]:
        owner = f"{platform.node()}:{os.getpid()}:state {verb}"
        with ExitStack() as stack:
            leases = {}
            for key in keys:
                leases[key] = self.store.acquire(key, owner, _LEASE_S, force=self.force)
                stack.callback(self.store.release, leases[key])
            yield leases

    def _missing(self, key: str) -> str:
        """Say that a key has no state, and what could have been meant."""
        if old := self.store.history(key):
            return (
                f"there is no state '{key}' any more: its last one was revision {old[0].revision}, see `state restore`"
            )
        known = self.store.keys()
        if not known:
            return f"there is no state '{key}': the store has none at all"
        hint = suggestion(key, known) or f"; there are {', '.join(known[:10])}{', ...' if len(known) > 10 else ''}"
        return f"there is no state '{key}'{hint}"


def revision_of(store: StateStore, key: str, revision: int) -> StoredState:
    """Give one revision of a key's state.

    Errors: ``ConfigurationError`` that says which ones there are.
    """
    history = store.history(key)
    found = next((stored for stored in history if stored.revision == revision), None)
    if found is None:
        has = f"it has {_ranges([stored.revision for stored in history])}" if history else "it never had one"
        raise ConfigurationError(f"'{key}' has no state of revision {revision}; {has}")
    return found


def _ranges(numbers: Collection[int]) -> str:
    """Give numbers as ranges: ``1-3, 5``."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def _without(key: str, state: Mapping[str, Any], streams: Collection[str]) -> State:
    known = list(bookmarks_of(state)) if names_streams(state) else None
    for stream in streams:
        if known is not None and stream not in known:
            has = suggestion(stream, known) or f"; it has {', '.join(known) or 'none'}"
            raise ConfigurationError(f"the state of '{key}' has no bookmark of stream '{stream}'{has}")
    return without_streams(state, streams)
