"""Files that only grow, by whole batches: after a crash or a full disk no half of one stands for a whole.

An append returns when the bytes are on the disk; one that fails is undone. A file is opened below its folder without
following links, and is locked while it is written, so that no second run mends what the first is writing.

There may be more files than a process may have open. Those that have waited longest are closed; one that is needed
again is opened and locked again, and has to be as it was left.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import stat
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from singerkit.errors import ConfigurationError, FatalSyncError

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_CHUNK_BYTES = 1024 * 1024
_MOST_OPEN = 512


class OutputFolder:
    """A folder for files that are appended to; it is made if it is not there. For any thread.

    Errors: those of ``OutputFile``.
    """

    def __init__(self, path: Path, *, most_open: int | None = None) -> None:
        """Open the folder; ``most_open``: how many files wait open for more, half of the descriptors by default."""
        self.path = path
        self._most_open = _half_of_the_descriptors() if most_open is None else most_open
        self._lock = Lock()
        #: Files that are open and not in use; the one that was used last is at the end.
        self._waiting: OrderedDict[OutputFile, None] = OrderedDict()
        with _explained(path):
            path.mkdir(parents=True, exist_ok=True)
            self.descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def take(self, file: OutputFile) -> None:
        """Note that a file is in use, or closed: it is not to be closed for others."""
        with self._lock:
            self._waiting.pop(file, None)

    def put(self, file: OutputFile) -> None:
        """Note that an open file is not in use, and close what is too much."""
        with self._lock:
            self._waiting[file] = None
            while len(self._waiting) > self._most_open:
                self._waiting.popitem(last=False)[0].rest()

    def close(self) -> None:
        """Close it."""
        os.close(self.descriptor)


def _half_of_the_descriptors() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_OPEN if soft == resource.RLIM_INFINITY else min(_MOST_OPEN, soft // 2)


class OutputFile:
    """A file that is appended to; it is made if it is not there. One thread at a time.

    Errors: ``ConfigurationError`` when the name leads to something that is not a plain file; ``FatalSyncError`` for
    everything that the system refuses, from any method.
    """

    def __init__(self, folder: OutputFolder, name: str) -> None:
        self.path = folder.path / name
        self._name = name
        self._folder = folder
        self._file: int | None = None
        self._uses = 0
        #: What the file was when it was closed for others.
        self._left: os.stat_result | None = None
        with self._opened():
            os.fsync(folder.descriptor)

    @property
    def size(self) -> int:
        """Bytes in the file."""
        with self._opened() as file:
            return os.fstat(file).st_size

    def append(self, data: bytes) -> None:
        """Write at the end; when this returns it is on the disk, when it fails nothing is written."""
        with self._opened() as file:
            before = self.size
            try:
                _write_all(file, data)
                os.fsync(file)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(file, before)
                raise

    def cut(self, size: int) -> None:
        """Drop everything behind the first ``size`` bytes."""
        with self._opened() as file:
            os.ftruncate(file, size)
            os.fsync(file)

    def chunks(self, *, start: int = 0) -> Iterator[bytes]:
        """Give the file's bytes from an offset on, piece by piece."""
        with self._opened() as file:
            while data := os.pread(file, _CHUNK_BYTES, start):
                yield data
                start += len(data)

    def tail(self) -> bytes:
        """Give what stands behind the last line feed."""
        found: list[bytes] = []
        with self._opened() as file:
            end = self.size
            while end:
                start = max(0, end - _CHUNK_BYTES)
                data = os.pread(file, end - start, start)
                found.append(data[data.rfind(b"\n") + 1 :])
                if b"\n" in data:
                    break
                end = start
        return b"".join(reversed(found))

    def replace(self, pieces: Iterator[bytes]) -> None:
        """Put new content in the place of the old, all at once: until it is complete on the disk, the old stands."""
        with self._opened() as old:
            new = self._written_beside(pieces, stat.S_IMODE(os.fstat(old).st_mode))
            self._file = new
            os.close(old)

    def rename(self, name: str) -> None:
        """Give the file another name, in the place of whatever has that name now."""
        folder = self._folder.descriptor
        with self._opened():
            os.rename(self._name, name, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)
            self.path = self.path.with_name(name)
            self._name = name

    def rest(self) -> None:
        """Close it until it is needed again; it is not locked in the meantime."""
        if self._file is not None:
            self._left = os.fstat(self._file)
            os.close(self._file)
            self._file = None

    def close(self) -> None:
        """Close it; it is locked no longer."""
        self._folder.take(self)
        self.rest()

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """Let it be open, and stay so, and say which file it is that the system refuses."""
        with _explained(self.path):
            if not self._uses:
                self._folder.take(self)
            self._uses += 1
            try:
                if self._file is None:
                    self._file = self._open()
                yield self._file
            finally:
                self._uses -= 1
                if not self._uses and self._file is not None:
                    self._folder.put(self)

    def _written_beside(self, pieces: Iterator[bytes], mode: int) -> int:
        """Write a new file that takes the place of this one, and give it, open and locked."""
        beside = f".{self._name}.new"
        folder = self._folder.descriptor
        with suppress(FileNotFoundError):
            os.unlink(beside, dir_fd=folder)
        file = os.open(beside, _FLAGS | os.O_CREAT | os.O_EXCL, mode, dir_fd=folder)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for piece in pieces:
                _write_all(file, piece)
            os.fsync(file)
            os.rename(beside, self._name, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)
        except BaseException:
            os.close(file)
            with suppress(OSError):
                os.unlink(beside, dir_fd=folder)
            raise
        return file

    def _open(self) -> int:
        # One that was there has to be there still: a new one in its place would lack what this run wrote.
        create = os.O_CREAT if self._left is None else 0
        while True:
            file = os.open(self._name, _FLAGS | create, 0o666, dir_fd=self._folder.descriptor)
            try:
                if not stat.S_ISREG(os.fstat(file).st_mode):
                    raise ConfigurationError(f"'{self.path}' is not a plain file")
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_current(file):
                    self._check_untouched(file)
                    return file
            except BaseException:
                os.close(file)
                raise
            os.close(file)  # another run has put a new file in its place in the meantime

    def _check_untouched(self, file: int) -> None:
        left, found = self._left, os.fstat(file)
        if left is not None and not (os.path.samestat(left, found) and left.st_size == found.st_size):
            raise FatalSyncError(f"another program has written to '{self.path}' during the run: let only one do so")

    def _is_current(self, file: int) -> bool:
        with suppress(FileNotFoundError):
            found = os.stat(self._name, dir_fd=self._folder.descriptor, follow_symlinks=False)
            return os.path.samestat(found, os.fstat(file))
        return False


def _write_all(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Say which file it is that the system refuses."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ConfigurationError(f"'{path}' is a symbolic link, which is not followed: remove it") from None
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES) and isinstance(error, BlockingIOError):
            raise FatalSyncError(f"'{path}' is being written by another program: wait for it to end") from None
        raise FatalSyncError(f"'{path}' can't be written: {error.strerror}") from error
