"""Pages that are counted: by number, or by the offset of their first record.

Where the API says how many records or pages there are, all pages after the first are known and can be asked for at the
same time. The count is a hint and never the whole truth: the end is at the largest count seen, so a count that shrinks
while reading ends nothing early, and one that grows brings more pages.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from singerkit.errors import FatalAPIError
from singerkit.http.paginate.base import FEW_EMPTY_PAGES, BaseAPIPaginator
from singerkit.http.paginate.places import ABSENT, compile_count, paths_of

if TYPE_CHECKING:
    import requests

    from singerkit.types import Record

_HOOKS = ("advance", "has_more", "get_next", "continue_if_empty", "current_value", "finished", "tokens_ahead")


class CountedPaginator(BaseAPIPaginator[int]):
    """What page numbers and offsets have in common.

    ``total_records_at`` or ``total_pages_at`` is where an answer says how many there are in all: a JSONPath if it
    begins with ``$``, else a header's name. With one of them pages are asked for at the same time, as many as
    ``max_concurrency`` allows, unless ``concurrent=False``. Without, an empty page is the end.
    """

    def __init__(
        self,
        start_value: int,
        *args: Any,
        total_records_at: str | None = None,
        total_pages_at: str | None = None,
        concurrent: bool = True,
        **kwargs: Any,
    ) -> None:
        """Begin at ``start_value``."""
        super().__init__(start_value, *args, **kwargs)
        self._start_value = start_value
        self.total_records_at = total_records_at
        self.total_pages_at = total_pages_at
        self.concurrent = concurrent
        self.body_paths = paths_of((self.more_at, total_records_at, total_pages_at))
        if self._has_total and "max_empty_pages" not in kwargs:
            self.max_empty_pages = FEW_EMPTY_PAGES
        #: Records on a full page, as the first page told.
        self._actual_size: int | None = None
        self._records_seen = 0
        self._most_records = 0
        #: Where the pages end, as the last answer that said so has it, and the furthest that any answer had it.
        self._last_end: int | None = None
        self._furthest_end: int | None = None

    @property
    def _has_total(self) -> bool:
        return self.total_records_at is not None or self.total_pages_at is not None

    @property
    def _step(self) -> int:
        """From one token to the next."""
        return 1

    def _end_of(self, total_records: int | None, total_pages: int | None) -> int:
        """Give the first token that has no page."""
        raise NotImplementedError

    def observe(self, count: int | None, last: Record | None) -> None:
        """Learn from the first page how large pages are: a server may give fewer records than it was asked for."""
        self._records_seen += count or 0
        if self._page_count == 0 and count:
            self._actual_size = count if self._page_size is None else min(count, self._page_size)

    def continue_if_empty(self, response: requests.Response) -> bool:
        """Say yes where the API says that there are more records or pages than this page's place."""
        if not self._has_total:
            return super().continue_if_empty(response)
        self._note_total(response)
        return self.more_at is not None or self._value < (self._last_end or 0)

    def has_more(self, response: requests.Response) -> bool:
        """Say whether the next page is before the end, if the API tells a total; else what ``more_at`` says."""
        if self._has_total:
            self._note_total(response)
        if self.more_at is not None or not self._has_total:
            return super().has_more(response)
        # With more records than there are in all the total is wrong, and only an empty page is the end.
        surprised = self.total_records_at is not None and self._records_seen > self._most_records
        return surprised or self._value + self._step < (self._furthest_end or 0)

    def get_next(self, response: requests.Response) -> int | None:
        """Give the next number."""
        return self._value + self._step

    def tokens_ahead(self) -> Iterable[int] | None:
        """Give the pages that are left, where a total is known and no hook has a say after each page."""
        if self._furthest_end is None or not self.concurrent or self._is_customised():
            return None
        return range(self._value, self._furthest_end, self._step)

    def _is_customised(self) -> bool:
        kind = type(self)
        home = next(base for base in kind.__mro__ if base.__module__ == __name__)
        return any(getattr(kind, hook) is not getattr(home, hook) for hook in _HOOKS)

    def _note_total(self, response: requests.Response) -> None:
        """Take in what an answer says about the total; the first one has to say it."""
        counts = [
            None if place is None or (count := compile_count(place)(response)) is ABSENT else count
            for place in (self.total_records_at, self.total_pages_at)
        ]
        if counts == [None, None]:
            if self._last_end is None:
                place = self.total_records_at or self.total_pages_at
                raise FatalAPIError(f"the answer does not say at {place} how many there are")
            return
        self._most_records = max(self._most_records, counts[0] or 0)
        self._last_end = self._end_of(*counts)
        self._furthest_end = max(self._furthest_end or 0, self._last_end)


class PageNumberPaginator(CountedPaginator):
    """Pages are numbered; an empty page is the end, unless the API tells a total or a flag."""

    def _end_of(self, total_records: int | None, total_pages: int | None) -> int:
        if total_pages is None:
            size = self._actual_size or self._page_size
            if size is None and total_records:
                raise FatalAPIError(
                    f"{total_records} records in all can't be said in pages: give {type(self).__name__} a page_size"
                )
            total_pages = -(-(total_records or 0) // (size or 1))
        return self._start_value + total_pages


class BasePageNumberPaginator(PageNumberPaginator):
    """The name that :class:`PageNumberPaginator` had."""


class OffsetPaginator(CountedPaginator):
    """A page begins at an offset; an empty page is the end, unless the API tells a total or a flag.

    Where the first page has fewer records than it was asked for, the next one begins after those: the server may give
    fewer records a page than ``page_size``.
    """

    _page_size: int

    def __init__(self, start_value: int, page_size: int, *args: Any, **kwargs: Any) -> None:
        """Begin at ``start_value``, ``page_size`` records a page."""
        super().__init__(start_value, *args, page_size=page_size, **kwargs)

    @property
    def page_size(self) -> int:
        """Records on a page."""
        return self._page_size

    @property
    def _step(self) -> int:
        return self._actual_size or self._page_size

    def _end_of(self, total_records: int | None, total_pages: int | None) -> int:
        first = 1 if self._start_value == 1 else 0
        if total_records is None:
            return first + (total_pages or 0) * self._step
        return first + total_records


class BaseOffsetPaginator(OffsetPaginator):
    """The name that :class:`OffsetPaginator` had."""
