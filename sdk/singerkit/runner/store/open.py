"""From a URL to the store that it names; a store's module is imported when it is used."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from singerkit.errors import ConfigurationError

if TYPE_CHECKING:
    from singerkit.runner.store.base import StateStore

_FORMS = "sqlite:///state.db, postgresql://HOST/DATABASE, s3://BUCKET/PREFIX, gs://, az:// or file:///FOLDER"


def open_store(url: str) -> StateStore:
    """Open a store, and make it where there is none yet.

    ``url``: ``sqlite:///relative/state.db`` (as in SQLAlchemy; ``sqlite:////absolute/state.db``), ``postgresql://``,
    ``s3://``, ``gs://`` or ``az://BUCKET/PREFIX``, ``file:///absolute/folder``.

    Errors: ``ConfigurationError`` for a URL that is none of these; ``MissingExtraError`` where a package is
    missing that it needs; ``StoreError`` where it can't be used.
    """
    scheme = urlsplit(url).scheme if "://" in url else ""
    if scheme not in _STORES:
        raise ConfigurationError(_unknown(url, scheme))
    return _STORES[scheme](url)


def default_url(environ: Mapping[str, str] = os.environ) -> str:
    """Give the URL of the store where no project names one: a file in the user's folder for state."""
    home = environ.get("XDG_STATE_HOME") or ""
    folder = Path(home) if Path(home).is_absolute() else Path("~/.local/state").expanduser()
    return f"sqlite:///{folder / 'singerkit/state.db'}"


def _sqlite(url: str) -> StateStore:
    from singerkit.runner.store.sqlite import SQLiteStore

    parts = urlsplit(url)
    path = Path(unquote(parts.path.removeprefix("/")))
    if parts.netloc or parts.query or not path.name:
        raise ConfigurationError(
            f"'{url}' names no file: use sqlite:///state.db for one in this folder, or sqlite:////var/lib/x/state.db"
        )
    absolute = Path("/") / path
    if not path.is_absolute() and not path.parent.exists() and absolute.parent.is_dir():
        raise ConfigurationError(
            f"'{url}' names a file below this folder, where there is no '{path.parent}': for '{absolute}' say"
            f" sqlite:///{absolute}"
        )
    return SQLiteStore(path)


def _postgresql(url: str) -> StateStore:
    from singerkit.runner.store.postgresql import PostgreSQLStore

    return PostgreSQLStore(url)


def _folder(url: str) -> StateStore:
    from singerkit.runner.store.folder import Folder
    from singerkit.runner.store.objects import ObjectStore

    parts = urlsplit(url)
    path = Path(unquote(parts.path))
    if parts.netloc not in ("", "localhost") or parts.query or path == Path("/"):
        raise ConfigurationError(f"'{url}' names no folder: use file:///absolute/folder")
    return ObjectStore(Folder(path), f"'{path}'")


def _bucket(url: str) -> StateStore:
    from singerkit.runner.store.bucket import Bucket
    from singerkit.runner.store.objects import ObjectStore

    if not urlsplit(url).netloc:
        raise ConfigurationError(f"'{url.split('?')[0]}' names no bucket: use s3://BUCKET/PREFIX")
    return ObjectStore(Bucket(url), url.split("?")[0])


_STORES: Mapping[str, Callable[[str], StateStore]] = {
    "sqlite": _sqlite,
    "postgresql": _postgresql,
    "postgres": _postgresql,
    "file": _folder,
    "s3": _bucket,
    "gs": _bucket,
    "az": _bucket,
}


def _unknown(url: str, scheme: str) -> str:
    """Say what is wrong with a URL, without what may be a credential in it."""
    from singerkit.config.problems import suggestion  # only a mistake needs it

    if scheme:
        return f"'{scheme}://' is no state store{suggestion(scheme, list(_STORES))}; there are {_FORMS}"
    return f"the state store has to be a URL: {_FORMS}"
