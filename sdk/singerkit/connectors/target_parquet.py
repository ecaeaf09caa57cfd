"""target-parquet: writes Parquet files into a folder or an object store.

A run writes new files beside those that are there: ``orders-20240131T235959Z-5273840916-00001.parquet``. A file is
written under a hidden name and gets its own when it is complete and on the disk; only then do the states leave that
cover its records. So that little is done twice after a crash, a file is complete after ``max_file_seconds`` at the
latest. Columns are as :mod:`singerkit.sinks.arrow_columns` says; when one has to change, a new file begins.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from singerkit import Target
from singerkit import typing as th
from singerkit.connectors.file_settings import DESTINATION, LOAD_METHOD, OVERWRITE, STORAGE_OPTIONS, part_limits
from singerkit.connectors.parquet_files import ParquetDraft, RowGroups
from singerkit.connectors.parts import PartLimits, PartName, Parts
from singerkit.files.names import file_stem
from singerkit.files.storage import Draft, Storage, open_storage
from singerkit.sinks.arrow import ArrowSink
from singerkit.sinks.arrow_columns import import_arrow

if TYPE_CHECKING:
    import pyarrow as pa

_METHODS = ("none", "snappy", "gzip", "zstd", "brotli", "lz4")
#: Bytes of Arrow data that all files together hold back for their row groups.
_HELD_BACK_BYTES = 32 * 1024 * 1024
_LEAST_HELD_BACK_BYTES = 256 * 1024
#: Partitions of a stream that are written at the same time; of more, the one that was used least lately is completed.
_MOST_PARTITIONS = 64
_NO_DATE = "__HIVE_DEFAULT_PARTITION__"
_SHOWN = {"day": 10, "month": 7, "year": 4}


class ParquetSink(ArrowSink):
    """Writes the records of a stream into its files."""

    def __init__(
        self,
        target: TargetParquet,
        stream_name: str,
        schema: dict[str, Any],
        key_properties: Sequence[str] | None = None,
    ) -> None:
        self.nested_columns = target.config.get("nested_values") != "json"
        super().__init__(target, stream_name, schema, key_properties)
        self._files = target
        self._name = PartName(file_stem(stream_name), ".parquet")
        self._open: OrderedDict[str, ParquetDraft] = OrderedDict()
        self._limits = PartLimits.of(self.config)
        # An overwriting run releases no state before its end, so its files need not be complete before.
        self.settle_seconds = None if target.overwrites else self._limits.max_seconds

    def setup(self) -> None:
        """Find the property that partitions the stream."""
        self._files.parts.replace_later(self._name)
        self._date_property = self.config.get("partition_by_date")
        if self._date_property and not self._is_date(self.arrow_schema):
            self.logger.warning(
                "The stream is not partitioned: its schema has no date or date-time '%s'", self._date_property
            )
            self._date_property = None

    def process_table(self, table: pa.Table) -> None:
        """Add the rows to the file under way."""
        for partition, rows in self._partitions(table):
            part = self._part(partition, rows.schema)
            part.write(rows)
            if self._limits.are_reached(part.rows, part.written_bytes):
                self._finish(partition)

    def settle(self) -> None:
        """Complete the files under way."""
        for partition in list(self._open):
            self._finish(partition)

    @property
    def is_settled(self) -> bool:
        """Whether no file is under way."""
        return not self._open

    def clean_up(self) -> None:
        """Complete the files under way; say what was left out."""
        super().clean_up()
        if not self._open and self._files.parts.lacks(self._name):
            self._part("", self.arrow_schema)
        self.settle()

    def _part(self, partition: str, schema: pa.Schema) -> ParquetDraft:
        part = self._open.get(partition)
        if part is not None and part.schema != schema:
            self._finish(partition)
            part = None
        if part is None:
            if len(self._open) >= _MOST_PARTITIONS:
                self._finish(next(iter(self._open)))
            part = self._open[partition] = self._files.begin(self._name, partition, schema)
        self._open.move_to_end(partition)
        return part

    def _finish(self, partition: str) -> None:
        self._files.parts.finish(self._name, self._open[partition])
        del self._open[partition]

    # Partitions

    def _partitions(self, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        """Give the rows by partition, each with the folder's name."""
        if self._date_property is None:
            yield "", table
            return
        import pyarrow as pa
        from pyarrow import compute

        if not self._is_date(table.schema):  # it has become text, since a value was no date
            yield self._folder(None), table
            return
        days = compute.cast(table.column(self._date_property), pa.date32())
        shown = _SHOWN[self.config.get("partition_granularity") or "day"]
        labels = compute.utf8_slice_codeunits(compute.cast(days, pa.string()), 0, shown)
        for label in compute.unique(labels).to_pylist():
            mask = compute.is_null(labels) if label is None else compute.equal(labels, label)
            yield self._folder(label), table.filter(mask)

    def _folder(self, label: str | None) -> str:
        name = f"{file_stem(str(self._date_property))}_date"
        while name in self.arrow_schema.names:  # readers take the folder's name for a column's
            name = f"_{name}"
        return f"{name}={label or _NO_DATE}"

    def _is_date(self, schema: pa.Schema) -> bool:
        from pyarrow import types

        name = self._date_property
        if name not in schema.names:
            return False
        kind = schema.field(name).type
        return bool(types.is_timestamp(kind) or types.is_date(kind))


class TargetParquet(Target):
    """Writes Parquet files into a folder or an object store."""

    name = "target-parquet"
    default_sink_class = ParquetSink
    #: A batch is stored faster than it is read; less in waiting is less at the peak.
    max_pending_mb = 8
    #: A file keeps what it has: no rows of older versions are taken out of it.
    capabilities: ClassVar[Sequence[str]] = tuple(name for name in Target.capabilities if name != "activate-version")
    config_jsonschema = th.PropertiesList(
        DESTINATION,
        STORAGE_OPTIONS,
        th.Property(
            "compression_method",
            th.StringType,
            default="snappy",
            allowed_values=[*_METHODS, *(name.upper() for name in _METHODS)],
            title="Compression",
            description="How the columns are compressed.",
        ),
        th.Property(
            "nested_values",
            th.StringType,
            default="native",
            allowed_values=["native", "json"],
            title="Objects and arrays",
            description="`native` makes structs and lists of objects and arrays where the schema says all that is in "
            "them, and JSON text of the others; `json` makes JSON text of all.",
        ),
        th.Property(
            "streams_in_separate_folder",
            th.BooleanType,
            default=False,
            title="A folder for each stream",
            description="Whether each stream's files go into a folder of its own.",
        ),
        th.Property(
            "partition_by_date",
            th.StringType,
            title="Partition by date",
            description="A property with format `date` or `date-time`: the files of a day go into a folder of their "
            "own, `orders/updated_at_date=2024-01-31/`. Streams without the property are not partitioned.",
        ),
        th.Property(
            "partition_granularity",
            th.StringType,
            default="day",
            allowed_values=[*_SHOWN],
            title="Size of partitions",
            description="Whether a partition is a day, a month or a year.",
        ),
        *part_limits(),
        th.Property(
            "file_size",
            th.IntegerType,
            title="Rows of a file",
            description="A file is completed when it has so many rows, give or take a batch.",
        ),
        th.Property(
            "row_group_size",
            th.IntegerType(minimum=1),
            default=100_000,
            title="Rows of a row group",
            description="At most so many rows make a row group; fewer where they take much memory.",
        ),
        LOAD_METHOD,
    ).to_dict()

    def __init__(self, **arguments: Any) -> None:
        """Take in the config; see ``Target``."""
        super().__init__(**arguments)
        started = datetime.fromtimestamp(self.initialized_at // 1000, tz=UTC)
        #: The run's files.
        self.parts = Parts(self._open_storage, started, overwrites=self.overwrites)
        method = str(self.config.get("compression_method") or "none").lower()
        self._compression = method
        self._row_groups = RowGroups(int(self.config.get("row_group_size") or 100_000), self._share)

    @property
    def overwrites(self) -> bool:
        """Whether this run's files take the place of older ones."""
        return self.config.get("load_method") == OVERWRITE

    @property
    def publisher(self) -> Callable[[], None] | None:
        """With ``overwrite``: shows the new files and removes the old ones; the last state leaves after that."""
        return self.parts.publish if self.overwrites else None

    def begin(self, name: PartName, partition: str, schema: pa.Schema) -> ParquetDraft:
        """Begin a file."""
        in_folder = partition or self.config.get("streams_in_separate_folder")
        folders = (name.stem, partition) if partition else (name.stem,) if in_folder else ()

        def made(draft: Draft) -> ParquetDraft:
            return ParquetDraft(draft, schema, self._compression, self._row_groups)

        return self.parts.begin(name, made, folders=folders)

    def listen(self, file_input: BinaryIO | None = None) -> None:
        """Load the input; what is not complete at its end is removed."""
        arrow = import_arrow()
        # As fast here as Arrow's own, and gives back what it no longer needs: a third less memory.
        arrow.set_memory_pool(arrow.system_memory_pool())
        try:
            super().listen(file_input)
        finally:
            self.parts.discard()

    def _open_storage(self) -> Storage:
        return open_storage(self.config.get("destination_path") or "output", self.config.get("storage_options"))

    def _share(self) -> int:
        return max(_LEAST_HELD_BACK_BYTES, _HELD_BACK_BYTES // max(1, self.parts.under_way))
