"""One request: credentials by origin, redirects by hand, a deadline and a bound on every answer.

Importing this module imports requests (0.15 s), so the rest of singerkit imports it when the first request is made.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeAlias
from urllib.parse import urljoin, urlsplit
from weakref import ref

import msgspec
import requests
import urllib3
from requests import exceptions
from requests.cookies import RequestsCookieJar, get_cookie_header

from singerkit.clock import monotonic
from singerkit.errors import ConfigurationError, FatalAPIError
from singerkit.http.auth.refusal import refresh_credentials, refusals_to_answer, takes_pause
from singerkit.http.connect import AddressGuard, bind_connections, exchange_of_the_moment
from singerkit.http.decompress import BrokenEncodingError, accepted_encodings
from singerkit.http.limit import RateLimits
from singerkit.http.pauses import Gates, limit_pause_s, pause_asked_s
from singerkit.http.receive import read_body
from singerkit.http.retry import Action, decide_answer

#: Puts credentials on a prepared request, and gives it back.
Authenticate: TypeAlias = Callable[[requests.PreparedRequest], requests.PreparedRequest]

MAX_RESPONSE_BYTES = 256 * 1024 * 1024
#: How many times larger than what came over the wire a large body may be.
MAX_EXPANSION = 200
MAX_REDIRECTS = 10
#: A request that was signed so many seconds ago is signed anew.
_STALE_S = 1.0
#: A host that does not answer at all is given up sooner than one that is slow.
CONNECT_TIMEOUT_S = 30.0
_DEFAULT_PORTS = {"http": 80, "https": 443}
_REDIRECTS_TO_GET = {HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.FOUND, HTTPStatus.SEE_OTHER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """How a stream's requests are sent; the same for all of them.

    Shape: ``origins`` are the only ones that are asked, as :func:`origin_of` gives them. ``label`` is what logs and
    errors call the request: the path template, never the URL. ``anonymous_origins`` are asked too, but get no
    credentials, cookies or headers of the author's. ``rates`` are the declared limits (:mod:`singerkit.http.limit`).
    ``guard`` judges addresses, for the API's own host ``base_host``. ``spooled`` bodies go to a temporary file, which
    becomes ``response.raw``.

    Units: ``timeout_s`` seconds for a request from its first byte to its answer's last, redirects included;
    ``gate_s`` seconds that a server may ask everyone to wait; ``max_bytes`` bytes of an answer's body, decompressed;
    ``max_expansion`` times the bytes that came over the wire.
    """

    origins: Collection[str]
    label: str
    logger: logging.Logger
    anonymous_origins: Collection[str] = ()
    gates: Gates = field(default_factory=Gates)
    limits: RateLimits = field(default_factory=RateLimits)
    rates: Sequence[str] = ()
    guard: AddressGuard | None = None
    base_host: str = ""
    timeout_s: float = 300.0
    gate_s: float = 3600.0
    waits_at_limits: bool = True
    max_bytes: int = MAX_RESPONSE_BYTES
    max_expansion: int = MAX_EXPANSION
    spooled: bool = False
    follow_redirects: bool = True

    def check_origin(self, url: str, what: str) -> None:
        """Refuse a pointer to where nobody said that it may lead; see :func:`check_origin`."""
        if origin_of(url) not in self.anonymous_origins:
            check_origin(url, self.origins, what)


def origin_of(url: str) -> str:
    """Give scheme, host and port of a URL (RFC 6454), for instance ``https://api.example.com:443``.

    Errors: ``ConfigurationError`` when it is not an absolute http or https URL.
    """
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ConfigurationError("a URL has to begin with http:// or https:// and a host: check url_base")
    return f"{scheme}://{parts.hostname.lower()}:{parts.port or _DEFAULT_PORTS[scheme]}"


def host_of(url: str) -> str:
    """Give the host of a URL, in lower case."""
    return (urlsplit(url).hostname or "").lower()


def check_origin(url: str, origins: Collection[str], what: str) -> None:
    """Refuse a pointer to where the credentials don't belong.

    Errors: ``FatalAPIError`` naming ``what`` pointed there, and the origin.
    """
    origin = origin_of(url)
    if origin in origins:
        return
    raise FatalAPIError(
        f"{what} points to {origin}, which is not an origin of this stream ({', '.join(sorted(origins))}); "
        "if the credentials may go there, add it to allowed_origins"
    )


def open_session(model: requests.Session | None = None) -> requests.Session:
    """Open a session for one thread; with what an author set on ``model``, whose connections it shares.

    It reads no netrc and no proxy variables: they would send credentials where nobody said so.
    """
    session = requests.Session()
    session.trust_env = False
    if model is not None:
        for name in ("headers", "auth", "params", "verify", "cert", "proxies", "hooks", "trust_env", "adapters"):
            setattr(session, name, getattr(model, name))
        session.cookies.update(model.cookies)
        return session
    for prefix in ("https://", "http://"):
        session.mount(prefix, requests.adapters.HTTPAdapter(pool_connections=32, pool_maxsize=64))
    session.headers["Accept-Encoding"] = accepted_encodings()
    return session


def send(
    session: requests.Session, request: requests.PreparedRequest, exchange: Exchange, authenticate: Authenticate
) -> requests.Response:
    """Send a request and read its whole answer; ``request`` carries no credentials yet and is not changed.

    Errors: ``FatalAPIError`` for a pointer to another origin and for a body over the bound; errors of requests, their
    texts free of URLs, for what the network did.
    """
    return _Sending(session, exchange, authenticate).following(request)


class _Sending:
    """One request under way: each method is a layer around the next."""

    def __init__(self, session: requests.Session, exchange: Exchange, authenticate: Authenticate) -> None:
        self.session = session
        self.exchange = exchange
        self.authenticate = authenticate
        self.deadline = monotonic() + exchange.timeout_s
        #: The request as it was sent last, with credentials.
        self.sent = requests.PreparedRequest()

    def following(self, request: requests.PreparedRequest) -> requests.Response:
        """Follow redirects, by hand, so that none leads the credentials astray."""
        self.exchange.check_origin(request.url or "", "the request")
        for _ in range(MAX_REDIRECTS + 1):
            response = self.authenticated(request)
            target = self.session.get_redirect_target(response) if self.exchange.follow_redirects else None
            if target is None:
                return response
            request = self.redirected(request, response, target)
        raise FatalAPIError(f"more than {MAX_REDIRECTS} redirects for path: {self.exchange.label}")

    def redirected(
        self, request: requests.PreparedRequest, response: requests.Response, target: str
    ) -> requests.PreparedRequest:
        """Give the request that a redirect asks for, with the cookies that are meant for where it leads."""
        url = urljoin(request.url or "", target)
        self.exchange.check_origin(url, f"a redirect ({response.status_code})")
        following = request.copy()
        following.prepare_url(url, None)
        if response.status_code in _REDIRECTS_TO_GET and request.method not in {"GET", "HEAD"}:
            following.method = "GET"
            following.body = None
            for header in ("Content-Length", "Content-Type", "Transfer-Encoding"):
                following.headers.pop(header, None)
        self._set_cookies(following, request.url or "")
        return following

    def _set_cookies(self, following: requests.PreparedRequest, previous_url: str) -> None:
        """Let a cookie go only where its domain says; one that names none belongs where it went before."""
        previous = following.headers.pop("Cookie", None)
        stays = origin_of(following.url or "") == origin_of(previous_url)
        jar = RequestsCookieJar()
        for cookie in (*(getattr(following, "_cookies", None) or ()), *self.session.cookies):
            if cookie.domain or stays:
                jar.set_cookie(cookie)
        own: str | None = get_cookie_header(jar, following)  # type: ignore[no-untyped-call]
        cookies = own or (previous if stays else None)
        if cookies:
            following.headers["Cookie"] = cookies

    def authenticated(self, request: requests.PreparedRequest) -> requests.Response:
        """Send with credentials; where they are refused and can be refreshed, refresh them and send again."""
        if origin_of(request.url or "") not in self.exchange.origins:
            self.authenticate = _as_it_is
            request = _anonymous(request)
        refreshed = 0
        while True:
            response = self.bounded(request)
            refreshes = refusals_to_answer(self.authenticate, response.status_code) - refreshed
            decision = decide_answer(refreshes=refreshes)
            refreshed += 1
            if decision.action is not Action.REFRESH or not self.refresh(response):
                return response
            self.exchange.logger.info("path %s: %s; trying again with new ones", self.exchange.label, decision.reason)

    def refresh(self, response: requests.Response) -> bool:
        """Refresh the credentials that an answer refuses; that takes none of the request's time."""
        started = monotonic()
        can_go_on = refresh_credentials(self.authenticate, self.sent, response)
        self.deadline += monotonic() - started
        return can_go_on

    def bounded(self, request: requests.PreparedRequest) -> requests.Response:
        """Make one exchange when the gate is open; a pause that the answer asks for holds everyone."""
        exchange = self.exchange
        origin = origin_of(request.url or "")
        self.deadline += exchange.gates.wait(origin, at_most_s=exchange.gate_s)
        response = self.counted(request, origin)
        failed = response.status_code >= HTTPStatus.BAD_REQUEST
        told_early = exchange.waits_at_limits and not failed
        pause_s = limit_pause_s(response) if told_early else pause_asked_s(response) if failed else None
        if pause_s and not takes_pause(self.authenticate, self.sent, pause_s):
            exchange.logger.info("%s asks for a pause of %.1f s", origin, pause_s)
            exchange.gates.hold(origin, pause_s)
        return response

    def counted(self, request: requests.PreparedRequest, origin: str) -> requests.Response:
        """Have a place in the declared limits; waiting for it is not the server's delay."""
        exchange = self.exchange
        limits = exchange.limits.of(origin, exchange.rates)
        for limit in limits:
            self.deadline += limit.enter()
        try:
            if limits:  # a pause may have begun meanwhile
                self.deadline += exchange.gates.wait(origin, at_most_s=exchange.gate_s)
            self.sign(request)
            # Getting a token may have taken long enough for a pause to begin; after a long one it may be out of date.
            while (waited_s := exchange.gates.wait(origin, at_most_s=exchange.gate_s)) > _STALE_S:
                self.deadline += waited_s
                self.sign(request)
            started = monotonic()
            response = self.transmit(self.sent, origin)
        finally:
            for limit in limits:
                limit.answered()
        exchange.logger.debug(
            "%s %s, path %s: %d in %.3f s",
            *(request.method, origin, exchange.label, response.status_code, monotonic() - started),
        )
        return response

    def sign(self, request: requests.PreparedRequest) -> None:
        """Put the credentials on: after all waiting, since signatures and tokens are good for a short time only."""
        started = monotonic()
        self.sent = self.authenticate(request.copy())
        self.deadline += monotonic() - started  # a token that had to be got first is not the server's delay
        self.exchange.check_origin(self.sent.url or "", "the authenticated request")

    def transmit(self, request: requests.PreparedRequest, origin: str) -> requests.Response:
        """Send, and read the whole answer before the deadline."""
        bind_connections(self.session)
        remaining_s = self.deadline - monotonic()
        exchange = self.exchange
        try:
            if remaining_s <= 0:
                raise exceptions.ReadTimeout
            timeout_s = (min(CONNECT_TIMEOUT_S, remaining_s), remaining_s)
            with exchange_of_the_moment(self.deadline, exchange.guard, exchange.base_host):
                response = self.session.send(request, stream=True, timeout=timeout_s, allow_redirects=False)
                read_body(response, exchange, self.deadline)
        except (exceptions.RequestException, urllib3.exceptions.HTTPError, BrokenEncodingError, OSError) as error:
            raise _without_url(error, exchange.label, origin) from None
        return response


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _anonymous(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Give a request with nothing in it that tells who asks: the author's headers hold keys as often as not."""
    kept = {"user-agent", "accept", "accept-encoding"}
    anonymous = request.copy()
    for header in [name for name in anonymous.headers if name.lower() not in kept]:
        del anonymous.headers[header]
    anonymous.method, anonymous.body = "GET", None
    return anonymous


class NeverSent(exceptions.ConnectionError):
    """There was no connection, so the server can't have done anything: any method may be tried again."""

    never_sent = True


_WHAT_HAPPENED: dict[type[Exception], str] = {
    exceptions.ReadTimeout: "no whole answer within the time",
    exceptions.ChunkedEncodingError: "the answer broke off",
    exceptions.ContentDecodingError: "the answer can't be decompressed",
    exceptions.SSLError: "TLS failed",
    NeverSent: "can't connect",
}


def _without_url(error: Exception, label: str, origin: str) -> Exception:
    """Give the same kind of error with a text that holds no URL: query values are secrets as often as not."""
    kind = type(error) if isinstance(error, exceptions.RequestException) else exceptions.ConnectionError
    cause: Any = error.args[0] if isinstance(error, exceptions.RequestException) and error.args else error
    cause = getattr(cause, "reason", cause)
    if isinstance(error, BrokenEncodingError):
        return exceptions.ContentDecodingError(
            f"{_WHAT_HAPPENED[exceptions.ContentDecodingError]}: {error}: {origin}, path {label}"
        )
    if isinstance(error, urllib3.exceptions.ProtocolError):
        kind = exceptions.ChunkedEncodingError
    elif isinstance(cause, urllib3.exceptions.NewConnectionError) or isinstance(error, exceptions.ConnectTimeout):
        kind = NeverSent
    elif isinstance(cause, urllib3.exceptions.ReadTimeoutError):
        kind = exceptions.ReadTimeout
    elif any(isinstance(detail, ssl.SSLCertVerificationError) for detail in getattr(cause, "args", ())):
        return FatalAPIError(f"the certificate of {origin} can't be verified; that is no passing trouble")
    what = _WHAT_HAPPENED.get(kind, "the connection broke")
    return kind(f"{what}: {origin}, path {label} ({type(cause).__name__})")


def compile_body_decoder(*, exact_numbers: bool) -> Callable[[bytes], Any]:
    """Give the JSON decoder of a stream: fractions become ``Decimal`` if digits count, else ``float``."""
    if exact_numbers:
        from decimal import Decimal

        return msgspec.json.Decoder(float_hook=Decimal).decode
    return msgspec.json.Decoder().decode


def bind_json(response: requests.Response, decode: Callable[[bytes], Any]) -> None:
    """Have ``response.json()`` decode the body once, by ``decode``, however often it is called.

    What ``decode`` can't read (NaN, another encoding, an error) and calls with arguments go to requests.
    """
    decoded: list[Any] = []
    # Not the response itself: in a circle it would stay in memory until the collector comes by.
    myself = ref(response)

    def json(**kwargs: Any) -> Any:
        answer = myself()
        assert answer is not None  # noqa: S101  # who calls this has it
        if kwargs:
            return type(answer).json(answer, **kwargs)
        if not decoded:
            try:
                decoded.append(decode(answer.content))
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
                decoded.append(type(answer).json(answer))
        return decoded[0]

    json.decoded = decoded  # type: ignore[attr-defined]  # so that nobody decodes what is decoded
    response.json = json  # type: ignore[method-assign]
