"""A REST API on the loopback interface, of the kind that people have to fight with.

``python demo/flights_api.py --port 0`` prints its URL on the first line and serves until it is stopped::

    POST /oauth/token                          a token for client credentials (or use the fixed one, --token)
    GET  /v1/airlines                          one answer, not paged
    GET  /v1/airlines/{carrier}/planes         paged by number: ?page=2
    GET  /v1/airports, /v1/planes              the same
    GET  /v1/airports/{faa}/weather            paged by Link header (RFC 8288); ?observed_since= is inclusive
    GET  /v1/weather                           the same
    GET  /v1/flights                           paged by cursor in the body; ?updated_since= is inclusive
    POST /v1/_amend_flights?count=25           for the demo: gives some flights a new revision
    GET  /v1/_statistics                       for the demo: how many requests, refusals, flights

Every path but the first wants ``Authorization: Bearer``. Paged ones take ``page_size`` (1,000; at most 5,000). A page
takes 50 ms, and a request now and then gets 429 with Retry-After, each URL at most once. All of it is deterministic.
Errors are JSON: ``{"error": {"status": 400, "code": "invalid_parameter", "message": ...}}``.
"""

from __future__ import annotations

import argparse
import gc
import re
import secrets
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from socketserver import TCPServer
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

import msgspec

import flights_data
from flights_pages import (
    ApiError,
    Listing,
    Query,
    Reply,
    cursor_page,
    encode,
    linked_page,
    listing_of,
    numbered_page,
    whole,
)

MAX_BODY_BYTES = 64 * 1024
#: Paths that no page is counted for: they are neither slow nor refused.
ADMIN = "/v1/_"
TOKEN_LIFETIME_S = 3_600
CLIENT_ID, CLIENT_SECRET = "demo-client", "demo-secret"


class Flights:
    """All flights, ordered by ``updated_at`` and then ``id``, of which some can be amended while others read.

    A cursor names the last record that was given, not a position: what is amended meanwhile moves behind it, and
    nothing is skipped.
    """

    def __init__(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Encode and order the flights; remember which planes flew for each airline."""
        self.fleets: dict[str, set[str]] = defaultdict(set)
        self.listing = listing_of(map(self._with_fleet, records), "updated_at", "id")
        self._lock = threading.Lock()

    def _with_fleet(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        self.fleets[record["carrier"]["code"]].add(record["tail_number"])
        return record

    def amend(self, count: int) -> list[str]:
        """Give ``count`` flights, evenly spread, a higher revision, and an ``updated_at`` later than all others.

        Shape: the ids of these flights.
        """
        with self._lock:
            keys, records = list(self.listing.keys), list(self.listing.records)
            chosen = range(0, len(keys), max(1, len(keys) // count))[:count]
            last = datetime.fromisoformat(keys[-1].partition("|")[0])
            amended = [_amended(records[at], last + timedelta(minutes=n)) for n, at in enumerate(chosen, start=1)]
            for at in reversed(chosen):
                del keys[at], records[at]
            newer = listing_of(amended, "updated_at", "id")
            # One assignment: whoever reads at this moment keeps the listing it has.
            self.listing = Listing([*keys, *newer.keys], [*records, *newer.records])
        return [flight["id"] for flight in amended]


def _amended(record: bytes, updated_at: datetime) -> dict[str, Any]:
    flight: dict[str, Any] = msgspec.json.decode(record)
    return flight | {"revision": flight["revision"] + 1, "updated_at": f"{updated_at:%Y-%m-%dT%H:%M:%S}Z"}


class Data:
    """Everything that the API gives out, encoded once."""

    def __init__(self, *, max_flights: int | None = None) -> None:
        """Read and encode the data set.

        Units: about 4 CPU seconds and 300 MB for all flights.
        """
        self.flights = Flights(islice(flights_data.flights(), max_flights))
        self.airlines = listing_of(flights_data.airlines(), "code")
        self.airports = listing_of(flights_data.airports(), "faa")
        self.planes = listing_of(flights_data.planes(), "tail_number")
        self.planes_of = self._by_airline()
        self.weather = listing_of(flights_data.weather(), "observed_at", "station")
        self.weather_at = self._by_airport()

    def _by_airline(self) -> dict[str, Listing]:
        known = dict(zip(self.planes.keys, self.planes.records, strict=True))
        fleets = {code: sorted(known.keys() & self.flights.fleets[code]) for code in self.airlines.keys}
        return {code: Listing(fleet, [known[number] for number in fleet]) for code, fleet in fleets.items()}

    def _by_airport(self) -> dict[str, Listing]:
        observations = defaultdict(list)
        for key, record in zip(self.weather.keys, self.weather.records, strict=True):
            observations[key.partition("|")[2]].append((key, record))
        return {
            faa: Listing([key for key, _ in observations[faa]], [record for _, record in observations[faa]])
            for faa in self.airports.keys
        }


class Throttle:
    """Refuses every n-th request, but no URL twice, so that whoever waits and asks again goes on."""

    def __init__(self, every: int) -> None:
        """Refuse every ``every``-th request; 0 refuses none."""
        self._every = every
        self._lock = threading.Lock()
        self._requests = 0
        self._refused: set[str] = set()

    def statistics(self) -> dict[str, int]:
        """Give how many requests there were, and how many of them were refused."""
        return {"requests": self._requests, "refused": len(self._refused)}

    def check(self, url: str) -> None:
        """Count a request.

        Errors: `ApiError` 429 with Retry-After (seconds) when this one is refused.
        """
        with self._lock:
            self._requests += 1
            if not self._every or self._requests % self._every or url in self._refused:
                return
            self._refused.add(url)
        raise ApiError(
            HTTPStatus.TOO_MANY_REQUESTS, "rate_limited", "too many requests; wait one second", Retry_After="1"
        )


class Tokens:
    """The tokens that open the API: a fixed one, and those given for client credentials, which expire."""

    def __init__(self, fixed: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Accept ``fixed`` for ever."""
        self._expires = {fixed: float("inf")}
        self._clock = clock

    def check(self, header: str | None) -> None:
        """Accept an ``Authorization`` header.

        Errors: `ApiError` 401 with WWW-Authenticate.
        """
        scheme, _, token = (header or "").partition(" ")
        if scheme.lower() == "bearer" and self._expires.get(token.strip(), 0.0) > self._clock():
            return
        raise ApiError(
            HTTPStatus.UNAUTHORIZED, "unauthorized", "a valid bearer token is required", WWW_Authenticate="Bearer"
        )

    def grant(self, body: bytes) -> Reply:
        """Give a token for client credentials in a form body (RFC 6749, section 4.4)."""
        try:
            form = dict(parse_qsl(body.decode(), strict_parsing=True))
        except ValueError:
            form = {}
        if form.get("grant_type") != "client_credentials":
            raise ApiError(HTTPStatus.BAD_REQUEST, "unsupported_grant_type", "grant_type must be client_credentials")
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            raise ApiError(HTTPStatus.UNAUTHORIZED, "invalid_client", "client_id or client_secret is wrong")
        token = secrets.token_urlsafe(24)
        self._expires[token] = self._clock() + TOKEN_LIFETIME_S
        return Reply(encode({"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_LIFETIME_S}))


@dataclass(frozen=True, slots=True)
class Request:
    """What came in; ``path`` and ``query`` are the parts of the URL, ``origin`` is this server's own."""

    method: str
    path: str
    query: str
    authorization: str | None = None
    body: bytes = b""
    origin: str = ""


#: Answers a request; the texts are what the path's pattern caught.
Answer: TypeAlias = Callable[..., Reply]

NUMBERED = ("page", "page_size")
LINKED = ("page", "page_size", "observed_since")
CURSOR = ("cursor", "page_size", "updated_since")


class Api:
    """The API without its sockets: a request in, a reply out."""

    def __init__(self, data: Data, tokens: Tokens, throttle: Throttle, latency_s: float = 0.0) -> None:
        """Tie the paths to their answers."""
        self._data, self._tokens, self._throttle, self._latency_s = data, tokens, throttle, latency_s
        routes: dict[tuple[str, str], Answer] = {
            ("POST", "/oauth/token"): self._token,
            ("GET", "/v1/airlines"): self._airlines,
            ("GET", "/v1/airlines/([^/]+)/planes"): self._fleet,
            ("GET", "/v1/airports"): self._airports,
            ("GET", "/v1/airports/([^/]+)/weather"): self._weather_at,
            ("GET", "/v1/planes"): self._planes,
            ("GET", "/v1/weather"): self._weather,
            ("GET", "/v1/flights"): self._flights,
            ("POST", f"{ADMIN}amend_flights"): self._amend,
            ("GET", f"{ADMIN}statistics"): self._statistics,
        }
        self._routes = [(method, re.compile(pattern), answer) for (method, pattern), answer in routes.items()]

    def reply(self, request: Request) -> Reply:
        """Answer a request, with an error if need be."""
        try:
            if request.path.startswith("/v1/"):
                self._tokens.check(request.authorization)
            answer, caught = self._route(request)
            if request.method == "GET" and not request.path.startswith(ADMIN):
                self._throttle.check(f"{request.path}?{request.query}")
                time.sleep(self._latency_s)
            return answer(request, *caught)
        except ApiError as error:
            return error.reply()

    def _route(self, request: Request) -> tuple[Answer, Sequence[str]]:
        found = [
            (each, answer, match) for each, path, answer in self._routes if (match := path.fullmatch(request.path))
        ]
        for method, answer, match in found:
            if method == request.method:
                return answer, match.groups()
        if found:
            allowed = found[0][0]
            message = f"this path takes {allowed} only"
            raise ApiError(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", message, Allow=allowed)
        raise ApiError(HTTPStatus.NOT_FOUND, "not_found", "there is no such path")

    def _token(self, request: Request) -> Reply:
        return self._tokens.grant(request.body)

    def _airlines(self, request: Request) -> Reply:
        return whole(self._data.airlines, Query(request.query, ()))

    def _airports(self, request: Request) -> Reply:
        return numbered_page(self._data.airports, Query(request.query, NUMBERED))

    def _planes(self, request: Request) -> Reply:
        return numbered_page(self._data.planes, Query(request.query, NUMBERED))

    def _fleet(self, request: Request, carrier: str) -> Reply:
        return numbered_page(_child(self._data.planes_of, carrier, "airline"), Query(request.query, NUMBERED))

    def _weather(self, request: Request) -> Reply:
        return linked_page(self._data.weather, Query(request.query, LINKED), request.origin + request.path)

    def _weather_at(self, request: Request, faa: str) -> Reply:
        listing = _child(self._data.weather_at, faa, "airport")
        return linked_page(listing, Query(request.query, LINKED), request.origin + request.path)

    def _flights(self, request: Request) -> Reply:
        return cursor_page(self._data.flights.listing, Query(request.query, CURSOR))

    def _amend(self, request: Request) -> Reply:
        count = Query(request.query, ("count",)).integer("count", 25, 1_000)
        return Reply(encode({"amended": self._data.flights.amend(count)}))

    def _statistics(self, request: Request) -> Reply:
        flights = len(self._data.flights.listing.records)
        return Reply(encode(self._throttle.statistics() | {"flights": flights}))


def _child(listings: Mapping[str, Listing], code: str, parent: str) -> Listing:
    if code not in listings:
        raise ApiError(HTTPStatus.NOT_FOUND, "not_found", f"there is no such {parent}")
    return listings[code]


class Handler(BaseHTTPRequestHandler):
    """Carries requests from a socket to the API and replies back; connections stay open."""

    protocol_version = "HTTP/1.1"
    # A reply is several writes; without these two each would be a packet that waits for the one before it.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        """Answer one request."""
        try:
            body = self._body()
        except ApiError as error:
            self.close_connection = True  # what follows may be the rest of a body: nothing to answer
            return self._send(error.reply())
        path, _, query = self.path.partition("?")
        authorization = self.headers.get("Authorization")
        request = Request(self.command, path, query, authorization, body, self.server.url)
        return self._send(self.server.api.reply(request))

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_GET

    def _body(self) -> bytes:
        if "Transfer-Encoding" in self.headers:
            raise ApiError(HTTPStatus.LENGTH_REQUIRED, "length_required", "send a Content-Length")
        length = self.headers.get("Content-Length", "0")
        if not re.fullmatch("[0-9]{1,9}", length):
            raise ApiError(HTTPStatus.BAD_REQUEST, "bad_request", "Content-Length must be a number")
        if int(length) > MAX_BODY_BYTES:
            message = f"a body may have {MAX_BODY_BYTES} bytes"
            raise ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", message)
        return self.rfile.read(int(length))

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(reply.body)), **reply.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is not HTTP, or not a method that anybody has, with JSON as well."""
        self.close_connection = True
        self.request_version = self.protocol_version  # where none was understood, http.server would send no headers
        status = HTTPStatus(code)
        self._send(ApiError(status, status.name.lower(), status.phrase).reply())

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a line for each request would bury the demo."""


class Server(ThreadingHTTPServer):
    """The API on a port of the loopback interface."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, api: Api, port: int = 0) -> None:
        """Listen; port 0 takes a free one."""
        super().__init__(("127.0.0.1", port), Handler)
        self.api = api
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def server_bind(self) -> None:
        """Bind without asking DNS for this machine's name, which can take seconds and is of no use here."""
        TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a client goes away; the rest is a defect and is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="A REST API over the flights that left New York City in 2013.")
    parser.add_argument("--port", type=int, default=8013, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--token", default="demo-token", help="a bearer token that is accepted (default: %(default)s)")
    parser.add_argument("--latency", type=float, default=50, help="milliseconds that a page takes (default: 50)")
    parser.add_argument("--throttle-every", type=int, default=97, help="429 on every n-th request, 0 for none")
    parser.add_argument("--max-flights", type=int, help="serve the first ones only, to start faster")
    return parser.parse_args()


def main() -> None:
    """Serve until stopped; the first line of the output is the URL."""
    arguments = parse_arguments()
    # A million objects that all stay: to walk them again and again in search of cycles would double the time.
    gc.disable()
    data = Data(max_flights=arguments.max_flights)
    gc.freeze()
    gc.enable()
    api = Api(data, Tokens(arguments.token), Throttle(arguments.throttle_every), arguments.latency / 1_000)
    with Server(api, arguments.port) as server:
        print(server.url, flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()
