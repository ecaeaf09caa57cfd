"""Decompressing an answer piece by piece: a bound on each piece, and none that broke off is taken for a whole one.

urllib3 does it too, but takes a gzip stream that ends in the middle for a complete one.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from importlib import import_module
from typing import Any, TypeAlias

#: Gives decompressed pieces for compressed ones.
Decompress: TypeAlias = Callable[[Iterable[bytes]], Iterator[bytes]]

#: The most that one piece holds, decompressed.
PIECE_BYTES = 256 * 1024
_DETECT_GZIP = zlib.MAX_WBITS | 16
_RAW_DEFLATE = -zlib.MAX_WBITS


class BrokenEncodingError(Exception):
    """The answer's bytes are not what its ``Content-Encoding`` says, or they end too early."""


def accepted_encodings() -> str:
    """Give the ``Accept-Encoding`` header: what :func:`decompressed` can undo here."""
    return ", ".join(name for name in ("gzip", "deflate", "br", "zstd") if _decompressor(name) is not None)


def decompressed(pieces: Iterable[bytes], content_encoding: str) -> Iterator[bytes]:
    """Undo a ``Content-Encoding`` (RFC 9110, section 8.4): the last one named was applied last.

    Errors: ``BrokenEncodingError``, also for an encoding that nobody asked for.
    """
    names = [name.strip().lower() for name in content_encoding.split(",")]
    for name in reversed([name for name in names if name not in {"", "identity"}]):
        decompress = _decompressor(name.removeprefix("x-"))
        if decompress is None:
            raise BrokenEncodingError(f"it is encoded as {name[:20]!r}, which was not asked for")
        pieces = decompress(pieces)
    yield from pieces


@lru_cache
def _decompressor(name: str) -> Decompress | None:
    if name == "gzip":
        return _gunzip
    if name == "deflate":
        return _inflate
    if name == "br":
        return _brotli_decompressor()
    return _zstd_decompressor() if name == "zstd" else None


def _gunzip(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress gzip (RFC 1952): one member, or several one after the other."""
    engine: Any = None
    members = 0
    for piece in pieces:
        data = piece
        while data:
            if engine is None:
                # Some servers pad the end with zeros or other bytes; only what looks like gzip is another member.
                if members and data[:1] != b"\x1f":
                    return
                engine = zlib.decompressobj(_DETECT_GZIP)
            yield from _fed(engine, data)
            data = engine.unused_data
            if engine.eof:
                engine, members = None, members + 1
    _check_complete(engine)


def _inflate(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress deflate: zlib's format (RFC 1950), or the bare one (RFC 1951) that many servers send instead."""
    engine: Any = None
    head = b""
    for piece in pieces:
        if engine is None:
            head += piece
            if len(head) < 2:
                continue
            is_zlib = head[0] & 0x0F == 8 and int.from_bytes(head[:2]) % 31 == 0
            engine = zlib.decompressobj(zlib.MAX_WBITS if is_zlib else _RAW_DEFLATE)
            piece = head  # what was kept, and this
        yield from _fed(engine, piece)
    _check_complete(engine if engine is not None or not head else zlib.decompressobj())


def _fed(engine: Any, data: bytes) -> Iterator[bytes]:
    """Give what ``data`` decompresses to, in bounded pieces."""
    try:
        while data and not engine.eof:
            yield engine.decompress(data, PIECE_BYTES)
            data = engine.unconsumed_tail
        while not engine.eof and (more := engine.decompress(b"", PIECE_BYTES)):
            yield more
    except zlib.error as error:
        raise BrokenEncodingError("its bytes are no such stream") from error


def _check_complete(engine: Any) -> None:
    if engine is not None and not engine.eof:
        raise BrokenEncodingError("it ends too early")


def _zstd_decompressor() -> Decompress | None:
    module = _first_of("compression.zstd", "backports.zstd")
    if module is None:
        return None

    def decompress(pieces: Iterable[bytes]) -> Iterator[bytes]:
        engine: Any = None
        for piece in pieces:
            data = piece
            while data:
                engine = engine or module.ZstdDecompressor()
                try:
                    yield engine.decompress(data, PIECE_BYTES)
                    while not engine.eof and not engine.needs_input:
                        yield engine.decompress(b"", PIECE_BYTES)
                except module.ZstdError as error:
                    raise BrokenEncodingError("its bytes are no such stream") from error
                data = engine.unused_data
                engine = None if engine.eof else engine
        _check_complete(engine)

    return decompress


def _brotli_decompressor() -> Decompress | None:
    module = _first_of("brotli")
    # Before 1.2 its output has no bound.
    if module is None or tuple(map(int, module.__version__.split(".")[:2])) < (1, 2):
        return None

    def decompress(pieces: Iterable[bytes]) -> Iterator[bytes]:
        engine: Any = None
        for piece in pieces:
            engine = engine or module.Decompressor()
            try:
                yield engine.process(piece, output_buffer_limit=PIECE_BYTES)
                while not engine.is_finished() and (more := engine.process(b"", output_buffer_limit=PIECE_BYTES)):
                    yield more
            except module.error as error:
                raise BrokenEncodingError("its bytes are no such stream") from error
        if engine is not None and not engine.is_finished():
            raise BrokenEncodingError("it ends too early")

    return decompress


def _first_of(*names: str) -> Any:
    for name in names:
        try:
            return import_module(name)
        except ImportError:
            continue
    return None
