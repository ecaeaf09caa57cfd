"""MariaDB and MySQL, through PyMySQL: rows come by LOAD DATA LOCAL where the server allows it, else by INSERT.

LOAD DATA LOCAL turns what is wrong with a row into a warning and goes on; so the warnings are asked for, and any is an
error. A change to a table commits by itself, so tables change before a batch's transaction, never in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from singerkit.errors import ConfigurationError, FatalSyncError, MissingExtraError, RetriableSyncError, SingerKitError
from singerkit.records.columns import Values
from singerkit.sql.delimited import Texts, delimited_rows
from singerkit.sql.dialect import Dialect, Layout, refusing_half_characters
from singerkit.sql.dialects import mysql_types as types
from singerkit.sql.memory_files import in_memory
from singerkit.sql.names import NameLimits, listed, marked, quoted
from singerkit.sql.tables import RefusedRow

if TYPE_CHECKING:
    import pymysql

_STAGED = '"_singerkit_incoming"'
_MODE = "ANSI_QUOTES,STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
#: Numbers of errors. Source: MariaDB's documentation, "MariaDB Error Code Reference".
_GONE = frozenset({1053, 1152, 1158, 1159, 1160, 1161, 1927, 2006, 2013, 2055})
#: A deadlock, a lock that was waited for too long, a row or table that changed meanwhile, a statement that was stopped,
#: a table or column that another program made just now.
_UNDONE = frozenset({1020, 1205, 1213, 1317, 1412, 1684, 1050, 1060, 1007})
#: Too many connections.
_BUSY = frozenset({1040, 1203})
_LOCAL_REFUSED = frozenset({1148, 3948, 4166})
_DENIED = frozenset({1044, 1045, 1049, 1698})
_FORBIDDEN = frozenset({1044, 1142, 1143, 1227})
_VALUE = frozenset({1264, 1265, 1292, 1366, 1406, 1411, 1690, 3140})
_ROW = frozenset({1048, 1062, 1364, 1452, 1586, 1644, 3819, 4025})
#: The end of what the server says of a value: ``... for column `table`.`name` at row 3``. The value stands before it.
_COLUMN = re.compile(r".*\b[Cc]olumn (?:`.*`\.)?[`'](.+)['`](?: at row \d+| cannot be null)$", re.DOTALL)
_TOO_MANY_COLUMNS, _NOT_MADE, _BY_COLUMNS, _ROW_TOO_LARGE = 1117, 1005, "errno: 185", 1118
#: Rows of one INSERT where LOAD DATA is not allowed.
_INSERTED_ROWS = 500


class MySQL(Dialect):
    """A MariaDB 10.5 or MySQL 8 server, or newer."""

    names: ClassVar[NameLimits] = NameLimits(longest=64, plane_zero=True)

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        """Take what PyMySQL takes: ``host``, ``port``, ``user``, ``password``, ``database``, ``ssl_ca``, ...

        Errors: ``MissingExtraError`` without PyMySQL.
        """
        try:
            import pymysql
        except ImportError:
            raise MissingExtraError("target-mysql needs PyMySQL: pip install 'singerkit[mysql]'") from None
        self._pymysql = pymysql
        self._parameters = dict(parameters)
        self._collation = ""
        self._loads_local = True

    def connect(self) -> pymysql.connections.Connection[Any]:
        """Open a connection."""
        try:
            connection = self._pymysql.connect(
                **{"connect_timeout": 30, **self._parameters},
                charset="utf8mb4",
                autocommit=False,
                local_infile=True,
                init_command=f"SET SESSION sql_mode = '{_MODE}', time_zone = '+00:00'",
            )
        except self._pymysql.MySQLError as error:
            if error.args and error.args[0] in _DENIED:
                raise ConfigurationError(f"the database refuses the connection: {error.args[-1]}") from None
            raise
        except OSError as error:
            raise ConfigurationError(f"ssl_ca: the file can't be read: {error.strerror}") from None
        self._allow_wide_tables(connection)
        if not self._collation:
            # Keys are told apart by every character, spaces at their end and case too.
            is_mariadb = "mariadb" in str(connection.get_server_info()).lower()  # type: ignore[no-untyped-call]
            self._collation = "utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin"
        return connection

    def _allow_wide_tables(self, connection: pymysql.connections.Connection[Any]) -> None:
        """Have a table made by the rows it gets, not by the widest that it could get: else 300 texts are too many."""
        with connection.cursor() as cursor, suppress(self._pymysql.err.OperationalError):  # MySQL asks for a privilege
            cursor.execute("SET SESSION innodb_strict_mode = OFF")

    def explain(self, error: Exception) -> SingerKitError | None:
        """Give our error; texts of the server about a value hold it, and are left out."""
        if not isinstance(error, self._pymysql.MySQLError):
            return None
        number, *rest = error.args or (0,)
        problem = str(rest[0]) if rest else type(error).__name__
        if number in _FORBIDDEN:
            return FatalSyncError(f"the database: {problem}; grant it to the user, or make the table beforehand")
        if number in _VALUE:
            return _refused("a value", number, problem)
        if number in _ROW:
            return _refused("a row", number, problem)
        if number == _TOO_MANY_COLUMNS or (number == _NOT_MADE and _BY_COLUMNS in problem):
            return FatalSyncError(
                "the schema has more properties than the database has room for: a table of InnoDB takes at most 1,017 "
                f"columns, the target's own among them; select fewer, or leave some out by a map (error {number})"
            )
        if number == _ROW_TOO_LARGE:
            return RefusedRow(
                "the database refuses a row: in InnoDB all values of a row but its long texts share one page "
                f"of 8,126 bytes, and this row needs more; select fewer properties (error {number})"
            )
        if number in {2002, 2003}:
            return RetriableSyncError(f"the database can't be reached: {problem}")
        kind = RetriableSyncError if number in _BUSY or self.is_lost(error) else FatalSyncError
        return kind(f"the database: {problem} (error {number})")

    def is_lost(self, error: Exception) -> bool:
        """Tell whether the connection is gone."""
        if isinstance(error, self._pymysql.err.InterfaceError):
            return True
        return isinstance(error, self._pymysql.err.OperationalError) and error.args[0] in _GONE

    def is_undone(self, error: Exception) -> bool:
        """Tell whether another try may succeed."""
        return isinstance(error, self._pymysql.MySQLError) and bool(error.args) and error.args[0] in _UNDONE

    def use_schema(self, cursor: Any, name: str | None) -> str:
        """Give the database that is named, or the connection's."""
        if name:
            cursor.execute("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", [name])
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE DATABASE IF NOT EXISTS {quoted(name)}")
            return name
        cursor.execute("SELECT database()")
        found = cursor.fetchone()[0]
        if found is None:
            raise ConfigurationError("database: is required: the name of the database")
        return str(found)

    def tables(self, cursor: Any, schema: str) -> Sequence[str]:
        """Give tables and views."""
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = %s", [schema])
        return [name for (name,) in cursor.fetchall()]

    def layout(self, cursor: Any, schema: str, table: str) -> Layout:
        """Read the information schema; MariaDB's JSON is a ``longtext`` with a check."""
        cursor.execute(
            "SELECT column_name, lower(column_type), is_nullable, column_key FROM information_schema.columns "
            "WHERE table_schema = %s AND table_name = %s AND coalesce(generation_expression, '') = '' "
            "ORDER BY ordinal_position",
            [schema, table],
        )
        found = cursor.fetchall()
        as_json = self._json_columns(cursor, schema, table) if found else frozenset()
        declared = {name: types.JSON if name in as_json else _written(kind) for name, kind, *_ in found}
        primary_key = tuple(name for name, _, _, key in found if key == "PRI")
        required = frozenset(name for name, _, nullable, key in found if nullable == "NO" and key != "PRI")
        return Layout(declared, primary_key, required, self._has_unique_indexes(cursor, schema, table))

    def _has_unique_indexes(self, cursor: Any, schema: str, table: str) -> bool:
        """Tell of unique indexes beside the primary key, by which ON DUPLICATE KEY UPDATE finds a row too."""
        cursor.execute(
            "SELECT 1 FROM information_schema.statistics "
            "WHERE table_schema = %s AND table_name = %s AND non_unique = 0 AND index_name <> 'PRIMARY' LIMIT 1",
            [schema, table],
        )
        return cursor.fetchone() is not None

    def _json_columns(self, cursor: Any, schema: str, table: str) -> frozenset[str]:
        if self._collation != "utf8mb4_nopad_bin":
            return frozenset()
        cursor.execute(
            "SELECT constraint_name FROM information_schema.check_constraints "
            "WHERE constraint_schema = %s AND table_name = %s AND check_clause LIKE 'json_valid(%%'",
            [schema, table],
        )
        return frozenset(name for (name,) in cursor.fetchall())

    def type_of_kind(self, kind: str, scale: int | None, *, is_key: bool) -> str:
        """Give the type of a new column."""
        return self._collated(types.type_of_kind(kind, scale, is_key=is_key))

    def wider(self, existing: str, wanted: str) -> str:
        """Give the type that can hold what both can."""
        return types.wider(existing, wanted.partition(" CHARACTER SET")[0])

    def fitted(self, values: Values, column_type: str) -> tuple[Texts, str]:
        """Give the values as LOAD DATA reads them."""
        return types.fitted(values, column_type)

    def change_type(self, table: str, column: str, before: str, after: str) -> str:
        """Give the statement."""
        return f"ALTER TABLE {table} MODIFY COLUMN {quoted(column)} {self._collated(after)}"

    def type_keeping_values(self, cursor: Any, table: str, column: str, before: str, after: str) -> str:
        """Give a type with more digits where the server would round numbers of the table."""
        rounding = types.rounding(quoted(column), before, after)
        if rounding is None:
            return after
        cursor.execute(f"SELECT 1 FROM {table} WHERE {rounding.condition} LIMIT 1")  # noqa: S608 - quoted
        return rounding.instead if cursor.fetchall() else after

    def allow_null(self, table: str, column: str, column_type: str) -> str:
        """Give the statement."""
        return f"ALTER TABLE {table} MODIFY COLUMN {quoted(column)} {self._collated(column_type)} NULL"

    def drop_primary_key(self, cursor: Any, schema: str, table: str) -> None:
        """Drop it."""
        cursor.execute(f"ALTER TABLE {quoted(schema)}.{quoted(table)} DROP PRIMARY KEY")

    def stage(self, cursor: Any, table: str, columns: Sequence[str]) -> str:
        """Make the table; one that an earlier batch left on this connection goes."""
        cursor.execute(f"DROP TEMPORARY TABLE IF EXISTS {self._staged_beside(table)}")
        cursor.execute(
            f"CREATE TEMPORARY TABLE {self._staged_beside(table)} SELECT {listed(columns)} FROM {table} LIMIT 0"  # noqa: S608 - quoted
        )
        return self._staged_beside(table)

    @staticmethod
    def _staged_beside(table: str) -> str:
        return f"{table.partition('.')[0]}.{_STAGED}"

    def unstage(self, cursor: Any, staged: str) -> None:
        """Drop it."""
        cursor.execute(f"DROP TEMPORARY TABLE {staged}")

    def fill(self, cursor: Any, table: str, columns: Sequence[str], texts: Sequence[Texts]) -> None:
        """Load rows, and see that each came as it was."""
        if self._loads_local and self._load(cursor, table, columns, texts):
            return
        rows = list(zip(*texts, strict=True))
        marks = f"({', '.join(['%s'] * len(columns))})"
        head = f"INSERT INTO {table} ({listed(columns)}) VALUES ".replace("%", "%%")  # noqa: S608 - quoted
        for start in range(0, len(rows), _INSERTED_ROWS):
            part = rows[start : start + _INSERTED_ROWS]
            with refusing_half_characters("the database"):
                cursor.execute(head + ", ".join([marks] * len(part)), [value for row in part for value in row])

    def _load(self, cursor: Any, table: str, columns: Sequence[str], texts: Sequence[Texts]) -> bool:
        """Load by LOAD DATA; tell whether the server let us."""
        with refusing_half_characters("the database"):
            data = delimited_rows(texts).encode()
        try:
            with in_memory(data) as path:
                cursor.execute(
                    f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE {table} CHARACTER SET utf8mb4 ({listed(columns)})"
                )
        except self._pymysql.MySQLError as error:
            if error.args and error.args[0] in _LOCAL_REFUSED:
                self._loads_local = False
                return False
            raise
        if cursor.rowcount != len(texts[0]) or cursor.warning_count:
            raise self._warned(cursor)
        return True

    def _warned(self, cursor: Any) -> SingerKitError:
        cursor.execute("SHOW WARNINGS LIMIT 1")
        warning = cursor.fetchone()
        return _refused("a value", *(warning[1:3] if warning else (0, "")))

    def merge(self, table: str, staged: str, columns: Sequence[str], keys: Sequence[str], *, unique: bool) -> list[str]:
        """Give one statement where the keys are the primary key, else two."""
        names = listed(columns)
        others = [name for name in columns if name not in keys]
        if unique:
            changed = others or keys[:1]
            changes = ", ".join(f"{quoted(name)} = VALUES({quoted(name)})" for name in changed)
            return [
                f"INSERT INTO {table} ({names}) SELECT {names} FROM {staged} "  # noqa: S608 - quoted
                f"ON DUPLICATE KEY UPDATE {changes}"
            ]
        same_key = " AND ".join(f"t.{quoted(key)} = s.{quoted(key)}" for key in keys)
        changes = ", ".join(f"t.{quoted(name)} = s.{quoted(name)}" for name in others)
        update = [f"UPDATE {table} t JOIN {staged} s ON {same_key} SET {changes}"] if others else []  # noqa: S608
        return [
            *update,
            f"INSERT INTO {table} ({names}) SELECT {names} FROM {staged} s "  # noqa: S608 - quoted
            f"WHERE NOT EXISTS (SELECT 1 FROM {table} t WHERE {same_key})",
        ]

    def swap(self, cursor: Any, schema: str, tables: Mapping[str, str]) -> None:
        """Rename all of them in one statement, which is atomic; then drop the old ones."""
        existing = frozenset(self.tables(cursor, schema))
        prefix = quoted(schema)
        renamed: list[str] = []
        old: list[str] = []
        for beside, name in tables.items():
            if name in existing:
                old.append(f"{prefix}.{quoted(marked(f'_old_{name}', self.names))}")
                cursor.execute(f"DROP TABLE IF EXISTS {old[-1]}")
                renamed.append(f"{prefix}.{quoted(name)} TO {old[-1]}")
            renamed.append(f"{prefix}.{quoted(beside)} TO {prefix}.{quoted(name)}")
        cursor.execute(f"RENAME TABLE {', '.join(renamed)}")
        for table in old:
            cursor.execute(f"DROP TABLE {table}")

    def _collated(self, column_type: str) -> str:
        if types.is_text(column_type) and " " not in column_type:
            return f"{column_type} CHARACTER SET utf8mb4 COLLATE {self._collation}"
        return column_type


def _refused(what: str, number: int, problem: str) -> RefusedRow:
    """Say which column it is about; a text about a whole row names no value, but for the key that is there already."""
    found = _COLUMN.match(problem)
    column = found[1] if found else None
    constraint = problem.rpartition(" for key ")[2] if number == 1062 else ""
    place = f" for column {column}" if column else f": another one has the same {constraint}" if constraint else ""
    check = f": {problem}" if number in {3819, 4025} else ""
    return RefusedRow(f"the database refuses {what}{place}{check} (error {number})", column)


def _written(column_type: str) -> str:
    """Give a type as we write it: MySQL 8 names no display width."""
    return {"bigint": types.BIGINT}.get(column_type, column_type)
