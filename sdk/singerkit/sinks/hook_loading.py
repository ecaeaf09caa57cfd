"""Loading a stream through the hooks of its sink and its connector, where an author overrides one of them.

What is called, in order and in the shapes that connectors know::

    connector.prepare_schema(schema_name)
    connector.prepare_table(full_table_name=, schema=, primary_keys=, as_temp_table=)
    sink.bulk_insert_records(full_table_name=, schema=, records=)            each batch
      sink.generate_insert_statement(full_table_name, schema)
    sink.merge_upsert_from_table(target_table_name=, from_table_name=, join_keys=)
    connector.delete_old_versions(full_table_name=, version_column_name=, current_version=)

An author's ``bulk_insert_records`` gets every record, and decides itself what becomes of rows with the same key. The
one that is here is used with a second table: filled, merged by ``merge_upsert_from_table``, dropped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from threading import RLock
from typing import TYPE_CHECKING, Any

from singerkit.errors import ConfigurationError, DataError
from singerkit.records.columns import column_schemas, last_of_each_key
from singerkit.sql.kinds import JSON, MIXED, kind_of
from singerkit.sql.tables import APPEND, EVOLVE, FREEZE, OVERWRITE
from singerkit.types import Schema

if TYPE_CHECKING:
    from singerkit.sinks.sql import SQLSink
    from singerkit.sql.table_lookup import TableName
    from singerkit.sql.table_making import TableMaking


class HookTables:
    """What the sinks of a target share that load through hooks: whose table is whose, and the new ones beside old."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._streams: dict[str, str] = {}
        self._locks: dict[str, RLock] = {}
        self._beside: dict[str, tuple[TableMaking, TableName, TableName]] = {}

    def take(self, full_table_name: str, stream: str) -> AbstractContextManager[Any]:
        """Have a table for a stream; gives the lock that its sinks share.

        Errors: ``ConfigurationError`` when it is another stream's.
        """
        with self._lock:
            owner = self._streams.setdefault(full_table_name.casefold(), stream)
            if owner != stream:
                raise ConfigurationError(
                    f"the streams '{owner}' and '{stream}' have the same table, {full_table_name}: rename one by "
                    "stream_maps (__alias__)"
                )
            return self._locks.setdefault(stream, RLock())

    def begin_beside(self, connector: TableMaking, beside: TableName, name: TableName) -> bool:
        """Note a table that is to take another one's place; tells whether it is the first time."""
        with self._lock:
            is_new = str(beside) not in self._beside
            self._beside[str(beside)] = (connector, beside, name)
            return is_new

    def publish(self) -> None:
        """Put the new tables in the place of the old ones."""
        for connector, beside, name in self._beside.values():
            with connector.explained():
                connector.replace_table(name, beside)
        self._beside.clear()


class HookLoading:
    """Makes and fills the table of a sink by the hooks."""

    def __init__(self, sink: SQLSink[Any], tables: HookTables, *, merges: bool) -> None:
        """Take the sink; ``merges``: rows replace those with the same key by a merge from a second table."""
        self._sink = sink
        self._tables = tables
        self._merges = merges
        self._ignored: list[str] = []
        self._dropped: Counter[str] = Counter()
        self._lock: AbstractContextManager[Any] = nullcontext()
        #: What the sink stores: its schema without what the table has no column for.
        self._schema: Schema = sink.schema

    def set_up(self) -> None:
        """Make the table what the schema needs."""
        sink, connector = self._sink, self._sink.connector
        column_schemas(sink.schema, sink.stream_name)  # refuses what can't be columns
        self._lock = self._tables.take(str(sink.full_table_name), sink.stream_name)
        with self._lock, connector.explained():
            if sink.schema_name:
                connector.prepare_schema(sink.schema_name)
            if sink.config.get("load_method") == OVERWRITE:
                self._begin_beside()
            policy = sink.config.get("on_schema_change") or EVOLVE
            if policy != EVOLVE and connector.table_exists(full_table_name=sink.full_table_name):
                self._leave_out_missing(policy)
                return
            table, schema, keys = sink.full_table_name, sink.conform_schema(sink.schema), self._keys()
            connector.prepare_table(full_table_name=table, schema=schema, primary_keys=keys, as_temp_table=False)
            if self._merges:
                connector._adapt_key(table, keys, schema)

    def _keys(self) -> Sequence[str]:
        """Give the table's key: none where records with the same key are to be rows of their own."""
        sink = self._sink
        appends = sink.config.get("load_method") == APPEND and not sink.stores_by_itself
        return [] if appends else sink.key_properties

    def _begin_beside(self) -> None:
        sink, connector = self._sink, self._sink.connector
        final = sink.full_table_name
        sink.is_beside = True
        beside = sink.full_table_name
        if str(beside) == str(final):
            raise ConfigurationError(
                "load_method: 'overwrite' needs a table beside, but the target names tables itself"
            )
        if self._tables.begin_beside(connector, beside, final):
            connector.remove_table(beside)

    def _leave_out_missing(self, policy: str) -> None:
        sink = self._sink
        there = {name.casefold() for name in sink.connector.get_table_columns(sink.full_table_name)}
        properties = sink.schema["properties"]
        missing = [name for name in properties if sink.conform_name(name, "column").casefold() not in there]
        if missing and (policy == FREEZE or set(missing) & set(sink.record_keys)):
            raise DataError(
                f"the table has no column for the property '{missing[0]}', and on_schema_change is '{policy}': change "
                "the table, deselect the property, or set on_schema_change to 'evolve'"
            )
        self._ignored = missing
        self._schema = {**sink.schema, "properties": {n: s for n, s in properties.items() if n not in missing}}
        for name in missing:
            sink.logger.warning("The table has no column for the property '%s': its values are dropped", name)

    def store(self, records: Sequence[dict[str, Any]], *, removes_deleted: bool) -> None:
        """Store records, and wait until they are on the disk."""
        sink, connector = self._sink, self._sink.connector
        for name in self._ignored:
            self._dropped[name] += sum(record.get(name) is not None for record in records)
        with self._lock, connector.explained():
            if self._merges and sink.key_properties:
                self._merge(records)
            else:
                self._insert(sink.full_table_name, records)
            if removes_deleted and any(record.get(sink.soft_delete_column_name) for record in records):
                self._remove_deleted()

    def _insert(self, full_table_name: TableName, records: Sequence[dict[str, Any]]) -> None:
        self._sink.bulk_insert_records(full_table_name=full_table_name, schema=self._schema, records=records)

    def _merge(self, records: Sequence[dict[str, Any]]) -> None:
        sink, connector = self._sink, self._sink.connector
        keys = list(sink.record_keys)
        kinds = {kind_of(self._schema["properties"].get(key)) for key in keys}
        latest = last_of_each_key(records, keys, as_json=bool(kinds & {JSON, MIXED}))
        staged = sink.staging_table_name
        columns = list(sink.key_properties)
        connector.remove_table(staged)  # one of a run that was killed
        connector.create_empty_table(
            full_table_name=staged, schema=sink.conform_schema(self._schema), primary_keys=columns
        )
        try:
            self._insert(staged, latest)
            sink.merge_upsert_from_table(
                target_table_name=sink.full_table_name, from_table_name=staged, join_keys=columns
            )
        finally:
            connector.remove_table(staged)

    def _remove_deleted(self) -> None:
        import sqlalchemy

        column = self._sink.conform_name(self._sink.soft_delete_column_name, "column")
        table = self._sink.table_clause(self._sink.full_table_name)
        with self._sink.connector._connect() as connection, connection.begin():
            connection.execute(sqlalchemy.delete(table).where(table.columns[column].is_not(None)))

    def retire(self, new_version: int, *, hard: bool) -> None:
        """Remove the rows of older versions, or of none, or mark them as deleted."""
        import sqlalchemy

        sink, connector = self._sink, self._sink.connector
        version = sink.conform_name(sink.version_column_name, "column")
        with self._lock, connector.explained():
            if hard:
                connector.delete_old_versions(
                    full_table_name=sink.full_table_name, version_column_name=version, current_version=new_version
                )
                return
            table = sink.table_clause(sink.full_table_name)
            deleted = table.columns[sink.conform_name(sink.soft_delete_column_name, "column")]
            is_older = (table.columns[version] < new_version) | table.columns[version].is_(None)
            update = sqlalchemy.update(table).where(is_older, deleted.is_(None))
            with connector._connect() as connection, connection.begin():
                connection.execute(update.values({deleted: datetime.now(tz=UTC)}))

    def dropped(self) -> Counter[str]:
        """Give the values that were dropped, by property."""
        return self._dropped


def merges_by_key(sink: SQLSink[Any]) -> bool:
    """Tell whether rows replace those with the same key here: neither the user nor the author says otherwise."""
    method = sink.config.get("load_method")
    if method == APPEND or sink.inserts_by_itself:
        return False
    if not sink.connector.allow_merge_upsert:
        sink.logger.warning("The target does not merge rows: those with a key that is there already are inserted too")
    return sink.connector.allow_merge_upsert
