"""The class for a table or view of a database, as a stream; most taps take it as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from singerkit.compat.overrides import SQL_STREAM_OVERRIDES, refuse_overrides
from singerkit.engine.spec import FULL_TABLE, INCREMENTAL, StreamSpec, default_hook, overridden
from singerkit.protocol.catalog import CatalogEntry
from singerkit.records.reading import PLAIN_READING, PageReading
from singerkit.sql.connector import FETCHED_ROWS, SQLConnector
from singerkit.sql.ranges import KeyRange, key_ranges, rows_since
from singerkit.streams.core import Stream
from singerkit.types import Context, Record, Schema

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.sql import Select

    from singerkit.sql.full_names import FullyQualifiedName
    from singerkit.taps import Tap


class SQLStream(Stream):
    """A table or view.

    Read in full, a large table with a key of integers is read in ranges of keys, several at the same time. Read
    incrementally, the rows come sorted by the replication key, from the bookmark on, so that a run that is stopped
    half way goes on where it was.

    The hooks, in calling order: ``get_records(context)`` calls ``build_query(context=context)``, which calls
    ``apply_query_filters(query, table, context=context)`` and ``apply_query_limit(query)``; then it gives each row.
    """

    #: What connects to the database.
    connector_class: ClassVar[type[SQLConnector]] = SQLConnector
    #: Rows that travel from the server at once.
    fetched_rows: int = FETCHED_ROWS
    #: Whether the database knows NULLS FIRST: rows without a replication key then come before the others.
    supports_nulls_first: bool = False
    #: Ranges of keys have no bookmarks of their own.
    state_partitioning_keys: Sequence[str] | None = ()

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Refuse overrides of what is not called here, instead of ignoring them."""
        super().__init_subclass__(**keywords)
        refuse_overrides(cls, SQL_STREAM_OVERRIDES)

    def __init__(
        self, tap: Tap, catalog_entry: CatalogEntry | Mapping[str, Any], connector: SQLConnector | None = None
    ) -> None:
        """Take the table's catalog entry, as discovery or the user's catalog has it."""
        entry = catalog_entry if isinstance(catalog_entry, CatalogEntry) else CatalogEntry.from_dict(catalog_entry)
        self.catalog_entry = entry
        self._connector = connector or self.connector_class(dict(tap.config))
        super().__init__(tap, schema=entry.schema, name=entry.tap_stream_id)
        chosen = {"primary_keys": entry.chosen_key_properties, "replication_key": entry.chosen_replication_key}
        for name, value in chosen.items():
            if value and not isinstance(getattr(type(self), name, None), property):
                setattr(self, name, tuple(value) if name == "primary_keys" else value)

    @property
    def connector(self) -> SQLConnector:
        """The connector, which the tap's streams share."""
        return self._connector

    @property
    def _singer_catalog_entry(self) -> CatalogEntry:
        return self.catalog_entry

    @property
    def replication_method(self) -> str:
        """What the catalog asks for: in full, unless it says ``INCREMENTAL`` and names a replication key."""
        return self.forced_replication_method or self.catalog_entry.chosen_replication_method or FULL_TABLE

    @property
    def is_sorted(self) -> bool:  # type: ignore[override]
        """Rows that are read incrementally come in the order of the replication key."""
        return self.replication_method == INCREMENTAL

    @property
    def check_sorted(self) -> bool:  # type: ignore[override]
        """Whether the order is checked: not that of texts, which the database's collation decides."""
        declared = self.schema.get("properties", {}).get(self.replication_key, {})
        return "string" not in str(declared.get("type")) or "format" in declared

    @property
    def table_name(self) -> str:
        """The table's name in the database."""
        return self.catalog_entry.table_name or self.name

    @property
    def schema_name(self) -> str | None:
        """The name of the table's schema; ``None`` where the database has none."""
        return self.catalog_entry.metadata.root.get("schema-name") or None

    @property
    def fully_qualified_name(self) -> FullyQualifiedName:
        """Schema and table, as they stand in a statement."""
        return self.connector.get_fully_qualified_name(self.table_name, self.schema_name)

    def get_selected_schema(self) -> Schema:
        """Give the schema with the selected columns only."""
        plan = next(plan for plan in self._tap.plan.streams if plan.spec.tap_stream_id == self.tap_stream_id)
        return plan.schema

    # What an author overrides

    @property
    def partitions(self) -> Iterable[Context] | None:
        """The ranges of keys to read at the same time, for a large table that is read in full."""
        rows = int(self.config.get("split_rows") or 0)
        if not rows or self.replication_method != FULL_TABLE or len(self.primary_keys or ()) != 1:
            return None
        ranges = key_ranges(self.connector, self._table, next(iter(self.primary_keys or ())), rows)
        return [key_range.context() for key_range in ranges] or None

    def build_query(self, context: Context | None = None) -> Select[Any]:
        """Give the query for the selected columns: from the bookmark on, sorted, or of a range of keys."""
        import sqlalchemy

        names = list(self.get_selected_schema().get("properties", {}))
        query = sqlalchemy.select(*(self._table.columns[name] for name in names))
        query = self.apply_query_filters(query, self._table, context=context)
        return self.apply_query_limit(query)

    def apply_query_filters(self, query: Select[Any], table: Table, *, context: Context | None = None) -> Select[Any]:
        """Give the query with what says which rows, and in which order."""
        if context:
            query = query.where(*KeyRange.from_context(context).conditions(table))
        if self.replication_method == INCREMENTAL and self.replication_key:
            column = table.columns[self.replication_key]
            start = self.get_starting_replication_key_value(context)
            if start is not None:
                query = query.where(rows_since(column, start, self.connector.engine.dialect.name))
            query = query.order_by(column.nulls_first() if self.supports_nulls_first else column)
        return query

    def apply_query_limit(self, query: Select[Any]) -> Select[Any]:
        """Give the query with a limit, where ``ABORT_AT_RECORD_COUNT`` is set: one row more is an error."""
        most = self.ABORT_AT_RECORD_COUNT
        return query if most is None else query.limit(most + 1)

    @default_hook
    def get_records(self, context: Context | None) -> Iterable[Record]:
        """Give the rows."""
        for page in self._pages(context):
            yield from page

    # What the engine reads

    def spec(self) -> StreamSpec:
        """Read every declaration once; rows go through in the blocks in which they come."""
        spec = super().spec()
        return spec if overridden(self, "get_records") else replace(spec, read_pages=self._pages)

    def _pages(self, context: Context | None, reading: PageReading = PLAIN_READING) -> Iterator[list[Record]]:
        for rows in self.connector.rows(self.build_query(context=context), self.fetched_rows):
            yield list(rows)  # type: ignore[arg-type]  # each is a dict of its own

    @cached_property
    def _table(self) -> Table:
        """The table as the database has it now.

        Errors: ``FatalSyncError`` when it is gone.
        """
        columns = self.schema.get("properties", {})
        if type(self.connector).get_table is not SQLConnector.get_table:
            return self.connector.get_table(self.fully_qualified_name, column_names=list(columns))
        return self.connector.table(self.schema_name, self.table_name, columns)
