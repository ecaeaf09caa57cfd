"""Signatures that an API made up itself: declare which parts are signed, how, and where the signature goes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from singerkit.clock import utc_now
from singerkit.errors import ConfigurationError, FatalAPIError
from singerkit.http.auth.base import APIAuthenticatorBase, keep_from_logs, with_params
from singerkit.http.auth.digest import body_bytes

if TYPE_CHECKING:
    from datetime import datetime

    import requests

#: How bytes become text.
Encoding: TypeAlias = Literal["hex", "base64", "base64url"]
#: How the text of a key becomes bytes.
KeyEncoding: TypeAlias = Literal["text", "hex", "base64"]

_PART = re.compile(r"\{request\.([\w.-]+)\}")
_HEADER_PREFIX = "header."

_ENCODERS: dict[str, Callable[[bytes], str]] = {
    "hex": bytes.hex,
    "base64": lambda data: base64.b64encode(data).decode("ascii"),
    "base64url": lambda data: base64.urlsafe_b64encode(data).decode("ascii").rstrip("="),
}
_KEY_DECODERS: dict[str, Callable[[str], bytes]] = {
    "text": str.encode,
    "hex": bytes.fromhex,
    "base64": lambda text: base64.b64decode(text, altchars=b"-_" if set(text) & set("-_") else None),
}


class _Signing:
    """One request while it is signed: the moment and the nonce are the same in all of its parts."""

    def __init__(self, request: requests.PreparedRequest, now: datetime) -> None:
        self.request = request
        self.url = urlsplit(request.url or "")
        self.now = now
        self.nonce = secrets.token_hex(16)
        self.signature = ""

    @property
    def body(self) -> bytes:
        body = body_bytes(self.request)
        if body is None:
            raise FatalAPIError("a request whose body is a stream can't be signed: give its body as text or bytes")
        return body

    def part(self, name: str) -> bytes:
        value: str | bytes
        if name.startswith(_HEADER_PREFIX):
            value = self.request.headers.get(name.removeprefix(_HEADER_PREFIX), "")
        else:
            value = _PARTS[name](self)
        return value.encode() if isinstance(value, str) else value

    def render(self, template: str) -> bytes:
        pieces = _PART.split(template)
        # Text and names of parts take turns.
        return b"".join(self.part(piece) if odd else piece.encode() for odd, piece in _alternating(pieces))


#: The parts of a request, by the name that a template gives them in ``{request.name}``.
_PARTS: dict[str, Callable[[_Signing], str | bytes]] = {
    "method": lambda signing: signing.request.method or "GET",
    "url": lambda signing: signing.request.url or "",
    "origin": lambda signing: f"{signing.url.scheme}://{signing.url.netloc}",
    "host": lambda signing: signing.url.netloc,
    "path": lambda signing: signing.url.path or "/",
    "query": lambda signing: signing.url.query,
    "target": lambda signing: signing.request.path_url,
    "body": lambda signing: signing.body,
    "body_sha256": lambda signing: hashlib.sha256(signing.body).hexdigest(),
    "body_sha256_base64": lambda signing: _ENCODERS["base64"](hashlib.sha256(signing.body).digest()),
    "body_md5": lambda signing: hashlib.md5(signing.body, usedforsecurity=False).hexdigest(),
    "body_md5_base64": lambda signing: _ENCODERS["base64"](hashlib.md5(signing.body, usedforsecurity=False).digest()),
    "timestamp": lambda signing: str(int(signing.now.timestamp())),
    "timestamp_ms": lambda signing: str(int(signing.now.timestamp() * 1000)),
    "time": lambda signing: f"{signing.now:%Y-%m-%dT%H:%M:%SZ}",
    "date": lambda signing: format_datetime(signing.now, usegmt=True),
    "nonce": lambda signing: signing.nonce,
    "signature": lambda signing: signing.signature,
}


def _alternating(pieces: list[str]) -> list[tuple[bool, str]]:
    return [(bool(index % 2), piece) for index, piece in enumerate(pieces)]


class HMACAuthenticator(APIAuthenticatorBase):
    r"""Signs each request by HMAC (RFC 2104) as templates say.

    In a template ``{request.name}`` is a part of the request and ``{setting}`` a setting. Parts: ``method``, ``url``,
    ``origin``, ``host``, ``path``, ``query``, ``target`` (path and query), ``body``, ``body_sha256`` and ``body_md5``
    (in hex; with ``_base64`` so), ``header.NAME``, ``timestamp`` (seconds), ``timestamp_ms``, ``time`` (RFC 3339),
    ``date`` (as HTTP writes it), ``nonce``, and, outside of ``signed``, ``signature``.
    """

    def __init__(
        self,
        *args: Any,
        key: str,
        signed: str,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        hash_name: str = "sha256",
        encoding: Encoding = "hex",
        key_encoding: KeyEncoding = "text",
        **kwargs: Any,
    ) -> None:
        r"""Take the key and the templates.

        ``signed`` is the text that is signed, such as ``"{request.timestamp}\n{request.method}\n{request.target}"``.
        ``headers`` and ``params`` are added to the request, in their order and before it is signed, but for those with
        the signature.

        Errors: ``ConfigurationError`` names a hash, an encoding or a part that there is not.
        """
        super().__init__(*args, **kwargs)
        self._key = key
        self._signed = signed
        self._headers = dict(headers or {"X-Signature": "{request.signature}"})
        self._params = dict(params or {})
        self._hash_name = hash_name
        self._encode = _chosen(_ENCODERS, encoding, "encoding")
        self._decode_key = _chosen(_KEY_DECODERS, key_encoding, "key_encoding")
        if hash_name not in hashlib.algorithms_available:
            raise ConfigurationError(f"there is no hash '{hash_name}'; there are sha256, sha512, sha1 and others")
        for template in (signed, *self._headers.values(), *self._params.values()):
            _check_parts(template)
        keep_from_logs(key)

    def authenticate_request(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add what the templates say, and the signature."""
        request = super().authenticate_request(request)
        signing = _Signing(request, self.now())
        self._add(signing, signed=False)
        signing.signature = self._signature(signing.render(self._signed))
        self._add(signing, signed=True)
        return request

    def now(self) -> datetime:
        """Give the time of signing, in UTC."""
        return utc_now()

    def _add(self, signing: _Signing, *, signed: bool) -> None:
        for name, template in self._headers.items():
            if _has_signature(template) is signed:
                signing.request.headers[name] = signing.render(template).decode()
        params = {name: text for name, text in self._params.items() if _has_signature(text) is signed}
        if params:
            rendered = {name: signing.render(text).decode() for name, text in params.items()}
            signing.request.url = with_params(signing.request.url or "", rendered)
            signing.url = urlsplit(signing.request.url)

    def _signature(self, message: bytes) -> str:
        try:
            key = self._decode_key(self._key)
        except ValueError:
            raise ConfigurationError("the key of the HMAC is not in the encoding that key_encoding says") from None
        return str(self._encode(hmac.new(key, message, self._hash_name).digest()))


def _has_signature(template: str) -> bool:
    return "signature" in _PART.findall(template)


def _check_parts(template: str) -> None:
    for name in _PART.findall(template):
        if name not in _PARTS and not name.startswith(_HEADER_PREFIX):
            raise ConfigurationError(f"there is no part '{{request.{name}}}'; there are {', '.join(_PARTS)}")


def _chosen(choices: Mapping[str, Any], name: str, argument: str) -> Any:
    if name not in choices:
        raise ConfigurationError(f"{argument} has to be one of {', '.join(choices)}")
    return choices[name]
