"""Files of compressed bytes that only grow, by whole batches: each batch is a gzip member or zstd frame of its own.

So what was acknowledged can be read whatever becomes of the batches behind it. Where a killed run left the last one
half written, it is cut off when the file is opened; every byte is read for that. Sizes and offsets are those of the
decompressed bytes, so a :class:`CompressedFile` stands wherever an ``OutputFile`` does.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

from singerkit.connectors.output_files import OutputFile
from singerkit.errors import ConfigurationError
from singerkit.files.compression import NotCompressedError, as_member, member_pieces

logger = logging.getLogger(__name__)


class CompressedFile:
    """A file that is appended to, compressed with ``gzip`` or ``zstd``. One thread at a time.

    Errors: those of ``OutputFile``; ``ConfigurationError`` for a file that is compressed otherwise, or damaged.
    """

    def __init__(self, file: OutputFile, compression: str) -> None:
        """Cut off a batch that was not written to its end."""
        #: Bytes before they are compressed.
        self.size = 0
        self._file = file
        self._compression = compression
        self._tail = b""
        self._mend()
        if not file.size:
            self.append(b"")  # to other programs a file of no bytes is no compressed file

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._file.path

    def append(self, data: bytes) -> None:
        """Write at the end; when this returns it is on the disk, when it fails nothing is written."""
        self._file.append(b"".join(as_member([data], self._compression)))
        self._count(data)

    def cut(self, size: int) -> None:
        """Drop everything behind the first ``size`` bytes."""
        if size:
            self.replace(_first(self.chunks(), size))
        else:
            self._file.cut(0)
            self._begin_count()
            self.append(b"")

    def chunks(self, *, start: int = 0) -> Iterator[bytes]:
        """Give the bytes from an offset on, piece by piece."""
        for piece in member_pieces(self._file.chunks(), self._compression):
            if piece.data[start:]:
                yield piece.data[start:]
            start = max(0, start - len(piece.data))

    def tail(self) -> bytes:
        """Give what stands behind the last line feed."""
        return self._tail

    def replace(self, pieces: Iterator[bytes]) -> None:
        """Put new content in the place of the old, all at once: until it is complete on the disk, the old stands."""
        self._file.replace(as_member(self._counted(pieces), self._compression))

    def rename(self, name: str) -> None:
        """Give the file another name, in the place of whatever has that name now."""
        self._file.rename(name)

    def close(self) -> None:
        """Close it; it is locked no longer."""
        self._file.close()

    def _mend(self) -> None:
        whole = self.size, self._tail
        end = 0
        try:
            for piece in member_pieces(self._file.chunks(), self._compression):
                self._count(piece.data)
                if piece.member_end is not None:
                    whole, end = (self.size, self._tail), piece.member_end
        except NotCompressedError as problem:
            raise ConfigurationError(
                f"'{self.path}' can't be continued: from byte {problem.offset} on it is no whole {self._compression}; "
                f"move it away, or, to keep only what stands before, shorten it to {problem.offset} bytes"
            ) from None
        excess = self._file.size - end
        if excess:
            logger.warning("'%s': cut off the last %d bytes, a batch not written to its end", self.path, excess)
            self._file.cut(end)
        self.size, self._tail = whole

    def _begin_count(self) -> None:
        self.size, self._tail = 0, b""

    def _count(self, data: bytes) -> None:
        self.size += len(data)
        line_end = data.rfind(b"\n") + 1
        self._tail = data[line_end:] if line_end else self._tail + data

    def _counted(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        self._begin_count()
        for piece in pieces:
            self._count(piece)
            yield piece


def _first(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Give the first bytes of all."""
    for piece in pieces:
        yield piece[:size]
        size -= len(piece)
        if size <= 0:
            return
