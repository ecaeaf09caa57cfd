"""Asking a database what it has, by hooks that an author may override."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from threading import local
from typing import TYPE_CHECKING, Any

from singerkit.sql.connect import DatabaseAccess
from singerkit.sql.full_names import FullyQualifiedName, name_parts, quoted_part

if TYPE_CHECKING:
    from sqlalchemy import Column, Table
    from sqlalchemy.engine.interfaces import ReflectedColumn
    from sqlalchemy.types import TypeEngine

TableName = str | FullyQualifiedName


class TableLookup(DatabaseAccess):
    """Names tables, and says which there are and which columns they have."""

    # Names

    def quote(self, name: str) -> str:
        """Give a name with each of its parts quoted as the database asks for."""
        return ".".join(quoted_part(self._dialect, part) for part in name_parts(name) if part)

    def get_fully_qualified_name(
        self,
        table_name: str = "",
        schema_name: str | None = None,
        db_name: str | None = None,
        delimiter: str = ".",
    ) -> FullyQualifiedName:
        """Give a table's name as it stands in a statement."""
        return FullyQualifiedName(
            table=table_name, schema=schema_name, database=db_name, delimiter=delimiter, dialect=self._dialect
        )

    def parse_full_table_name(self, full_table_name: TableName) -> tuple[str | None, str | None, str]:
        """Give database, schema and table; ``None`` for what the name does not say."""
        return name_parts(full_table_name)

    # What there is

    def schema_exists(self, schema_name: str) -> bool:
        """Tell whether there is such a schema."""
        import sqlalchemy

        return schema_name in sqlalchemy.inspect(self._engine).get_schema_names()

    def table_exists(self, full_table_name: TableName) -> bool:
        """Tell whether there is such a table or view."""
        import sqlalchemy

        _, schema, table = self.parse_full_table_name(full_table_name)
        return sqlalchemy.inspect(self._engine).has_table(table, schema)

    def get_table_columns(
        self, full_table_name: TableName, column_names: Iterable[str] | None = None
    ) -> dict[str, Column[Any]]:
        """Give the columns of a table by name; all, or those that are named."""
        import sqlalchemy

        _, schema, table = self.parse_full_table_name(full_table_name)
        wanted = None if column_names is None else {name.casefold() for name in column_names}
        return {
            found["name"]: sqlalchemy.Column(found["name"], found["type"], nullable=found.get("nullable", False))
            for found in self._found_columns(schema, table)
            if wanted is None or found["name"].casefold() in wanted
        }

    def get_table(self, full_table_name: TableName, column_names: Iterable[str] | None = None) -> Table:
        """Give a table as it is now, with all its columns or those that are named."""
        import sqlalchemy

        _, schema, table = self.parse_full_table_name(full_table_name)
        columns = self.get_table_columns(full_table_name, column_names)
        return sqlalchemy.Table(table, sqlalchemy.MetaData(), *columns.values(), schema=schema)

    def column_exists(self, full_table_name: TableName, column_name: str) -> bool:
        """Tell whether a table has such a column."""
        return column_name in self.get_table_columns(full_table_name)

    def _found_columns(self, schema: str | None, table: str) -> Sequence[ReflectedColumn]:
        import sqlalchemy

        known: dict[Any, Sequence[ReflectedColumn]] = getattr(self._looking, "known", {})
        if (schema, table) not in known:
            known[schema, table] = sqlalchemy.inspect(self._engine).get_columns(table, schema)
        return known[schema, table]

    @contextmanager
    def _looking_once(self) -> Iterator[None]:
        """Ask for the columns of a table once while this lasts, in this thread, and anew after a change."""
        looking = self._looking
        looking.known = {}
        try:
            yield
        finally:
            del looking.known

    def _look_again(self) -> None:
        getattr(self._looking, "known", {}).clear()

    @cached_property
    def _looking(self) -> local:
        return local()

    def _get_column_type(self, full_table_name: TableName, column_name: str) -> TypeEngine[Any]:
        return self.get_table_columns(full_table_name)[column_name].type
