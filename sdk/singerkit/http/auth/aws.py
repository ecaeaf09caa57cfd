"""AWS Signature Version 4: every request is signed with a key that is never sent.

Source: "Create a signed AWS API request" in the AWS IAM user guide; for S3, "Authenticating Requests: Using the
Authorization Header" in its API reference.
"""

from __future__ import annotations

import hashlib
import hmac
import posixpath
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, unquote_plus, urlsplit, urlunsplit

from singerkit.clock import utc_now
from singerkit.errors import FatalAPIError
from singerkit.http.auth.base import APIAuthenticatorBase, keep_from_logs
from singerkit.http.auth.digest import body_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

_ALGORITHM = "AWS4-HMAC-SHA256"
#: Characters that are not percent-encoded (RFC 3986, section 2.3).
_UNRESERVED = "-._~"
#: Headers that may change on the way, or that are added after signing.
_NEVER_SIGNED = frozenset({"authorization", "connection", "accept-encoding", "user-agent", "x-amzn-trace-id", "expect"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


class AWSSignatureAuthenticator(APIAuthenticatorBase):
    """Signs requests to AWS services, and to what takes the same signatures (S3-compatible stores, API gateways)."""

    def __init__(
        self,
        *args: Any,
        access_key_id: str,
        secret_access_key: str,
        region: str,
        service: str,
        session_token: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Take the key pair, where it is used (``us-east-1``) and for what (``execute-api``, ``s3``).

        ``session_token`` comes with temporary keys.
        """
        super().__init__(*args, **kwargs)
        self._access_key_id = access_key_id
        self._secret_access_key = secret_access_key
        self._session_token = session_token
        self._region = region
        self._service = service
        keep_from_logs(secret_access_key, session_token)

    def authenticate_request(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request as it will be sent.

        Errors: ``FatalAPIError`` when its body is a stream, which can't be hashed and then sent.
        """
        request = super().authenticate_request(request)
        body = body_bytes(request)
        if body is None:
            raise FatalAPIError("a request whose body is a stream can't be signed: give its body as text or bytes")
        now = self.now()
        request.url = _plainly_encoded(request.url or "", keeps_dots=self._is_s3)
        payload_hash = hashlib.sha256(body).hexdigest()
        request.headers["X-Amz-Date"] = _timestamp(now)
        if self._session_token:
            request.headers["X-Amz-Security-Token"] = self._session_token
        if self._is_s3:
            request.headers["X-Amz-Content-Sha256"] = payload_hash
        headers = _signed_headers(request)
        request.headers["Authorization"] = self._authorization(request, headers, payload_hash, now)
        return request

    def now(self) -> datetime:
        """Give the time of signing, in UTC: AWS takes a signature for five to fifteen minutes."""
        return utc_now()

    @property
    def _is_s3(self) -> bool:
        return self._service in {"s3", "s3-object-lambda", "s3-outposts"}

    def _authorization(
        self, request: requests.PreparedRequest, headers: Mapping[str, str], payload_hash: str, now: datetime
    ) -> str:
        url = urlsplit(request.url or "")
        scope = f"{now:%Y%m%d}/{self._region}/{self._service}/aws4_request"
        canonical = "\n".join(
            [
                request.method or "GET",
                self._canonical_path(url.path),
                _canonical_query(url.query),
                *(f"{name}:{value}" for name, value in headers.items()),
                "",
                ";".join(headers),
                payload_hash,
            ]
        )
        to_sign = "\n".join([_ALGORITHM, _timestamp(now), scope, hashlib.sha256(canonical.encode()).hexdigest()])
        signature = _hmac(self._signing_key(f"{now:%Y%m%d}"), to_sign).hex()
        return (
            f"{_ALGORITHM} Credential={self._access_key_id}/{scope}, "
            f"SignedHeaders={';'.join(headers)}, Signature={signature}"
        )

    def _signing_key(self, day: str) -> bytes:
        key = f"AWS4{self._secret_access_key}".encode()
        for part in (day, self._region, self._service, "aws4_request"):
            key = _hmac(key, part)
        return key

    def _canonical_path(self, path: str) -> str:
        """Give the path as it is signed: as it is sent for S3, for all others encoded once more."""
        return path if self._is_s3 else quote(path, safe="/" + _UNRESERVED)


def _timestamp(now: datetime) -> str:
    return f"{now:%Y%m%dT%H%M%SZ}"


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _signed_headers(request: requests.PreparedRequest) -> dict[str, str]:
    """Give names and values of the headers that are signed, in order, as the server will see them."""
    headers = {"host": _host_header(request)}
    for name, value in request.headers.items():
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        headers[name.lower()] = " ".join(text.split())
    return {name: headers[name] for name in sorted(headers) if name not in _NEVER_SIGNED}


def _host_header(request: requests.PreparedRequest) -> str:
    """Give the ``Host`` that the connection will send."""
    parts = urlsplit(request.url or "")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return host if parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f"{host}:{parts.port}"


def _plainly_encoded(url: str, *, keeps_dots: bool) -> str:
    """Give the URL with everything encoded that may be, so that both sides encode it alike.

    A plus in a query is a space, as requests and forms write it, and is sent as one. Dots and empty segments of a path
    are resolved, but for S3, where they are part of a name.
    """
    parts = urlsplit(url)
    path = "/".join(_encoded(unquote(segment)) for segment in (parts.path or "/").split("/"))
    if not keeps_dots:
        ends_in_slash = path.endswith(("/", "/.", "/.."))
        path = posixpath.normpath("/" + path.lstrip("/"))
        path += "/" if ends_in_slash and path != "/" else ""
    members = (map(_encoded, map(unquote_plus, member.partition("="))) for member in parts.query.split("&") if member)
    query = "&".join(f"{name}{'=' * bool(equals)}{value}" for name, equals, value in members)
    return urlunsplit((parts.scheme, parts.netloc, path, query, ""))


def _encoded(text: str) -> str:
    return quote(text, safe=_UNRESERVED)


def _canonical_query(query: str) -> str:
    members = (member.partition("=") for member in query.split("&") if member)
    return "&".join(f"{name}={value}" for name, value in sorted((name, value) for name, _, value in members))
