"""A database server: each piece of work is one transaction, and is done again where that is safe.

What every server does alike is here; what each does its own way is its
:class:`~singerkit.sql.dialect.Dialect`. A connection that is lost before the commit was sent costs nothing: the work
is done again on a new one. One that is lost while the commit is under way leaves open whether the work is stored; it
is done again only where that changes nothing, for rows that replace those with the same key. What the server itself
undid (a deadlock, a table that another program made at the same time) is always done again.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock
from typing import Any, TypeVar

from singerkit.errors import DataError, FatalSyncError, RetriableSyncError, SingerKitError
from singerkit.sql.dialect import Dialect
from singerkit.sql.names import marked, quoted, table_name
from singerkit.sql.server_table import ServerTable
from singerkit.sql.tables import Database, plain_name

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

#: Waits between tries, in seconds: a restart of the server fits in.
_WAITS_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class ServerDatabase(Database):
    """A server's database: a connection for each transaction under way, kept for the next."""

    def __init__(self, dialect: Dialect, schema: str | None) -> None:
        """Connect.

        Errors: ``ConfigurationError``, ``FatalSyncError`` or ``RetriableSyncError`` saying why that is not possible.
        """
        self.dialect = dialect
        self._lock = Lock()
        self._idle: list[Any] = []
        self._was_reached = False
        self._names: set[str] = set()
        self._unpublished: dict[str, str] = {}
        self.schema = self.run(lambda cursor: dialect.use_schema(cursor, schema))

    def run(self, work: Callable[[Any], _Result], *, repeatable: bool = True) -> _Result:
        """Do ``work(cursor)`` in one transaction; again on a new connection when one is lost.

        ``repeatable``: doing it twice has the same result.

        Errors: ``DataError`` for values that the server refuses, ``RetriableSyncError`` where it can't be reached,
        ``FatalSyncError`` for anything else.
        """
        for wait_s in (*_WAITS_S, None):
            connection = None
            committing = False
            try:
                connection = self._take()
                with connection.cursor() as cursor:
                    result = work(cursor)
                committing = True
                connection.commit()
            except Exception as error:  # noqa: BLE001 - is raised again, explained
                self._drop(connection)
                if wait_s is None or not self._may_do_again(
                    error, connected=connection is not None, repeatable=repeatable or not committing
                ):
                    explained = self._explained(error, committing=committing)
                    # A driver's error about a value holds it, and a trace would show it.
                    raise explained from (None if isinstance(explained, DataError) else error)
                logger.warning("The database broke off a transaction; trying again in about %g s", wait_s)
                # Two programs that deadlock must not meet again at the same moment.
                time.sleep(wait_s * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
            else:
                self._idle.append(connection)
                return result
        raise AssertionError("the last try returns or raises")

    def table(self, stream: str, *, overwrite: bool) -> ServerTable:
        """Give a stream's table."""
        limits = self.dialect.names
        with self._lock:
            found = self.run(lambda cursor: self.dialect.tables(cursor, self.schema))
            name = table_name(stream, {*self._names, *found}, limits)
            self._names.add(name)
            if not overwrite:
                return ServerTable(self.dialect, self.run, self.schema, name)
            beside = marked(f"_new_{name}", limits)
            self.run(lambda cursor: cursor.execute(f"DROP TABLE IF EXISTS {quoted(self.schema)}.{quoted(beside)}"))
            self._unpublished[beside] = name
            return ServerTable(self.dialect, self.run, self.schema, beside)

    def publish(self) -> None:
        """Put the new tables in the place of the old ones, all at once.

        Errors: ``FatalSyncError`` where one of them has gone.
        """
        tried = False

        def swap(cursor: Any) -> None:
            nonlocal tried
            missing = set(self._unpublished) - set(self.dialect.tables(cursor, self.schema))
            if tried and len(missing) == len(self._unpublished):
                return  # the try before did it, and its answer was lost
            if missing:
                name = self._unpublished[min(missing)]
                raise FatalSyncError(f"the new table for '{name}' has gone: did another run overwrite it too?")
            tried = True
            self.dialect.swap(cursor, self.schema, self._unpublished)

        if self._unpublished:
            self.run(swap)

    def query(self, cursor: Any, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute a statement."""
        return self.dialect.query(cursor, statement, values)

    def has_table(self, cursor: Any, name: str) -> bool:
        """Look it up."""
        return name in self.dialect.tables(cursor, self.schema)

    def qualified(self, name: str) -> str:
        """Give the quoted name with the schema's."""
        return f"{quoted(self.schema)}.{quoted(plain_name(name, self.dialect.names))}"

    def column_type(self, kind: str, *, is_key: bool = False) -> str:
        """Give the type of a new column."""
        return self.dialect.type_of_kind(kind, None, is_key=is_key)

    def close(self) -> None:
        """Close all connections."""
        while self._idle:
            with suppress(Exception):
                self._idle.pop().close()

    def _take(self) -> Any:
        with suppress(IndexError):
            return self._idle.pop()
        connection = self.dialect.connect()
        self._was_reached = True
        return connection

    def _drop(self, connection: Any) -> None:
        """Close a connection that had an error, which undoes what it did."""
        if connection is not None:
            with suppress(Exception):
                connection.close()
        # The others were opened to the same server, which may have gone away since.
        self.close()

    def _may_do_again(self, error: Exception, *, connected: bool, repeatable: bool) -> bool:
        if not connected:
            # What was never reached is told at once; what was may be restarting, and may say anything meanwhile.
            return self._was_reached
        return self.dialect.is_undone(error) or (repeatable and self.dialect.is_lost(error))

    def _explained(self, error: Exception, *, committing: bool) -> Exception:
        if isinstance(error, SingerKitError):
            return error
        if committing and self.dialect.is_lost(error):
            return RetriableSyncError(
                "the connection was lost while a batch was committed, so it may be stored or not; run again: records "
                "without key properties may then be there twice"
            )
        return self.dialect.explain(error) or error
