"""A database through SQLAlchemy: how it is reached, and what it refuses, in words."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from singerkit.errors import (
    ConfigurationError,
    DataError,
    FatalSyncError,
    MissingExtraError,
    RetriableSyncError,
    SyncError,
)

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Dialect, Engine
    from sqlalchemy.sql import Executable

#: Rows that travel from the server at once.
FETCHED_ROWS = 1_000


class DatabaseAccess:
    """Reaches a database. One for a plugin; its connections are for one thread each.

    ``config`` is the plugin's; ``sqlalchemy_url`` wins over what the config says.
    """

    def __init__(self, config: Mapping[str, Any] | None = None, sqlalchemy_url: str | None = None) -> None:
        self._config = dict(config or {})
        self._sqlalchemy_url = sqlalchemy_url
        self.logger = logging.getLogger(f"singerkit.{type(self).__name__}")

    # What an author overrides

    def get_sqlalchemy_url(self, config: Mapping[str, Any]) -> str:
        """Give the database's URL; the setting ``sqlalchemy_url`` by default.

        Errors: ``ConfigurationError`` where the config does not say.
        """
        url = config.get("sqlalchemy_url")
        if not url:
            raise ConfigurationError("sqlalchemy_url: is required: the database's URL, as SQLAlchemy writes it")
        return str(url)

    def create_engine(self) -> Engine:
        """Make SQLAlchemy's engine; override it for arguments of your own."""
        import sqlalchemy

        dialect = sqlalchemy.make_url(self.sqlalchemy_url).get_dialect()
        # Numbers within JSON values keep their digits too.
        exact = {"json_deserializer": self.deserialize_json} if _has_json(dialect) else {}
        return sqlalchemy.create_engine(self.sqlalchemy_url, pool_pre_ping=True, **exact)

    def create_sqlalchemy_connection(self) -> Connection:
        """Open a connection; override it for options of your own."""
        return self._engine.connect()

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        with self.explained(), self.create_sqlalchemy_connection() as connection:
            yield connection

    def serialize_json(self, obj: object) -> str:
        """Write a value as JSON text."""
        from singerkit.records.json_text import json_text

        return json_text(obj)

    def deserialize_json(self, json_str: str | bytes) -> Any:
        """Read JSON text; numbers keep every digit."""
        return json.loads(json_str, parse_float=Decimal)

    # What an author reads

    @property
    def config(self) -> Mapping[str, Any]:
        """The plugin's config."""
        return self._config

    @cached_property
    def sqlalchemy_url(self) -> str:
        """The database's URL, with its password."""
        return str(self._sqlalchemy_url or self.get_sqlalchemy_url(self._config))

    @cached_property
    def _engine(self) -> Engine:
        try:
            import sqlalchemy
        except ImportError:
            raise MissingExtraError("this needs SQLAlchemy: pip install 'singerkit[sql]'") from None
        try:
            return self.create_engine()
        except sqlalchemy.exc.ArgumentError as error:
            raise ConfigurationError(f"sqlalchemy_url: {without_credentials(str(error))}") from None
        except ImportError as error:
            raise MissingExtraError(
                f"sqlalchemy_url: the driver '{error.name}' is not installed: install it, or name another one in the "
                "URL, as in postgresql+psycopg://"
            ) from None

    @property
    def engine(self) -> Engine:
        """SQLAlchemy's engine.

        Errors: ``MissingExtraError`` without SQLAlchemy or the URL's driver; ``ConfigurationError`` for a bad URL.
        """
        return self._engine

    @property
    def _dialect(self) -> Dialect:
        return self._engine.dialect

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Say what the database or its driver refuses, without statements and their values.

        Errors: ``DataError`` for a value or row, ``RetriableSyncError`` where the connection was lost,
        ``FatalSyncError`` for anything else.
        """
        import sqlalchemy

        try:
            yield
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise explanation(error) from error
        except OverflowError as error:
            raise DataError("an integer is too large for its column") from error

    def rows(self, statement: Executable, batch_rows: int = FETCHED_ROWS) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Give the rows of a query, so many at once, through a cursor that stays at the server.

        Errors: those of :meth:`explained`, also half way.
        """
        with self.explained(), self._connect() as connection:
            options = {"stream_results": True, "max_row_buffer": batch_rows}
            result = connection.execution_options(**options).execute(statement)
            names = list(result.keys())
            for part in result.partitions(batch_rows):
                yield [dict(zip(names, row, strict=True)) for row in part]

    def close(self) -> None:
        """Close every connection."""
        if "_engine" in self.__dict__:
            self._engine.dispose()


_CREDENTIALS = re.compile(r"://[^@/\s]*@")


def without_credentials(text: str) -> str:
    """Give a text with what stands before the host of its URLs masked."""
    return _CREDENTIALS.sub("://***@", text)


def explanation(error: Exception) -> SyncError:
    """Give our error for one of SQLAlchemy's; what the database says of a value may hold it, and is left out."""
    from sqlalchemy import exc

    original = getattr(error, "orig", None)
    if isinstance(error, exc.IntegrityError | exc.DataError):
        return DataError(f"the database refuses a row ({type(original).__name__})")
    if isinstance(error, exc.StatementError) and not isinstance(error, exc.DBAPIError):
        return DataError(f"a value has a type that its column does not take ({type(original).__name__})")
    first_line = str(original or error).strip().partition("\n")[0]
    kind = RetriableSyncError if getattr(error, "connection_invalidated", False) else FatalSyncError
    return kind(f"the database: {without_credentials(first_line)}")


def _has_json(dialect: type[Dialect]) -> bool:
    return hasattr(dialect, "_json_deserializer") or "json_deserializer" in dialect.__init__.__code__.co_varnames
