"""Any database that SQLAlchemy has a dialect for, in standard SQL.

Slower than a dialect of its own, whose bulk path this lacks. A subclass overrides what its database does its own way:
temporary tables, changing a column's type, renaming.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from singerkit.errors import DataError, SingerKitError
from singerkit.records.columns import Values, as_json, each, text_of, types_in
from singerkit.sql import kinds
from singerkit.sql.dialect import Dialect, Layout
from singerkit.sql.names import listed, marked, quoted

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from singerkit.sql.connector import SQLConnector

_STAGED = "_singerkit_incoming"
_NUMBERS = frozenset({int, float, Decimal})


class _Connection:
    """A SQLAlchemy connection in the form of PEP 249, whose statements are complete."""

    def __init__(self, connection: Connection) -> None:
        self.sqlalchemy = connection

    @contextmanager
    def cursor(self) -> Iterator[_Connection]:
        yield self

    def execute(self, statement: str) -> Any:
        return self.sqlalchemy.exec_driver_sql(statement.replace("%", "%%") if self._formats else statement)

    @property
    def _formats(self) -> bool:
        return self.sqlalchemy.dialect.paramstyle in ("format", "pyformat")

    def commit(self) -> None:
        self.sqlalchemy.commit()

    def close(self) -> None:
        self.sqlalchemy.close()


class AnySQL(Dialect):
    """A database through a :class:`~singerkit.sql.connector.SQLConnector`. It has to quote identifiers with ``"``."""

    def __init__(self, connector: SQLConnector) -> None:
        """Take the connector."""
        self.connector = connector

    def connect(self) -> _Connection:
        """Open a connection."""
        return _Connection(self.connector.engine.connect())

    def explain(self, error: Exception) -> SingerKitError | None:
        """Give our error; what the database says of a value may hold it, and is left out."""
        from sqlalchemy import exc

        from singerkit.sql.connect import explanation

        return explanation(error) if isinstance(error, exc.SQLAlchemyError) else None

    def is_lost(self, error: Exception) -> bool:
        """Tell whether the connection is gone."""
        return bool(getattr(error, "connection_invalidated", False))

    def query(self, cursor: _Connection, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Execute a statement with the driver's marks for values."""
        import sqlalchemy

        head, *others = statement.replace(":", "\\:").split("?")
        marked = head + "".join(f":v{number}{part}" for number, part in enumerate(others))
        named = {f"v{number}": value for number, value in enumerate(values)}
        result = cursor.sqlalchemy.execute(sqlalchemy.text(marked), named)
        return [tuple(row) for row in result] if result.returns_rows else []

    def use_schema(self, cursor: _Connection, name: str | None) -> str:
        """Give the schema that is named, or the connection's own."""
        import sqlalchemy

        inspector = sqlalchemy.inspect(cursor.sqlalchemy)
        if name and name not in inspector.get_schema_names():
            cursor.execute(f"CREATE SCHEMA {quoted(name)}")
        return str(name or inspector.default_schema_name)

    def tables(self, cursor: _Connection, schema: str) -> Sequence[str]:
        """Give tables and views."""
        import sqlalchemy

        inspector = sqlalchemy.inspect(cursor.sqlalchemy)
        return [*inspector.get_table_names(schema), *inspector.get_view_names(schema)]

    def layout(self, cursor: _Connection, schema: str, table: str) -> Layout:
        """Reflect the table."""
        import sqlalchemy

        inspector = sqlalchemy.inspect(cursor.sqlalchemy)
        if not inspector.has_table(table, schema):
            return Layout({})
        columns = inspector.get_columns(table, schema)
        keys = tuple(inspector.get_pk_constraint(table, schema)["constrained_columns"])
        required = frozenset(
            column["name"] for column in columns if not column["nullable"] and column["name"] not in keys
        )
        return Layout({str(column["name"]): self._written(column["type"]) for column in columns}, keys, required)

    def type_of_kind(self, kind: str, scale: int | None, *, is_key: bool) -> str:
        """Give the type of a new column, in the database's words."""
        from sqlalchemy import types

        known: Mapping[str, Any] = {
            kinds.BOOLEAN: types.Boolean(),
            kinds.INTEGER: types.BigInteger(),
            kinds.NUMBER: types.Double(),
            kinds.DECIMAL: types.Numeric(38, 18 if scale is None else min(scale, 38)),
            kinds.INSTANT: types.DateTime(timezone=True),
            kinds.DATE: types.Date(),
        }
        text = types.String(255) if is_key else types.Text()
        return self._written(known.get(kind, text))

    def wider(self, existing: str, wanted: str) -> str:
        """Give the type itself: a value that does not fit changes it, where the database can."""
        return existing

    def fitted(self, values: Values, column_type: str) -> tuple[Any, str]:
        """Give the values as the driver takes them, and text as the type for what is of another kind."""
        types = types_in(values)
        taken = self._taken_by(column_type)
        if taken is None:
            has_json = bool(types & {dict, list})
            return (as_json(values) if has_json and not types & {str} else each(values, text_of)), column_type
        if not types <= taken:
            return each(values, text_of), self._text()
        return ([_in_utc(value) for value in values] if datetime in types else values), column_type

    def change_type(self, table: str, column: str, before: str, after: str) -> str:
        """Say that it can't be done; a subclass may know how.

        Errors: ``DataError``.
        """
        raise DataError(
            f"the column '{column}' ({before}) can't hold a value that came, and this target can't change a column's "
            "type: change it to text, or set on_schema_change to 'ignore'"
        )

    def allow_null(self, table: str, column: str, column_type: str) -> str:
        """Give the statement."""
        return f"ALTER TABLE {table} ALTER COLUMN {quoted(column)} DROP NOT NULL"

    def drop_primary_key(self, cursor: _Connection, schema: str, table: str) -> None:
        """Drop the constraint by its name; where it has none, as in SQLite, copy the rows into a table without it.

        Errors: ``DataError`` where the copy would lose what somebody made for the table.
        """
        import sqlalchemy

        name = sqlalchemy.inspect(cursor.sqlalchemy).get_pk_constraint(table, schema).get("name")
        place = f"{quoted(schema)}.{quoted(table)}"
        if name:
            cursor.execute(f"ALTER TABLE {place} DROP CONSTRAINT {quoted(name)}")
            return
        if depending := _depending(cursor.sqlalchemy, schema, table):
            raise DataError(
                f"the key of the table '{table}' has to change, and this database can do that only by a copy, which "
                f"would lose {depending}: change the key by hand"
            )
        copy = marked(f"_unkeyed_{table}")
        types, beside = self.layout(cursor, schema, table).types, f"{quoted(schema)}.{quoted(copy)}"
        if copy in self.tables(cursor, schema):  # of a run that was killed
            cursor.execute(f"DROP TABLE {beside}")
        cursor.execute(f"CREATE TABLE {beside} ({', '.join(f'{quoted(name)} {types[name]}' for name in types)})")
        names = listed(list(types))
        cursor.execute(f"INSERT INTO {beside} ({names}) SELECT {names} FROM {place}")  # noqa: S608 - quoted
        self.swap(cursor, schema, {copy: table})

    def stage(self, cursor: _Connection, table: str, columns: Sequence[str]) -> str:
        """Make a temporary table."""
        cursor.execute(
            f"CREATE TEMPORARY TABLE {quoted(_STAGED)} AS SELECT {listed(columns)} FROM {table} WHERE 1 = 0"  # noqa: S608
        )
        return quoted(_STAGED)

    def unstage(self, cursor: _Connection, staged: str) -> None:
        """Drop it."""
        cursor.execute(f"DROP TABLE {staged}")

    def fill(self, cursor: _Connection, table: str, columns: Sequence[str], texts: Sequence[Any]) -> None:
        """Insert rows, many at once as far as the driver can."""
        import sqlalchemy

        names = [f"c{number}" for number in range(len(columns))]
        marks = ", ".join(f":{name}" for name in names)
        head = f"INSERT INTO {table} ({listed(columns)}) VALUES".replace(":", "\\:")
        types = [sqlalchemy.bindparam(name, type_=_bound_as(column)) for name, column in zip(names, texts, strict=True)]
        statement = sqlalchemy.text(f"{head} ({marks})").bindparams(*types)
        cursor.sqlalchemy.execute(statement, [dict(zip(names, row, strict=True)) for row in zip(*texts, strict=True)])

    def merge(self, table: str, staged: str, columns: Sequence[str], keys: Sequence[str], *, unique: bool) -> list[str]:
        """Give an update and an insert in standard SQL."""
        same_key = " AND ".join(f"s.{quoted(key)} = {table}.{quoted(key)}" for key in keys)
        changes = ", ".join(
            f"{quoted(name)} = (SELECT s.{quoted(name)} FROM {staged} s WHERE {same_key})"  # noqa: S608 - quoted
            for name in columns
            if name not in keys
        )
        exists = f"EXISTS (SELECT 1 FROM {staged} s WHERE {same_key})"  # noqa: S608 - quoted
        update = [f"UPDATE {table} SET {changes} WHERE {exists}"] if changes else []  # noqa: S608 - quoted
        there = " AND ".join(f"t.{quoted(key)} = s.{quoted(key)}" for key in keys)
        names = listed(columns)
        return [
            *update,
            f"INSERT INTO {table} ({names}) SELECT {names} FROM {staged} s "  # noqa: S608 - quoted
            f"WHERE NOT EXISTS (SELECT 1 FROM {table} t WHERE {there})",
        ]

    def swap(self, cursor: _Connection, schema: str, tables: Mapping[str, str]) -> None:
        """Drop and rename; in one transaction where the database has those for tables."""
        existing = set(self.tables(cursor, schema))
        for beside, name in tables.items():
            if name in existing:
                cursor.execute(f"DROP TABLE {quoted(schema)}.{quoted(name)}")
            cursor.execute(f"ALTER TABLE {quoted(schema)}.{quoted(beside)} RENAME TO {quoted(name)}")

    def _written(self, sql_type: Any) -> str:
        return str(sql_type.compile(dialect=self.connector.engine.dialect))

    def _text(self) -> str:
        return self.type_of_kind(kinds.TEXT, None, is_key=False)

    def _taken_by(self, column_type: str) -> frozenset[type] | None:
        """Give the Python types that a column takes as they are; ``None`` for one that takes any as text."""
        name = column_type.upper()
        for words, taken in (
            (("BOOL",), frozenset({bool})),
            (("INT",), frozenset({int, bool})),
            (("DOUBLE", "FLOAT", "REAL"), frozenset({int, float})),
            (("NUMERIC", "DECIMAL"), _NUMBERS),
            (("TIMESTAMP", "DATETIME"), frozenset({datetime, date})),
            (("DATE",), frozenset({date})),
        ):
            if any(word in name for word in words):
                return taken
        return None


def _in_utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value


def _bound_as(values: Sequence[Any]) -> Any:
    """Give the SQLAlchemy type by which the driver gets dates and decimals as it wants them; ``None`` for others."""
    from sqlalchemy import types

    found = types_in(values)
    if datetime in found:
        return types.DateTime(timezone=True)
    if Decimal in found and found <= _NUMBERS:
        return types.Numeric()
    return types.Date() if date in found else None


def _depending(connection: Connection, schema: str, table: str) -> str:
    """Say what a table has that a copy of its columns would not have; nothing where there is nothing."""
    import sqlalchemy

    inspector = sqlalchemy.inspect(connection)
    with_default = [column for column in inspector.get_columns(table, schema) if column.get("default")]
    found: dict[str, Any] = {
        "an index": inspector.get_indexes(table, schema),
        "a unique constraint": inspector.get_unique_constraints(table, schema),
        "a check": inspector.get_check_constraints(table, schema),
        "a foreign key": inspector.get_foreign_keys(table, schema),
        "a default": with_default,
        "a view": [
            name
            for name in inspector.get_view_names(schema)
            if table in str(inspector.get_view_definition(name, schema))
        ],
    }
    if connection.dialect.name == "sqlite":
        triggers = sqlalchemy.text("SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table")
        found["a trigger"] = list(connection.execute(triggers, {"table": table}))
    return " and ".join(what for what, parts in found.items() if parts)
