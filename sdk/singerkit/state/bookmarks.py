"""The one owner of a tap's state.

The state is ``{"bookmarks": {stream: entry}}``. An entry holds ``replication_key`` and ``replication_key_value``; a
partitioned stream has ``partitions``, a list of such entries with their ``context``. While a stream that is not sorted
is read, its progress stands in ``progress_markers`` and becomes the bookmark only when all of it was read: a run that
stops half way must not skip what it has not seen.

A bookmark of an instant or a day never passes the *signpost*, the moment its reading began: a row with a timestamp in
the future would else hide all the rows until then, and rows written during the run would be missed.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Hashable, Mapping
from typing import Any

from singerkit.errors import StateError
from singerkit.protocol.codec import encode
from singerkit.state.partitions import Partitions, identity_of
from singerkit.state.replication_key import Position, ReplicationKeyType, json_form, starting_value

PROGRESS_MARKERS = "progress_markers"
_IN_PROGRESS = (PROGRESS_MARKERS, "replication_key_signpost", "starting_replication_value")
_POSITION = ("replication_key", "replication_key_value")
_NOWHERE: Mapping[str, Any] = {}
_NOTE = "Progress is not resumable if interrupted."


class Bookmark:
    """How far one stream, or one partition of it, has come in this run.

    Only the thread that writes the partition's records calls :meth:`advance`, and only under the writer's lock.
    """

    __slots__ = ("_before", "_entry", "_key", "_key_type", "_latest", "_order", "_signpost", "_sorted")

    def __init__(
        self, entry: dict[str, Any], replication_key: str, key_type: ReplicationKeyType, signpost: Any, is_sorted: bool
    ) -> None:
        self._entry = entry
        self._key = replication_key
        self._key_type = key_type
        self._signpost = signpost
        self._sorted = is_sorted
        self._before = entry.get("replication_key"), entry.get("replication_key_value")
        # The highest value seen in this run, to begin with the old bookmark, and what it compares as.
        self._latest = starting_value(entry, replication_key)
        self._order: Any = None

    def advance(self, value: Any) -> None:
        """Note that all records up to this value (of a sorted stream), or up to one with this value, are written.

        ``value`` may be a ``Position``, which knows already what it compares as.
        """
        value, order = value if value.__class__ is Position else (value, self._key_type.compare_key(value))
        if self._order is None and self._latest is not None:
            self._order = self._key_type.compare_key(self._latest)
        if self._order is None or order > self._order:
            self._latest, self._order = value, order
        target = self._entry if self._sorted else self._markers()
        target["replication_key"] = self._key
        target["replication_key_value"] = json_form(self._capped())

    def finish(self) -> None:
        """Note that the whole stream or partition was read: what was in progress becomes the bookmark."""
        markers = self._entry.pop(PROGRESS_MARKERS, None) or {}
        if markers.get("replication_key_value") is not None:
            self._entry["replication_key"] = markers.get("replication_key", self._key)
            self._entry["replication_key_value"] = markers["replication_key_value"]

    def _markers(self) -> dict[str, Any]:
        markers: dict[str, Any] | None = self._entry.get(PROGRESS_MARKERS)
        if markers is None:
            markers = self._entry[PROGRESS_MARKERS] = {"Note": _NOTE}
        return markers

    def _capped(self) -> Any:
        if self._signpost is None or self._order <= self._key_type.compare_key(self._signpost):
            return self._latest
        return self._signpost

    def abandon(self) -> None:
        """Drop what is in progress: it stays where it was finished last."""
        self._entry.pop(PROGRESS_MARKERS, None)

    def revert(self) -> None:
        """Go back to where the run began: the stream turned out not to be sorted, so its progress says nothing."""
        self._entry.pop(PROGRESS_MARKERS, None)
        for name, value in zip(_POSITION, self._before, strict=True):
            if value is None:
                self._entry.pop(name, None)
            else:
                self._entry[name] = value


class Bookmarks:
    """A tap's whole state: read at the start, advanced as records are written, copied out under the writer's lock."""

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        """Take in the state of an earlier run.

        Errors: ``StateError`` when it is not an object, or its bookmarks are not.
        """
        if not isinstance(state if state is not None else {}, Mapping):
            raise StateError(f"the state has to be a JSON object, and is {type(state).__name__}")
        self.value: dict[str, Any] = copy.deepcopy(dict(state or {}))
        bookmarks = self.value.setdefault("bookmarks", {})
        if not isinstance(bookmarks, dict) or not all(isinstance(entry, dict) for entry in bookmarks.values()):
            raise StateError("the state's 'bookmarks' have to be an object of objects, one a stream")
        self.value.pop("currently_syncing", None)
        self._entries: dict[str, dict[str, Any]] = bookmarks
        self._partitions: dict[str, Partitions] = {}
        #: Where entries stood when their reading began, by the entry's identity.
        self._starts: dict[int, Mapping[str, Any]] = {}
        for stream, entry in bookmarks.items():
            if not isinstance(entry.get("partitions", []), list):
                raise StateError("the state's 'partitions' have to be a list of objects", stream=stream)
            _forget_progress(entry)

    def find(self, stream: str, context: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Give what the state holds of a stream or partition, or an empty mapping; changes nothing."""
        if not context:
            return self._entries.get(stream, {})
        if "partitions" not in self._entries.get(stream, {}):
            return {}
        return self._partitions_of(stream).find(context) or {}

    def entry(self, stream: str, context: Mapping[str, Any] | None) -> dict[str, Any]:
        """Give the living entry of a stream or partition, a new one if need be."""
        if not context:
            return self._entries.setdefault(stream, {})
        return self._partitions_of(stream).entry(context)

    def open(self, stream: str, context: Mapping[str, Any] | None) -> dict[str, Any]:
        """Give the living entry that is advanced from now on; :meth:`start` goes on to say where it stood."""
        entry = self.entry(stream, context)
        known = {name: entry[name] for name in _POSITION if name in entry} if _POSITION[1] in entry else _NOWHERE
        self._starts.setdefault(id(entry), known)
        return entry

    def start(self, stream: str, context: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Give where the reading of a stream or partition begins: the same in the middle of a run as before it.

        A bookmark moves while pages are still asked for; a request must not move with it, or it would skip records.
        """
        found = self.find(stream, context)
        return self._starts.get(id(found), found)

    def contexts(self, stream: str) -> dict[Hashable, Mapping[str, Any]]:
        """Give the contexts of a stream's partitions, by what identifies them."""
        if "partitions" not in self._entries.get(stream, {}):
            return {}
        entries = self._partitions_of(stream).entries
        return {identity_of(entry["context"]): entry["context"] for entry in entries}

    def forget_partitions(self, stream: str, contexts: Collection[Hashable]) -> None:
        """Drop the entries of some partitions: should they come back, they are read in full."""
        for entry in self._partitions_of(stream).remove(contexts):
            self._starts.pop(id(entry), None)

    def forget(self, stream: str) -> None:
        """Drop a stream's bookmark: it is read in full."""
        self._entries.pop(stream, None)
        self._partitions.pop(stream, None)
        self._starts.clear()

    def snapshot(self) -> bytes:
        """Give the state as JSON text. The caller holds the writer's lock."""
        return encode(self.value)

    def _partitions_of(self, stream: str) -> Partitions:
        known = self._partitions.get(stream)
        if known is None:
            entries = self._entries.setdefault(stream, {}).setdefault("partitions", [])
            # Authors' hooks ask from several threads: all of them have to get the same index.
            known = self._partitions.setdefault(stream, Partitions(stream, entries))
        return known


def _forget_progress(entry: dict[str, Any]) -> None:
    """Drop what an interrupted run left: it can't be resumed from."""
    for partition in (entry, *entry.get("partitions", ())):
        if isinstance(partition, dict):
            for name in _IN_PROGRESS:
                partition.pop(name, None)
