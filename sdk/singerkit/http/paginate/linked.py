"""Pages that the answer before them points to: by a token or a URL, in the body or in a header."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any
from urllib.parse import ParseResult, urlparse

from singerkit.errors import FatalAPIError
from singerkit.http.extract import compile_first
from singerkit.http.paginate.base import FEW_EMPTY_PAGES, BaseAPIPaginator
from singerkit.http.paginate.places import body_of, paths_of

if TYPE_CHECKING:
    import requests


class JSONPathPaginator(BaseAPIPaginator[str | None]):
    """The token is in the body, where a JSONPath expression finds it."""

    max_empty_pages = FEW_EMPTY_PAGES

    def __init__(self, jsonpath: str, *args: Any, **kwargs: Any) -> None:
        """Take the expression, for instance ``$.meta.next``."""
        super().__init__(None, *args, **kwargs)
        self._jsonpath = jsonpath
        self.body_paths = (jsonpath, *paths_of((self.more_at,)))

    def continue_if_empty(self, response: requests.Response) -> bool:
        """Say yes: the server gave the token, so there is more."""
        return True

    def get_next(self, response: requests.Response) -> str | None:
        """Give the first match in the body."""
        token: str | None = compile_first(self._jsonpath)(body_of(response))
        return token


class SimpleHeaderPaginator(BaseAPIPaginator[str | None]):
    """The token is in a response header."""

    max_empty_pages = FEW_EMPTY_PAGES

    def __init__(self, key: str, *args: Any, **kwargs: Any) -> None:
        """Take the header's name."""
        super().__init__(None, *args, **kwargs)
        self._key = key
        self.body_paths = paths_of((self.more_at,))

    def get_next(self, response: requests.Response) -> str | None:
        """Give the header's value."""
        return response.headers.get(self._key)


class RelayPaginator(BaseAPIPaginator[str | None]):
    """A Relay connection: ``pageInfo`` has ``hasNextPage`` and ``endCursor``.

    Source: GraphQL Cursor Connections Specification, section 4 (PageInfo).
    """

    max_empty_pages = FEW_EMPTY_PAGES

    def __init__(
        self, jsonpath: str, *args: Any, param: str | None = "after", size_param: str | None = "first", **kwargs: Any
    ) -> None:
        """Take the JSONPath of ``pageInfo``, for instance ``$.data.orders.pageInfo``.

        ``param`` and ``size_param`` name the variables (or query parameters) for the cursor and ``page_size``.
        """
        super().__init__(None, *args, param=param, size_param=size_param, **kwargs)
        self._jsonpath = jsonpath
        self.body_paths = (jsonpath,)

    def has_more(self, response: requests.Response) -> bool:
        """Give ``hasNextPage``.

        Errors: ``FatalAPIError`` when there is no ``pageInfo`` with a boolean ``hasNextPage``.
        """
        more = self._page_info(response).get("hasNextPage")
        if not isinstance(more, bool):
            raise FatalAPIError(
                f"the answer has no pageInfo with hasNextPage at {self._jsonpath}; ask for "
                "pageInfo { hasNextPage endCursor } in the query"
            )
        return more

    def get_next(self, response: requests.Response) -> str | None:
        """Give ``endCursor``.

        Errors: ``FatalAPIError`` when there is none though there is a next page.
        """
        cursor: str | None = self._page_info(response).get("endCursor")
        if not cursor:
            raise FatalAPIError(
                f"the answer says at {self._jsonpath} that there is a next page, and gives no endCursor; ask for "
                "pageInfo { hasNextPage endCursor } in the query"
            )
        return cursor

    def _page_info(self, response: requests.Response) -> dict[str, Any]:
        info = compile_first(self._jsonpath)(body_of(response))
        return info if isinstance(info, dict) else {}


class BaseHATEOASPaginator(BaseAPIPaginator[ParseResult | None]):
    """The API gives the URL of the next page: override ``get_next_url``.

    ``current_value`` is a :class:`urllib.parse.ParseResult`. A stream that overrides neither ``get_url`` nor
    ``get_url_params`` asks for that URL as it stands. A URL on another origin is an error.
    """

    max_empty_pages = FEW_EMPTY_PAGES

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Begin without a token."""
        super().__init__(None, *args, **kwargs)

    @abstractmethod
    def get_next_url(self, response: requests.Response) -> str | None:
        """Give the URL of the next page, absolute or relative; ``None`` at the end."""

    def get_next(self, response: requests.Response) -> ParseResult | None:
        """Give the URL of the next page, parsed."""
        next_url = self.get_next_url(response)
        return urlparse(next_url) if next_url else None

    def url_params(self, token: ParseResult | None) -> dict[str, Any]:
        """Give the size for the first page; from then on the URL says it all."""
        return super().url_params(None) if token is None else {}


class HeaderLinkPaginator(BaseHATEOASPaginator):
    """The next page is in the ``Link`` header with ``rel="next"`` (RFC 8288)."""

    body_paths = ()

    def get_next_url(self, response: requests.Response) -> str | None:
        """Give the ``next`` link."""
        url: str | None = response.links.get("next", {}).get("url")
        return url


class NextURLPaginator(BaseHATEOASPaginator):
    """The URL of the next page is in the body, where a JSONPath expression finds it."""

    def __init__(self, jsonpath: str, *args: Any, **kwargs: Any) -> None:
        """Take the expression, for instance ``$.links.next``."""
        super().__init__(*args, **kwargs)
        self._jsonpath = jsonpath
        self.body_paths = (jsonpath, *paths_of((self.more_at,)))

    def get_next_url(self, response: requests.Response) -> str | None:
        """Give the first match in the body.

        Errors: ``FatalAPIError`` when it is no text.
        """
        url = compile_first(self._jsonpath)(body_of(response))
        if url is not None and not isinstance(url, str):
            raise FatalAPIError(f"what the answer has at {self._jsonpath} is no URL ({type(url).__name__})")
        return url
