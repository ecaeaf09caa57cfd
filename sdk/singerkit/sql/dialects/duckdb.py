"""Tables in DuckDB: made, adapted and filled.

A batch travels as JSON in a file of memory and is read there by DuckDB's own reader: several times as fast as
parameters, and without Arrow or numpy. A line of it holds some thousand rows, as a list of values for each column, so
that no name is read more than once for all of them. Where rows are replaced, the batch goes to a temporary table first;
then one statement updates and one inserts, in one transaction. That needs no index, which would stand in the way of
wider columns. Where the keys are whole numbers that rise and go on beyond those of the table, there is nothing to
replace, and the rows are only inserted. Rows with a very long text go one by one, as parameters: read as JSON they
would take a multiple of memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from singerkit.errors import DataError
from singerkit.records.columns import Values, are_rising, as_json, columns_of, last_rows, types_in
from singerkit.sql.dialects import duckdb_types as types
from singerkit.sql.dialects.duckdb_errors import explained, import_duckdb
from singerkit.sql.memory_files import in_memory
from singerkit.sql.names import column_names, listed, marked, quoted, table_name
from singerkit.sql.tables import (
    DELETED_AT,
    EVOLVE,
    VERSION,
    Database,
    RefusedRow,
    Rows,
    Table,
    TablePlan,
    changed_meanwhile,
    fitting,
    located,
    plain_name,
    settled,
)
from singerkit.sql.texts import longest

if TYPE_CHECKING:
    import duckdb

_encoder = msgspec.json.Encoder()
#: Rows of a line, as many as DuckDB handles at once; fewer, where the line would be longer than that many bytes.
_ROWS_OF_LINE = 2_048
_LONGEST_LINE = 8 * 1024 * 1024
#: Characters of a text whose row goes into the database by itself.
_LARGE_TEXT = 4 * 1024 * 1024
_EXACT_IN_DOUBLE = 2**53
#: What has a name in a schema; ``information_schema`` takes ten times as long to say it.
_TABLES = (
    "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = $1 "
    "UNION ALL "
    "SELECT view_name FROM duckdb_views() WHERE database_name = current_database() AND schema_name = $1"
)
_INCOMING = '"_singerkit_incoming"'
_Result = TypeVar("_Result")


class DuckDBDatabase(Database):
    """One connection to the database file, and a cursor, with transactions of its own, for each table."""

    def __init__(self, path: str, schema: str, *, threads: int = 1) -> None:
        """Open the file, and make it if it is not there; statements use so many ``threads`` of DuckDB's.

        Errors: ``MissingExtraError`` without duckdb; ``FatalSyncError`` for a file that can't be opened.
        """
        duckdb = import_duckdb()
        self._lock = Lock()
        self._names: set[str] = set()
        self._unpublished: dict[str, str] = {}
        self._cursors: list[Any] = []
        self._schema = schema
        self._path = path
        with explained(path):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._connection = duckdb.connect(path)
            self._connection.execute(f"SET TimeZone = 'UTC'; SET threads = {threads}")
            if schema:
                self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")
            else:
                self._schema = str(self._connection.execute("SELECT current_schema()").fetchall()[0][0])

    def table(self, stream: str, *, overwrite: bool) -> DuckDBTable:
        """Give a stream's table."""
        with self._lock, explained(self._path):
            found = self._connection.execute(_TABLES, [self._schema]).fetchall()
            name = table_name(stream, {*self._names, *(name for (name,) in found)})
            self._names.add(name)
            cursor = self._connection.cursor()
            cursor.execute("SET TimeZone = 'UTC'")
            self._cursors.append(cursor)
            if not overwrite:
                return DuckDBTable(cursor, self._path, self._schema, name)
            beside = marked(f"_new_{name}")
            cursor.execute(f"DROP TABLE IF EXISTS {quoted(self._schema)}.{quoted(beside)}")
            self._unpublished[beside] = name
            return DuckDBTable(cursor, self._path, self._schema, beside)

    def publish(self) -> None:
        """Put the new tables in the place of the old ones, all at once."""
        if self._unpublished:
            with explained(self._path), transaction(self._connection):
                for beside, name in self._unpublished.items():
                    schema = quoted(self._schema)
                    self._connection.execute(f"DROP TABLE IF EXISTS {schema}.{quoted(name)}")
                    self._connection.execute(f"ALTER TABLE {schema}.{quoted(beside)} RENAME TO {quoted(name)}")

    def run(self, work: Callable[[Any], _Result]) -> _Result:
        """Do work in one transaction."""
        with explained(self._path), transaction(self._connection):
            return work(self._connection)

    def query(self, cursor: Any, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute a statement."""
        return list(cursor.execute(statement, list(values)).fetchall())

    def has_table(self, cursor: Any, name: str) -> bool:
        """Look it up."""
        return (name,) in self.query(cursor, _TABLES, [self._schema])

    def qualified(self, name: str) -> str:
        """Give the quoted name with the schema's."""
        return f"{quoted(self._schema)}.{quoted(plain_name(name))}"

    def column_type(self, kind: str, *, is_key: bool = False) -> str:
        """Give the type of a new column."""
        return types.type_of_kind(kind, None)

    def close(self) -> None:
        """Close it; DuckDB then moves what is in the write-ahead log into the file."""
        with explained(self._path):
            for cursor in self._cursors:
                cursor.close()
            self._connection.close()


class DuckDBTable(Table):
    """A table, and the statements that fill it."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, path: str, schema: str, name: str) -> None:
        super().__init__()
        self._cursor = cursor
        self._path = path
        self._policy = EVOLVE
        self._schema = schema
        self._plain_name = name
        self._name = f"{quoted(schema)}.{quoted(name)}"
        self.columns: dict[str, str] = {}
        #: Of every column of the table.
        self._types: dict[str, str] = {}
        self._keys: dict[str, str] = {}

    def adapt(self, plan: TablePlan) -> None:
        """Make the table, or add columns and widen types as the plan needs."""
        with explained(self._path):
            existing = self._existing()
            self.columns = column_names(list(plan.kinds), existing)
            self._keys = {key: self.columns[key] for key in plan.keys}
            wanted = {
                self.columns[name]: types.type_of_kind(kind, plan.scales.get(name)) for name, kind in plan.kinds.items()
            }
            self._policy = plan.policy
            if existing:
                self.columns, wanted = settled(plan, existing, self.columns, wanted, types.wider)
            with transaction(self._cursor):
                if existing:
                    self._evolve(existing, wanted)
                else:
                    columns = ", ".join(f"{quoted(name)} {column_type}" for name, column_type in wanted.items())
                    self._cursor.execute(f"CREATE TABLE {self._name} ({columns})")
            self._types = self._existing()

    def store(self, records: Sequence[dict[str, Any]], *, remove_deleted: bool) -> None:
        """Store records in one transaction.

        Errors: ``DataError`` naming, where DuckDB says it, the column and the type of a value that is refused.
        """
        rows = self.prepare(records, remove_deleted=remove_deleted)
        try:
            with explained(self._path), transaction(self._cursor):
                self.write(self._cursor, rows)
        except RefusedRow as error:
            raise self.located(error, rows) from None

    def prepare(self, records: Sequence[dict[str, Any]], *, remove_deleted: bool) -> Rows:
        """Leave out what a later record replaces, and widen the columns that can't hold what came."""
        columns = tuple(self.columns.values())
        keys = tuple(self._keys.values())
        values = columns_of(records, list(self.columns))
        if keys:
            has_json_key = types.JSON in (self._types[key] for key in keys)
            kept = last_rows([values[columns.index(key)] for key in keys], as_json=has_json_key)
            if kept is not None:
                values = [[of_column[number] for number in kept] for of_column in values]
        fitted = self._fit(values, columns)
        removes_by = self.columns[DELETED_AT] if remove_deleted else None
        return Rows(columns, values, keys, removes_by=removes_by, fitted=fitted)

    def write(self, cursor: Any, rows: Rows) -> None:
        """Put rows into the table."""
        columns = self._refitted(rows) if rows.fitted is None else rows.fitted
        lines = _lines(columns)
        if max(map(len, lines), default=0) > _LARGE_TEXT:
            columns, lines = self._without_large(cursor, rows, columns, lines)
        if lines:
            self._store_lines(cursor, rows, columns, lines)
        if rows.removes_by:
            cursor.execute(f"DELETE FROM {self._name} WHERE {quoted(rows.removes_by)} IS NOT NULL")  # noqa: S608

    def located(self, error: RefusedRow, rows: Rows) -> DataError:
        """Say which column refuses what kind of value."""
        fields = {f"c{number}": column for number, column in enumerate(rows.columns)}
        error.column = fields.get(error.column or "")
        return located(error, {column: self._types[column] for column in rows.columns}, rows.values)

    def retire(self, version: int, *, deleted_at: str | None) -> None:
        """Remove the rows of older versions, or mark them."""
        with explained(self._path):
            self.retire_by(self._cursor, version, deleted_at=deleted_at)

    def retire_by(self, cursor: Any, version: int, *, deleted_at: str | None) -> None:
        """Remove the rows of older versions, or mark them."""
        of_row = quoted(self.columns[VERSION])
        older = f"({of_row} < ? OR {of_row} IS NULL)"
        mark = quoted(self.columns.get(DELETED_AT, ""))
        if deleted_at is None:
            cursor.execute(f"DELETE FROM {self._name} WHERE {older}", [version])  # noqa: S608
        else:
            cursor.execute(
                f"UPDATE {self._name} SET {mark} = ? WHERE {older} AND {mark} IS NULL",  # noqa: S608
                [deleted_at, version],
            )

    def _store_lines(self, cursor: Any, rows: Rows, columns: Sequence[Values], lines: Sequence[bytes]) -> None:
        with in_memory(b"\n".join(lines)) as file:
            source = self._source(rows, columns, file, max(map(len, lines)))
            if rows.keys and not self._are_beyond(cursor, rows, columns):
                self._upsert(cursor, rows, source)
            else:
                cursor.execute(f"INSERT INTO {self._name} ({listed(rows.columns)}) {source}")

    def _are_beyond(self, cursor: Any, rows: Rows, columns: Sequence[Values]) -> bool:
        """Tell whether all rows are known to have keys that are greater than any in the table."""
        values = columns[rows.columns.index(rows.keys[0])]
        if len(rows.keys) > 1 or not types.is_whole(self._types[rows.keys[0]]) or not are_rising(values):
            return False
        greatest = cursor.execute(f"SELECT max({quoted(rows.keys[0])}) FROM {self._name}").fetchall()[0][0]  # noqa: S608
        return greatest is None or bool(greatest < values[0])

    def _without_large(
        self, cursor: Any, rows: Rows, columns: list[Values], lines: list[bytes]
    ) -> tuple[list[Values], list[bytes]]:
        """Store the rows with a very long text, and give the others."""
        types_of = [self._types[column] for column in rows.columns]
        texts = [
            as_json(values) if types.carried_as(column_type, values) == types.JSON else values
            for column_type, values in zip(types_of, columns, strict=True)
        ]
        carried = map(types.carried_as, types_of, texts)
        large = _large_rows([values for values, kind in zip(texts, carried, strict=True) if kind == types.VARCHAR])
        if not large:
            return columns, lines
        for number in large:
            self._store_large(cursor, rows, [values[number] for values in texts])
        others = _without(texts, large)
        return others, _lines(others)

    def _store_large(self, cursor: Any, rows: Rows, row: Values) -> None:
        """Store a row by parameters: as a line it would be in memory several times more."""
        given = {column: (f"?::{self._types[column]}", value) for column, value in zip(rows.columns, row, strict=True)}
        if not (rows.keys and self._replaced(cursor, rows.keys, given)):
            marks = ", ".join(mark for mark, _ in given.values())
            statement = f"INSERT INTO {self._name} ({listed(given)}) VALUES ({marks})"  # noqa: S608 - quoted
            cursor.execute(statement, [value for _, value in given.values()])

    def _replaced(self, cursor: Any, keys: Sequence[str], given: Mapping[str, tuple[str, Any]]) -> bool:
        """Update the row with these keys, and tell whether there is one."""
        same_key = " AND ".join(f"{quoted(key)} = {given[key][0]}" for key in keys)
        key_values = [given[key][1] for key in keys]
        found = cursor.execute(f"SELECT 1 FROM {self._name} WHERE {same_key} LIMIT 1", key_values)  # noqa: S608
        others = [name for name in given if name not in keys]
        if not found.fetchall():
            return False
        if others:
            changes = ", ".join(f"{quoted(name)} = {given[name][0]}" for name in others)
            values = [given[name][1] for name in others]
            statement = f"UPDATE {self._name} SET {changes} WHERE {same_key}"  # noqa: S608 - quoted
            cursor.execute(statement, [*values, *key_values])
        return True

    # What the table is

    def _existing(self) -> dict[str, str]:
        found = self._cursor.execute(
            "SELECT column_name, data_type FROM duckdb_columns() "
            "WHERE database_name = current_database() AND schema_name = ? AND table_name = ? ORDER BY column_index",
            [self._schema, self._plain_name],
        )
        return dict(found.fetchall())

    def _evolve(self, existing: Mapping[str, str], wanted: Mapping[str, str]) -> None:
        for column, column_type in wanted.items():
            if column not in existing:
                self._cursor.execute(f"ALTER TABLE {self._name} ADD COLUMN {quoted(column)} {column_type}")
            else:
                self._widen(column, existing[column], types.wider(existing[column], column_type))

        for column in self._required() if self._policy == EVOLVE else ():
            self._cursor.execute(f"ALTER TABLE {self._name} ALTER COLUMN {quoted(column)} DROP NOT NULL")

    def _required(self) -> list[str]:
        """Give the columns beside the keys that refuse null; none of a table that has an index, as it can't change."""
        found = self._cursor.execute(
            "SELECT column_name FROM duckdb_columns() c WHERE database_name = current_database() "
            "AND schema_name = ? AND table_name = ? AND NOT is_nullable AND column_name NOT IN ("
            "  SELECT unnest(constraint_column_names) FROM duckdb_constraints() k "
            "  WHERE k.table_oid = c.table_oid AND constraint_type = 'PRIMARY KEY') "
            "AND table_oid NOT IN (SELECT table_oid FROM duckdb_indexes())",
            [self._schema, self._plain_name],
        ).fetchall()
        return [name for (name,) in found if name not in self._keys.values()]

    def _widen(self, column: str, existing: str, needed: str) -> None:
        if needed == existing:
            return
        if needed == types.DOUBLE and existing not in (types.BOOLEAN, "FLOAT"):
            most = self._cursor.execute(f"SELECT max(abs({quoted(column)}::HUGEINT)) FROM {self._name}")  # noqa: S608
            if (most.fetchall()[0][0] or 0) > _EXACT_IN_DOUBLE:
                needed = types.VARCHAR
        self._cursor.execute(f"ALTER TABLE {self._name} ALTER COLUMN {quoted(column)} SET DATA TYPE {needed}")
        self._types[column] = needed

    # Values on their way

    def _fit(self, columns: list[Values], names: Sequence[str]) -> list[Values]:
        """Give the values as JSON carries them, and widen the columns that can't hold them."""
        fitted = []
        for number, column in enumerate(names):
            column_type = self._types[column]
            form, needed = types.fitted(columns[number], column_type)
            if needed != column_type and self._policy != EVOLVE:
                columns[number] = self._fitting(columns[number], column, column_type)
                form, _ = types.fitted(columns[number], column_type)
            elif needed != column_type:
                with explained(self._path), transaction(self._cursor):
                    self._widen(column, column_type, needed)
                form, _ = types.fitted(columns[number], self._types[column])
            fitted.append(form)
        return fitted

    def _refitted(self, rows: Rows) -> list[Values]:
        fitted = []
        for values, column in zip(rows.values, rows.columns, strict=True):
            form, needed = types.fitted(values, self._types.get(column, types.VARCHAR))
            if needed != self._types.get(column):
                raise changed_meanwhile(self._name)
            fitted.append(form)
        return fitted

    def _fitting(self, values: Values, column: str, column_type: str) -> Values:
        def fits(value: Values) -> bool:
            return types.fitted(value, column_type)[1] == column_type

        kept = fitting(values, column, column_type, fits, self._policy)
        self.unfit[column] += kept.count(None) - list(values).count(None)
        return kept

    def _source(self, rows: Rows, columns: Sequence[Values], file: str, longest_line: int) -> str:
        """Give the query that reads the lines of these columns."""
        fields = {f"c{number}": self._types[column] for number, column in enumerate(rows.columns)}
        carried = ", ".join(
            f"{field}: '{types.carried_as(column_type, of_column)}[]'"
            for (field, column_type), of_column in zip(fields.items(), columns, strict=True)
        )
        values = ", ".join(
            f"{field}::{column_type} AS {quoted(column)}"
            for column, (field, column_type) in zip(rows.columns, fields.items(), strict=True)
        )
        apart = ", ".join(f"unnest({field}) AS {field}" for field in fields)
        path = file.replace("'", "''")
        return (
            f"SELECT {values} FROM (SELECT {apart} FROM read_json('{path}', format = 'newline_delimited', "  # noqa: S608
            f"columns = {{{carried}}}, maximum_object_size = {longest_line + 1}))"
        )

    def _upsert(self, cursor: Any, rows: Rows, source: str) -> None:
        cursor.execute(f"CREATE OR REPLACE TEMP TABLE {_INCOMING} AS {source}")
        same_key = " AND ".join(f"t.{quoted(key)} = s.{quoted(key)}" for key in rows.keys)
        others = [name for name in rows.columns if name not in rows.keys]
        if others:
            changes = ", ".join(f"{quoted(name)} = s.{quoted(name)}" for name in others)
            cursor.execute(f"UPDATE {self._name} t SET {changes} FROM {_INCOMING} s WHERE {same_key}")  # noqa: S608
        cursor.execute(
            f"INSERT INTO {self._name} ({listed(rows.columns)}) SELECT * FROM {_INCOMING} s "  # noqa: S608
            f"WHERE NOT EXISTS (SELECT 1 FROM {self._name} t WHERE {same_key})"
        )


def _lines(columns: Sequence[Values]) -> list[bytes]:
    """Give the lines of a batch, each an object with a list for each column."""
    rows_of_line = _ROWS_OF_LINE
    try:
        lines = _lines_of(columns, rows_of_line)
        while rows_of_line > 1 and (longest_line := max(map(len, lines), default=0)) > _LONGEST_LINE:
            rows_of_line = max(rows_of_line * _LONGEST_LINE // (2 * longest_line), 1)
            lines = _lines_of(columns, rows_of_line)
    except UnicodeEncodeError:
        raise DataError("a text holds half a character (a lone surrogate), which DuckDB can't hold") from None
    return lines


def _lines_of(columns: Sequence[Values], rows: int) -> list[bytes]:
    named = [(f"c{number}", values) for number, values in enumerate(columns)]
    return [
        _encoder.encode({name: values[first : first + rows] for name, values in named})
        for first in range(0, len(columns[0]), rows)
    ]


def _large_rows(columns: Sequence[Values]) -> list[int]:
    """Give the numbers of the rows that have a text so long that it goes on its own."""
    large: set[int] = set()
    for values in columns:
        found = types_in(values)
        if str not in found or (found == {str} and longest(values) <= _LARGE_TEXT):
            continue
        large.update(n for n, value in enumerate(values) if type(value) is str and len(value) > _LARGE_TEXT)
    return sorted(large)


def _without(columns: Sequence[Values], numbers: Sequence[int]) -> list[Values]:
    left_out = frozenset(numbers)
    return [[value for number, value in enumerate(values) if number not in left_out] for values in columns]


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let what is done hold, on the disk, when this ends without an error; else nothing of it."""
    connection.execute("BEGIN")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        _roll_back(connection)
        raise


def _roll_back(connection: duckdb.DuckDBPyConnection) -> None:
    try:
        connection.execute("ROLLBACK")
    except import_duckdb().Error:
        return  # it had ended already; the first error says why
