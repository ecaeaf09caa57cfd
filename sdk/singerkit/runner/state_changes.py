"""What differs between two states, in words for the person who changed it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from singerkit.protocol.codec import encode
from singerkit.runner.states import bookmarks_of, names_streams, partitions_of
from singerkit.telemetry.redact import escape_controls

_POSITION = "replication_key_value"
_NOTHING = "nothing"
#: Characters of what is shown of a value.
_WIDEST = 80


def changes(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[str]:
    """Say what differs between two states, a line a stream or other member; nothing where they are equal.

    ``None``: there is no state.
    """
    old, new = before or {}, after or {}
    if not (names_streams(old) and names_streams(new)):
        return _difference("the state", before, after)
    return list(_differences("stream", bookmarks_of(old), bookmarks_of(new))) + list(
        _differences("member", _without_bookmarks(old), _without_bookmarks(new))
    )


def _without_bookmarks(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name != "bookmarks"}


def _differences(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name in dict.fromkeys((*old, *new)):
        yield from _difference(f"{kind} '{escape_controls(name)}'", old.get(name), new.get(name))


def _difference(what: str, old: Any, new: Any) -> list[str]:
    return [] if old == new else [f"{what}: {_described(old)} -> {_described(new)}"]


def _described(value: Any) -> str:
    """Say where a bookmark stands: its position, how many partitions it has, or all of it."""
    if value is None:
        return _NOTHING
    partitions = partitions_of(value)
    if partitions is not None:
        return f"{len(partitions)} partition{'' if len(partitions) == 1 else 's'}{_span(list(partitions.values()))}"
    if isinstance(value, dict) and _POSITION in value:
        return _shown(value[_POSITION])
    return _shown(value)


def _span(partitions: list[dict[str, Any]]) -> str:
    """Say between which positions partitions stand, where these are texts, as instants and days are."""
    positions = [part.get(_POSITION) for part in partitions]
    texts = sorted(position for position in positions if isinstance(position, str))
    if not texts:
        return ""
    first, last = _shown(texts[0]), _shown(texts[-1])
    return f" ({first})" if first == last else f" ({first} to {last})"


def _shown(value: Any) -> str:
    text = escape_controls(value if isinstance(value, str) else encode(value).decode())
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
