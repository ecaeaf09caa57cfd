"""A folder on a disk as a place of objects: written beside and renamed, one writer at a time."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from singerkit.runner.store.base import StoreError
from singerkit.runner.store.durable import synchronize_folder
from singerkit.runner.store.places import Changed, Place

_LOCK = ".lock"


class Folder(Place):
    """A folder, made when it is missing; 0700, its files 0600.

    A lock of the system lets one process write at a time; a file system that has no such locks (some network file
    systems) is not for this. A file's version is the digest of what it holds.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._explained():
            path.mkdir(parents=True, exist_ok=True, mode=0o700)

    def read(self, name: str) -> tuple[bytes, object] | None:
        """Give a file's content and version."""
        with self._explained():
            try:
                content = (self._path / name).read_bytes()
            except FileNotFoundError:
                return None
        return content, _version(content)

    def write(self, name: str, content: bytes, version: object | None) -> None:
        """Write a file if it still has a version."""
        with self._explained(), self._locked():
            found = self.read(name)
            if (None if found is None else found[1]) != version:
                raise Changed
            self._put(self._path / name, content)

    def replace(self, name: str, content: bytes) -> None:
        """Write a file."""
        with self._explained(), self._locked():
            self._put(self._path / name, content)

    def delete(self, name: str) -> None:
        """Remove a file, if it is there."""
        with self._explained():
            (self._path / name).unlink(missing_ok=True)

    def names(self, folder: str) -> Iterator[str]:
        """Give the names of the files in a folder."""
        with self._explained():
            found = [entry for entry in self._entries(folder) if entry.is_file()]
        return (f"{folder}/{entry.name}" for entry in found)

    def folders(self, folder: str) -> list[str]:
        """Give the names of the folders in a folder."""
        with self._explained():
            return [f"{folder}/{entry.name}" for entry in self._entries(folder) if entry.is_dir()]

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self._path / folder) as entries:
                return [entry for entry in entries if not entry.name.startswith(".")]
        except FileNotFoundError:
            return []

    def _put(self, path: Path, content: bytes) -> None:
        """Replace a file: whatever happens meanwhile, it is as it was, or as it is to be."""
        self._make(path.parent)
        draft = path.with_name(".draft")  # one is enough: there is one writer, and the next one begins anew
        descriptor = os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        except OSError:
            with suppress(OSError):
                draft.unlink()
            raise
        finally:
            os.close(descriptor)
        draft.replace(path)
        synchronize_folder(path.parent)

    def _make(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._make(folder.parent)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        synchronize_folder(folder.parent)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self._path / _LOCK, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            file = f" ('{error.filename}')" if error.filename else ""
            raise StoreError(f"the state store in '{self._path}' can't be used: {error.strerror}{file}") from None


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
