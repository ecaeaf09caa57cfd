"""Loading a stream into its table through the target's database: a batch is one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from singerkit.records.columns import column_schemas, columns_of
from singerkit.sql.kinds import kind_of, scale_of
from singerkit.sql.tables import APPEND, DELETED_AT, EVOLVE, UPSERT, TablePlan

if TYPE_CHECKING:
    from singerkit.sinks.sql import SQLSink
    from singerkit.sql_target import SQLTarget


class DirectLoading:
    """Makes and fills the table of a sink whose author overrides none of the hooks for that."""

    def __init__(self, sink: SQLSink[Any], target: SQLTarget) -> None:
        self._sink = sink
        self._target = target
        self._ignored: list[str] = []
        self._dropped: Counter[str] = Counter()

    def set_up(self) -> None:
        """Make the table what the schema needs."""
        sink = self._sink
        properties = column_schemas(sink.schema, sink.stream_name)
        method = sink.config.get("load_method")
        keys = () if method == APPEND else tuple(sink.key_properties)
        if method == UPSERT and not keys:
            sink.logger.warning("The stream has no key properties, so its records are appended")
        kinds = {name: kind_of(schema) for name, schema in properties.items()}
        scales = {name: scale_of(schema) for name, schema in properties.items()}
        self._table, self._lock = self._target.open_table(sink.stream_name)
        with self._lock:
            policy = sink.config.get("on_schema_change") or EVOLVE
            self._table.adapt(TablePlan(kinds, scales, keys, policy))
        self._ignored = [name for name in properties if name not in self._table.columns]
        for name in self._ignored:
            sink.logger.warning("The table has no column for the property '%s': its values are dropped", name)

    def store(self, records: Sequence[Any], *, removes_deleted: bool) -> None:
        """Store records, and wait until they are on the disk; or let them wait for their state.

        Shape: dicts, where ``removes_deleted``; else they may be structs as well.
        """
        for name, values in zip(self._ignored, columns_of(records, self._ignored), strict=True):
            self._dropped[name] += sum(value is not None for value in values)
        removes = removes_deleted and any(record.get(DELETED_AT) for record in records)
        waiting = self._target.waiting
        with self._lock:
            if waiting is None:
                self._table.store(records, remove_deleted=removes)
            else:
                rows = self._table.prepare(records, remove_deleted=removes)
                waiting.add_rows(self._sink.stream_name, self._table, rows)

    def retire(self, new_version: int, *, hard: bool) -> None:
        """Remove the rows of older versions, or of none, or mark them as deleted."""
        deleted_at = None if hard else datetime.now(tz=UTC).isoformat()
        waiting = self._target.waiting
        with self._lock:
            if waiting is None:
                self._table.retire(new_version, deleted_at=deleted_at)
            else:
                waiting.add_retirement(self._sink.stream_name, self._table, new_version, deleted_at)

    def dropped(self) -> Counter[str]:
        """Give the values that were dropped, by column."""
        return self._dropped + self._table.unfit
