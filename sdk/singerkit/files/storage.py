"""Places for files, local or in an object store: a file is there as a whole, or it is not there.

A file is written as a *draft*, which nobody takes for a file, and is *published* when it is complete: renamed and
synchronized to the disk, or uploaded. Names are relative to the place and are made by singerkit, never by a message;
all the same no symbolic link below the place is followed.
"""

from __future__ import annotations

import errno
import os
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from singerkit.errors import ConfigurationError, FatalSyncError, MissingExtraError

_UNFINISHED = ".incomplete"
#: An unfinished file that nobody has written to for so long was left by a run that was killed.
_ABANDONED_SECONDS = 24 * 3600
#: What such files are called: those of other programs stay.
_LEFT_BEHIND = re.compile(r"\..+-[0-9]{8}T[0-9]{6}Z-.+\.incomplete")
#: How a file's name begins that waits for its upload.
_UPLOAD = "singerkit-upload-"
_UPLOADS_LEFT = re.compile(_UPLOAD + r".+\.incomplete")
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
_OBJECT_SCHEMES = frozenset({"s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss"})
#: Options of the connection; the others are of the store.
_CONNECTION_OPTIONS = frozenset({"allow_http", "allow_invalid_certificates", "connect_timeout", "timeout", "proxy_url"})


class Draft(ABC):
    """A file that is being written. One thread at a time; it is closed between two calls.

    Errors: ``FatalSyncError`` for whatever the system or the store refuses, from any method.
    """

    @abstractmethod
    def write(self, data: Any) -> None:
        """Add bytes at the end."""

    @abstractmethod
    def publish(self) -> None:
        """Let it be a file; when this returns it is durable."""

    @abstractmethod
    def discard(self) -> None:
        """Remove it."""


class Storage(ABC):
    """A place for files. For any thread.

    Shape: a name is relative, its parts separated by ``/``.
    """

    @abstractmethod
    def draft(self, name: str) -> Draft:
        """Begin a file."""

    @abstractmethod
    def names(self) -> Iterator[str]:
        """Give the names of all files, those in folders too."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove a file."""


def open_storage(place: str, options: Mapping[str, Any] | None = None) -> Storage:
    """Open a folder (a path or ``file://``) or an object store (``s3://``, ``gs://``, ``az://``).

    ``options``: of the object store, such as ``endpoint``; credentials not among them come from the environment.

    Errors: ``ConfigurationError`` for another scheme; ``MissingExtraError`` without obstore.
    """
    if is_object_store(place):
        return ObjectStorage(open_store(place, options or {}), place.split("?")[0])
    return LocalStorage(local_path(place))


def is_object_store(place: str) -> bool:
    """Tell whether an address is one of an object store."""
    return "://" in place and urlsplit(place).scheme in _OBJECT_SCHEMES


def local_path(place: str) -> Path:
    """Give the path that a path or ``file://`` address names.

    Errors: ``ConfigurationError`` for an address of another kind.
    """
    if "://" not in place:
        return Path(place)
    address = urlsplit(place)
    if address.scheme != "file" or address.netloc not in ("", "localhost"):
        raise ConfigurationError(f"'{address.scheme}://' is no place for files: use a path, s3://, gs:// or az://")
    return Path(unquote(address.path))


def open_store(place: str, options: Mapping[str, Any], *, retry_config: Any = None) -> Any:
    """Give the obstore store of an address; ``retry_config`` is obstore's.

    Errors: ``MissingExtraError`` without obstore; ``ConfigurationError`` for options that it refuses.
    """
    try:
        from obstore.store import from_url  # an extra
    except ImportError:
        raise MissingExtraError("object stores need obstore: pip install 'singerkit[cloud]'") from None
    given = {name: value for name, value in options.items() if name not in _CONNECTION_OPTIONS}
    connection = {name: value for name, value in options.items() if name in _CONNECTION_OPTIONS}
    arguments: dict[str, Any] = {}
    if given:
        arguments["config"] = given
    if connection:
        arguments["client_options"] = connection
    if retry_config:
        arguments["retry_config"] = retry_config
    try:
        return from_url(place, **arguments)
    except Exception as problem:  # noqa: BLE001  # obstore's errors have no common class for this
        raise ConfigurationError(
            f"the object store can't be opened ({type(problem).__name__}): check its address and storage_options"
        ) from None


# -- folders -----------------------------------------------------------------------------------------------------------


class LocalStorage(Storage):
    """A folder; it is made with its first file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._swept: set[Path] = set()

    def draft(self, name: str) -> Draft:
        """Begin a file."""
        with explained(self.path / name):
            self.path.mkdir(parents=True, exist_ok=True)
            draft = _LocalDraft(self.path, name)
            self._sweep((self.path / name).parent)
            return draft

    def names(self) -> Iterator[str]:
        """Give the names of all files, those in folders too; hidden ones aside."""
        for folder, folders, files in os.walk(self.path, followlinks=False):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in files:
                if not name.startswith("."):
                    yield (Path(folder) / name).relative_to(self.path).as_posix()

    def delete(self, name: str) -> None:
        """Remove a file."""
        with explained(self.path / name), _folder_of(self.path, name) as (folder, base), suppress(FileNotFoundError):
            os.unlink(base, dir_fd=folder)

    def _sweep(self, folder: Path) -> None:
        """Remove what runs left in a folder that were killed, once."""
        if folder not in self._swept:
            self._swept.add(folder)
            _remove_abandoned(folder, _LEFT_BEHIND)


def _remove_abandoned(folder: Path, names: re.Pattern[str]) -> None:
    for path in folder.iterdir():
        if names.fullmatch(path.name):
            with suppress(FileNotFoundError, PermissionError):
                if path.lstat().st_mtime < time.time() - _ABANDONED_SECONDS:
                    path.unlink()


class _LocalDraft(Draft):
    """A hidden file beside its future place."""

    def __init__(self, root: Path, name: str) -> None:
        self._root = root
        self._name = name
        with self._folder(make=True) as (folder, base):
            _append(f".{base}{_UNFINISHED}", b"", folder=folder, flags=os.O_CREAT | os.O_EXCL)

    def write(self, data: Any) -> None:
        """Add bytes at the end."""
        with self._folder() as (folder, base):
            _append(f".{base}{_UNFINISHED}", data, folder=folder)

    def publish(self) -> None:
        """Rename it; when this returns it is on the disk."""
        with self._folder() as (folder, base):
            _append(f".{base}{_UNFINISHED}", b"", folder=folder, sync=True)
            os.rename(f".{base}{_UNFINISHED}", base, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)

    def discard(self) -> None:
        """Remove it."""
        with suppress(FatalSyncError, FileNotFoundError), self._folder() as (folder, base):
            os.unlink(f".{base}{_UNFINISHED}", dir_fd=folder)

    @contextmanager
    def _folder(self, *, make: bool = False) -> Iterator[tuple[int, str]]:
        with explained(self._root / self._name), _folder_of(self._root, self._name, make=make) as found:
            yield found


@contextmanager
def _folder_of(root: Path, name: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
    """Give the descriptor of the folder that a file is in, and what the file is called there."""
    *folders, base = name.split("/")
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in folders:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=descriptor)
                    os.fsync(descriptor)
            below = os.open(part, _FOLDER_FLAGS, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor, base
    finally:
        os.close(descriptor)


def _append(name: str, data: Any, *, folder: int | None = None, flags: int = 0, sync: bool = False) -> None:
    file = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o666, dir_fd=folder)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(file, rest) :]
        if sync:
            os.fsync(file)
    finally:
        os.close(file)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Say which file it is that the system refuses."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise FatalSyncError(f"'{path}' leads over a symbolic link or a file, which is not followed") from None
        raise FatalSyncError(f"'{path}' can't be written: {error.strerror}") from error


# -- object stores -----------------------------------------------------------------------------------------------------


class ObjectStorage(Storage):
    """An object store, as obstore opens it; a draft is a temporary file on this machine until it is uploaded."""

    def __init__(self, store: Any, place: str) -> None:
        self._store = store
        self._place = place
        import tempfile  # here, as a folder needs none

        self._folder = Path(tempfile.gettempdir())
        with explained(self._folder):
            _remove_abandoned(self._folder, _UPLOADS_LEFT)

    def draft(self, name: str) -> Draft:
        """Begin a file."""
        return _Upload(self._store, name, self._folder)

    def names(self) -> Iterator[str]:
        """Give the names of all files."""
        import obstore

        with answered("list"):
            for page in obstore.list(self._store):
                yield from (entry["path"] for entry in page)

    def delete(self, name: str) -> None:
        """Remove a file."""
        import obstore

        with answered("delete"), suppress(FileNotFoundError):
            obstore.delete(self._store, name)


class _Upload(Draft):
    """A temporary file, and where it goes."""

    def __init__(self, store: Any, name: str, folder: Path) -> None:
        self._store = store
        self._name = name
        import tempfile  # as above

        with explained(folder):
            descriptor, self._path = tempfile.mkstemp(prefix=_UPLOAD, suffix=_UNFINISHED, dir=folder)
            os.close(descriptor)

    def write(self, data: Any) -> None:
        """Add bytes at the end."""
        with explained(Path(self._path)):
            _append(self._path, data)

    def publish(self) -> None:
        """Upload it: other readers see all of it or nothing."""
        import obstore

        with answered("write"):
            obstore.put(self._store, self._name, Path(self._path))
        self.discard()

    def discard(self) -> None:
        """Remove the temporary file."""
        with suppress(OSError):
            Path(self._path).unlink()


_HINTS = {
    "FileNotFoundError": "check the bucket or container, and the name",
    "NotFoundError": "check the bucket or container, and the name",
    "PermissionDeniedError": "check the credentials, and what they allow",
    "UnauthenticatedError": "check the credentials",
}


@contextmanager
def answered(action: str) -> Iterator[None]:
    """Say what the store refuses, without addresses, which may hold credentials.

    Errors: ``FatalSyncError``.
    """
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError) as problem:
        kind = type(problem).__name__
        hint = _HINTS.get(kind, "check the address, the options of the store, and whether it can be reached")
        raise FatalSyncError(f"the object store refuses to {action} a file: {kind}; {hint}") from None
