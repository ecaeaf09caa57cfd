"""One recorded answer: the form of its file, and the way from a response to the file and back."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from http.client import HTTPMessage
from typing import Any

import msgspec
import requests
import urllib3
from requests import exceptions
from requests.adapters import HTTPAdapter
from urllib3._collections import HTTPHeaderDict

from singerkit.errors import FatalSyncError
from singerkit.http.decompress import BrokenEncodingError, decompressed
from singerkit.http.scrub import Scrubber

#: Bytes of one answer's body, decompressed: what is larger is not for a folder of small files.
MAX_BODY_BYTES = 64 * 1024 * 1024
_CHUNK_BYTES = 1024 * 1024
_DIGEST_LENGTH = 12
_LONGEST_SLUG = 60

_sorted = msgspec.json.Encoder(order="sorted")


class RecordedRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """What tells a request from others, masked.

    Shape: ``query`` maps a parameter to its value, or to the list of its values.
    """

    method: str
    path: str
    query: dict[str, str | list[str]] = {}
    body_sha256: str | None = None

    @property
    def identity(self) -> bytes:
        """The same for requests that are the same."""
        return _sorted.encode(self)

    def file_name(self, number: int) -> str:
        """Give the name of the file that holds the first answer to it, the second, ..."""
        slug = re.sub(r"[^A-Za-z0-9]+", "-", self.path).strip("-")[:_LONGEST_SLUG].strip("-")
        digest = hashlib.sha256(self.identity).hexdigest()[:_DIGEST_LENGTH]
        name = "_".join(part for part in (self.method, slug, digest) if part)
        return f"{name}.{number}.json" if number > 1 else f"{name}.json"


class RecordedAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """An answer; its body is JSON, or text by lines, or any bytes in base64, or there is none."""

    status: int
    reason: str | None = None
    headers: dict[str, str | list[str]] = {}
    json: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    text: list[str] | msgspec.UnsetType = msgspec.UNSET
    base64: str | msgspec.UnsetType = msgspec.UNSET

    @property
    def body(self) -> bytes:
        """The body's bytes; JSON without the line breaks that the file has."""
        if self.json is not msgspec.UNSET:
            return msgspec.json.format(bytes(self.json), indent=-1)
        if self.text is not msgspec.UNSET:
            return "".join(self.text).encode()
        return b"" if self.base64 is msgspec.UNSET else base64.b64decode(self.base64)


class Recorded(msgspec.Struct, frozen=True):
    """What a file holds."""

    request: RecordedRequest
    answer: RecordedAnswer


class _RequestOnly(msgspec.Struct, frozen=True):
    request: RecordedRequest


_decode = msgspec.json.Decoder(Recorded).decode
_decode_request = msgspec.json.Decoder(_RequestOnly).decode


def read_answer(document: bytes) -> RecordedAnswer:
    """Read the answer in a file.

    Errors: ``msgspec.DecodeError`` for anything else.
    """
    return _decode(document).answer


def read_request(document: bytes) -> RecordedRequest:
    """Read the request in a file; its answer is skipped, which takes much less time.

    Errors: ``msgspec.DecodeError`` for anything else.
    """
    return _decode_request(document).request


def identify(request: requests.PreparedRequest, scrubber: Scrubber, ignored: Collection[str]) -> RecordedRequest:
    """Give what tells a request from others, without the parameters and members that are ignored."""
    url = request.url or ""
    return RecordedRequest(
        method=(request.method or "GET").upper(),
        path=scrubber.path(url),
        query=_gathered(sorted(scrubber.query(url, ignored), key=lambda pair: pair[0])),
        body_sha256=scrubber.body_digest(request.body, ignored),
    )


def take_down(response: requests.Response, scrubber: Scrubber) -> RecordedAnswer:
    """Read an answer to its end and give what is kept of it; the response can be read once more, as it came.

    Errors: those of requests, for what the network did; ``FatalSyncError`` when it is too large.
    """
    body = _read(response)
    headers = response.raw.headers
    response.raw = _reread(body, response)
    return RecordedAnswer(
        status=response.status_code,
        reason=scrubber.text(response.reason) if response.reason else None,
        headers=_gathered(scrubber.headers(headers.iteritems())),
        **_body_members(_decompressed(body, response), scrubber, login=scrubber.is_login(response.request)),
    )


def response_of(answer: RecordedAnswer, request: requests.PreparedRequest) -> requests.Response:
    """Give the response that an adapter of requests would give."""
    headers, message = HTTPHeaderDict(), HTTPMessage()
    for name, given in answer.headers.items():
        for value in [given] if isinstance(given, str) else given:
            headers.add(name, value)
            message[name] = value
    raw = urllib3.HTTPResponse(
        io.BytesIO(answer.body),
        headers=headers,
        status=answer.status,
        version=11,
        reason=answer.reason,
        preload_content=False,
        original_response=_Original(message),  # type: ignore[arg-type]
        request_method=request.method,
    )
    return _adapter.build_response(request, raw)


_adapter = HTTPAdapter()


class _Original:
    """What requests asks for cookies: the headers, where the standard library's response would be."""

    _method = None

    def __init__(self, message: HTTPMessage) -> None:
        self.msg = message

    def isclosed(self) -> bool:
        return False

    def close(self) -> None:
        """There is no connection to close."""


def _gathered(pairs: Iterable[tuple[str, str]]) -> dict[str, str | list[str]]:
    values: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in pairs:
        values[name].append(value)
    return {name: given[0] if len(given) == 1 else given for name, given in values.items()}


def _read(response: requests.Response) -> bytes:
    """Read a body as it comes over the wire, compressed or not."""
    try:
        body = _bounded(response.raw.stream(_CHUNK_BYTES, decode_content=False))
    except urllib3.exceptions.ProtocolError as error:
        raise exceptions.ChunkedEncodingError(error) from None
    except urllib3.exceptions.ReadTimeoutError as error:
        raise exceptions.ConnectionError(error) from None
    except FatalSyncError:
        response.close()
        raise
    response.raw.release_conn()
    return body


def _decompressed(body: bytes, response: requests.Response) -> bytes:
    """Give a body decompressed; as it is, where it can't be."""
    try:
        return _bounded(decompressed([body], response.headers.get("Content-Encoding", "")))
    except BrokenEncodingError:
        return body


def _bounded(chunks: Iterable[bytes]) -> bytes:
    kept: list[bytes] = []
    size = 0
    for chunk in chunks:
        kept.append(chunk)
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise FatalSyncError(f"an answer of more than {MAX_BODY_BYTES} bytes is too large to be recorded")
    return b"".join(kept)


def _reread(body: bytes, response: requests.Response) -> urllib3.HTTPResponse:
    """Give an answer anew, to be read a second time."""
    return urllib3.HTTPResponse(
        io.BytesIO(body),
        headers=response.raw.headers,
        status=response.raw.status,
        version=response.raw.version,
        reason=response.raw.reason,
        preload_content=False,
        original_response=response.raw._original_response,
        request_method=response.request.method,
    )


def _body_members(body: bytes, scrubber: Scrubber, *, login: bool) -> dict[str, Any]:
    if not body:
        return {}
    as_json = scrubber.json(body, login=login)
    if as_json is not None:
        return {"json": msgspec.Raw(as_json)}
    try:
        text = body.decode()
    except UnicodeDecodeError:
        masked = scrubber.text(body.decode("latin-1")).encode("latin-1")
        return {"base64": base64.b64encode(masked).decode("ascii")}
    return {"text": scrubber.text(text).splitlines(keepends=True)}
