"""What is odd about a state that a tap is given, in words: each of it makes streams be read from the beginning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def state_remarks(state: Mapping[str, Any], replication_keys: Mapping[str, str | None]) -> Iterator[str]:
    """Give a sentence for each thing of a state that helps no stream, though it was probably meant to.

    ``replication_keys``: of each stream of the tap, by its id; ``None`` where it is read in full. A bookmark of a
    stream that the tap does not have is worth a sentence only where a stream with a similar name has none.
    """
    bookmarks = state.get("bookmarks") or {}
    for name in state:
        if name in replication_keys and name not in bookmarks:
            yield f"The state has '{name}' beside its 'bookmarks', where none is looked for: put it into them"
    for name, entry in bookmarks.items():
        if name in replication_keys:
            yield from _of_another_key(name, entry, replication_keys[name])
        elif close := _closest(name, [stream for stream in replication_keys if stream not in bookmarks]):
            yield f"The state has a bookmark of '{name}', which is no stream of this tap; did you mean '{close}'?"


def _of_another_key(stream: str, entry: Any, key: str | None) -> Iterator[str]:
    written = entry.get("replication_key") if isinstance(entry, Mapping) else None
    if key is not None and written not in (None, key) and entry.get("replication_key_value") is not None:
        yield (
            f"Stream '{stream}': the state's bookmark is of '{written}', but its replication key is '{key}': it is read"
            " from the beginning"
        )


def _closest(name: str, streams: list[str]) -> str | None:
    from difflib import get_close_matches  # only a mistake needs it

    return next(iter(get_close_matches(name, streams, n=1)), None)
