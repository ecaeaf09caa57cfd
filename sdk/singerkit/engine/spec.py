"""What a stream declares, frozen: values read once, hooks as callables, a hook left untouched as ``None``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from singerkit.records.reading import ReadPages
from singerkit.state.bounds import Bounds
from singerkit.types import Context, Record, Schema

_Hook = TypeVar("_Hook", bound=Callable[..., Any])

FULL_TABLE = "FULL_TABLE"
INCREMENTAL = "INCREMENTAL"
LOG_BASED = "LOG_BASED"


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeSpec:
    """How a stream's range is read, and what of the records is kept.

    Shape:

    - ``slices(context)`` gives what to read one after the other: the context that the hooks get, and the bounds.
    - ``until()`` gives the value from which on records are left out, as the replication key compares, or ``None``.
    - ``is_windowed``: slices are windows of the replication key, in its order: one that was read to its end is a place
      to go on from.
    - ``is_filtered``: records before a slice's start are left out. ``newest_first``: there reading stops.
    - ``missing``: what becomes of a record without a value in its replication key.
    """

    slices: Callable[[Context | None], Iterable[tuple[Context | None, Bounds]]]
    until: Callable[[], Any] = lambda: None
    is_windowed: bool = False
    is_filtered: bool = False
    newest_first: bool = False
    missing: Literal["error", "emit", "skip"] = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSpec:
    """One stream as its author declared it.

    Shape of the callables:

    - ``read(context)`` gives records; ``read_pages(context, reading)``, where there is one, gives lists of records and
      is used instead. Both are called once a context, possibly in several threads at the same time.
    - ``post_process(record, context)`` gives the record to go on with, or ``None`` to drop it.
    - ``child_contexts(record, context)`` gives one context for each thing to read of each child stream.
    - ``partitions()`` gives the contexts of a stream without a parent, or nothing.
    - ``signpost(context)`` gives the value that the bookmark must not pass, or ``None`` for no such value.
    - ``increment(record, context=context)``, where there is one, keeps the bookmark in place of the engine.

    ``keeps_nested``: nested objects keep properties that their schema does not name.

    ``forget_missing_parents``: bookmarks of contexts that no parent gives any more leave the state, once all parents
    were read.
    """

    tap_stream_id: str
    name: str
    schema: Schema
    primary_keys: tuple[str, ...]
    replication_key: str | None
    replication_method: str
    forced_replication_method: str | None
    is_sorted: bool
    check_sorted: bool
    selected_by_default: bool
    state_partitioning_keys: tuple[str, ...] | None
    parent: str | None
    ignore_parent_replication_key: bool
    read: Callable[[Context | None], Iterable[Any]]
    read_pages: ReadPages | None
    post_process: Callable[[Record, Context | None], Record | None] | None
    child_contexts: Callable[[Record, Context | None], Iterable[Context | None]]
    partitions: Callable[[], Iterable[Context] | None]
    signpost: Callable[[Context | None], Any] | None
    record_limit: int | None = None
    ranges: RangeSpec | None = None
    increment: Callable[..., None] | None = None
    forget_missing_parents: bool = True
    keeps_nested: bool = False


def default_hook(method: _Hook) -> _Hook:
    """Mark a method as a hook's default: where an author does not override it, it is not called at all."""
    method.is_default_hook = True  # type: ignore[attr-defined]
    return method


def overridden(owner: object, name: str) -> Callable[..., Any] | None:
    """Give the bound hook if an author overrode it, else ``None``."""
    hook: Callable[..., Any] = getattr(owner, name)
    return None if getattr(hook, "is_default_hook", False) else hook
