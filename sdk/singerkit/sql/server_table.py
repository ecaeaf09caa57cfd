"""A table on a server: a batch is one transaction, and goes through a staging table where rows are replaced."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from singerkit.errors import DataError
from singerkit.records.columns import Values, as_json, columns_of
from singerkit.sql import kinds
from singerkit.sql.delimited import Texts
from singerkit.sql.dialect import Dialect, Layout
from singerkit.sql.names import column_names, listed, quoted
from singerkit.sql.tables import (
    DELETED_AT,
    EVOLVE,
    VERSION,
    RefusedRow,
    Rows,
    Table,
    TablePlan,
    changed_meanwhile,
    fitting,
    located,
    settled,
)

logger = logging.getLogger(__name__)


class Run(Protocol):
    """Does ``work(cursor)`` in one transaction; see ``ServerDatabase.run``."""

    def __call__(self, work: Callable[[Any], Any], *, repeatable: bool = True) -> Any:
        """Do it."""


class ServerTable(Table):
    """A table on a server, and the statements that fill it."""

    def __init__(self, dialect: Dialect, run: Run, schema: str, name: str) -> None:
        super().__init__()
        self._dialect = dialect
        self._run = run
        self._schema = schema
        self._plain_name = name
        self._name = f"{quoted(schema)}.{quoted(name)}"
        self.columns: dict[str, str] = {}
        self._policy = EVOLVE
        #: As the table is now, with columns of the stream's older schemas.
        self._layout = Layout({})
        self._keys: tuple[str, ...] = ()
        #: Keys of several types: as JSON, 1 and "1" differ in a column of texts too.
        self._json_keys: set[str] = set()

    def adapt(self, plan: TablePlan) -> None:
        """Make the table, or add columns, widen types, let columns be null and change its key, as the plan needs."""
        self._run(lambda cursor: self._adapt(cursor, plan))

    def _adapt(self, cursor: Any, plan: TablePlan) -> None:
        dialect = self._dialect
        layout = dialect.layout(cursor, self._schema, self._plain_name)
        self.columns = column_names(list(plan.kinds), layout.types, dialect.names)
        self._keys = tuple(self.columns[key] for key in plan.keys)
        wanted = {
            self.columns[name]: dialect.type_of_kind(kind, plan.scales.get(name), is_key=name in plan.keys)
            for name, kind in plan.kinds.items()
        }
        self._policy = plan.policy
        if layout.types:
            self.columns, wanted = settled(plan, layout.types, self.columns, wanted, dialect.wider)
            self._evolve(cursor, layout, wanted)
        else:
            self._create(cursor, wanted)
        self._layout = dialect.layout(cursor, self._schema, self._plain_name)
        self._json_keys = {self.columns[key] for key in plan.keys if plan.kinds[key] in (kinds.JSON, kinds.MIXED)}

    def _create(self, cursor: Any, wanted: Mapping[str, str]) -> None:
        columns = [f"{quoted(name)} {column_type}" for name, column_type in wanted.items()]
        if self._keys:
            columns.append(f"PRIMARY KEY ({listed(self._keys)})")
        cursor.execute(f"CREATE TABLE {self._name} ({', '.join(columns)})")

    def _evolve(self, cursor: Any, layout: Layout, wanted: Mapping[str, str]) -> None:
        dialect = self._dialect
        if self._policy != EVOLVE:
            return
        if layout.primary_key and set(layout.primary_key) != set(self._keys) and set(layout.primary_key) <= set(wanted):
            # Rows that differ in the new keys only have to be possible.
            dialect.drop_primary_key(cursor, self._schema, self._plain_name)
        for column in sorted(layout.required - set(self._keys)):
            cursor.execute(dialect.allow_null(self._name, column, layout.types[column]))
        for column, column_type in wanted.items():
            if column not in layout.types:
                cursor.execute(f"ALTER TABLE {self._name} ADD COLUMN {quoted(column)} {column_type}")
                continue
            existing = layout.types[column]
            wider = dialect.wider(existing, column_type)
            if wider != existing:
                self._change_type(cursor, column, existing, wider)

    def store(self, records: Sequence[dict[str, Any]], *, remove_deleted: bool) -> None:
        """Store records in one transaction; the last one of a key wins.

        Errors: ``DataError`` naming the column and the type of a value that the server refuses.
        """
        rows = self.prepare(records, remove_deleted=remove_deleted)
        try:
            self._run(lambda cursor: self.write(cursor, rows), repeatable=bool(rows.keys))
        except RefusedRow as error:
            raise self.located(error, rows) from None

    def prepare(self, records: Sequence[dict[str, Any]], *, remove_deleted: bool) -> Rows:
        """Widen the columns that can't hold what came."""
        rows = Rows(
            tuple(self.columns.values()),
            columns_of(records, list(self.columns)),
            self._keys,
            frozenset(self._json_keys),
            self.columns[DELETED_AT] if remove_deleted else None,
        )
        texts = [self._fit(rows, number) for number in range(len(rows.columns))]
        rows.fitted = self._without_replaced(rows, texts)
        return rows

    def write(self, cursor: Any, rows: Rows) -> None:
        """Put rows into the table, through a staging table where they replace others."""
        texts = self._refitted(rows) if rows.fitted is None else rows.fitted
        columns, keys = list(rows.columns), rows.keys
        if keys:
            found = self._layout
            unique = set(found.primary_key) == set(keys) and not found.merges_by_others
            staged = self._dialect.stage(cursor, self._name, columns)
            self._dialect.fill(cursor, staged, columns, texts)
            for statement in self._dialect.merge(self._name, staged, columns, keys, unique=unique):
                cursor.execute(statement)
            self._dialect.unstage(cursor, staged)
        else:
            self._dialect.fill(cursor, self._name, columns, texts)
        if rows.removes_by:
            cursor.execute(f"DELETE FROM {self._name} WHERE {quoted(rows.removes_by)} IS NOT NULL")  # noqa: S608

    def located(self, error: RefusedRow, rows: Rows) -> DataError:
        """Say which column refuses what kind of value."""
        return located(error, {column: self._layout.types[column] for column in rows.columns}, rows.values)

    def retire(self, version: int, *, deleted_at: str | None) -> None:
        """Remove the rows of older versions, or mark them."""
        self._run(lambda cursor: self.retire_by(cursor, version, deleted_at=deleted_at))

    def retire_by(self, cursor: Any, version: int, *, deleted_at: str | None) -> None:
        """Remove the rows of older versions, or mark them."""
        of_row = quoted(self.columns[VERSION])
        older = f"({of_row} < {version:d} OR {of_row} IS NULL)"
        statement = f"DELETE FROM {self._name} WHERE {older}"  # noqa: S608 - quoted
        if deleted_at is not None:
            mark = quoted(self.columns.get(DELETED_AT, ""))
            moment = [datetime.fromisoformat(deleted_at)]
            (text,), _ = self._dialect.fitted(moment, self._layout.types[self.columns[DELETED_AT]])
            statement = f"UPDATE {self._name} SET {mark} = '{text}' WHERE {older} AND {mark} IS NULL"  # noqa: S608
        cursor.execute(statement)

    # Values on their way

    def _fit(self, rows: Rows, number: int) -> Texts:
        """Give a column's values as the server reads them; widen it where it can't hold them."""
        column = rows.columns[number]
        column_type = self._layout.types[column]
        text, needed = self._fitted(rows, number, column_type)
        if needed == column_type:
            return text
        if self._policy != EVOLVE:
            rows.values[number] = self._fitting(rows.values[number], column, column_type)
        else:
            self._widen(column, column_type, needed)
        return self._fitted(rows, number, self._layout.types[column])[0]

    def _refitted(self, rows: Rows) -> Sequence[Texts]:
        """Give values as the server reads them, for the types that the columns have now."""
        texts = []
        for number, column in enumerate(rows.columns):
            column_type = self._layout.types.get(column, "")
            text, needed = self._fitted(rows, number, column_type)
            if needed != column_type:
                raise changed_meanwhile(self._name)
            texts.append(text)
        return self._without_replaced(rows, texts)

    def _fitted(self, rows: Rows, number: int, column_type: str) -> tuple[Texts, str]:
        values = rows.values[number]
        if rows.columns[number] in rows.json_keys and not column_type.startswith("json"):
            values = as_json(values)
        return self._dialect.fitted(values, column_type)

    def _fitting(self, values: Values, column: str, column_type: str) -> Values:
        def fits(value: Values) -> bool:
            return self._dialect.fitted(value, column_type)[1] == column_type

        kept = fitting(values, column, column_type, fits, self._policy)
        self.unfit[column] += kept.count(None) - list(values).count(None)
        return kept

    def _widen(self, column: str, before: str, after: str) -> None:
        def change(cursor: Any) -> Layout:
            self._change_type(cursor, column, before, after)
            return self._dialect.layout(cursor, self._schema, self._plain_name)

        self._layout = self._run(change)

    def _change_type(self, cursor: Any, column: str, before: str, after: str) -> None:
        wide = self._dialect.type_keeping_values(cursor, self._name, column, before, after)
        logger.info("Table %s: column %s becomes %s to hold what comes", self._name, quoted(column), wide)
        cursor.execute(self._dialect.change_type(self._name, column, before, wide))

    def _without_replaced(self, rows: Rows, texts: Sequence[Texts]) -> Sequence[Texts]:
        """Leave out the rows that a later one replaces."""
        if not rows.keys:
            return texts
        numbers = [rows.columns.index(key) for key in rows.keys]
        keyed = [self._comparable(rows.values[n], texts[n], self._layout.types[rows.columns[n]]) for n in numbers]
        last = {key: number for number, key in enumerate(zip(*keyed, strict=True))}
        if len(last) == len(rows.values[0]):
            return texts
        kept = sorted(last.values())
        return [[column[number] for number in kept] for column in texts]

    @staticmethod
    def _comparable(values: Values, texts: Texts, column_type: str) -> Sequence[Any]:
        """Give what is equal where the server finds the keys equal: numbers and instants by value, the rest as text."""
        return values if column_type.startswith(_BY_VALUE) else texts


_BY_VALUE = ("numeric", "decimal", "double", "real", "float", "timestamp", "datetime")
