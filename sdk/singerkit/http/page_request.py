"""What to ask for one page, before it is a request of requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic
from urllib.parse import urlencode

from singerkit.types import Context

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    TToken = TypeVar("TToken", default=Any)
else:
    from typing import TypeVar

    TToken = TypeVar("TToken")


@dataclass(slots=True)
class HTTPRequest:
    """What to ask for one page; an author changes it in ``get_http_request``."""

    url: str
    method: str = "GET"
    params: dict[str, Any] | str = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    data: Any = None
    #: Characters of parameters that are not percent-encoded.
    safe_query_chars: str = ""

    def encode_params(self) -> str:
        """Give the query: a list gives its name several times, ``None`` is left out, text is taken as it is."""
        if isinstance(self.params, str):
            return self.params
        pairs = [
            (name, member)
            for name, value in self.params.items()
            for member in (value if isinstance(value, list | tuple) else [value])
            if member is not None
        ]
        return urlencode(pairs, safe=self.safe_query_chars)


@dataclass(slots=True)
class PageContext(Generic[TToken]):
    """Which page to ask for: the stream's context and the page token, ``None`` for the first page of most APIs."""

    stream_context: Context | None
    next_page_token: TToken | None


def _url_text(value: Any) -> str:
    return str(value).replace("/", "%2F").replace("?", "%3F").replace("#", "%23")


def expand(
    template: str,
    context: Mapping[str, Any],
    config: Mapping[str, Any],
    as_text: Callable[[Any], str] = _url_text,
) -> str:
    """Replace ``{name}`` by a context's member, else by a setting; a slash in it does not begin another segment."""
    for name, value in {**config, **context}.items():
        placeholder = f"{{{name}}}"
        if placeholder in template:
            template = template.replace(placeholder, as_text(value))
    return template
