"""The class an author subclasses to read an HTTP API.

Two ways to say what an API is like, and both at once: declare parts (``paginator = ...``, ``auth = ...``,
``retry = RetryPolicy(...)``), or override hooks. Where both are there the hook wins. The hooks, in calling order::

    get_records(context)                                once a context
      request_records(context)
        get_new_paginator()
        request_decorator(_request)                     tries again; from backoff_* and retry
        prepare_request(context, next_page_token)       each page
          get_http_request(page=...)
            get_url, http_method, http_headers, get_url_params, prepare_request_payload
          build_prepared_request(method=..., url=..., ...)
        _request(prepared_request, context)             each try
          authenticator(prepared_request)               each hop
          validate_response(response)
            response_error_message(response)
        update_sync_costs(request, response, context)
        parse_response(response)

Several contexts run at the same time: keep what belongs to one in local variables, not on ``self``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from copy import deepcopy
from dataclasses import replace
from functools import cached_property, partial
from http import HTTPStatus
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any, Generic
from urllib.parse import urljoin
from weakref import WeakKeyDictionary

from singerkit import __version__
from singerkit.engine.spec import StreamSpec, default_hook, overridden
from singerkit.errors import AuthenticationError, ConfigurationError, FatalAPIError, RetriableAPIError
from singerkit.http.auth import APIAuthenticatorBase, SimpleAuthenticator
from singerkit.http.extract import compile_first, plain_list_path
from singerkit.http.page_request import HTTPRequest, PageContext, TToken, expand
from singerkit.http.pages import PageSource, check_json, compile_records, decoded_body, iterate_pages, link_of
from singerkit.http.paginate import (
    BaseAPIPaginator,
    JSONPathPaginator,
    LegacyStreamPaginator,
    SimpleHeaderPaginator,
    SinglePagePaginator,
)
from singerkit.http.pauses import is_refused_for_now
from singerkit.http.shared import SharedByStreams
from singerkit.records.reading import PLAIN_READING, PageReading
from singerkit.streams.backoff_hooks import BackoffHooks
from singerkit.streams.core import Stream
from singerkit.types import Context, Record, Schema

if TYPE_CHECKING:
    import requests

    from singerkit.http.bodies import BodyFormat, ReadBody
    from singerkit.http.client import Exchange
    from singerkit.http.export import ExportJob
    from singerkit.http.pages import RecordsOf
    from singerkit.http.typed_pages import PageDecoder
    from singerkit.taps import Tap


__all__ = ["HTTPRequest", "PageContext", "RESTStream"]

DEFAULT_REQUEST_TIMEOUT = 300
MAX_RESPONSE_BYTES = 256 * 1024 * 1024
MAX_SPOOLED_BYTES = 16 * 1024 * 1024 * 1024


_SHARED: WeakKeyDictionary[Tap, SharedByStreams] = WeakKeyDictionary()


class RESTStream(BackoffHooks, Stream, Generic[TToken]):
    """A stream of an HTTP API that answers in JSON, a page at a time.

    Declare:

    - ``url_base`` and ``path``: what is asked; ``{name}`` in them is replaced from the context, then the config.
    - ``records_jsonpath``: where the records are in a body; an answer without that place is an error, unless
      ``records_may_be_absent`` says that it means no records.
    - ``next_page_token_jsonpath`` or ``paginator``: how to come to the next page.
    - ``auth``: puts credentials on requests, e.g. ``BearerTokenAuthenticator(token="{api_key}")``.
    - ``retry``: a :class:`~singerkit.http.retry.RetryPolicy`.
    - ``body_format``: what answers are, if not pages of JSON: ``CSVFormat()``, ``JSONLinesFormat()``, ...
    - ``export``: an :class:`~singerkit.http.export.ExportJob`, where records come as files of a job.
    - ``rate_limit``: how often the API may be asked, e.g. ``"10/s, 1000/h"``; streams that say the same share it. What
      holds for the whole API belongs on the tap, which has the same attribute.
    - ``allowed_origins``: where besides ``url_base`` the credentials may go, e.g. ``("https://files.example.com",)``.
    - ``exact_numbers``: fractions in bodies become ``Decimal`` and keep every digit; ``None``: as the schema asks.
    """

    url_base: str = ""
    path: str = ""
    records_jsonpath: str = "$[*]"
    #: Whether an answer without the place for records, or without anything, means that there are none.
    records_may_be_absent: bool = False
    next_page_token_jsonpath: str | None = None
    paginator: BaseAPIPaginator[Any] | Callable[[], BaseAPIPaginator[Any]] | None = None
    auth: Callable[[requests.PreparedRequest], requests.PreparedRequest] | None = None
    body_format: BodyFormat | None = None
    export: ExportJob | None = None
    rate_limit: str | None = None
    allowed_origins: Sequence[str] = ()
    #: Let names lead to private addresses though the API has a public one; see ``singerkit.http.connect``.
    allow_private_addresses: bool = False
    exact_numbers: bool | None = None
    #: The name that ``http_method`` had; read where that is not set.
    rest_method: str = "GET"
    #: Whether what ``prepare_request_payload`` gives is sent as JSON; else as a form, or as it is.
    payload_as_json: bool = True
    #: Whether redirects are followed; credentials stay with the origins that may have them.
    allow_redirects: bool = True
    #: Statuses, beside 5xx, that are worth another try.
    extra_retry_statuses: Sequence[int] = (HTTPStatus.TOO_MANY_REQUESTS,)
    #: Statuses that mean "nothing here": the context ends without an error.
    tolerated_http_errors: Sequence[int] = ()
    #: Whether 404 and 410 for a child mean that its parent is gone since it was read: there is nothing to read then.
    skip_missing_parents: bool = False
    #: Bytes of one answer's body, decompressed; ``None``: 256 MiB, and 16 GiB with a ``body_format``, on the disk.
    max_response_bytes: int | None = None
    #: How many times as large as what came over the wire a large body may be.
    max_expansion: int = 200
    _requests_session: requests.Session | None = None
    #: Connectors read it for their page size parameters; nothing here does.
    _page_size: int = 1000

    def __init__(
        self,
        tap: Tap,
        name: str | None = None,
        schema: Schema | None = None,
        path: str | None = None,
        *,
        http_method: str | None = None,
    ) -> None:
        """Belong to a tap; ``name``, ``schema``, ``path`` and method where the class has none."""
        super().__init__(tap, schema=schema, name=name)
        if path:
            self.path = path
        self._http_headers: dict[str, str] = {}
        self._http_method = http_method
        self._sync_costs: dict[str, int] = {}
        self._sessions = threading.local()
        self._model_session: requests.Session | None = None
        self._lock = threading.Lock()

    # The request

    def get_url(self, context: Context | None) -> str:
        """Give the URL of a context, without query: ``url_base`` and ``path``, with their ``{names}`` replaced."""
        return self._base(context) + expand(self.path or "", context or {}, self.config)

    def _base(self, context: Context | None) -> str:
        """Give ``url_base`` with its names replaced: a setting may be a whole URL, so nothing in it is escaped."""
        return expand(self.url_base, context or {}, self.config, as_text=str)

    @property
    def http_headers(self) -> dict[str, str]:
        """The headers of every request; the authenticator adds its own."""
        return dict(self._http_headers)

    @property
    def http_method(self) -> str:
        """The method of every request."""
        return self._http_method or self.rest_method

    @http_method.setter
    def http_method(self, method: str) -> None:
        self._http_method = method

    @cached_property
    def user_agent(self) -> str:
        """The ``User-Agent``: the setting ``user_agent``, or singerkit's."""
        return str(self.config.get("user_agent") or f"singerkit/{__version__}")

    @property
    def timeout(self) -> float:
        """Seconds that a request has until the last byte of its answer."""
        return DEFAULT_REQUEST_TIMEOUT

    @property
    def authenticator(self) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
        """What puts credentials on a prepared request; from ``auth``, one for all streams of the tap."""
        declared = self.auth
        if not isinstance(declared, APIAuthenticatorBase):
            return declared or SimpleAuthenticator()
        shared = self._shared
        with shared.lock:
            if declared not in shared.authenticators:
                shared.authenticators[declared] = declared.for_config(self.config, tap_name=self.tap_name)
            return shared.authenticators[declared]

    @default_hook
    def get_url_params(self, context: Context | None, next_page_token: TToken | None) -> dict[str, Any] | str:
        """Give the query parameters for a page: a dict, or text that is already encoded.

        By default those that ``incremental`` and the paginator ask for.
        """
        paging = self.paginator.url_params(next_page_token) if isinstance(self.paginator, BaseAPIPaginator) else {}
        return {**self.get_replication_params(context), **paging} if self.declared_incremental is not None else paging

    def prepare_request_payload(self, context: Context | None, next_page_token: TToken | None) -> Any:
        """Give the body for a page: to be sent as JSON if ``payload_as_json``, else as a form or as it is."""
        return None

    def get_http_request(self, *, page: PageContext[TToken]) -> HTTPRequest:
        """Give what to ask for a page; a link to the next page is followed if no hook says how to use it."""
        context, token = page.stream_context, page.next_page_token
        request = HTTPRequest(
            url=self.get_url(context),
            method=self.http_method,
            headers=self.http_headers,
            params=self.get_url_params(context, token),
            data=self.prepare_request_payload(context, token),
        )
        link = link_of(token)
        if link is not None and overridden(self, "get_url_params") is None:
            request.url, request.params = urljoin(request.url, link), {}
        return request

    def prepare_request(self, context: Context | None, next_page_token: TToken | None) -> requests.PreparedRequest:
        """Give the request for a page, ready to be sent but for the credentials."""
        request = self.get_http_request(page=PageContext(context, next_page_token))
        payload = {"json" if self.payload_as_json else "data": request.data}
        return self.build_prepared_request(
            method=request.method, url=request.url, params=request.encode_params(), headers=request.headers, **payload
        )

    def build_prepared_request(self, *args: Any, **kwargs: Any) -> requests.PreparedRequest:
        """Give a request ready to be sent but for the credentials; takes what :class:`requests.Request` takes."""
        # requests takes 0.15 s to import: no command but a run needs it.
        import requests

        request = requests.Request(*args, **kwargs)
        request.headers = {"User-Agent": self.user_agent, **(request.headers or {})}
        return self.requests_session.prepare_request(request)

    @property
    def requests_session(self) -> requests.Session:
        """The session of this thread; what is set on the first one holds for the others too."""
        if self._requests_session is not None:
            return self._requests_session
        session: requests.Session | None = getattr(self._sessions, "session", None)
        if session is None:
            from singerkit.http.client import open_session

            with self._lock:
                session = self._sessions.session = open_session(self._model_session)
                self._model_session = self._model_session or session
        return session

    # The answer

    def validate_response(self, response: requests.Response) -> None:
        """Judge an answer.

        Errors: ``RetriableAPIError`` for 5xx, ``extra_retry_statuses`` and what ``retry`` names; ``FatalAPIError`` for
        other 4xx (``AuthenticationError`` for 401 and 403), unless in ``tolerated_http_errors``.
        """
        status = response.status_code
        if status < HTTPStatus.BAD_REQUEST or status in self._tolerated:
            return
        message = self.response_error_message(response)
        refused_for_now = status in self.extra_retry_statuses or is_refused_for_now(response)
        if refused_for_now or self.retry.retries_status(status):
            raise RetriableAPIError(message, response)
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise AuthenticationError(message)
        raise FatalAPIError(message)

    @cached_property
    def _tolerated(self) -> frozenset[int]:
        """The statuses that mean "nothing here"."""
        is_child = self.parent_stream_type is not None
        gone = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE) if is_child and self.skip_missing_parents else ()
        return frozenset((*self.tolerated_http_errors, *gone))

    def response_error_message(self, response: requests.Response) -> str:
        """Say what an answer with an error status means; without body and URL, which may hold secrets."""
        status = response.status_code
        side = "Client" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "Server"
        phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "unknown"
        return f"{status} {side} Error: {phrase} for path: {self.path}"

    @default_hook
    def parse_response(self, response: requests.Response) -> Iterable[Record]:
        """Give the records of an answer; it is read as JSON unless this is overridden."""
        if self.body_format is not None:
            return self._records_in(response)
        return self._records_of(decoded_body(response))

    def _records_in(self, response: requests.Response) -> Iterator[Record]:
        """Give the records of a body as they are read; the file lives as long as the response, so keep that."""
        file = _body_file(response)
        if not self._says_nothing(file):
            for block in self._read_body(file):
                yield from block

    def _says_nothing(self, file: IO[bytes]) -> bool:
        """Say whether a body is empty, and the author says that this means no records."""
        is_empty = not file.seek(0, 2)
        file.seek(0)
        return is_empty and self.records_may_be_absent

    # Paging

    def get_new_paginator(self) -> BaseAPIPaginator[Any] | None:
        """Give a paginator that stands before the first page; ``None`` for a single page."""
        if overridden(self, "get_next_page_token"):
            return LegacyStreamPaginator(self)
        if self.paginator is not None:
            return deepcopy(self.paginator) if isinstance(self.paginator, BaseAPIPaginator) else self.paginator()
        if self.next_page_token_jsonpath:
            return JSONPathPaginator(self.next_page_token_jsonpath)
        return SimpleHeaderPaginator("X-Next-Page")

    @default_hook
    def get_next_page_token(self, response: requests.Response, previous_token: TToken | None) -> Any:
        """Give the token of the next page; overriding ``get_new_paginator`` is the newer way."""
        if self.next_page_token_jsonpath:
            return compile_first(self.next_page_token_jsonpath)(response.json())
        return response.headers.get("X-Next-Page")

    # Costs

    def calculate_sync_cost(
        self,
        request: requests.PreparedRequest,
        response: requests.Response,
        context: Context | None,
    ) -> dict[str, int]:
        """Give what a request cost, by kind of cost, in the author's units."""
        return {}

    def update_sync_costs(
        self, request: requests.PreparedRequest, response: requests.Response, context: Context | None
    ) -> dict[str, int]:
        """Add what a request cost; gives the sums."""
        costs = self.calculate_sync_cost(request, response, context)
        if costs:
            with self._lock:
                for kind, cost in costs.items():
                    self._sync_costs[kind] = self._sync_costs.get(kind, 0) + cost
        return self._sync_costs

    # Reading

    @default_hook
    def get_records(self, context: Context | None) -> Iterable[Record | tuple[Record, Context | None]]:
        """Give the records of one context, one by one."""
        yield from self.request_records(context)

    @default_hook
    def request_records(self, context: Context | None) -> Iterable[Record]:
        """Ask for page after page, and give the records."""
        for page in self._pages(context):
            yield from page

    def record_pages(self, context: Context | None) -> Iterator[list[Record]] | None:
        """Give the records a page at a time, if no hook wants them one by one; else ``None``."""
        return self._pages(context) if self._gives_lists else None  # type: ignore[return-value]

    def spec(self) -> StreamSpec:
        """Read every declaration once; pages are read whole where no hook stands in the way.

        Errors: ``ConfigurationError`` for a part that is declared wrongly.
        """
        if self._declared_rates:
            from singerkit.http.limit import parse_rates

            for words in self._declared_rates:
                parse_rates(words)
        if self.body_format is not None:
            _ = self._read_body
        pages: Any = self._pages if self._gives_lists else None
        return replace(super().spec(), read_pages=pages, post_process=overridden(self, "post_process"))

    @property
    def _gives_lists(self) -> bool:
        """Whether pages are lists, since ``parse_response`` as it is gives lists."""
        if self.body_format is not None or self.export is not None:
            return False
        return not any(overridden(self, hook) for hook in ("get_records", "request_records", "parse_response"))

    def _pages(self, context: Context | None, reading: PageReading = PLAIN_READING) -> Iterator[Iterable[Record]]:
        if self.export is not None:
            return self._exported(self.export, context)
        from singerkit.http.client import check_origin
        from singerkit.http.typed_pages import rows_of

        exchange = self._exchange_for(context)
        paginator = self.get_new_paginator() or SinglePagePaginator()
        paginator.start_from(lambda: self.get_starting_timestamp(context))
        decoder = self._page_decoder(paginator, reading)
        send = self.request_decorator(self._request if decoder is None else partial(self._request_rows, decoder))

        def send_and_count(request: requests.PreparedRequest) -> requests.Response:
            response = send(request, context)
            self.update_sync_costs(request, response, context)
            return response

        source = PageSource(
            prepare=lambda token: self.prepare_request(context, token),
            send=send_and_count,
            records_of=self.parse_response if decoder is None else lambda r: rows_of(r) or self.parse_response(r),
            is_skipped=lambda response: response.status_code in self._tolerated,
            check_link=lambda url: check_origin(url, exchange.origins, "the link to the next page"),
            logger=self.logger,
            counts_rows=self._gives_lists and plain_list_path(self.records_jsonpath) is not None,
        )
        return iterate_pages(paginator, source, reading.ahead)

    def _page_decoder(self, paginator: BaseAPIPaginator[Any], reading: PageReading) -> PageDecoder | None:
        """Give what decodes pages into rows, where nobody looks at a record on its way."""
        exact = asks_for_digits(self.schema) if self.exact_numbers is None else self.exact_numbers
        authors_own = type(self)._request is not RESTStream._request
        if exact or authors_own or not self._gives_lists or paginator.needs_last_record:
            return None
        from singerkit.http.typed_pages import open_page_decoder

        return open_page_decoder(self.records_jsonpath, paginator.body_paths, reading.row_type)

    def _exported(self, job: ExportJob, context: Context | None) -> Iterator[Iterable[Record]]:
        from singerkit.http.export import ExportSteps, export_files

        ask = self.request_decorator(partial(self._answer, spooled=False))
        download = self.request_decorator(self._request)

        def get(url: str) -> requests.PreparedRequest:
            return self.build_prepared_request(method="GET", url=url, headers=self.http_headers)

        steps = ExportSteps(
            start=lambda: ask(self.prepare_request(context, None), context),
            ask=lambda url: ask(get(url), context),
            download=lambda url: download(get(url), context),
            expand=lambda path, members: (
                self._base(context) + expand(path, {**(context or {}), **members}, self.config)
            ),
        )
        return map(self.parse_response, export_files(job, steps))

    def _request(self, prepared_request: requests.PreparedRequest, context: Context | None) -> requests.Response:
        """Send a request once, with credentials, and judge the answer; as often as not, broken JSON was cut short."""
        response = self._answer(prepared_request, context)
        if not response.ok:
            return response
        authors_own = overridden(self, "parse_response") is not None
        if self.body_format is not None:
            self._check_body(self.body_format, _body_file(response), only_ends=authors_own)
        elif authors_own:
            check_json(response)
        else:
            self._check_not_empty(response)
            decoded_body(response)
        return response

    def _check_not_empty(self, response: requests.Response) -> None:
        """Refuse nothing at all where even an empty page would say something: it is an answer that got lost."""
        if response.status_code == HTTPStatus.OK and not response.content and not self.records_may_be_absent:
            raise RetriableAPIError(
                "the answer is empty; if that is how the API says that there are no records, set "
                "records_may_be_absent = True",
                response,
            )

    def _check_body(self, body_format: BodyFormat, file: IO[bytes], *, only_ends: bool) -> None:
        """Judge a body by its ends and its first records, while it can still be asked for again."""
        if self._says_nothing(file):
            return
        body_format.check(file)
        if not only_ends:
            with closing(self._read_body(file)) as blocks:  # type: ignore[type-var]  # it is a generator
                next(blocks, None)
        file.seek(0)

    def _request_rows(
        self, decoder: PageDecoder, prepared_request: requests.PreparedRequest, context: Context | None
    ) -> requests.Response:
        """Do as ``_request``, and decode the records into rows where they fit."""
        response = self._answer(prepared_request, context)
        if response.ok and not decoder.decode(response):
            self._check_not_empty(response)
            decoded_body(response)
        return response

    def _answer(
        self, prepared_request: requests.PreparedRequest, context: Context | None, *, spooled: bool = True
    ) -> requests.Response:
        from singerkit.http import client

        spooled = spooled and self.body_format is not None
        exchange = self._exchange_for(context, spooled=spooled)
        response = client.send(self.requests_session, prepared_request, exchange, self.authenticator)
        if not spooled:
            client.bind_json(response, self._decode)
        self.validate_response(response)
        return response

    def _exchange_for(self, context: Context | None, *, spooled: bool = False) -> Exchange:
        from singerkit.http import client

        base = self._base(context) or self.get_url(context)
        shared = self._shared
        return client.Exchange(
            origins=frozenset(map(client.origin_of, (base, *self.allowed_origins))),
            label=self.path,
            logger=self.logger,
            gates=shared.gates,
            limits=shared.limits,
            rates=self._declared_rates,
            guard=None if self.allow_private_addresses else shared.address_guard,
            base_host=client.host_of(base),
            timeout_s=self.timeout or DEFAULT_REQUEST_TIMEOUT,
            gate_s=self.retry.total_s,
            waits_at_limits=self.retry.waits_at_limits,
            anonymous_origins=frozenset(map(client.origin_of, self.export.file_origins if self.export else ())),
            spooled=spooled,
            max_bytes=self.max_response_bytes or (MAX_SPOOLED_BYTES if spooled else MAX_RESPONSE_BYTES),
            max_expansion=self.max_expansion,
            follow_redirects=self.allow_redirects,
        )

    @property
    def _declared_rates(self) -> list[str]:
        return [words for words in (self._tap.rate_limit, self.rate_limit) if words]

    @cached_property
    def _shared(self) -> SharedByStreams:
        return _SHARED.setdefault(self._tap, SharedByStreams())

    @cached_property
    def _records_of(self) -> RecordsOf:
        return compile_records(
            self.records_jsonpath,
            self.schema.get("properties", {}),
            may_be_absent=self.records_may_be_absent,
            any_type=overridden(self, "parse_response") is not None,
        )

    @cached_property
    def _read_body(self) -> ReadBody:
        from singerkit.http.bodies import BodyDeclaration

        if self.body_format is None:
            raise ConfigurationError("there is no body_format", stream=self.name)
        exact = asks_for_digits(self.schema) if self.exact_numbers is None else self.exact_numbers
        return self.body_format.compile(
            BodyDeclaration(
                properties=self.schema.get("properties", {}),
                records_jsonpath=self.records_jsonpath,
                records_may_be_absent=self.records_may_be_absent,
                exact_numbers=exact,
                decode=self._decode,
            )
        )

    @cached_property
    def _decode(self) -> Callable[[bytes], Any]:
        from singerkit.http.client import compile_body_decoder

        exact = asks_for_digits(self.schema) if self.exact_numbers is None else self.exact_numbers
        return compile_body_decoder(exact_numbers=exact)


def asks_for_digits(schema: Any) -> bool:
    """Say whether some property of a schema is a decimal, whose digits a ``float`` might not keep."""
    if isinstance(schema, Mapping):
        if schema.get("format") == "singer.decimal" or isinstance(schema.get("multipleOf"), float):
            return True
        return any(map(asks_for_digits, schema.values()))
    return isinstance(schema, list) and any(map(asks_for_digits, schema))


def _body_file(response: requests.Response) -> IO[bytes]:
    """Give an answer's body as a file, at its beginning: the temporary one that it is in, or what the memory holds."""
    from tempfile import SpooledTemporaryFile

    file = response.raw
    if not isinstance(file, SpooledTemporaryFile):  # an author's own way of sending
        return BytesIO(response.content)
    file.seek(0)
    return file
