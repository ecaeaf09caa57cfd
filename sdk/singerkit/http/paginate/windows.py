"""Pages that are windows of time: a day after the other, a week after the other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from copy import deepcopy
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from singerkit import clock
from singerkit.errors import ConfigurationError, FatalAPIError
from singerkit.http.paginate.base import BaseAPIPaginator

if TYPE_CHECKING:
    import requests

    from singerkit.types import Record


class Window(NamedTuple):
    """A window from ``start`` to ``end``, which it does not hold; ``token`` is that of a page in it."""

    start: datetime
    end: datetime
    token: Any = None


class DateWindowPaginator(BaseAPIPaginator[Window]):
    """Asks for one window of time after the other: ``DateWindowPaginator(days=7, param="from", end_param="to")``.

    The first window begins at ``start``, or else where the stream begins: its bookmark or ``start_date``. The last one
    ends at ``stop``, or else at the present moment. An empty window is not the end. ``pages`` is the paginator for the
    pages of one window; without it a window is one page, and as the windows are known beforehand, they are asked for
    at the same time.

    ``text`` is how a moment is written: a format of ``strftime``, or a function of a ``datetime`` in UTC.
    ``end_inclusive`` is the smallest step of time where ``end_param`` means *up to and including*, for instance
    ``timedelta(days=1)`` with dates.
    """

    #: Windows come to an end by themselves, so any number of them may be empty.
    max_empty_pages = sys.maxsize

    def __init__(
        self,
        *,
        days: float = 1,
        start: datetime | None = None,
        stop: datetime | None = None,
        end_param: str | None = None,
        end_inclusive: timedelta = timedelta(0),
        text: str | Callable[[datetime], str] = "%Y-%m-%dT%H:%M:%SZ",
        pages: BaseAPIPaginator[Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Begin at ``start``, or where :meth:`start_from` is told."""
        if days <= 0:
            raise ConfigurationError("DateWindowPaginator: 'days' has to be more than 0")
        self._step = timedelta(days=days)
        self._stop = clock.utc_now() if stop is None else _utc(stop)
        self._declared_stop = stop
        self._inner_declared = pages
        self._inner = deepcopy(pages)
        self._inner_empty = 0
        self._first_start = None if start is None else _utc(start)
        self.end_param = end_param
        self._end_inclusive = end_inclusive
        self._text = text
        first = self._first_start or self._stop
        super().__init__(self._window_at(first), **kwargs)
        self._finished = self._first_start is not None and self._first_start >= self._stop
        self.body_paths = () if pages is None else pages.body_paths

    def start_from(self, start: Callable[[], datetime | None]) -> None:
        """Begin where the stream begins, and end now, where nothing else was declared.

        Errors: ``ConfigurationError`` when there is no start.
        """
        if self._declared_stop is None:
            self._stop = clock.utc_now()
        first = self._first_start or start()
        if first is None:
            raise ConfigurationError(
                "windows of time need a beginning: set 'start_date', or give DateWindowPaginator a start"
            )
        self._value = self._window_at(_utc(first))
        self._finished = self._value.start >= self._stop
        if self._inner is not None:
            self._inner.start_from(start)

    def url_params(self, token: Window | None) -> dict[str, Any]:
        """Give where the window begins and ends, and the parameters of the page in it."""
        if token is None:
            return {}
        params = super().url_params(None)
        if self.param is not None:
            params[self.param] = self._text_of(token.start)
        if self.end_param is not None:
            params[self.end_param] = self._text_of(token.end - self._end_inclusive)
        return params if self._inner is None else {**params, **self._inner.url_params(token.token)}

    def tokens_ahead(self) -> Iterable[Window] | None:
        """Give the windows that are left, where each is one page."""
        if self._inner is not None or type(self) is not DateWindowPaginator:
            return None
        return self._windows_from(self._value)

    def observe(self, count: int | None, last: Record | None) -> None:
        """Tell the paginator of the window's pages."""
        self._inner_empty = self._inner_empty + 1 if count == 0 else 0
        if self._inner is not None:
            self._inner.observe(count, last)

    @property
    def needs_last_record(self) -> bool:  # type: ignore[override]
        """Whether the paginator of the window's pages does."""
        return self._inner is not None and self._inner.needs_last_record

    def continue_if_empty(self, response: requests.Response) -> bool:
        """Say yes: there are records in other windows."""
        return True

    def get_next(self, response: requests.Response) -> Window | None:
        """Give the next page of the window, or the next window.

        Errors: ``FatalAPIError`` when the pages of a window stay empty, though there are always more.
        """
        window, inner = self._value, self._inner
        if inner is not None:
            if not self._inner_empty or inner.continue_if_empty(response):
                inner.advance(response)
                if not inner.finished:
                    self._refuse_emptiness(inner)
                    return window._replace(token=inner.current_value)
            self._inner = inner = deepcopy(self._inner_declared)
            self._inner_empty = 0
        following = self._window_at(window.end)
        return following if following.start < self._stop else None

    def _refuse_emptiness(self, inner: BaseAPIPaginator[Any]) -> None:
        if self._inner_empty > inner.max_empty_pages:
            raise FatalAPIError(
                f"{self._inner_empty} empty pages in a row in one window, and the API says that there is more; if that "
                f"is how it is, raise max_empty_pages of {type(inner).__name__}"
            )

    def _windows_from(self, window: Window) -> Iterable[Window]:
        while window.start < self._stop:
            yield window
            window = self._window_at(window.end)

    def _window_at(self, start: datetime) -> Window:
        token = None if self._inner is None else self._inner.current_value
        return Window(start, min(start + self._step, self._stop), token)

    def _text_of(self, moment: datetime) -> str:
        return moment.strftime(self._text) if isinstance(self._text, str) else self._text(moment)


def _utc(moment: datetime) -> datetime:
    """Give a moment in UTC, where one without an offset is."""
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
