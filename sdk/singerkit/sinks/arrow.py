"""The class an author subclasses to store tables of Arrow instead of records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from singerkit.engine.spec import overridden
from singerkit.records.columns import LeftOut
from singerkit.sinks.arrow_columns import ArrowColumns
from singerkit.sinks.core import Sink

if TYPE_CHECKING:
    import pyarrow as pa

    from singerkit.targets import Target
    from singerkit.types import Schema


class ArrowSink(Sink):
    """Stores a stream as ``pyarrow`` tables, one a batch; needs the extra ``arrow``.

    The lines of a batch are decoded and validated into structs, and their columns become a table: no dict is made of a
    record, unless a stream map, ``add_record_metadata`` or ``preprocess_record`` asks for it. The types of the columns
    come from the stream's schema, see :mod:`singerkit.sinks.arrow_columns`.
    """

    exact_numbers = True
    takes_structs = True
    MAX_SIZE_DEFAULT = 20_000
    #: Half of what other sinks have: a batch is there as structs and as columns for a moment.
    max_bytes = 4 * 1024 * 1024
    #: Whether objects and arrays become structs and lists where the schema says all that is in them; else JSON text.
    nested_columns: bool = True

    def __init__(
        self, target: Target, stream_name: str, schema: Schema, key_properties: Sequence[str] | None = None
    ) -> None:
        super().__init__(target, stream_name, schema, key_properties)
        self._columns = ArrowColumns(schema, stream_name, nested=self.nested_columns)
        self._left_out = LeftOut(self.logger, self._columns.names)

    @property
    def arrow_schema(self) -> pa.Schema:
        """The schema of the next table; a column becomes wider when a value needs it."""
        return self._columns.schema

    def process_table(self, table: pa.Table) -> None:
        """Store a batch: a row a record, a column a property, null where a record does not have it.

        When this returns the rows are durable, or will be when ``settle`` returns (see ``settle_seconds``).
        """
        raise NotImplementedError(f"{type(self).__name__} has to define process_table")

    def process(self, records: list[Any]) -> None:
        """Store the records of a batch."""
        preprocess = overridden(self, "preprocess_record")
        if preprocess is not None:
            context: dict[str, Any] = {}
            records = [preprocess(record, context) for record in records]
        self._left_out.look_at(records)
        self.process_table(self._columns.table(records))

    def clean_up(self) -> None:
        """Say what was left out."""
        self._left_out.report()
