"""Filling tables in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar

from singerkit.errors import DataError, FatalSyncError, RetriableSyncError
from singerkit.records.columns import Values, are_nested, as_json, columns_of, types_in
from singerkit.records.json_text import json_text
from singerkit.sql.dialects import sqlite_ddl as ddl
from singerkit.sql.doubles import as_doubles, double_of
from singerkit.sql.names import column_names, listed, marked, quoted, table_name
from singerkit.sql.tables import (
    DELETED_AT,
    EVOLVE,
    VERSION,
    Database,
    Rows,
    Table,
    TablePlan,
    changed_meanwhile,
    fitting,
    plain_name,
    settled,
)

_Result = TypeVar("_Result")

_INT64 = range(-(2**63), 2**63)
_EXACT_IN_DOUBLE = range(-(2**53), 2**53 + 1)
_NUMBERS = frozenset({int, float, Decimal})
#: The Python types that a column takes as they are; integers have a range besides.
_PLAIN: Mapping[str, frozenset[type]] = {
    ddl.BOOLEAN: frozenset({bool}),
    ddl.INTEGER: frozenset({bool, int}),
    ddl.REAL: frozenset({float, int}),
    ddl.NUMERIC: frozenset({bool, int, float}),
    ddl.TEXT: frozenset({str}),
    ddl.UNTYPED: frozenset({bool, int, float, str}),
}


class SQLiteDatabase(Database):
    """One connection to the database file, used by one stream at a time."""

    def __init__(self, path: str, busy_timeout_s: float) -> None:
        self._path = path
        self._busy_timeout_s = busy_timeout_s
        self._lock = RLock()
        self._names: set[str] = set()
        self._unpublished: dict[str, str] = {}
        with self._explained():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.create_function("exact_text", 1, ddl.exact_text, deterministic=True)

    def table(self, stream: str, *, overwrite: bool) -> SQLiteTable:
        """Give a stream's table."""
        with self.transaction() as connection:
            found = connection.execute("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")
            name = table_name(stream, {*self._names, *(name for (name,) in found)})
            self._names.add(name)
            if not overwrite:
                return SQLiteTable(self, name)
            beside = marked(f"_new_{name}")
            connection.execute(f"DROP TABLE IF EXISTS {quoted(beside)}")
            self._unpublished[beside] = name
            return SQLiteTable(self, beside)

    def publish(self) -> None:
        """Put the new tables in the place of the old ones, all at once."""
        if self._unpublished:
            with self.transaction() as connection:
                for beside, name in self._unpublished.items():
                    ddl.swap(connection, beside, name)

    def close(self) -> None:
        """Close it; SQLite then moves what is in the write-ahead log into the file."""
        with self._explained():
            self._connection.close()

    def run(self, work: Callable[[Any], _Result]) -> _Result:
        """Do work in one transaction."""
        with self.transaction() as connection:
            return work(connection)

    def query(self, cursor: Any, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute a statement."""
        return list(cursor.execute(statement, values))

    def has_table(self, cursor: Any, name: str) -> bool:
        """Look it up."""
        return bool(self.query(cursor, "SELECT 1 FROM sqlite_schema WHERE name = ?", [name]))

    def qualified(self, name: str) -> str:
        """Give the quoted name."""
        return quoted(plain_name(name))

    def column_type(self, kind: str, *, is_key: bool = False) -> str:
        """Give the type of a new column."""
        return ddl.type_of_kind(kind)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Have the database for oneself; what is done holds, on the disk, when this ends without an error.

        Errors: ``FatalSyncError`` for what SQLite refuses, ``RetriableSyncError`` where another program has it,
        ``DataError`` for what a constraint of a table refuses.
        """
        with self._lock, self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise DataError(f"the database refuses a row: {error}") from error
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                raise RetriableSyncError(
                    f"'{self._path}': another program has locked the database (waited {self._busy_timeout_s:g} seconds)"
                ) from error
            raise FatalSyncError(f"'{self._path}': {error}") from error
        except OSError as error:
            raise FatalSyncError(f"'{self._path}': {error.strerror}") from error


class SQLiteTable(Table):
    """A table, and the statement that fills it."""

    def __init__(self, database: SQLiteDatabase, name: str) -> None:
        super().__init__()
        self._database = database
        self._name = name
        self._policy = EVOLVE
        self.columns: dict[str, str] = {}
        #: Of every column of the table.
        self._types: dict[str, str] = {}
        self._keys: tuple[str, ...] = ()

    def adapt(self, plan: TablePlan) -> None:
        """Make the table, or add columns, widen types and change its key as the plan needs."""
        with self._database.transaction() as connection:
            layout = ddl.layout_of(connection, self._name)
            self.columns = column_names(list(plan.kinds), layout.types)
            keys = tuple(self.columns[key] for key in plan.keys)
            wanted = {self.columns[name]: ddl.type_of_kind(kind) for name, kind in plan.kinds.items()}
            self._policy = plan.policy
            if layout.types:
                self.columns, wanted = settled(plan, layout.types, self.columns, wanted, _wider)
                ddl.adapt(connection, self._name, layout, wanted, keys, may_rebuild=plan.policy == EVOLVE)
            else:
                ddl.create(connection, self._name, ddl.Layout(wanted, keys))
            self._read_types(connection)
        self._keys = keys

    def store(self, records: Sequence[dict[str, Any]], *, remove_deleted: bool) -> None:
        """Store records in one transaction."""
        rows = self.prepare(records, remove_deleted=remove_deleted)
        with self._database.transaction() as connection:
            self.write(connection, rows)

    def prepare(self, records: Sequence[dict[str, Any]], *, remove_deleted: bool) -> Rows:
        """Widen the columns that can't hold what came."""
        values = columns_of(records, list(self.columns))
        fitted: list[Values] = []
        wider: dict[str, str] = {}
        for number, column in enumerate(self.columns.values()):
            form, needed = _fitted(values[number], self._types[column])
            if needed != self._types[column] and self._policy != EVOLVE:
                form = values[number] = self._fitting(values[number], column, self._types[column])
            elif needed != self._types[column]:
                wider[column] = needed
            fitted.append(form)
        if wider:
            self._widen(wider)
        removes_by = self.columns[DELETED_AT] if remove_deleted else None
        return Rows(tuple(self.columns.values()), values, self._keys, removes_by=removes_by, fitted=fitted)

    def write(self, cursor: Any, rows: Rows) -> None:
        """Put rows into the table."""
        columns = self._refitted(rows) if rows.fitted is None else rows.fitted
        try:
            if rows.keys == self._keys:
                cursor.executemany(_insert(self._name, rows.columns, rows.keys), zip(*columns, strict=True))
            else:
                self._replace(cursor, rows, columns)
        except UnicodeEncodeError:
            raise DataError("a text holds half a character (a lone surrogate), which SQLite can't hold") from None
        if rows.removes_by:
            cursor.execute(f"DELETE FROM {quoted(self._name)} WHERE {quoted(rows.removes_by)} IS NOT NULL")  # noqa: S608

    def _replace(self, cursor: Any, rows: Rows, columns: Sequence[Values]) -> None:
        """Store rows that came before the table got another key, by which SQLite would find those to replace."""
        changes = ", ".join(f"{quoted(name)} = ?{number + 1}" for number, name in enumerate(rows.columns))
        same_key = " AND ".join(f"{quoted(key)} = ?{rows.columns.index(key) + 1}" for key in rows.keys)
        update = f"UPDATE {quoted(self._name)} SET {changes} WHERE {same_key or 'FALSE'}"  # noqa: S608 - quoted
        insert = _insert(self._name, rows.columns, ())
        for row in zip(*columns, strict=True):
            if cursor.execute(update, row).rowcount == 0:
                cursor.execute(insert, row)

    def _refitted(self, rows: Rows) -> list[Values]:
        fitted = []
        for values, column in zip(rows.values, rows.columns, strict=True):
            form, needed = _fitted(values, self._types.get(column, ddl.UNTYPED))
            if needed != self._types.get(column):
                raise changed_meanwhile(quoted(self._name))
            fitted.append(form)
        return fitted

    def _widen(self, wider: Mapping[str, str]) -> None:
        with self._database.transaction() as connection:
            layout = ddl.layout_of(connection, self._name)
            ddl.rebuild(connection, self._name, ddl.Layout({**layout.types, **wider}, layout.primary_key))
            self._read_types(connection)

    def _fitting(self, values: Values, column: str, column_type: str) -> Values:
        kept = fitting(
            values, column, column_type, lambda value: _fitted(value, column_type)[1] == column_type, self._policy
        )
        self.unfit[column] += kept.count(None) - list(values).count(None)
        return _fitted(kept, column_type)[0]

    def retire(self, version: int, *, deleted_at: str | None) -> None:
        """Remove the rows of older versions, or mark them."""
        with self._database.transaction() as connection:
            self.retire_by(connection, version, deleted_at=deleted_at)

    def retire_by(self, cursor: Any, version: int, *, deleted_at: str | None) -> None:
        """Remove the rows of older versions, or mark them."""
        of_row = quoted(self.columns[VERSION])
        older = f"({of_row} < ? OR {of_row} IS NULL)"
        mark = quoted(self.columns.get(DELETED_AT, ""))
        if deleted_at is None:
            cursor.execute(f"DELETE FROM {quoted(self._name)} WHERE {older}", [version])  # noqa: S608
        else:
            cursor.execute(
                f"UPDATE {quoted(self._name)} SET {mark} = ? WHERE {older} AND {mark} IS NULL",  # noqa: S608
                [deleted_at, version],
            )

    def _read_types(self, connection: sqlite3.Connection) -> None:
        declared = ddl.layout_of(connection, self._name).types
        self._types = {column: ddl.type_by_affinity(column_type) for column, column_type in declared.items()}


def _wider(existing: str, wanted: str) -> str:
    """Give the declared type itself where a column is wide enough."""
    kind = ddl.type_by_affinity(existing)
    needed = ddl.wider(kind, wanted)
    return existing if needed == kind else needed


def _insert(table: str, columns: Sequence[str], keys: Sequence[str]) -> str:
    """Give the statement that stores a row; with keys it replaces what the row with the same key has."""
    marks = ", ".join("?" * len(columns))
    # Under another name, as a stream may be called `excluded` too.
    statement = f"INSERT INTO {quoted(table)} AS stored ({listed(columns)}) VALUES ({marks})"  # noqa: S608 - quoted
    if not keys:
        return statement
    others = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in columns if name not in keys)
    return f"{statement} ON CONFLICT ({listed(keys)}) DO " + (f"UPDATE SET {others}" if others else "NOTHING")


# -- values ------------------------------------------------------------------------------------------------------------


def _fitted(values: Values, column_type: str) -> tuple[Values, str]:
    """Give the values as SQLite takes them, and the type that their column has to have for all of them to be exact."""
    types = types_in(values)
    if types <= _PLAIN[column_type] and (int not in types or _in_range(values, column_type)):
        return values, column_type
    if column_type == ddl.TEXT:
        return (as_json(values) if are_nested(types) else _each(values, _as_text)), ddl.TEXT
    if column_type == ddl.REAL and types <= _NUMBERS and (int not in types or _in_range(values, ddl.REAL)):
        doubles = as_doubles(values)
        if doubles is not None:
            return doubles, ddl.REAL
    loose = _each(values, _as_found)
    if column_type == ddl.UNTYPED:
        return loose, ddl.UNTYPED
    needed = _needed(loose, column_type)
    return (_each(values, _as_text), needed) if needed == ddl.TEXT else (loose, needed)


def _in_range(values: Values, column_type: str) -> bool:
    limits = _EXACT_IN_DOUBLE if column_type == ddl.REAL else _INT64
    whole = [value for value in values if type(value) is int]
    return min(whole) in limits and max(whole) in limits


def _needed(values: Values, column_type: str) -> str:
    types = types_in(values)
    if str in types:
        return ddl.TEXT
    if column_type == ddl.REAL and int in types and not _in_range(values, ddl.REAL):
        return ddl.NUMERIC
    return (
        ddl.NUMERIC if float in types and column_type in (ddl.BOOLEAN, ddl.INTEGER) else _at_least(types, column_type)
    )


def _at_least(types: set[type], column_type: str) -> str:
    return ddl.INTEGER if column_type == ddl.BOOLEAN and int in types else column_type


def _each(values: Values, convert: Callable[[Any], Any]) -> Values:
    return [None if value is None else convert(value) for value in values]


def _as_found(value: Any) -> Any:
    """Give a value in one of SQLite's own types if one can hold it exactly, else its text."""
    match value:
        case bool() | float() | str():
            return value
        case int():
            return value if value in _INT64 else str(value)
        case Decimal():
            near = double_of(value)
            return str(value) if near is None else near
    return json_text(value)


def _as_text(value: Any) -> str:
    match value:
        case str():
            return value
        case bool() | int():
            return str(int(value))
        case float() | Decimal():
            return str(value)
    return json_text(value)
