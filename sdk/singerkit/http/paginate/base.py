"""What all paginators have in common, and the two that need nothing of an answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from singerkit.errors import FatalAPIError
from singerkit.http.paginate.places import ABSENT, compile_flag, is_given

if TYPE_CHECKING:
    from datetime import datetime

    import requests

    from singerkit.types import Record

TPageToken = TypeVar("TPageToken")

#: Empty pages that are followed where the server's word is all there is for more to come.
FEW_EMPTY_PAGES = 2


class BaseAPIPaginator(ABC, Generic[TPageToken]):
    """The root of all paginators: override ``get_next``, and ``has_more`` where the API says so itself.

    Declare what the API is like with keywords: ``param`` names the query parameter that carries the token,
    ``size_param`` the one for ``page_size``, ``more_at`` is where an answer says whether there is more: a JSONPath if
    it begins with ``$``, else a header's name. ``max_empty_pages`` in a row are followed before it is an error.
    """

    #: Empty pages in a row that are followed before it is an error.
    max_empty_pages: int = 1000
    #: What the paginator reads of a body, as JSONPaths; ``None`` where that is not known.
    body_paths: tuple[str, ...] | None = None
    #: Whether ``observe`` wants to see the last record, and not only how many there were.
    needs_last_record: ClassVar[bool] = False

    #: The query parameter that carries the token.
    param: str | None = None
    #: The query parameter for the page size.
    size_param: str | None = None
    #: Where an answer says whether there is more: a JSONPath if it begins with ``$``, else a header's name.
    more_at: str | None = None
    _page_size: int | None = None

    def __init__(
        self,
        start_value: TPageToken,
        *,
        param: str | None = None,
        page_size: int | None = None,
        size_param: str | None = None,
        more_at: str | None = None,
        max_empty_pages: int | None = None,
    ) -> None:
        """Begin at ``start_value``, the token of the first page."""
        self._value: TPageToken = start_value
        self._page_count = 0
        self._finished = False
        self.param = param
        self.size_param = size_param
        self.more_at = more_at
        self._page_size = page_size
        if max_empty_pages is None and more_at is not None:
            max_empty_pages = FEW_EMPTY_PAGES
        if max_empty_pages is not None:
            self.max_empty_pages = max_empty_pages

    @property
    def current_value(self) -> TPageToken:
        """The token of the page to ask for next."""
        return self._value

    @property
    def finished(self) -> bool:
        """Whether the last page has been reached."""
        return self._finished

    @property
    def count(self) -> int:
        """How many pages were read."""
        return self._page_count

    def __str__(self) -> str:
        return f"{type(self).__name__}<page {self._page_count}>"

    __repr__ = __str__

    # What the stream asks

    def url_params(self, token: TPageToken | None) -> dict[str, Any]:
        """Give the query parameters that ask for the page of a token: nothing without ``param`` and ``size_param``."""
        params: dict[str, Any] = {} if self.param is None or token is None else {self.param: token}
        if self.size_param is not None and self._page_size is not None:
            params[self.size_param] = self._page_size
        return params

    def start_from(self, start: Callable[[], datetime | None]) -> None:
        """Be told, before the first page, how to find where the stream begins; of use to windows of time."""

    # What the page loop asks

    def observe(self, count: int | None, last: Record | None) -> None:
        """Be told, before ``advance``, how many records the page has (``None``: can't be told) and the last of them."""

    def continue_if_empty(self, response: requests.Response) -> bool:
        """Say whether a page without records may be followed by one with records.

        A number that is counted up goes on for ever, so an empty page is the end; any other token means that there is
        more, and so does a flag.
        """
        return self.more_at is not None or not isinstance(self._value, int | float)

    def empty_pages_allowed(self, response: requests.Response) -> int:
        """Give how many empty pages in a row are followed: few where a token that the answer held is all there is.

        A number or a day may be made up by the paginator and come to its end by itself.
        """
        if self.max_empty_pages != BaseAPIPaginator.max_empty_pages or not isinstance(self._value, str):
            return self.max_empty_pages
        return FEW_EMPTY_PAGES if is_given(self._value, response) else self.max_empty_pages

    def tokens_ahead(self) -> Iterable[TPageToken] | None:
        """Give the tokens from ``current_value`` to the last page, where they are known without more answers.

        Shape: they are asked for at the same time, and the answers are used in this order. ``None``: page by page.
        """
        return None

    def advance(self, response: requests.Response) -> None:
        """Move on to the next page, or finish.

        Errors: ``FatalAPIError`` when the token is the one that was just used, and where the API says that there is
        more but not where.
        """
        self._page_count += 1
        more = self.has_more(response)
        new_value = self.get_next(response) if more else None
        if not new_value:
            if more and self.more_at is not None:
                raise FatalAPIError(
                    f"the answer says at {self.more_at} that there are more pages, and has no token for the next one"
                )
            self._finished = True
            return
        if new_value == self._value:
            raise FatalAPIError(
                f"Loop detected in pagination: after page {self._page_count} the next page token is the one just used; "
                "check that the request carries the token (get_url_params)"
            )
        self._value = new_value

    def has_more(self, response: requests.Response) -> bool:
        """Say whether the API has more pages: what it says at ``more_at``. ``get_next`` is asked only if so.

        Errors: ``FatalAPIError`` when the answer does not say.
        """
        if self.more_at is None:
            return True
        flag = compile_flag(self.more_at)(response)
        if flag is ABSENT:
            raise FatalAPIError(f"the answer does not say at {self.more_at} whether there are more pages")
        return bool(flag)

    @abstractmethod
    def get_next(self, response: requests.Response) -> TPageToken | None:
        """Give the token of the page after this one; ``None`` at the end."""


class SinglePagePaginator(BaseAPIPaginator[None]):
    """One page and no more."""

    body_paths = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Begin without a token."""
        super().__init__(None, *args, **kwargs)

    def has_more(self, response: requests.Response) -> bool:
        """There is never more."""
        return False

    def get_next(self, response: requests.Response) -> None:
        """There is no next page."""
        return


class LegacyPaginatedStreamProtocol(Protocol):
    """What :class:`LegacyStreamPaginator` asks of a stream."""

    def get_next_page_token(self, response: requests.Response, previous_token: Any) -> Any:
        """Give the token of the next page; ``None`` at the end."""


class LegacyStreamPaginator(BaseAPIPaginator[Any]):
    """Asks the stream's ``get_next_page_token(response, previous_token)``."""

    def __init__(self, stream: LegacyPaginatedStreamProtocol, *args: Any, **kwargs: Any) -> None:
        """Take the stream."""
        super().__init__(None, *args, **kwargs)
        self.stream = stream

    def get_next(self, response: requests.Response) -> Any:
        """Give what the stream says."""
        return self.stream.get_next_page_token(response, self.current_value)
