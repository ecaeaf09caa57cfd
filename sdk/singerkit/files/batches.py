"""The files that BATCH messages name: found below one configured root only, and read as JSON lines.

A manifest is data from outside. It can name nothing but files below the root: an address of another scheme, host or
folder, ``..`` in any spelling, a symbolic link on the way, or what is not a plain file, is refused.

Source: the BATCH message of singer-sdk ("Batch messages"): ``encoding`` with ``format`` and ``compression``, and
``manifest``, a list of addresses.
"""

from __future__ import annotations

import io
import os
import stat
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO
from urllib.parse import quote, unquote, urlsplit

from singerkit.errors import ConfigurationError, DataError, FatalSyncError, InvalidInputLine, MissingExtraError
from singerkit.files.arrow_marks import restoring
from singerkit.files.compression import COMPRESSIONS, NONE, decompressed, ending_of
from singerkit.files.storage import answered, is_object_store, local_path, open_store
from singerkit.records.json_text import json_lines

JSONL, PARQUET, ARROW = "jsonl", "parquet", "arrow"
_FORMATS = (JSONL, PARQUET, ARROW)
_BLOCK_BYTES = 256 * 1024
_ROWS = 5_000
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
_FILE_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


@dataclass(frozen=True)
class BatchEncoding:
    """How the files of a batch are written: ``format`` and ``compression``, as in the message."""

    format: str = JSONL
    compression: str = NONE

    @classmethod
    def of(cls, members: Any) -> BatchEncoding:
        """Read the ``encoding`` of a message or a config.

        Errors: ``ValueError`` that says what is wrong with it.
        """
        members = {} if members is None else members
        if not isinstance(members, Mapping):
            raise ValueError("its encoding is no object")
        found = cls(members.get("format") or JSONL, members.get("compression") or NONE)
        if found.format not in _FORMATS:
            raise ValueError(f"its files have a format other than {', '.join(_FORMATS)}")
        if found.compression not in COMPRESSIONS:
            raise ValueError(f"its files have a compression other than {', '.join(COMPRESSIONS)}")
        return found

    def to_dict(self) -> dict[str, str]:
        """Give it as a message has it."""
        return {"format": self.format, "compression": self.compression}

    @property
    def ending(self) -> str:
        """What a file's name ends with."""
        return f".{self.format}{ending_of(self.file_compression)}"

    @property
    def file_compression(self) -> str:
        """How the file is compressed as a whole; a Parquet file compresses its columns, and says itself how."""
        return NONE if self.format == PARQUET else self.compression


# -- where files may be ------------------------------------------------------------------------------------------------


class BatchRoot(ABC):
    """The place below which batch files may be."""

    @abstractmethod
    def name_of(self, address: str) -> str:
        """Give the name below the root that a manifest's address has.

        Errors: ``ValueError`` that says why it has none; it does not quote the address.
        """

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """Open a file to read.

        Errors: ``FatalSyncError``.
        """

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove a file.

        Errors: ``FatalSyncError``.
        """


def open_root(place: str, options: Mapping[str, Any] | None = None) -> BatchRoot:
    """Open the root: a folder (a path or ``file://``) or an object store."""
    if is_object_store(place):
        return _ObjectRoot(open_store(place, options or {}), place)
    return _LocalRoot(local_path(place))


class _LocalRoot(BatchRoot):
    def __init__(self, path: Path) -> None:
        if not path.is_absolute():
            raise ConfigurationError("batch_root: has to be an absolute path, or an address of an object store")
        self._path = path
        # The root itself may be reached over links, as its owner has configured it.
        self._prefixes = {PurePosixPath(os.path.normpath(path)), PurePosixPath(os.path.realpath(path))}

    def name_of(self, address: str) -> str:
        parts = urlsplit(address)
        if parts.scheme != "file":
            raise ValueError("it is no file:// address")
        if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
            raise ValueError("it is an address with a host, a query or a fragment")
        text = unquote(parts.path)
        _refuse_odd(text)
        path = PurePosixPath(text)
        for prefix in self._prefixes:
            if path.is_relative_to(prefix) and path != prefix:
                return path.relative_to(prefix).as_posix()
        raise ValueError("it is not below batch_root")

    def open(self, name: str) -> BinaryIO:
        with self._folder(name) as (folder, base):
            file = os.open(base, _FILE_FLAGS, dir_fd=folder)
            if not stat.S_ISREG(os.fstat(file).st_mode):
                os.close(file)
                raise FatalSyncError(f"the batch file '{name}' is not a plain file")
            return os.fdopen(file, "rb")

    def delete(self, name: str) -> None:
        with self._folder(name) as (folder, base), suppress(FileNotFoundError):
            os.unlink(base, dir_fd=folder)

    @contextmanager
    def _folder(self, name: str) -> Iterator[tuple[int, str]]:
        """Open the folder that a file is in, part by part, without following a link."""
        *folders, base = name.split("/")
        opened: list[int] = []
        try:
            opened.append(os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            for part in folders:
                opened.append(os.open(part, _FOLDER_FLAGS, dir_fd=opened[-1]))
            yield opened[-1], base
        except OSError as problem:
            reason = "leads over a symbolic link or no folder" if _is_link(problem) else str(problem.strerror).lower()
            raise FatalSyncError(f"the batch file '{name}' can't be used: {reason}") from None
        finally:
            for descriptor in opened:
                os.close(descriptor)


class _ObjectRoot(BatchRoot):
    def __init__(self, store: Any, place: str) -> None:
        self._store = store
        self._prefix = place.split("?")[0].rstrip("/") + "/"

    def name_of(self, address: str) -> str:
        if not address.startswith(self._prefix):
            raise ValueError("it is not below batch_root")
        name = address[len(self._prefix) :]
        _refuse_odd(name)
        _refuse_odd(unquote(name))
        if not name:
            raise ValueError("it is batch_root itself")
        return name

    def open(self, name: str) -> BinaryIO:
        import obstore

        with answered("read"):
            pieces = iter(obstore.get(self._store, name).stream())
        return io.BufferedReader(_Pieces(pieces), _BLOCK_BYTES)

    def delete(self, name: str) -> None:
        import obstore

        with answered("delete"), suppress(FileNotFoundError):
            obstore.delete(self._store, name)


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a file."""

    def __init__(self, pieces: Iterator[Any]) -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with answered("read"):
            while not self._rest:
                piece = next(self._pieces, None)
                if piece is None:
                    return 0
                self._rest = memoryview(bytes(piece))
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def _refuse_odd(path: str) -> None:
    if "\0" in path or "\\" in path or any(part in (".", "..") for part in path.split("/")):
        raise ValueError("it is a path with '.', '..', a backslash or a NUL in it")


def _is_link(problem: OSError) -> bool:
    import errno

    return problem.errno in (errno.ELOOP, errno.ENOTDIR)


def address_of(place: str, name: str) -> str:
    """Give the address of a file below a root, as a manifest names it."""
    if is_object_store(place):
        return place.split("?")[0].rstrip("/") + "/" + name
    return "file://" + quote(f"{local_path(place).absolute()}/{name}")


# -- what is in them ---------------------------------------------------------------------------------------------------


def record_texts(file: BinaryIO, encoding: BatchEncoding) -> Iterator[bytes]:
    """Give the records of a file, as blocks of JSON lines; a block may end within a line.

    Errors: ``InvalidInputLine`` for a file that is not what the encoding says; ``DataError`` for a value that JSON
    can't say.
    """
    try:
        with decompressed(file, encoding.file_compression) as plain:
            yield from _READERS[encoding.format](plain)
    except (EOFError, zlib.error) as problem:
        raise InvalidInputLine(f"it is not whole, or not {encoding.compression} ({type(problem).__name__})") from None


def _json_lines(file: BinaryIO) -> Iterator[bytes]:
    try:
        while block := file.read(_BLOCK_BYTES):
            yield block
    except Exception as problem:
        if type(problem).__name__ in ("ZstdError", "BadGzipFile"):  # of modules that may not be there
            raise InvalidInputLine("it is not compressed as the message says") from None
        raise


def _parquet(file: BinaryIO) -> Iterator[bytes]:
    arrow = _arrow()
    from pyarrow import parquet

    with _readable(arrow, "Parquet"), _seekable(file) as whole:
        for batch in parquet.ParquetFile(whole).iter_batches(batch_size=_ROWS):
            yield _lines_of(arrow, batch)


def _arrow_stream(file: BinaryIO) -> Iterator[bytes]:
    arrow = _arrow()
    from pyarrow import ipc

    with _readable(arrow, "an Arrow stream"):
        for batch in ipc.open_stream(file):
            for start in range(0, batch.num_rows, _ROWS):
                yield _lines_of(arrow, batch.slice(start, _ROWS))


@contextmanager
def _seekable(file: BinaryIO) -> Iterator[BinaryIO]:
    """Give a file that can be read from any place, as Parquet files are; of what comes over a network, a copy."""
    if file.seekable():
        yield file
        return
    import shutil
    import tempfile

    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(file, copy)
        copy.seek(0)
        yield copy


@contextmanager
def _readable(arrow: Any, what: str) -> Iterator[None]:
    try:
        yield
    except (arrow.ArrowException, OSError, ValueError) as problem:
        raise InvalidInputLine(f"it can't be read as {what} ({type(problem).__name__})") from None


def _lines_of(arrow: Any, batch: Any) -> bytes:
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if not _is_finite(arrow, column):
            raise DataError(f"the column '{field.name}' holds NaN or an infinity, which JSON can't say")
    restore = restoring(batch.schema)
    rows = batch.to_pylist()
    return json_lines(rows if restore is None else list(map(restore, rows)))


def _is_finite(arrow: Any, column: Any) -> bool:
    """Tell whether all numbers of a column, those inside of structs and lists too, are ones that JSON can say."""
    from pyarrow import compute

    if arrow.types.is_floating(column.type):
        return compute.all(compute.is_finite(column)).as_py() in (True, None)
    if arrow.types.is_struct(column.type):
        return all(_is_finite(arrow, member) for member in column.flatten())
    if arrow.types.is_list(column.type) or arrow.types.is_large_list(column.type):
        return _is_finite(arrow, column.flatten())
    return True


def _arrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise MissingExtraError("Parquet and Arrow files need pyarrow: pip install 'singerkit[arrow]'") from None
    return pyarrow


_READERS: Mapping[str, Callable[[BinaryIO], Iterator[bytes]]] = {
    JSONL: _json_lines,
    PARQUET: _parquet,
    ARROW: _arrow_stream,
}
