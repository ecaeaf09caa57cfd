"""Receiving a body: within the deadline and the bounds, decompressed, into the memory or into a temporary file."""

from __future__ import annotations

from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING
from weakref import finalize

from requests import exceptions

from singerkit.clock import monotonic
from singerkit.errors import FatalAPIError, FatalSyncError
from singerkit.http.decompress import decompressed

if TYPE_CHECKING:
    import requests

    from singerkit.http.client import Exchange

#: The size from which it is asked how many times larger than what came over the wire a body is.
_EXPANDED_BYTES = 16 * 1024 * 1024
WIRE_BYTES = 64 * 1024
#: What a body that goes to a file keeps in memory at most.
SPOOL_BYTES = 1024 * 1024


def read_body(response: requests.Response, exchange: Exchange, deadline: float) -> None:
    """Read the body into the response, within the deadline and the bounds; a large one into a file, if so asked."""
    if exchange.spooled and response.ok and not response.is_redirect:
        _spool_body(response, exchange, deadline)
        return
    with response:
        body = b"".join(_body_pieces(response, exchange, deadline))
    response._content = body


def _spool_body(response: requests.Response, exchange: Exchange, deadline: float) -> None:
    # In the system's folder for temporary files, readable by nobody else, and gone with the process.
    file = SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115  # it lives as long as the response
    finalize(response, file.close)
    with response:
        for piece in _body_pieces(response, exchange, deadline):
            try:
                file.write(piece)
            except OSError as error:
                raise FatalSyncError(f"can't keep the answer for path {exchange.label}: {error.strerror}") from error
    file.seek(0)
    response.raw = file
    response._content_consumed = False  # type: ignore[attr-defined]


def _body_pieces(response: requests.Response, exchange: Exchange, deadline: float) -> Iterator[bytes]:
    """Give the body, decompressed, within the deadline and the bounds."""
    raw = response.raw
    size = wire_size = 0

    def from_the_wire() -> Iterator[bytes]:
        nonlocal wire_size
        for piece in raw.stream(WIRE_BYTES, decode_content=False):
            wire_size += len(piece)
            yield piece

    was_read = getattr(response, "_content_consumed", False)  # by what keeps answers, requests-cache for one
    if hasattr(raw, "stream") and not was_read:
        pieces = decompressed(from_the_wire(), response.headers.get("Content-Encoding", ""))
    else:  # an author's adapter may answer by itself
        pieces = response.iter_content(WIRE_BYTES)
    for piece in pieces:
        size += len(piece)
        if size > exchange.max_bytes:
            raise FatalAPIError(
                f"the answer for path {exchange.label} is over {exchange.max_bytes} bytes, decompressed; ask for "
                "smaller pages, read it in pieces (body_format), or raise max_response_bytes"
            )
        if size > _EXPANDED_BYTES and 0 < exchange.max_expansion * wire_size < size:
            raise FatalAPIError(
                f"the answer for path {exchange.label} is more than {exchange.max_expansion} times as large as what "
                "came over the wire, as if to fill the memory; if it really is so, raise max_expansion"
            )
        if monotonic() > deadline:
            raise exceptions.ReadTimeout
        yield piece
