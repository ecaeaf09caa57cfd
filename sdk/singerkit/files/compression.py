"""gzip and zstd: bytes on their way into a file, and out of one.

Both forms may be strung together: a file is one *member* after another (zstd calls them frames), each readable by
itself. So what is added as a member of its own leaves the ones before it as they are, whatever becomes of it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, BinaryIO, NamedTuple

from singerkit.errors import MissingExtraError

NONE, GZIP, ZSTD = "none", "gzip", "zstd"
COMPRESSIONS = (NONE, GZIP, ZSTD)
#: Small, as it may be a thousand times as long when it is decompressed.
_STEP_BYTES = 16 * 1024
_GZIP_FORM = zlib.MAX_WBITS | 16


class Codec(NamedTuple):
    """Makes one member: bytes that are given, to bytes of the file; ``flush`` gives the last ones."""

    compress: Callable[[bytes], bytes]
    flush: Callable[[], bytes]


def ending_of(compression: str) -> str:
    """Give what the name of such a file ends with."""
    return {GZIP: ".gz", ZSTD: ".zst"}.get(compression, "")


def codec_of(compression: str) -> Codec:
    """Give what makes one member; without compression bytes stay as they are.

    Errors: ``MissingExtraError``.
    """
    if compression == NONE:
        return Codec(lambda data: data, lambda: b"")
    made = zstd_module().ZstdCompressor() if compression == ZSTD else zlib.compressobj(6, zlib.DEFLATED, _GZIP_FORM)
    return Codec(made.compress, made.flush)


def member_codec_of(compression: str) -> Codec:
    """Give what makes a member of everything that it is given at once, so that it keeps nothing in between."""
    return Codec(lambda data: b"".join(as_member([data], compression)), lambda: b"")


def as_member(pieces: Iterable[bytes], compression: str) -> Iterator[bytes]:
    """Give one member that holds all the pieces."""
    codec = codec_of(compression)
    for piece in pieces:
        yield codec.compress(piece)
    yield codec.flush()


def decompressed(file: BinaryIO, compression: str) -> Any:
    """Give a file that reads what is in another one."""
    if compression == GZIP:
        import gzip  # here, as most targets read no files

        return gzip.GzipFile(fileobj=file)
    return zstd_module().ZstdFile(file) if compression == ZSTD else file


class MemberPiece(NamedTuple):
    """Decompressed bytes; ``member_end``: where the file's member ends whose last piece this is, else None."""

    data: bytes
    member_end: int | None


class NotCompressedError(ValueError):
    """Bytes that are not of the form they should have; ``offset``: where the member begins that can't be read."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"no member at byte {offset}")
        self.offset = offset


def member_pieces(chunks: Iterable[bytes], compression: str) -> Iterator[MemberPiece]:
    """Decompress a file; the last member may lack its end.

    Errors: ``NotCompressedError``, whatever is wrong with the bytes; ``MissingExtraError``.
    """
    begin, errors = _decompressor(compression)
    decompressor: Any = None
    start = offset = 0
    for chunk in chunks:
        for first in range(0, len(chunk), _STEP_BYTES):
            rest = chunk[first : first + _STEP_BYTES]
            while rest:
                decompressor = decompressor or begin()
                try:
                    data = decompressor.decompress(rest)
                except errors:
                    raise NotCompressedError(start) from None
                ended = decompressor.eof
                offset += len(rest)
                rest = decompressor.unused_data if ended else b""
                offset -= len(rest)
                yield MemberPiece(data, offset if ended else None)
                if ended:
                    decompressor, start = None, offset


def _decompressor(compression: str) -> tuple[Callable[[], Any], Any]:
    if compression == GZIP:
        return (lambda: zlib.decompressobj(_GZIP_FORM)), zlib.error
    zstd = zstd_module()
    return zstd.ZstdDecompressor, zstd.ZstdError


def zstd_module() -> Any:
    """Give the module that reads and writes zstd.

    Errors: ``MissingExtraError``.
    """
    from importlib import import_module

    for name in ("compression.zstd", "backports.zstd"):
        with suppress(ImportError):
            return import_module(name)
    raise MissingExtraError("zstd needs a package before Python 3.14: pip install 'singerkit[compression]'")
