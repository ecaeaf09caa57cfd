"""The partitions of one stream in the state: from a context to its entry, at once however many there are.

In the state they are a list, ``[{"context": {...}, ...}, ...]``: the established format. Here the list has an index.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Hashable, Mapping
from typing import Any

from singerkit.errors import StateError
from singerkit.protocol.codec import encode


def identity_of(context: Mapping[str, Any]) -> Hashable:
    """Give what makes a context that context, whatever the order of its members."""
    if len(context) == 1:
        ((name, value),) = context.items()
        return (name, value) if value.__class__ is str or value.__class__ is int else (name, _hashable(value))
    return tuple((name, _hashable(context[name])) for name in sorted(context))


def _hashable(value: Any) -> Hashable:
    if isinstance(value, str) or value.__class__ is int:
        return value
    # True == 1 == 1.0 in Python, but not in JSON: the type is part of the identity.
    if isinstance(value, bool | int | float | None):
        return (type(value).__name__, value)
    if isinstance(value, dict):
        return ("object", *((name, _hashable(value[name])) for name in sorted(value)))
    if isinstance(value, list | tuple):
        return ("array", *map(_hashable, value))
    # Dates and the like have the form that they will have in the state: so they are found again by the next run.
    return _hashable(json.loads(encode(value)))


class Partitions:
    """The entries of a stream's ``partitions`` list, found by context."""

    def __init__(self, stream: str, entries: list[dict[str, Any]]) -> None:
        self.entries = entries
        self._index: dict[Hashable, dict[str, Any]] = {}
        for entry in entries:
            context = entry.get("context") if isinstance(entry, dict) else None
            if not isinstance(context, dict):
                raise StateError("a partition of the state has no 'context' object", stream=stream)
            if self._index.setdefault(identity_of(context), entry) is not entry:
                raise StateError("the state has two entries for one partition; remove one of them", stream=stream)

    def find(self, context: Mapping[str, Any]) -> dict[str, Any] | None:
        """Give the context's entry, if there is one."""
        return self._index.get(identity_of(context))

    def entry(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Give the context's entry, a new one if need be."""
        identity = identity_of(context)
        entry = self._index.get(identity)
        if entry is None:
            new = {"context": dict(context)}
            entry = self._index.setdefault(identity, new)  # another thread may have been faster
            if entry is new:
                self.entries.append(entry)
        return entry

    def remove(self, identities: Collection[Hashable]) -> list[dict[str, Any]]:
        """Drop the entries of these contexts; gives them."""
        removed = [entry for identity in identities if (entry := self._index.pop(identity, None)) is not None]
        gone = set(map(id, removed))
        self.entries[:] = [entry for entry in self.entries if id(entry) not in gone]
        return removed
