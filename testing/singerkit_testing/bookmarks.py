"""States as taps write them: which part is whose, and what stands in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from singerkit_testing.values import instant_of
from singerkit_testing.wire import encode

CURRENT = "currently_syncing"
Path = tuple[str, ...]


def bookmarks_of(state: Any) -> dict[str, Any]:
    """Give the bookmarks by stream: those under ``bookmarks``; in a state without that, its members."""
    if not isinstance(state, dict):
        return {}
    if "bookmarks" in state:
        return state["bookmarks"] if isinstance(state["bookmarks"], dict) else {}
    return {name: value for name, value in state.items() if name != CURRENT}


def with_bookmarks(state: Mapping[str, Any], bookmarks: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a state with other bookmarks, in the form that it has."""
    if "bookmarks" in state or not state:
        return {**state, "bookmarks": dict(bookmarks)}
    return {**{name: value for name, value in state.items() if name == CURRENT}, **bookmarks}


def leaves_of(value: Any, above: Path = ()) -> Iterator[tuple[Path, Any]]:
    """List what is in a bookmark, each with the way to it; a partition is known by its context, not its place."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves_of(inner, (*above, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            is_partition = isinstance(item, dict) and "context" in item
            yield from leaves_of(item, (*above, encode(item["context"]).decode() if is_partition else f"[{index}]"))
    else:
        yield above, value


def markers_in(value: Any, names: frozenset[str], above: Path = ()) -> Iterator[Path]:
    """Find members with one of these names that are not empty, at any depth."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in names and inner not in (None, {}, [], ""):
                yield (*above, name)
            yield from markers_in(inner, names, (*above, name))
    elif isinstance(value, list):
        for item in value:
            yield from markers_in(item, names, (*above, "[]"))


def is_before(first: Any, second: Any) -> bool:
    """Whether one replication key value comes before another; False if they can't be compared."""
    if isinstance(first, str) and isinstance(second, str):
        earlier, later = instant_of(first), instant_of(second)
        return earlier is not None and later is not None and earlier < later
    return _is_number(first) and _is_number(second) and first < second


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)
