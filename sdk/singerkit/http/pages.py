"""The page loop: asks for page after page until the paginator has finished, and never stops without a reason.

What a server can do to end a stream early, or never, is an error here: a token that repeats, the same request twice,
empty pages without end, a pointer to another origin, an error object where records should be.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from urllib.parse import ParseResult, urljoin

from singerkit.errors import FatalAPIError, RetriableAPIError
from singerkit.http.extract import compile_extract

if TYPE_CHECKING:
    import requests

    from singerkit.http.paginate import BaseAPIPaginator
    from singerkit.types import ReadAhead, Record

#: Gives the records of a decoded body.
RecordsOf: TypeAlias = Callable[[Any], "list[Record]"]

#: Members that tell an error object, where the stream's schema does not know them.
ERROR_MEMBERS = frozenset(
    {
        "error",
        "errors",
        "Error",
        "Errors",
        "fault",
        "exception",
        "error_message",
        "errorMessage",
        "error_code",
        "errorCode",
    }
)
#: Members that tell one only where there are no records.
VAGUE_ERROR_MEMBERS = frozenset({"message", "Message", "detail", "msg"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSource:
    """How one context's pages are had.

    Shape: ``prepare(token)`` gives the request for a page, without credentials; ``send(request)`` its answer, tried as
    often as makes sense; ``records_of(response)`` its records, a sequence or something to iterate once;
    ``is_skipped(response)`` says whether the answer means that there is nothing here; ``check_link(url)`` refuses a
    pointer to another origin. ``counts_rows``: a sequence of records is as long as what the API counts.
    """

    prepare: Callable[[Any], requests.PreparedRequest]
    send: Callable[[requests.PreparedRequest], requests.Response]
    records_of: Callable[[requests.Response], Iterable[Record]]
    is_skipped: Callable[[requests.Response], bool]
    check_link: Callable[[str], None]
    logger: logging.Logger
    counts_rows: bool = False


class Answer(NamedTuple):
    """What came for a page token; ``records`` is ``None`` where the answer means that there is nothing here."""

    url: str
    response: requests.Response
    records: Iterable[Record] | None


def iterate_pages(
    paginator: BaseAPIPaginator[Any], source: PageSource, ahead: ReadAhead | None = None
) -> Iterator[Iterable[Record]]:
    """Give the records of each page that has some; a page has to be consumed before the next is asked for.

    With ``ahead``, pages that the paginator knows beforehand are asked for at the same time, and given in their order.

    Errors: ``FatalAPIError`` when paging goes round in circles or stays empty.
    """
    fetch = _Fetch(source)
    empty_pages = 0
    with closing(_Answers(fetch, ahead)) as answers:
        while not paginator.finished:
            token = paginator.current_value
            fetch.note_token(token)
            answer = answers.take(token)
            response = answer.response
            if answer.records is None:
                source.logger.warning("the API answered %d, which is tolerated: no records here", response.status_code)
                return
            page = _observed(paginator, answer.records, counts_rows=source.counts_rows)
            if page is not None:
                yield page
                empty_pages = 0
            elif not paginator.continue_if_empty(response):
                source.logger.debug("an empty page after %d pages: the end", paginator.count)
                return
            else:
                empty_pages += 1
            paginator.advance(response)
            if not paginator.finished:
                _check_next(paginator, empty_pages, answer, source.check_link)
                answers.expect(paginator, _size_of(response))
            del answer, response, page  # one page is in memory at a time, and not two


def _size_of(response: requests.Response) -> int:
    """Give the bytes of a body that is in memory; one in a file takes next to none."""
    return len(response._content or b"")


class _Fetch:
    """Asks for the page of a token; from any thread. No request and no token comes twice."""

    def __init__(self, source: PageSource) -> None:
        self._source = source
        self._requests: set[int] = set()
        self._tokens: set[Any] = set()
        self._lock = threading.Lock()

    def __call__(self, token: Any) -> Answer:
        source = self._source
        request = source.prepare(token)
        self._note_request(request)
        response = source.send(request)
        records = None if source.is_skipped(response) else source.records_of(response)
        return Answer(request.url or "", response, records)

    def note_token(self, token: Any) -> None:
        """Remember a token; one that comes again leads round in a circle.

        Errors: ``FatalAPIError`` for one that was used before.
        """
        try:
            known = token in self._tokens
        except TypeError:  # a token that is a dict, say; its requests are looked at all the same
            return
        if known:
            raise FatalAPIError(
                f"Loop detected in pagination: the token for page {len(self._tokens) + 1} was used for an earlier one"
            )
        self._tokens.add(token)

    def _note_request(self, request: requests.PreparedRequest) -> None:
        """Remember a request; the same one again would bring the same page again, and again."""
        if not isinstance(request.body, str | bytes | None):
            return
        identity = hash((request.method, request.url, request.body, tuple((request.headers or {}).items())))
        with self._lock:
            known = identity in self._requests
            self._requests.add(identity)
        if known:
            raise FatalAPIError(
                f"Loop detected in pagination: the request for page {len(self._requests) + 1} is the same as an "
                "earlier one; the API repeats a page token, or the request does not carry it (get_url_params)"
            )


class _Answers:
    """The answers in the order in which they are taken: fetched when they are, or ahead of it."""

    def __init__(self, fetch: Callable[[Any], Answer], ahead: ReadAhead | None) -> None:
        self._fetch = fetch
        self._ahead = ahead
        self._expected: deque[Any] = deque()
        self._coming: Iterator[Answer] | None = None

    def take(self, token: Any) -> Answer:
        """Give the answer for a token."""
        if self._coming is not None and self._expected and self._expected[0] == token:
            self._expected.popleft()
            return next(self._coming)
        self.close()
        return self._fetch(token)

    def expect(self, paginator: BaseAPIPaginator[Any], answer_bytes: int) -> None:
        """Have the pages fetched that come next, if the paginator knows them."""
        if self._ahead is None or self._expected:
            return
        tokens = paginator.tokens_ahead()
        self.close()
        if tokens is not None and len(upcoming := deque(tokens)) > 1:
            self._expected = upcoming
            self._coming = self._ahead(self._fetch, tuple(upcoming), result_bytes=answer_bytes)

    def close(self) -> None:
        """Give up what was fetched and not taken."""
        coming, self._coming = self._coming, None
        self._expected.clear()
        if coming is not None:
            coming.close()  # type: ignore[attr-defined]  # it is a generator


def _observed(
    paginator: BaseAPIPaginator[Any], records: Iterable[Record], *, counts_rows: bool
) -> Iterable[Record] | None:
    """Let the paginator see a page; ``None`` for an empty one."""
    if isinstance(records, Sequence):
        last = records[-1] if len(records) and paginator.needs_last_record else None
        paginator.observe(len(records) if counts_rows or not records else None, last)
        return records if len(records) else None
    iterator = iter(records)
    for first in iterator:
        return _observed_late(paginator, chain([first], iterator))
    paginator.observe(0, None)
    return None


def _observed_late(paginator: BaseAPIPaginator[Any], records: Iterable[Record]) -> Iterator[Record]:
    """Give records one by one; the paginator sees the last one when all are taken."""
    last = None
    needs_last = paginator.needs_last_record
    for record in records:
        if needs_last:
            last = dict(record)
        yield record
    paginator.observe(None, last)


def _check_next(
    paginator: BaseAPIPaginator[Any], empty_pages: int, answer: Answer, check_link: Callable[[str], None]
) -> None:
    link = link_of(paginator.current_value)
    if link is not None:
        check_link(urljoin(answer.url, link))
    if empty_pages and empty_pages > paginator.empty_pages_allowed(answer.response):
        raise FatalAPIError(
            f"{empty_pages} empty pages in a row, and the API says that there is more; if that is how it is, raise "
            f"max_empty_pages of {type(paginator).__name__}"
        )


def link_of(token: Any) -> str | None:
    """Give the URL that a page token is, if it is one: what HATEOAS paginators give, or an absolute URL as text."""
    if isinstance(token, ParseResult):
        return token.geturl()
    return token if isinstance(token, str) and token.lower().startswith(("http://", "https://")) else None


def compile_records(
    records_jsonpath: str, known: Collection[str], *, may_be_absent: bool = False, any_type: bool = False
) -> RecordsOf:
    """Give the function that finds a page's records in its decoded body.

    ``known`` are the properties of the stream's schema: they tell a record from an error object. ``may_be_absent``: an
    answer without the place for records is an empty page. ``any_type``: what is found may be other than objects, as a
    hook of the author's makes records of it.

    Errors: the function raises ``FatalAPIError`` for an error object, for an answer without the place where records
    should be, and where a record is not a JSON object.
    """
    extract = compile_extract(records_jsonpath)
    strong = ERROR_MEMBERS.difference(known)
    vague = strong | VAGUE_ERROR_MEMBERS.difference(known)

    def records_of(body: Any) -> list[Any]:
        records = extract(body)
        if isinstance(body, dict) and (not records or (len(records) == 1 and records[0] is body)):
            _refuse_error_object(body, vague if records is None else strong)
        if records is None and body is not None and not may_be_absent:
            raise FatalAPIError(
                f"the answer has nothing at {records_jsonpath}; if the API leaves it out when there are no records, "
                "set records_may_be_absent = True"
            )
        if not records:
            return []
        if not any_type and not {dict}.issuperset(map(type, records)):
            raise FatalAPIError(f"what {records_jsonpath} finds are not all JSON objects, as records are")
        return records

    return records_of


def _refuse_error_object(body: dict[str, Any], members: frozenset[str]) -> None:
    found = sorted(name for name in members if body.get(name))
    if found:
        raise FatalAPIError(
            f"the API answered with an error object instead of records (it has '{found[0]}'); override "
            "validate_response to say which of them are worth another try"
        )


def decoded_body(response: requests.Response) -> Any:
    """Give the answer's decoded JSON; ``None`` where there is no body.

    Errors: ``RetriableAPIError`` when it is not JSON: as often as not, it was cut short.
    """
    if not response.content:
        return None
    try:
        return response.json()
    except (ValueError, RecursionError):
        kind = response.headers.get("Content-Type", "no content type").split(";")[0]
        raise RetriableAPIError(
            f"the answer is not JSON ({len(response.content)} bytes, {kind[:60]!r}); is url_base the API's?", response
        ) from None


def check_json(response: requests.Response) -> None:
    """Look at an answer that an author's own code reads: what says it is JSON and breaks off is asked for again.

    Errors: ``RetriableAPIError`` for it. JSON lines and the like pass: their first line is whole.
    """
    if "json" not in response.headers.get("Content-Type", "") or response.content.lstrip()[:1] not in (b"{", b"["):
        return
    try:
        response.json()
    except (ValueError, RecursionError):
        first_line = response.content.lstrip().partition(b"\n")[0]
        if not _is_json(first_line):
            raise RetriableAPIError(f"the answer is not whole JSON ({len(response.content)} bytes)", response) from None


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
