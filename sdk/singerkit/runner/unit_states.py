"""The states of units: each begins with its part of the pipeline's state, and is gathered into it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from singerkit.runner.job import Job
from singerkit.runner.states import bookmarks_of, merged, names_streams, partitions_of
from singerkit.runner.store.base import Lease, LockedError, State, StateStore
from singerkit.runner.units import Unit, unit_key


def part_of(state: Mapping[str, Any], unit: Unit) -> State | None:
    """Give the part of a pipeline's state that a unit begins with; ``None`` where it has none."""
    if not names_streams(state):
        return None
    bookmarks = {
        stream: _part(entry, unit.context)
        for stream, entry in bookmarks_of(state).items()
        if stream in unit.streams or stream == unit.stream
    }
    found = {stream: entry for stream, entry in bookmarks.items() if entry}
    return {"bookmarks": found} if found else None


def _part(entry: Any, context: Mapping[str, Any] | None) -> Any:
    """Give a stream's bookmark; of a partition's unit only the partitions that are of it or below it."""
    partitions = partitions_of(entry)
    if context is None or partitions is None:
        return entry
    own = [part for part in partitions.values() if context.items() <= part["context"].items()]
    return {"partitions": own} if own else None


def gather(store: StateStore, job: Job, unit: Unit, owner: str, lease: Lease) -> bool:
    """Put the state of a unit into the pipeline's and forget it; ``lease`` is of the pipeline's key.

    A unit that somebody runs at this moment is left alone, which gives ``False``.

    Errors: ``StoreError``.
    """
    key = unit_key(job, unit)
    try:
        of_unit = store.acquire(key, owner, 60)
    except LockedError:
        return False
    try:
        part, whole = store.get(key), store.get(job.state_key)
        if part is None:
            return True
        state = merged(whole.state if whole else {}, part.state)
        expected = whole.revision if whole else None
        store.put(job.state_key, state, expected=expected, lease=lease, run=owner)
        store.delete(key, lease=of_unit, run=owner)
        return True
    finally:
        store.release(of_unit)
