"""Paginators: from a response to the token of the next page.

A paginator is made anew for each context. The page loop (:mod:`singerkit.http.pages`) reads ``current_value``, asks for
the page, and calls ``advance(response)`` until ``finished``.

Declared on a stream as ``paginator = PageNumberPaginator(1, param="page")``, a paginator also says in which query
parameter its token travels; the stream copies it for each context.
"""

from singerkit.http.paginate.base import (
    BaseAPIPaginator,
    LegacyPaginatedStreamProtocol,
    LegacyStreamPaginator,
    SinglePagePaginator,
)
from singerkit.http.paginate.counted import (
    BaseOffsetPaginator,
    BasePageNumberPaginator,
    CountedPaginator,
    OffsetPaginator,
    PageNumberPaginator,
)
from singerkit.http.paginate.keyset import KeysetPaginator
from singerkit.http.paginate.linked import (
    BaseHATEOASPaginator,
    HeaderLinkPaginator,
    JSONPathPaginator,
    NextURLPaginator,
    RelayPaginator,
    SimpleHeaderPaginator,
)
from singerkit.http.paginate.windows import DateWindowPaginator, Window

__all__ = [
    "BaseAPIPaginator",
    "BaseHATEOASPaginator",
    "BaseOffsetPaginator",
    "BasePageNumberPaginator",
    "CountedPaginator",
    "DateWindowPaginator",
    "HeaderLinkPaginator",
    "JSONPathPaginator",
    "KeysetPaginator",
    "LegacyPaginatedStreamProtocol",
    "LegacyStreamPaginator",
    "NextURLPaginator",
    "OffsetPaginator",
    "PageNumberPaginator",
    "RelayPaginator",
    "SimpleHeaderPaginator",
    "SinglePagePaginator",
    "Window",
]
