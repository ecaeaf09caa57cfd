"""PostgreSQL, through psycopg: rows come by COPY, into a temporary table first where they replace others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from singerkit.errors import ConfigurationError, FatalSyncError, MissingExtraError, RetriableSyncError, SingerKitError
from singerkit.records.columns import Values
from singerkit.sql.delimited import Texts, delimited_rows
from singerkit.sql.dialect import Dialect, Layout, refusing_half_characters
from singerkit.sql.dialects import postgresql_types as types
from singerkit.sql.names import NameLimits, listed, quoted
from singerkit.sql.tables import RefusedRow

if TYPE_CHECKING:
    import psycopg

_STAGED = '"_singerkit_incoming"'
_OPTIONS = "-c timezone=UTC -c client_encoding=UTF8 -c datestyle=ISO"
#: A server that is gone without a word is noticed after a minute or so, not after hours.
_KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}
#: A restart of the server, and the codes with which it says why a transaction is undone: serialization failure,
#: deadlock, lock not available, and a table, column or schema that another program made just now.
_GONE = frozenset({"57P01", "57P02", "57P03"})
_UNDONE = frozenset({"40001", "40P01", "55P03", "42P07", "42701", "42P06"})
#: The context of an error in COPY: ``COPY table, line 3, column name: "the value"``, or without the column the row.
_PLACE = re.compile(r"COPY .+?, line \d+(?:, column (.+?))?: ", re.DOTALL)


class PostgreSQL(Dialect):
    """A PostgreSQL server, 12 or newer."""

    names: ClassVar[NameLimits] = NameLimits(longest=63)

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        """Take what libpq takes: ``host``, ``port``, ``user``, ``password``, ``dbname``, ``sslmode`` and the others.

        Errors: ``MissingExtraError`` without psycopg.
        """
        try:
            import psycopg
        except ImportError:
            raise MissingExtraError("target-postgres needs psycopg: pip install 'singerkit[postgres]'") from None
        self._psycopg = psycopg
        given = self._understood(parameters)
        options = f"{given.pop('options', '')} {_OPTIONS}".strip()
        self._parameters = {"application_name": "singerkit", "connect_timeout": 30, **_KEEPALIVES, **given}
        self._parameters["options"] = options

    def _understood(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Read what may be a URL; no error may show a part of one, as that can be the password's."""
        from psycopg.conninfo import conninfo_to_dict

        url = str(parameters.get("conninfo", "")).partition("?")[0]
        try:
            given = dict(conninfo_to_dict(**parameters))
        except self._psycopg.ProgrammingError:
            given = {}
        if not given or url.count("@") > 1 or (url and not str(given.get("port", 0)).replace(",", "").isdecimal()):
            raise ConfigurationError(
                "sqlalchemy_url: is not a URL of PostgreSQL: characters such as @ : / % and spaces in a user or "
                "password have to be percent-encoded"
            ) from None
        return given

    def connect(self) -> psycopg.Connection[Any]:
        """Open a connection."""
        try:
            connection = self._psycopg.connect(**self._parameters)
        except self._psycopg.OperationalError as error:
            _, answered, problem = str(error).rpartition("FATAL:")
            if not answered or self._is_starting():
                raise
            raise ConfigurationError(f"PostgreSQL refuses the connection: {problem.strip()}") from None
        connection.prepare_threshold = None  # its statements differ, or run once a batch: preparing gains nothing
        return connection

    def _is_starting(self) -> bool:
        """Ask whether the server takes no connections at all just now; a refusal's message does not say its code."""
        where = self._psycopg.conninfo.make_conninfo(**self._parameters)
        return bool(self._psycopg.pq.PGconn.ping(where.encode()) == self._psycopg.pq.Ping.REJECT)

    def explain(self, error: Exception) -> SingerKitError | None:
        """Give our error: the server's primary message holds no values, its detail may."""
        if not isinstance(error, self._psycopg.Error):
            return None
        problem = error.diag.message_primary or str(error).strip().partition("\n")[0]
        state = error.sqlstate or ""
        if error.sqlstate is None and not isinstance(error, self._psycopg.errors.DataError):
            return RetriableSyncError(f"PostgreSQL can't be reached: {problem}")
        if state == "42501":
            return FatalSyncError(f"PostgreSQL: {problem}; grant it to the user, or make the table beforehand")
        if state.startswith("22"):
            return RefusedRow(f"PostgreSQL refuses a value{_place(error)} ({state})", _column(error))
        if state.startswith("23"):
            return RefusedRow(f"PostgreSQL refuses a row{_place(error)}: {problem}", _column(error))
        if state == "P0001":  # its text is the trigger's, and may hold a value
            return RefusedRow(f"a trigger in PostgreSQL refuses a row ({state})")
        kind = RetriableSyncError if self.is_lost(error) else FatalSyncError
        return kind(f"PostgreSQL: {problem} ({state})")

    def is_lost(self, error: Exception) -> bool:
        """Tell whether the connection is gone."""
        if not isinstance(error, self._psycopg.Error):
            return False
        if error.sqlstate is None:
            return isinstance(error, self._psycopg.OperationalError | self._psycopg.InterfaceError)
        return error.sqlstate in _GONE or error.sqlstate.startswith("08")

    def is_undone(self, error: Exception) -> bool:
        """Tell whether another try may succeed; a name that is taken just now is known by an index of the server's."""
        if not isinstance(error, self._psycopg.Error):
            return False
        is_name_taken = error.sqlstate == "23505" and error.diag.schema_name == "pg_catalog"
        is_changed = error.sqlstate == "XX000" and "concurrently" in (error.diag.message_primary or "")
        return error.sqlstate in _UNDONE or is_name_taken or is_changed

    def use_schema(self, cursor: Any, name: str | None) -> str:
        """Give the schema that is named, or the first of the search path."""
        if not name:
            found = cursor.execute("SELECT current_schema()").fetchone()[0]
            if found is None:
                raise ConfigurationError("the user's search_path names no schema: set 'default_target_schema'")
            return str(found)
        if cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [name]).fetchone() is None:
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(name)}")
        return name

    def tables(self, cursor: Any, schema: str) -> Sequence[str]:
        """Give what has rows."""
        found = cursor.execute(
            "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE nspname = %s AND relkind IN ('r', 'v', 'm', 'p', 'f')",
            [schema],
        )
        return [name for (name,) in found]

    def layout(self, cursor: Any, schema: str, table: str) -> Layout:
        """Read the system catalogs."""
        found = cursor.execute(
            "SELECT attname, format_type(atttypid, atttypmod), attnotnull, "
            "  coalesce(attnum = ANY (SELECT unnest(conkey) FROM pg_constraint "
            "                         WHERE conrelid = attrelid AND contype = 'p'), false) "
            "FROM pg_attribute JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE nspname = %s AND relname = %s AND attnum > 0 AND NOT attisdropped AND attgenerated = '' "
            "ORDER BY attnum",
            [schema, table],
        ).fetchall()
        primary_key = tuple(name for name, _, _, is_key in found if is_key)
        required = frozenset(name for name, _, not_null, is_key in found if not_null and not is_key)
        return Layout({name: column_type for name, column_type, *_ in found}, primary_key, required)

    def type_of_kind(self, kind: str, scale: int | None, *, is_key: bool) -> str:
        """Give the type of a new column."""
        return types.type_of_kind(kind)

    def wider(self, existing: str, wanted: str) -> str:
        """Give the type that can hold what both can."""
        return types.wider(existing, wanted)

    def fitted(self, values: Values, column_type: str) -> tuple[Texts, str]:
        """Give the values as COPY reads them."""
        return types.fitted(values, column_type)

    def change_type(self, table: str, column: str, before: str, after: str) -> str:
        """Give the statement; each value stays what it was."""
        name = quoted(column)
        if after == types.JSONB:
            value = f"to_jsonb({name})"
        elif after == types.TEXT and before in (types.INSTANT, types.LOCAL):
            value = f"to_json({name}) #>> '{{}}'"  # ISO 8601 with its offset
        elif before == types.BOOLEAN and types.is_number(after):
            value = f"{name}::int::{after}"
        elif before == types.LOCAL:
            value = f"{name} AT TIME ZONE 'UTC'"
        elif before in (types.DOUBLE, "real"):
            value = f"{name}::text::{after}"  # the direct way keeps 15 digits only
        else:
            value = f"{name}::{after}"
        return f"ALTER TABLE {table} ALTER COLUMN {name} TYPE {after} USING {value}"

    def allow_null(self, table: str, column: str, column_type: str) -> str:
        """Give the statement."""
        return f"ALTER TABLE {table} ALTER COLUMN {quoted(column)} DROP NOT NULL"

    def drop_primary_key(self, cursor: Any, schema: str, table: str) -> None:
        """Drop the constraint, whatever it is called."""
        found = cursor.execute(
            "SELECT conname FROM pg_constraint WHERE contype = 'p' AND conrelid = "
            "(SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
            " WHERE nspname = %s AND relname = %s)",
            [schema, table],
        ).fetchall()
        for (name,) in found:
            cursor.execute(f"ALTER TABLE {quoted(schema)}.{quoted(table)} DROP CONSTRAINT {quoted(name)}")

    def stage(self, cursor: Any, table: str, columns: Sequence[str]) -> str:
        """Make the table for this transaction."""
        cursor.execute(
            f"CREATE TEMPORARY TABLE {_STAGED} ON COMMIT DROP AS SELECT {listed(columns)} FROM {table} WITH NO DATA"  # noqa: S608 - quoted
        )
        return _STAGED

    def unstage(self, cursor: Any, staged: str) -> None:
        """Drop it, as the transaction may go on with another."""
        cursor.execute(f"DROP TABLE {staged}")

    def fill(self, cursor: Any, table: str, columns: Sequence[str], texts: Sequence[Texts]) -> None:
        """Send rows by COPY."""
        with refusing_half_characters("PostgreSQL"):
            data = delimited_rows(texts).encode()
        with cursor.copy(f"COPY {table} ({listed(columns)}) FROM STDIN") as copy:
            copy.write(data)

    def merge(self, table: str, staged: str, columns: Sequence[str], keys: Sequence[str], *, unique: bool) -> list[str]:
        """Give one statement where the keys are the primary key, else two."""
        names = listed(columns)
        others = [name for name in columns if name not in keys]
        if unique:
            changes = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in others)
            action = f"UPDATE SET {changes}" if others else "NOTHING"
            return [
                # By another name, as a table may be called `excluded` too.
                f"INSERT INTO {table} AS stored ({names}) SELECT {names} FROM {staged} "  # noqa: S608 - quoted
                f"ON CONFLICT ({listed(keys)}) DO {action}"
            ]
        same_key = " AND ".join(f"t.{quoted(key)} = s.{quoted(key)}" for key in keys)
        changes = ", ".join(f"{quoted(name)} = s.{quoted(name)}" for name in others)
        update = [f"UPDATE {table} t SET {changes} FROM {staged} s WHERE {same_key}"] if others else []  # noqa: S608
        return [
            *update,
            f"INSERT INTO {table} ({names}) SELECT {names} FROM {staged} s "  # noqa: S608 - quoted
            f"WHERE NOT EXISTS (SELECT 1 FROM {table} t WHERE {same_key})",
        ]

    def swap(self, cursor: Any, schema: str, tables: Mapping[str, str]) -> None:
        """Drop and rename in one transaction."""
        for beside, name in tables.items():
            cursor.execute(f"DROP TABLE IF EXISTS {quoted(schema)}.{quoted(name)}")
            cursor.execute(f"ALTER TABLE {quoted(schema)}.{quoted(beside)} RENAME TO {quoted(name)}")


def _column(error: psycopg.Error) -> str | None:
    """Give the column that an error is about, where the server says it; COPY says it in a context with the value."""
    found = _PLACE.match(error.diag.context or "")
    return error.diag.column_name or (found[1] if found else None)


def _place(error: psycopg.Error) -> str:
    column = _column(error)
    return f" for column {column}" if column else ""
