"""The class an author subclasses to read a GraphQL API.

It is a :class:`~singerkit.streams.rest.RESTStream` whose request is a query with variables::

    class Orders(GraphQLStream):
        name = "orders"
        url_base = "https://api.example.com/graphql"
        query_filepath = Path(__file__).parent / "orders.graphql"
        records_jsonpath = "$.data.orders.edges[*].node"
        paginator = RelayPaginator("$.data.orders.pageInfo", page_size=100)

Its hooks, between those of ``RESTStream``::

    get_http_request(page=...)
      prepare_request_payload(context, next_page_token)
        query
        get_url_params(context, next_page_token)        the variables
    validate_response(response)                         the status, then the errors in the body
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from singerkit.engine.spec import default_hook
from singerkit.errors import (
    AuthenticationError,
    ConfigurationError,
    DiscoveryError,
    FatalAPIError,
    RetriableAPIError,
)
from singerkit.http import graphql
from singerkit.http.extract import compile_extract
from singerkit.http.page_request import HTTPRequest, PageContext, TToken
from singerkit.http.pages import compile_records
from singerkit.schema.sources import StreamSchema
from singerkit.streams.rest import RESTStream

if TYPE_CHECKING:
    import requests

    from singerkit.schema.documents import Readable
    from singerkit.schema.graphql import GraphQLTypes
    from singerkit.streams.backoff_hooks import RequestFunc
    from singerkit.types import Context, Record, Schema

_BAD_REQUEST = 400
_MAY_HAVE_ERRORS = b'"errors"'


class GraphQLStream(RESTStream[TToken]):
    """A stream of a GraphQL API.

    Declare, besides what a ``RESTStream`` has:

    - ``query``: the query, or its bare selection; or ``query_filepath``: the file that holds it.
    - ``variables``: the ones that are always the same. A member of the context goes into the variable of its name, if
      the query declares one; page token and size where the paginator's ``param`` and ``size_param`` say.
    - ``operation_name``: which operation of the query to run, if it has several.
    - ``records_jsonpath``: where the records are; ``$.data.<name>[*]`` unless set.
    - ``accept_partial_data``: use what came where an answer has errors too; they are logged then.
    - ``retry_error_codes``: codes of errors that are worth another try, in upper case.

    ``http_method = "GET"`` sends the query in the URL, where caches can answer it.
    """

    query: str = ""
    query_filepath: str | Path | Readable | None = None
    variables: Mapping[str, Any] = {}  # a declaration, like those of RESTStream; never changed
    operation_name: str | None = None
    accept_partial_data: bool = False
    retry_error_codes: ClassVar[frozenset[str]] = graphql.PASSING_CODES
    rest_method = "POST"
    _records_jsonpath: str | None = None

    @property
    def records_jsonpath(self) -> str:
        """Where the records are in an answer."""
        return self._records_jsonpath or f"$.data.{self.name}[*]"

    @records_jsonpath.setter
    def records_jsonpath(self, path: str) -> None:
        self._records_jsonpath = path

    # The request

    @default_hook
    def get_url_params(self, context: Context | None, next_page_token: TToken | None) -> dict[str, Any] | str:
        """Give the variables for a page, by name without the dollar sign."""
        declared = graphql.declared_variables(self._query_text())
        shared = {name: value for name, value in (context or {}).items() if name in declared}
        params = super().get_url_params(context, next_page_token)
        return {**self.variables, **shared, **(params if isinstance(params, dict) else {})}

    def prepare_request_payload(self, context: Context | None, next_page_token: TToken | None) -> Any:
        """Give what the request holds: ``query``, ``variables``, and ``operationName`` if there is one."""
        payload = {
            "query": graphql.as_document(self._query_text()),
            "variables": self.get_url_params(context, next_page_token),
        }
        return payload if self.operation_name is None else {**payload, "operationName": self.operation_name}

    def get_http_request(self, *, page: PageContext[TToken]) -> HTTPRequest:
        """Give what to ask for a page: a POST with the payload, or a GET with the payload in its URL."""
        payload = self.prepare_request_payload(page.stream_context, page.next_page_token)
        headers = self.http_headers
        if not any(name.lower() == "accept" for name in headers):
            headers = {"Accept": graphql.ACCEPT, **headers}
        request = HTTPRequest(url=self.get_url(page.stream_context), method=self.http_method, headers=headers)
        if request.method.upper() == "GET":
            request.params = graphql.as_query_parameters(payload)
        else:
            request.data = payload
        return request

    def request_decorator(self, func: RequestFunc) -> RequestFunc:
        """Give ``func`` with retries around it; a query is sent again though it is a POST, a mutation is not."""
        if not self.retry.repeat_unsafe and not graphql.is_mutation(self._query_text()):
            with suppress(AttributeError):  # a property: its author decides
                self.retry = replace(self.retry, repeat_unsafe=True)
        return super().request_decorator(func)

    def _query_text(self) -> str:
        text = self.query or self._query_of_file
        if not text:
            raise ConfigurationError(f"{type(self).__name__} has no query: set 'query' or 'query_filepath'")
        return text

    @cached_property
    def _query_of_file(self) -> str:
        if self.query_filepath is None:
            return ""
        file = Path(self.query_filepath) if isinstance(self.query_filepath, str) else self.query_filepath
        try:
            return file.read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise ConfigurationError(
                f"can't read the query file '{self.query_filepath}': {why}", stream=self.name
            ) from error

    # The answer

    def validate_response(self, response: requests.Response) -> None:
        """Judge an answer by its status and by the errors in its body.

        Errors: ``RetriableAPIError`` where an error has one of ``retry_error_codes``; ``AuthenticationError`` where one
        says that the credentials are refused; ``FatalAPIError`` for any other, unless ``accept_partial_data``.
        """
        # Most answers have no errors: decoding them once more to see that would cost as much as reading them.
        body = _body_of(response) if _MAY_HAVE_ERRORS in response.content else None
        errors = graphql.errors_of(body)
        codes = graphql.codes_of(errors)
        if codes & self.retry_error_codes:
            pause_s = graphql.pause_asked_s(body)
            if pause_s is not None:
                # Where the retries look for it; a body's wish is as good as a header's.
                response.headers.setdefault("Retry-After", f"{pause_s:.3f}")
            raise RetriableAPIError(self._error_message(response, errors), response)
        super().validate_response(response)
        if not errors or response.status_code >= _BAD_REQUEST:
            return
        message = self._error_message(response, errors)
        if codes & graphql.REFUSING_CODES:
            raise AuthenticationError(message)
        if not self.accept_partial_data or body is None or body.get("data") is None:
            raise FatalAPIError(message)
        self.logger.warning("%s; accept_partial_data takes what came", message)

    def response_error_message(self, response: requests.Response) -> str:
        """Say what an answer with an error status means, with the errors in its body if there are any."""
        errors = graphql.errors_of(_body_of(response))
        message = super().response_error_message(response)
        return f"{message}: {self._described(response, errors)}" if errors else message

    def _error_message(self, response: requests.Response, errors: list[dict[str, Any]]) -> str:
        count = f"{len(errors)} errors" if len(errors) > 1 else "an error"
        return f"the GraphQL API answered with {count}: {self._described(response, errors)}"

    def _described(self, response: requests.Response, errors: list[dict[str, Any]]) -> str:
        return graphql.describe_errors(errors, _variables_of(response.request))

    @cached_property
    def _records_of(self) -> Callable[[Any], list[Record]]:
        """Partial data may lack the place for records, and have null where a record failed."""
        if not self.accept_partial_data:
            return super()._records_of
        extract = compile_extract(self.records_jsonpath)
        checked = compile_records("$[*]", self.schema.get("properties", {}))
        return lambda body: checked([record for record in extract(body) or () if record is not None])


class QuerySchema(StreamSchema[str]):
    """The schema of what a stream's query asks for: ``schema = QuerySchema(GraphQLTypes("schema.graphql"))``."""

    schema_source: GraphQLTypes

    def __init__(self, types: GraphQLTypes) -> None:
        """Take the API's types."""
        super().__init__(types)

    def get_stream_schema(self, stream: Any, stream_class: Any) -> Schema:
        """Give the schema of the records that the stream's query finds at its ``records_jsonpath``.

        Errors: ``DiscoveryError`` when the query does not fit the types.
        """
        if stream is stream_class:
            raise AttributeError("the schema of a query is known to a stream, not to its class")
        query = graphql.as_document(stream._query_text())
        try:
            return self.schema_source.schema_of_query(query, stream.records_jsonpath, stream.operation_name)
        except DiscoveryError as error:
            error.stream = error.stream or str(stream.name)
            raise


def _body_of(response: requests.Response) -> Any:
    try:
        return response.json() if response.content else None
    except (ValueError, RecursionError):
        return None


def _variables_of(request: requests.PreparedRequest) -> Any:
    """Give the variables that a request carried, to keep their values out of messages."""
    if isinstance(request.body, str | bytes) and request.body:
        with suppress(ValueError):
            payload = json.loads(request.body)
            return payload.get("variables") if isinstance(payload, dict) else None
        return None
    from urllib.parse import parse_qs, urlsplit

    with suppress(ValueError, IndexError):
        return json.loads(parse_qs(urlsplit(request.url or "").query).get("variables", ["null"])[0])
    return None
