"""An object store (S3, Google Cloud Storage, Azure) as a place of objects, by conditional requests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from singerkit.errors import ConfigurationError
from singerkit.files.storage import open_store
from singerkit.runner.store.base import StoreAwayError, StoreError
from singerkit.runner.store.places import Changed, Place
from singerkit.telemetry.redact import redactor

#: A store that does not answer is given up after this, and not after minutes: a run's lease would be lost meanwhile.
_RETRIES = {"max_retries": 5, "retry_timeout": timedelta(seconds=30)}
#: A status of HTTP by which a service says that asking again does not help: not one that has timed out, or is busy.
_REFUSED = re.compile(r"status code: 4(?!08|29)\d\d")
_SECRET_WORDS = ("key", "secret", "token", "password", "signature", "sas")


class Bucket(Place):
    """A bucket, or what has a prefix in it.

    ``url``: ``s3://bucket/prefix``, ``gs://...``, ``az://...``; options of the store after ``?``, such as ``endpoint``
    and ``region``. Credentials come from the environment alone.

    Errors: ``ConfigurationError`` for options that are none; ``MissingExtraError`` without obstore.
    """

    def __init__(self, url: str) -> None:
        options = dict(parse_qsl(urlsplit(url).query))
        if secret := next((name for name in options if any(word in name.lower() for word in _SECRET_WORDS)), None):
            redactor.add(options.values())
            raise ConfigurationError(
                f"the URL of the state store has '{secret}' in it: credentials belong into the environment"
            )
        self._place = url.split("?")[0]
        self._store = open_store(self._place, options, retry_config=_RETRIES)

    def read(self, name: str) -> tuple[bytes, object] | None:
        """Give a file's content and version."""
        import obstore

        with self._explained("read"):
            try:
                found = obstore.get(self._store, name)
                content = bytes(found.bytes())
            except FileNotFoundError:
                return None
        return content, _version(found.meta)

    def write(self, name: str, content: bytes, version: Any) -> None:
        """Write a file if it still has a version."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with self._explained("write"):
            try:
                obstore.put(self._store, name, content, mode="create" if version is None else version)
            except (AlreadyExistsError, PreconditionError, FileNotFoundError):
                raise Changed from None

    def replace(self, name: str, content: bytes) -> None:
        """Write a file."""
        import obstore

        with self._explained("write"):
            obstore.put(self._store, name, content)

    def delete(self, name: str) -> None:
        """Remove a file, if it is there."""
        import obstore

        with self._explained("delete"), suppress(FileNotFoundError):
            obstore.delete(self._store, name)

    def names(self, folder: str) -> Iterator[str]:
        """Give the names of the files in a folder."""
        import obstore

        with self._explained("list"):
            for page in obstore.list(self._store, folder):
                yield from (entry["path"] for entry in page if entry["path"].rpartition("/")[0] == folder)

    def folders(self, folder: str) -> list[str]:
        """Give the names of the folders in a folder."""
        import obstore

        with self._explained("list"):
            return list(obstore.list_with_delimiter(self._store, folder)["common_prefixes"])

    @contextmanager
    def _explained(self, action: str) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, OSError) as error:
            first_line = str(error).partition("\n")[0]
            kind = StoreAwayError if _is_away(error, first_line) else StoreError
            reason = redactor.redact(first_line)[:300]
            raise kind(f"the state store {self._place} can't {action}: {type(error).__name__}: {reason}") from None


def _is_away(error: Exception, first_line: str) -> bool:
    """Tell a service that does not answer, or fails by itself, from one that says what is wrong."""
    from obstore.exceptions import GenericError

    return isinstance(error, (GenericError, OSError)) and not _REFUSED.search(first_line)


def _version(meta: Any) -> dict[str, str]:
    """Give what a conditional request compares: the entity tag, and the version where the store has one."""
    return {name: meta[name] for name in ("e_tag", "version") if meta.get(name)}
