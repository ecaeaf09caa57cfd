"""Which rows a query asks for: ranges of a key, and where to begin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from singerkit.errors import StateError
from singerkit.types import Context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Table

    from singerkit.sql.connector import SQLConnector

#: Ranges of one table; more would cost more than they gain.
MOST_RANGES = 256


@dataclass(frozen=True)
class KeyRange:
    """Rows whose key is at least ``first`` and below ``end``; ``None``: without bound."""

    key: str
    first: int | None
    end: int | None

    def context(self) -> Context:
        """Give the range as a stream's context."""
        return {"key": self.key, "first": self.first, "end": self.end}

    @classmethod
    def from_context(cls, context: Context) -> KeyRange:
        """Read what :meth:`context` gave."""
        return cls(context["key"], context["first"], context["end"])

    def conditions(self, table: Table) -> list[ColumnElement[bool]]:
        """Give what a query's rows have to fulfil."""
        column = table.columns[self.key]
        bounds = []
        if self.first is not None:
            bounds.append(column >= self.first)
        if self.end is not None:
            bounds.append(column < self.end)
        return bounds


def key_ranges(connector: SQLConnector, table: Table, key: str, rows: int) -> Sequence[KeyRange]:
    """Give the ranges of a table with a key of integers, each with about so many rows if its keys are dense.

    The first and the last have no outer bound: rows that come while the table is read are read too. Gives nothing for a
    table that one range would hold, and for a key of another type.
    """
    import sqlalchemy

    column = table.columns[key]
    if not isinstance(column.type, sqlalchemy.Integer):
        return []
    query = sqlalchemy.select(sqlalchemy.func.min(column).label("low"), sqlalchemy.func.max(column).label("high"))
    (found,) = (row for part in connector.rows(query) for row in part)
    low, high = found["low"], found["high"]
    if low is None or high - low < 2 * rows:
        return []
    count = min((high - low) // rows, MOST_RANGES)
    cuts = [low + (high - low) * number // count for number in range(1, count)]
    return [KeyRange(key, first, end) for first, end in zip([None, *cuts], [*cuts, None], strict=True)]


def rows_since(column: ColumnElement[Any], start: Any, dialect: str) -> ColumnElement[bool]:
    """Give the condition for the rows from a bookmark on, itself included.

    Errors: ``StateError`` for a bookmark that is no value of the column's type.
    """
    import sqlalchemy

    value = typed_start(start, column.type)
    if dialect == "sqlite" and isinstance(value, datetime):
        # It keeps instants as texts: without a fraction of a second where there is none.
        return sqlalchemy.type_coerce(column, sqlalchemy.String) >= value.isoformat(sep=" ")
    condition: ColumnElement[bool] = column >= value
    return condition


def typed_start(value: Any, sql_type: Any) -> Any:
    """Give a bookmark as a value that the database compares with a column of this type.

    Errors: ``StateError`` for one that is no such value.
    """
    from sqlalchemy import types

    try:
        if isinstance(sql_type, types.DateTime):
            moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
            moment = moment.replace(tzinfo=moment.tzinfo or UTC)
            return moment if sql_type.timezone else moment.astimezone(UTC).replace(tzinfo=None)
        if isinstance(sql_type, types.Date):
            return value if isinstance(value, date) else date.fromisoformat(str(value)[:10])
        if isinstance(sql_type, types.Integer):
            return int(value)
    except (ValueError, TypeError):
        raise StateError(f"the bookmark is no value of the replication key's type ({sql_type})") from None
    return value
