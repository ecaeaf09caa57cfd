"""target-parquet: writes Parquet files into a folder or an object store.

A run writes new files beside those that are there: ``orders-20240131T235959Z-5273840916-00001.parquet``. A file is
written under a hidden name and gets its own when it is complete and on the disk; only then do the states leave that
cover its records. So that little is done twice after a crash, a file is complete after ``max_file_seconds`` at the
latest. Columns are as :mod:`singerkit.sinks.arrow_columns` says; when one has to change, a new file begins.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from secrets import randbelow
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from singerkit import Target
from singerkit import typing as th
from singerkit.connectors.parquet_files import ParquetDraft, RowGroups
from singerkit.files.names import file_stem
from singerkit.files.storage import Storage, open_storage
from singerkit.sinks.arrow import ArrowSink
from singerkit.sinks.arrow_columns import import_arrow

if TYPE_CHECKING:
    import pyarrow as pa

OVERWRITE = "overwrite"
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
        super().__init__(target, stream_name, schema, key_properties)
        self._files = target
        self._open: OrderedDict[str, ParquetDraft] = OrderedDict()
        # An overwriting run releases no state before its end, so its files need not be complete before.
        self.settle_seconds = None if target.overwrites else float(self.config.get("max_file_seconds") or 20)
        self._max_rows = int(self.config.get("file_size") or 0)
        self._max_bytes = int(self.config.get("max_file_mb") or 512) * 1024 * 1024

    def setup(self) -> None:
        """Find the property that partitions the stream."""
        self._files.replace_later(self.stream_name)
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
            if 0 < self._max_rows <= part.rows or part.written_bytes >= self._max_bytes:
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
        if self._files.needs_a_file(self.stream_name):
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
            part = self._open[partition] = self._files.begin(self.stream_name, partition, schema)
        self._open.move_to_end(partition)
        return part

    def _finish(self, partition: str) -> None:
        self._files.finish(self.stream_name, self._open[partition])
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
    #: A file keeps what it has: no rows of older versions are taken out of it.
    capabilities: ClassVar[Sequence[str]] = tuple(name for name in Target.capabilities if name != "activate-version")
    config_jsonschema = th.PropertiesList(
        th.Property(
            "destination_path",
            th.StringType,
            default="output",
            title="Folder",
            description="Where the files go: a folder, which is made if it is not there, or an object store, such as "
            "`s3://bucket/folder`, `gs://bucket/folder` or `az://container/folder`.",
        ),
        th.Property(
            "storage_options",
            th.ObjectType(additional_properties=True),
            secret=True,
            title="Options of the object store",
            description="Such as `endpoint`, `region`, `access_key_id` and `secret_access_key`. What is not given "
            "comes from the environment, as for other programs of the cloud.",
        ),
        th.Property(
            "compression_method",
            th.StringType,
            default="snappy",
            allowed_values=[*_METHODS, *(name.upper() for name in _METHODS)],
            title="Compression",
            description="How the columns are compressed.",
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
        th.Property(
            "max_file_seconds",
            th.NumberType(exclusive_minimum=0),
            default=20,
            title="Age of a file",
            description="A file is completed when its first record is so old, also while no input comes; then the "
            "states leave that cover it. More seconds make fewer and larger files, and more to repeat after a crash.",
        ),
        th.Property(
            "file_size",
            th.IntegerType,
            title="Rows of a file",
            description="A file is completed when it has so many rows, give or take a batch.",
        ),
        th.Property(
            "max_file_mb",
            th.IntegerType(minimum=1),
            default=512,
            title="Size of a file",
            description="A file is completed when it has so many MiB, give or take a row group.",
        ),
        th.Property(
            "row_group_size",
            th.IntegerType(minimum=1),
            default=100_000,
            title="Rows of a row group",
            description="At most so many rows make a row group; fewer where they take much memory.",
        ),
        th.Property(
            "load_method",
            th.StringType,
            default="append-only",
            allowed_values=["append-only", OVERWRITE],
            title="Load method",
            description="`append-only` adds files; `overwrite` removes a stream's older files when the run has "
            "succeeded, for streams that are read in full every time.",
        ),
    ).to_dict()

    def __init__(self, **arguments: Any) -> None:
        """Take in the config; see ``Target``."""
        super().__init__(**arguments)
        self._lock = Lock()
        self._run = f"{randbelow(10**10):010}"
        self._parts = 0
        self._drafts: set[ParquetDraft] = set()
        self._completed: dict[str, list[ParquetDraft]] = {}
        self._opened_storage: Storage | None = None
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
        return self._publish if self.overwrites else None

    @property
    def _storage(self) -> Storage:
        if self._opened_storage is None:
            place = self.config.get("destination_path") or "output"
            self._opened_storage = open_storage(place, self.config.get("storage_options"))
        return self._opened_storage

    def begin(self, stream: str, partition: str, schema: pa.Schema) -> ParquetDraft:
        """Begin a file."""
        with self._lock:
            self._parts += 1
            stem = file_stem(stream)
            started = datetime.fromtimestamp(self.initialized_at // 1000, tz=UTC)
            name = f"{stem}-{started:%Y%m%dT%H%M%S}Z-{self._run}-{self._parts:05}.parquet"
            in_folder = partition or self.config.get("streams_in_separate_folder")
            folders = [stem, partition] if partition else [stem] if in_folder else []
            draft = ParquetDraft(
                self._storage.draft("/".join([*folders, name])), schema, self._compression, self._row_groups
            )
            self._drafts.add(draft)
            return draft

    def finish(self, stream: str, draft: ParquetDraft) -> None:
        """Complete a file; when this returns it is durable, unless the run overwrites."""
        draft.complete()
        if self.overwrites:
            with self._lock:
                self._completed[stream].append(draft)
            return
        draft.publish()
        with self._lock:
            self._drafts.discard(draft)

    def replace_later(self, stream: str) -> None:
        """Note that the stream's older files go when the run has succeeded, if it overwrites."""
        if self.overwrites:
            with self._lock:
                self._completed.setdefault(stream, [])

    def needs_a_file(self, stream: str) -> bool:
        """Tell whether a stream without records still needs a file, as its older ones will go."""
        with self._lock:
            return self.overwrites and not self._completed[stream]

    def listen(self, file_input: BinaryIO | None = None) -> None:
        """Load the input; what is not complete at its end is removed."""
        arrow = import_arrow()
        # As fast here as Arrow's own, and gives back what it no longer needs: a third less memory.
        arrow.set_memory_pool(arrow.system_memory_pool())
        try:
            super().listen(file_input)
        finally:
            for draft in self._drafts:
                draft.discard()

    def _publish(self) -> None:
        """Show the new files, then remove the old ones: whoever reads in between sees both."""
        names = {stream: _older_files(file_stem(stream), self._storage) for stream in self._completed}
        for drafts in self._completed.values():
            for draft in drafts:
                draft.publish()
                self._drafts.discard(draft)
        for older in names.values():
            for name in older:
                self._storage.delete(name)

    def _share(self) -> int:
        return max(_LEAST_HELD_BACK_BYTES, _HELD_BACK_BYTES // max(1, len(self._drafts)))


def _older_files(stem: str, storage: Storage) -> list[str]:
    """Give the files of a stream."""
    pattern = re.compile(re.escape(stem) + r"-[0-9]{8}T[0-9]{6}Z-[0-9]{10}-[0-9]{5,}\.parquet")
    return [name for name in storage.names() if pattern.fullmatch(name.rpartition("/")[2])]
