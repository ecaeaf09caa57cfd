"""States as values: how a new one joins what is stored, and what of it a tap is given.

What a state means is the tap's own business. Two shapes are told apart:

- **Bookmarks**: an object with an object ``bookmarks``, one member a stream, as taps of the SDKs write it; a state that
  has no member but ``currently_syncing``, or none at all, is one of these that names no stream.
- **A value**: any other object. Nobody but its tap can tell its parts from each other, so it is replaced as a whole.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from typing import Any

from singerkit.errors import StateError
from singerkit.state.partitions import identity_of

State = dict[str, Any]

#: Stands for every stream where streams are named.
ALL_STREAMS = "*"
_BOOKMARKS = "bookmarks"
_SYNCING = "currently_syncing"
_PARTITIONS = "partitions"


def merged(stored: Mapping[str, Any], new: Mapping[str, Any]) -> State:
    """Give the state that stands after a tap's ``new`` one was acknowledged.

    A bookmark of a stream takes the place of the stored one as a whole, except that partitions that it does not name
    stay; streams that ``new`` does not name stay too, and so does a bookmark in whose place there is nothing but an
    empty object: a tap says by that that it has not come anywhere yet. All other members are those of ``new``. A state
    without any member says nothing, so it changes nothing.
    """
    if not new:
        return dict(stored)
    if not names_streams(new):
        return dict(new)
    bookmarks = dict(bookmarks_of(stored)) if names_streams(stored) else {}
    for stream, entry in bookmarks_of(new).items():
        if entry or stream not in bookmarks:
            bookmarks[stream] = _merged_entry(bookmarks.get(stream), entry)
    return {**new, _BOOKMARKS: bookmarks} if bookmarks or _BOOKMARKS in new else dict(new)


def without_streams(state: Mapping[str, Any], streams: Collection[str]) -> State:
    """Give the state by which a tap reads some streams in full, and goes on with the others.

    ``streams``: their names; ``"*"`` stands for all of them. One that has no bookmark is read in full anyway.

    Errors: ``StateError`` where the state does not say what belongs to which stream.
    """
    if not streams:
        return dict(state)
    if ALL_STREAMS in streams:
        return {}
    if not names_streams(state):
        raise StateError(
            "the state of this tap has no bookmarks by stream, so single streams can't be read in full:"
            f" name all of them by '{ALL_STREAMS}'"
        )
    bookmarks = {stream: entry for stream, entry in bookmarks_of(state).items() if stream not in streams}
    rest = {name: value for name, value in state.items() if name != _SYNCING or value not in streams}
    return {**rest, _BOOKMARKS: bookmarks} if _BOOKMARKS in state else rest


def names_streams(state: Mapping[str, Any]) -> bool:
    """Tell whether a state is made of bookmarks, one a stream; not so is a value that only its tap understands."""
    return isinstance(state.get(_BOOKMARKS), dict) or not state.keys() - {_SYNCING}


def bookmarks_of(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the bookmarks by stream of a state that names streams."""
    return state.get(_BOOKMARKS) or {}


def _merged_entry(stored: Any, new: Any) -> Any:
    partitions = partitions_of(new)
    if partitions is None:
        return new
    return {**new, _PARTITIONS: list({**(partitions_of(stored) or {}), **partitions}.values())}


def partitions_of(entry: Any) -> dict[Hashable, Any] | None:
    """Give the partitions of a bookmark by their context; ``None`` where it has none that can be told apart."""
    partitions = entry.get(_PARTITIONS) if isinstance(entry, dict) else None
    if not isinstance(partitions, list):
        return None
    if not all(isinstance(part, dict) and isinstance(part.get("context"), dict) for part in partitions):
        return None
    return {identity_of(part["context"]): part for part in partitions}
