"""Rows as a driver takes them, and the statements that store them, for any database of SQLAlchemy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from singerkit.records.columns import Values, columns_of, each, text_of, types_in
from singerkit.records.json_text import json_text

if TYPE_CHECKING:
    from sqlalchemy import TableClause
    from sqlalchemy.sql.dml import Insert, Update
    from sqlalchemy.types import TypeEngine

ColumnTypes = Mapping[str, "TypeEngine[Any]"]


def table_clause(database: str | None, schema: str | None, name: str, types: ColumnTypes) -> TableClause:
    """Give a table as statements name it, with its columns; the database is not asked."""
    import sqlalchemy

    if database and schema:
        parts = (part.replace('"', '""') for part in (database, schema))
        schema = sqlalchemy.quoted_name(".".join(f'"{part}"' for part in parts), quote=False)

    columns = [sqlalchemy.column(column, sql_type) for column, sql_type in types.items()]
    return sqlalchemy.table(name, *columns, schema=schema)


def bound_rows(records: Sequence[Mapping[str, Any]], types: ColumnTypes) -> list[dict[str, Any]]:
    """Give records as rows to bind: all columns in each, null where a record lacks one.

    Objects and arrays become JSON text, unless their column has a type for them; in columns of texts other values
    become text too; instants come in UTC.
    """
    names = list(types)
    columns = columns_of(records, names)
    bound = [_bound(values, types[name]) for name, values in zip(names, columns, strict=True)]
    return [dict(zip(names, row, strict=True)) for row in zip(*bound, strict=True)]


def _bound(values: Values, sql_type: TypeEngine[Any]) -> Sequence[Any]:
    from sqlalchemy import types

    found = types_in(values)
    if isinstance(sql_type, types.String) and found - {str, bytes}:
        return each(values, text_of)
    if found & {dict, list} and not isinstance(sql_type, types.JSON | types.ARRAY | types.TypeDecorator):
        return [json_text(value) if isinstance(value, dict | list) else value for value in values]
    if datetime in found:
        return [value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value for value in values]
    return values


def merge_statements(target: TableClause, staged: TableClause, keys: Sequence[str]) -> list[Update | Insert]:
    """Give the statements that replace rows by those of a staging table and add the others, in standard SQL.

    Shape: both tables have the same columns; no two rows of ``staged`` have the same ``keys``.
    """
    import sqlalchemy

    names = list(staged.columns.keys())
    same = sqlalchemy.and_(*(target.columns[key] == staged.columns[key] for key in keys))
    others = {
        name: sqlalchemy.select(staged.columns[name]).where(same).correlate(target).scalar_subquery()
        for name in names
        if name not in keys
    }
    is_staged = sqlalchemy.exists().select_from(staged).where(same).correlate(target)
    is_there = sqlalchemy.exists().select_from(target).where(same).correlate(staged)
    new = sqlalchemy.select(*staged.columns).where(~is_there)
    insert = sqlalchemy.insert(target).from_select(names, new)
    return [sqlalchemy.update(target).values(others).where(is_staged), insert] if others else [insert]
