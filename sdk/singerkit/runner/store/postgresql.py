"""A store in a schema of a PostgreSQL database, for any number of machines; leases compare the server's clock."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from singerkit.errors import ConfigurationError, MissingExtraError
from singerkit.runner.store.base import StoreAwayError, StoreError
from singerkit.runner.store.sql import TABLES, VERSION, Execute, SQLStore
from singerkit.telemetry.redact import redactor

try:
    import psycopg
    from psycopg import sql
except ImportError:
    raise MissingExtraError("a state store in PostgreSQL needs psycopg: pip install 'singerkit[postgres]'") from None

T = TypeVar("T")
_SCHEMA = "singerkit"
_LOCK_OF_MAKERS = 0x53474B54  # any number that others hardly use
#: What libpq is told where the URL does not say otherwise. A network that swallows everything must not hold a run up
#: for the quarter of an hour that TCP allows: it can't even be stopped meanwhile, and its lease ends.
_PATIENCE: dict[str, str | int] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
    "application_name": "singerkit",
}
_PASSING = re.compile(r"starting up|shutting down|recovery mode|too many|connection slots")


class PostgreSQLStore(SQLStore):
    """A store in a schema, which is made when it is missing. For any thread.

    ``url``: as libpq understands it; its parameter ``schema`` names the schema (``singerkit``). A connection that was
    lost is made anew once, and what was asked is asked again where that can do no harm.

    Errors: ``ConfigurationError`` for a URL that is none; ``StoreError``.
    """

    def __init__(self, url: str) -> None:
        self._conninfo, self._schema = _understood(url)
        self._place = _place_of(url)
        self._lock = threading.Lock()
        self._closed = False
        with self._explained():
            self._connection = self._connected()
            try:
                self._make_if_missing()
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._closed = True
            self._connection.close()

    def _read(self, work: Callable[[Execute], T]) -> T:
        return self._done(work, may_repeat=True)

    def _write(self, work: Callable[[Execute], T], *, may_repeat: bool = True) -> T:
        def durable(execute: Execute) -> T:
            execute(
                "SELECT set_config('synchronous_commit', 'on', true)"
                " WHERE current_setting('synchronous_commit') = 'off'"
            )
            return work(execute)

        return self._done(durable, may_repeat=may_repeat)

    def _now(self, execute: Execute) -> datetime:
        now: datetime = execute("SELECT clock_timestamp()")[0][0]
        return now.astimezone(UTC)

    def _done(self, work: Callable[[Execute], T], *, may_repeat: bool) -> T:
        with self._lock, self._explained():
            if self._closed:
                raise StoreError(f"the connection to {self._place} is closed")
            if self._connection.closed:
                self._connection = self._connected()
            try:
                with self._connection.transaction():
                    return work(self._execute)
            except psycopg.OperationalError:
                if not (may_repeat and self._connection.closed):
                    raise
            self._connection = self._connected()
            with self._connection.transaction():
                return work(self._execute)

    def _execute(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(_for_postgresql(statement, self._schema), values)
        return cursor.fetchall() if cursor.description else []

    def _connected(self) -> psycopg.Connection[Any]:
        # Autocommit: transactions are begun by name. No prepared statements: a pooler may be in between.
        return psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None)

    def _make_if_missing(self) -> None:
        with self._connection.transaction():
            version = self._version()
            if version is None:
                self._execute("SELECT pg_advisory_xact_lock(:number)", number=_LOCK_OF_MAKERS)
                version = self._version()
            if version is None:
                self._make()
            elif version > VERSION:
                raise StoreError(
                    f"the state store in {self._place} was made by a newer singerkit (version {version} of its tables,"
                    f" and this one knows {VERSION}): upgrade singerkit"
                )

    def _version(self) -> int | None:
        name = sql.Identifier(self._schema, "version").as_string()
        if self._execute("SELECT to_regclass(:name)", name=name)[0][0] is None:
            return None
        rows = self._execute("SELECT version FROM {schema}.version")
        if len(rows) != 1:
            raise StoreError(f"the state store in {self._place} is damaged: it does not say of which version it is")
        version: int = rows[0][0]
        return version

    def _make(self) -> None:
        """Make schema and tables, in one transaction; a table of these names that is there already is not ours."""
        if not self._execute("SELECT 1 FROM pg_namespace WHERE nspname = :name", name=self._schema):
            self._execute("CREATE SCHEMA {schema}")
        for statement in TABLES:
            self._execute(statement)
        self._execute("CREATE INDEX runs_newest ON {schema}.runs (started, id)")
        self._execute("CREATE TABLE {schema}.version (version BIGINT NOT NULL)")
        self._execute("INSERT INTO {schema}.version VALUES (:version)", version=VERSION)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say what the server says, without an address that may hold credentials.

        Errors: ``StoreError``.
        """
        try:
            yield
        except psycopg.errors.DuplicateTable as error:
            raise StoreError(
                f"schema '{self._schema}' in {self._place} holds tables of something else ({_first_line(error)}): name"
                " another by ?schema=NAME at the end of the URL"
            ) from None
        except psycopg.Error as error:
            kind = StoreAwayError if _is_away(error) else StoreError
            raise kind(f"the state store in {self._place} can't be used: {_first_line(error)}") from None


def _understood(url: str) -> tuple[str, str]:
    """Give what libpq is to get, and the schema."""
    parts = urlsplit(url)
    if parts.password:
        redactor.add([parts.password])
    parameters = parse_qsl(parts.query, keep_blank_values=True)
    schema = dict(parameters).get("schema") or _SCHEMA
    others = [(name, value) for name, value in parameters if name != "schema"]
    plain = urlunsplit(("postgresql", parts.netloc, parts.path, urlencode(others), ""))
    try:
        given = psycopg.conninfo.conninfo_to_dict(plain)
    except psycopg.ProgrammingError as error:
        raise ConfigurationError(f"the URL of the state store can't be understood: {_first_line(error)}") from None
    return psycopg.conninfo.make_conninfo("", **{**_PATIENCE, **given}), schema


def _place_of(url: str) -> str:
    parts = urlsplit(url)
    return f"PostgreSQL at {parts.netloc.rpartition('@')[2] or 'this machine'}{parts.path}"


@lru_cache(maxsize=64)
def _for_postgresql(statement: str, schema: str) -> Any:
    quoted = sql.Identifier(schema).as_string().replace("%", "%%")
    return sql.SQL(re.sub(r":(\w+)", r"%(\1)s", statement).format(schema=quoted, for_update="FOR UPDATE"))


def _is_away(error: psycopg.Error) -> bool:
    """Tell a server that does not answer, or has no room just now, from one that says what is wrong."""
    is_refused = "FATAL:" in str(error) and not _PASSING.search(str(error))
    return isinstance(error, psycopg.OperationalError) and not is_refused


def _first_line(error: Exception) -> str:
    lines = redactor.redact(str(error).strip()).splitlines()
    return lines[0] if lines else type(error).__name__
