"""Places for small files that change by compare-and-set: what a store of objects asks of a bucket or a folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator


class Changed(Exception):
    """Somebody else has written a file since it was read, or it is there where it should not have been."""


class Place(ABC):
    """Holds files by name, ``folder/.../name``: letters, digits and ``._-=~``. For any thread.

    Errors: each method raises ``StoreError`` where the place can't be reached.
    """

    @abstractmethod
    def read(self, name: str) -> tuple[bytes, object] | None:
        """Give a file's content and its version, which :meth:`write` compares; ``None`` where there is no such file."""

    @abstractmethod
    def write(self, name: str, content: bytes, version: object | None) -> None:
        """Write a file, durably and as a whole, if it still has a version; ``None``: if there is none yet.

        Errors: ``Changed`` where it does not; nothing was written then, unless an answer was lost before.
        """

    @abstractmethod
    def replace(self, name: str, content: bytes) -> None:
        """Write a file, durably and as a whole, whatever was there."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove a file, if it is there."""

    @abstractmethod
    def names(self, folder: str) -> Iterator[str]:
        """Give the names of the files in a folder, not those of folders in it, in any order."""

    @abstractmethod
    def folders(self, folder: str) -> list[str]:
        """Give the names of the folders in a folder, in any order."""
