"""What SQLite tables are made of, and how they are changed without losing a row, a digit or an index.

SQLite keeps any value in any column, but changes it when its column has another *affinity*: in an INTEGER or REAL
column a long number that comes as text loses digits. So a column is widened, by making the table anew, before a value
comes that would be changed: INTEGER and BOOLEAN to NUMERIC (a mix of 64-bit integers and doubles), everything to TEXT.
"""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from singerkit.errors import FatalSyncError
from singerkit.sql import kinds
from singerkit.sql.names import listed, marked, quoted

logger = logging.getLogger("target-sqlite")

BOOLEAN, INTEGER, REAL, NUMERIC, TEXT, UNTYPED = "BOOLEAN", "INTEGER", "REAL", "NUMERIC", "TEXT", ""
_TYPE_OF_KIND = {kinds.BOOLEAN: BOOLEAN, kinds.INTEGER: INTEGER, kinds.NUMBER: REAL, kinds.MIXED: UNTYPED}
_WHOLE = frozenset({BOOLEAN, INTEGER})
#: Names, literals and comments in a declaration, and the words by which it has more than columns, types and a key.
_QUOTED = re.compile(r"""'[^']*'|"[^"]*"|`[^`]*`|\[[^]]*\]|--[^\n]*|/\*.*?\*/""", re.DOTALL)
_MORE = re.compile(
    r"\b(CHECK|DEFAULT|UNIQUE|REFERENCES|COLLATE|GENERATED|AS|AUTOINCREMENT|STRICT|WITHOUT)\b", re.IGNORECASE
)


def type_of_kind(kind: str) -> str:
    """Give the declared type of a column for a kind of values; one without a type keeps every value as it is."""
    return _TYPE_OF_KIND.get(kind, TEXT)


def type_by_affinity(declared: str) -> str:
    """Give which of our types behaves like a declared one.

    Source: SQLite's documentation, "Datatypes in SQLite", 3.1.
    """
    upper = declared.upper()
    if upper == BOOLEAN:
        return BOOLEAN
    for words, column_type in ((("INT",), INTEGER), (("CHAR", "CLOB", "TEXT"), TEXT), (("REAL", "FLOA", "DOUB"), REAL)):
        if any(word in upper for word in words):
            return column_type
    return UNTYPED if not upper or "BLOB" in upper else NUMERIC


def wider(existing: str, wanted: str) -> str:
    """Give the type that keeps what both can hold."""
    if existing == wanted or existing in (TEXT, UNTYPED) or (existing in (REAL, NUMERIC) and wanted in _WHOLE):
        return existing
    if wanted in (TEXT, UNTYPED):
        return wanted
    return INTEGER if {existing, wanted} <= _WHOLE else NUMERIC


@dataclass(frozen=True)
class Layout:
    """How a table is declared: column to declared type, the columns of its primary key, those that refuse null."""

    types: Mapping[str, str]
    primary_key: tuple[str, ...]
    required: frozenset[str] = frozenset()


def layout_of(connection: sqlite3.Connection, table: str) -> Layout:
    """Read how a table is declared; one that is not there has no columns."""
    rows = connection.execute(f"PRAGMA table_info({quoted(table)})").fetchall()
    keyed = sorted((position, name) for _, name, _, _, _, position in rows if position)
    required = frozenset(name for _, name, _, refuses_null, *_ in rows if refuses_null)
    return Layout({name: declared for _, name, declared, *_ in rows}, tuple(name for _, name in keyed), required)


def create(connection: sqlite3.Connection, table: str, layout: Layout) -> None:
    """Make a table."""
    columns = [f"{quoted(name)} {declared}".rstrip() for name, declared in layout.types.items()]
    if layout.primary_key:
        columns.append(f"PRIMARY KEY ({listed(layout.primary_key)})")
    connection.execute(f"CREATE TABLE {quoted(table)} ({', '.join(columns)})")


def adapt(
    connection: sqlite3.Connection,
    table: str,
    layout: Layout,
    wanted: Mapping[str, str],
    keys: Sequence[str],
    *,
    may_rebuild: bool,
) -> None:
    """Add the columns that are missing, widen those that are too narrow, and let the keys be what tells rows apart.

    ``may_rebuild``: the table may get another primary key.

    Errors: ``sqlite3.IntegrityError`` when rows that are there share a key; those of :func:`rebuild`.
    """
    missing = {column: declared for column, declared in wanted.items() if column not in layout.types}
    for column, declared in missing.items():
        connection.execute(f"ALTER TABLE {quoted(table)} ADD COLUMN {quoted(column)} {declared}")
    changes = {}
    for column, declared in wanted.items():
        existing = type_by_affinity(layout.types.get(column, declared))
        if wider(existing, declared) != existing:
            changes[column] = wider(existing, declared)
    if _settle_key(connection, table, layout.primary_key, wanted, keys, may_rebuild=may_rebuild):
        rebuild(connection, table, Layout({**layout.types, **missing, **changes}, tuple(keys)))
    elif changes or (may_rebuild and _is_to_be_relaxed(connection, table, layout, keys)):
        rebuild(connection, table, Layout({**layout.types, **missing, **changes}, layout.primary_key))


def _settle_key(
    connection: sqlite3.Connection,
    table: str,
    primary_key: Sequence[str],
    wanted: Mapping[str, str],
    keys: Sequence[str],
    *,
    may_rebuild: bool,
) -> bool:
    """Let a unique index be on the keys where that is enough; tell whether the table is to get another primary key."""
    index = marked(f"{table}_key")
    if set(keys) == set(primary_key) or _has_unique_index(connection, table, keys):
        return False
    connection.execute(f"DROP INDEX IF EXISTS {quoted(index)}")
    needs_other_key = bool(primary_key) and set(primary_key) <= set(wanted)
    if keys and not (needs_other_key and may_rebuild):
        connection.execute(f"CREATE UNIQUE INDEX {quoted(index)} ON {quoted(table)} ({listed(keys)})")
    return needs_other_key and may_rebuild


def rebuild(connection: sqlite3.Connection, table: str, layout: Layout) -> None:
    """Make a table anew with another layout of the same columns, which take null; rows, indexes and triggers stay.

    Errors: ``FatalSyncError`` where its owner declared what would be lost.
    """
    more = _declared_besides(connection, table)
    if more is not None:
        raise FatalSyncError(
            f"the table '{table}' needs wider columns or another key, and making it anew would lose what its "
            f"declaration says by {more}: change the table yourself, or set on_schema_change to 'ignore'"
        )
    before = layout_of(connection, table).types
    beside = marked(f"_rebuilt_{table}")
    dependents = _dependents(connection, table)
    create(connection, beside, layout)
    values = ", ".join(_copied(name, before[name], declared) for name, declared in layout.types.items())
    connection.execute(
        f"INSERT INTO {quoted(beside)} ({listed(layout.types)}) SELECT {values} FROM {quoted(table)}"  # noqa: S608
    )
    connection.execute(f"DROP TABLE {quoted(table)}")
    rename(connection, beside, table)
    for statement in dependents:
        connection.execute(statement)


def _is_to_be_relaxed(connection: sqlite3.Connection, table: str, layout: Layout, keys: Sequence[str]) -> bool:
    """Tell whether columns beside the keys refuse null, and making the table anew loses no more than that."""
    required = layout.required - set(keys) - set(layout.primary_key)
    return bool(required) and _declared_besides(connection, table) is None


def _declared_besides(connection: sqlite3.Connection, table: str) -> str | None:
    """Give a word by which a declaration says more than columns, types, keys and what refuses null."""
    (declaration,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", [table]).fetchone()
    more = _MORE.search(_QUOTED.sub("", declaration))
    return more[1].upper() if more else None


def swap(connection: sqlite3.Connection, table: str, replaced: str) -> None:
    """Put a table in the place of another, and make that one's indexes and triggers anew where they fit."""
    dependents = _dependents(connection, replaced)
    connection.execute(f"DROP TABLE IF EXISTS {quoted(replaced)}")
    rename(connection, table, replaced)
    for statement in dependents:
        try:
            connection.execute(statement)
        except sqlite3.OperationalError as error:
            logger.warning("'%s': an index or trigger does not fit the new table and is gone: %s", replaced, error)


def rename(connection: sqlite3.Connection, table: str, name: str) -> None:
    """Give a table another name; views and triggers that name it are left as they are."""
    connection.execute("PRAGMA legacy_alter_table = ON")
    connection.execute(f"ALTER TABLE {quoted(table)} RENAME TO {quoted(name)}")
    connection.execute("PRAGMA legacy_alter_table = OFF")


def exact_text(value: Any) -> Any:
    """Give a number as text with every digit; anything else as it is. Registered as an SQL function."""
    return repr(value) if isinstance(value, int | float) else value


def _copied(column: str, before: str, after: str) -> str:
    becomes_text = type_by_affinity(after) == TEXT and type_by_affinity(before) != TEXT
    return f"exact_text({quoted(column)})" if becomes_text else quoted(column)


def _dependents(connection: sqlite3.Connection, table: str) -> list[str]:
    found = connection.execute(
        "SELECT sql FROM sqlite_schema "
        "WHERE lower(tbl_name) = lower(?) AND type IN ('index', 'trigger') AND sql NOT NULL",
        [table],
    )
    return [sql for (sql,) in found.fetchall()]


def _has_unique_index(connection: sqlite3.Connection, table: str, keys: Sequence[str]) -> bool:
    for _, index, unique, _, partial in connection.execute(f"PRAGMA index_list({quoted(table)})").fetchall():
        columns = {name for _, _, name in connection.execute(f"PRAGMA index_info({quoted(index)})")}
        if unique and not partial and keys and columns == set(keys):
            return True
    return False
