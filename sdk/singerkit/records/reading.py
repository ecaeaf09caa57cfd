"""What the engine offers to who reads pages; apart from the rows, as who only declares a stream needs no decoder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from singerkit.types import Context, ReadAhead, Record

#: Gives the msgspec struct type that a stream's records may be decoded into at the moment; ``None`` for dicts.
RowType: TypeAlias = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class PageReading:
    """What the engine offers to who reads pages; none of it has to be used.

    Shape: ``ahead`` asks for pages at the same time. ``row_type`` gives the struct type that records may be decoded
    into at once, then given as :class:`Rows`; it may be another one for each page.
    """

    ahead: ReadAhead | None = None
    row_type: RowType | None = None


#: Page by page, as dicts.
PLAIN_READING = PageReading()

#: Gives the records of a context a page at a time.
ReadPages: TypeAlias = Callable[[Context | None, PageReading], Iterable[Sequence[Record]]]
