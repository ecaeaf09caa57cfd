"""What may be kept of a request and its answer: everything but what lets somebody in.

Masked by ``***`` are the values of secret settings, in every form that the redactor knows; what goes by the name of a
credential (``access_token``, ``api_key``, ``X-Amz-Signature``), in URLs, headers, JSON and XML; and whatever a request
carried as a credential, wherever it turns up from then on.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from singerkit.http.credentials import is_credential, is_login_path, words_of
from singerkit.telemetry.redact import MASK, SHORTEST_SECRET, Redactor

if TYPE_CHECKING:
    import requests

#: Names and values, in order.
Pairs: TypeAlias = list[tuple[str, str]]

#: Headers that say how an answer travelled, or that differ each time: of no use to who reads it again.
_PASSING_HEADERS = frozenset(
    {"age", "alt-svc", "cf-cache-status", "cf-ray", "connection", "content-encoding", "content-length", "date"}
    | {"expect-ct", "keep-alive", "nel", "proxy-connection", "report-to", "server", "server-timing", "trailer"}
    | {"strict-transport-security", "transfer-encoding", "upgrade", "via", "x-amz-cf-id", "x-amzn-requestid"}
    | {"x-amzn-trace-id", "x-request-id", "x-response-time", "x-runtime", "x-served-by", "x-timer"}
)
#: A parameter of a URL or a form, anywhere in a text: its name and its value.
_PARAMETER = re.compile(r"(?:^|(?<=[?&;]))([\w.%\[\]-]{1,64})=([^&;\s\"'<>\\]+)")
_ELEMENT = re.compile(r"<((?:\w+:)?([\w-]{1,64})(?:\s[^<>]*)?)>([^<>]+)</")
_COOKIE_VALUE = re.compile(r"(?<==)[^;]*")
#: A cookie is taken for a credential from this length on: shorter ones say what language one reads.
_SESSION_COOKIE = 16
_BEARERS = frozenset({"bearer", "token", "basic", "jwt", "apikey", "oauth"})
#: Names of what a login gives, besides those that are credentials anywhere.
_GIVEN_AT_LOGIN = frozenset({"token", "session", "key"})

_exact = msgspec.json.Decoder(float_hook=Decimal)
_plain = msgspec.json.Encoder(decimal_format="number")
_sorted = msgspec.json.Encoder(decimal_format="number", order="sorted")


class Scrubber:
    """Masks what must not be kept; it learns credentials on the way, for all that comes after."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        self._redactor = Redactor()
        self._short: frozenset[str] = frozenset()
        self._learned: frozenset[str] = frozenset()
        self.add(secrets)

    def add(self, secrets: Collection[str]) -> None:
        """Mask these too; one of less than four characters only where it is all there is."""
        self._redactor.add(secrets)
        self._short |= {secret for secret in secrets if 0 < len(secret) < SHORTEST_SECRET}

    def learn(self, request: requests.PreparedRequest) -> bool:
        """Remember the credentials of a request; says whether there were new ones."""
        return self._remember(_credentials_of(request))

    def _remember(self, values: Iterable[str]) -> bool:
        new = {value for value in values if len(value) >= SHORTEST_SECRET} - self._learned
        if new:
            self._redactor.add(new)
            self._learned |= new
        return bool(new)

    # Requests

    def path(self, url: str) -> str:
        """Give a URL's path, masked."""
        return self.text(unquote(urlsplit(url).path)) or "/"

    def query(self, url: str, ignored: Collection[str] = ()) -> Pairs:
        """Give a URL's parameters in their order, masked; without those that are ignored."""
        return self._pairs(parse_qsl(urlsplit(url).query, keep_blank_values=True), ignored)

    def body_digest(self, body: Any, ignored: Collection[str] = ()) -> str | None:
        """Give what tells a request's body from others: the SHA-256 of it masked, without members that are ignored."""
        if not body:
            return None
        if not isinstance(body, str | bytes):
            return "(streamed)"
        data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
        return hashlib.sha256(self._plain_body(data, ignored)).hexdigest()

    def is_login(self, request: requests.PreparedRequest) -> bool:
        """Tell whether a request asks to be let in: by its path, or because there is a secret in its body."""
        body = request.body.decode("utf-8", "replace") if isinstance(request.body, bytes) else request.body
        if isinstance(body, str) and ("grant_type" in body or self._redactor.redact(body) != body):
            return True
        return is_login_path(urlsplit(request.url or "").path)

    def _plain_body(self, data: bytes, ignored: Collection[str]) -> bytes:
        """Give a body so that two which say the same are the same bytes."""
        text = data.decode("utf-8", "backslashreplace")
        if text.lstrip()[:1] in {"{", "["}:
            try:
                value = _exact.decode(data)
            except (msgspec.DecodeError, RecursionError):
                return self.text(text).encode()
            if isinstance(value, dict):
                value = {name: member for name, member in value.items() if name not in ignored}
            return _sorted.encode(self.value(value))
        if "=" in text and not any(map(str.isspace, text)):
            return _plain.encode(self._pairs(parse_qsl(text, keep_blank_values=True), ignored))
        return self.text(text).encode()

    def _pairs(self, pairs: Pairs, ignored: Collection[str]) -> Pairs:
        return [
            (name, MASK if is_credential(name) else self.text(value)) for name, value in pairs if name not in ignored
        ]

    # Answers

    def headers(self, headers: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        """Give the headers worth keeping, masked; a cookie keeps its name."""
        for name, value in headers:
            lower = name.lower()
            if lower == "set-cookie":
                yield name, _COOKIE_VALUE.sub(MASK, value, count=1)
            elif lower not in _PASSING_HEADERS:
                yield name, MASK if is_credential(name) else self.text(value)

    def text(self, text: str) -> str:
        """Give a text masked, with the credentials in the URLs, forms and XML that it holds."""
        if text in self._short:
            return MASK
        if "=" in text:
            text = _PARAMETER.sub(_masked_parameter, text)
        if "</" in text:
            text = _ELEMENT.sub(_masked_element, text)
        return self._redactor.redact(text)

    def json(self, body: bytes, *, login: bool = False) -> bytes | None:
        """Give a JSON text masked, every number with the digits it came with; ``None`` where it is no JSON."""
        try:
            value = _exact.decode(body)
        except (msgspec.DecodeError, RecursionError):
            return None
        masked = self.value(value, login=login)
        return body if masked == value else _plain.encode(masked)

    def masked_again(self, document: bytes) -> bytes:
        """Give a JSON text that was masked before with what has been learned since masked too."""
        return _plain.encode(self.value(_exact.decode(document), by_name=False))

    def value(self, value: Any, *, login: bool = False, by_name: bool = True) -> Any:
        """Give decoded JSON with every text masked that is a secret, or goes by the name of one."""
        if isinstance(value, dict):
            if not by_name:
                return {self.text(name): self.value(member, by_name=False) for name, member in value.items()}
            return {self.text(name): self._member(name, member, login) for name, member in value.items()}
        if isinstance(value, list):
            return [self.value(each, login=login, by_name=by_name) for each in value]
        if isinstance(value, bool | None):
            return value
        text = value if isinstance(value, str) else str(value)
        masked = self.text(text)
        return value if masked == text else masked

    def _member(self, name: str, member: Any, login: bool) -> Any:
        if isinstance(member, str) and member:
            if is_credential(name, bare_token=login) or (login and words_of(name)[-1] in _GIVEN_AT_LOGIN):
                self._remember([member])
                return MASK
        elif isinstance(member, dict | list) and is_credential(name, bare_token=False):
            return _all_masked(member)
        return self.value(member, login=login)


def _all_masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _all_masked(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_all_masked(member) for member in value]
    return MASK if isinstance(value, str) else value


def _masked_parameter(match: re.Match[str]) -> str:
    return f"{match[1]}={MASK}" if is_credential(unquote(match[1])) else match[0]


def _masked_element(match: re.Match[str]) -> str:
    return f"<{match[1]}>{MASK}</" if is_credential(match[2]) else match[0]


def _credentials_of(request: requests.PreparedRequest) -> Iterator[str]:
    headers: Mapping[str, Any] = request.headers or {}
    for name, given in headers.items():
        yield from _credentials_in(name, given.decode("latin-1") if isinstance(given, bytes) else str(given))
    for name, value in parse_qsl(urlsplit(request.url or "").query):
        if is_credential(name):
            yield value


def _credentials_in(header: str, value: str) -> Iterator[str]:
    lower = header.lower()
    if lower == "cookie":
        yield from (each for each in _COOKIE_VALUE.findall(value) if len(each) >= _SESSION_COOKIE)
    elif lower == "authorization":
        scheme, _, credentials = value.partition(" ")
        # A signature is made anew for each request: there is nothing to learn from it.
        if scheme.lower() in _BEARERS or not credentials:
            yield credentials.strip() or scheme
    elif is_credential(header):
        yield value
