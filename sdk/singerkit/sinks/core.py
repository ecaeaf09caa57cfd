"""The classes an author subclasses to store the records of one stream.

The hooks, in the order in which they are called::

    setup()                                  once, before the first record
      preprocess_record(record, context)     each record, only if overridden
      process_record(record, context)        each record: RecordSink (BatchSink: only if overridden)
      start_batch(context)                   each batch, BatchSink
      process_batch(context)                 each batch, BatchSink: context["records"] is the list of records
      activate_version(new_version)          when the tap says that older rows may go; everything before it is stored
    settle()                                 where settle_seconds is set: when rows have waited so long, and at the end
    clean_up()                               once, when everything was stored, and before the stream's schema changes

A sink gets one call at a time, but not always in the same thread. **When process_batch (or process_record) returns,
what it was given has to be durable**: the state that covers it may leave the target at once. (A sink that fills
files, which count only when they are complete, sets ``settle_seconds``.) An exception ends the run; what was stored
before stands.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

from singerkit import clock
from singerkit.compat.overrides import SINK_OVERRIDES, refuse_overrides
from singerkit.engine.spec import default_hook, overridden
from singerkit.types import Record, Schema

if TYPE_CHECKING:
    from singerkit.files.batches import BatchEncoding
    from singerkit.targets import Target


class Sink:
    """Stores one stream. Subclass :class:`BatchSink` or :class:`RecordSink`."""

    #: Rows of a full batch; the setting ``batch_size_rows`` wins.
    MAX_SIZE_DEFAULT: ClassVar[int] = 10_000
    #: Bytes of message lines of a full batch; the setting ``batch_size_bytes`` wins.
    max_bytes: int = 8 * 1024 * 1024
    #: Whether a ``number`` arrives as ``Decimal``, with every digit, instead of as ``float``.
    exact_numbers: bool = False
    #: Whether a ``date-time``, ``date`` or ``time`` arrives as an object of :mod:`datetime` instead of as text.
    parse_datetimes: bool = True
    #: Whether a record may arrive as the struct that its line was decoded into; not where a hook looks at records.
    takes_structs: bool = False
    #: Whether a record may arrive as the JSON text that it came as, a ``msgspec.Raw``.
    takes_raw: bool = False
    #: Seconds that rows may wait in the sink, after it was given them, until ``settle`` makes them durable; None: what
    #: it was given is durable when it returns. No state leaves before its rows are.
    settle_seconds: float | None = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Refuse overrides of what is not called here, instead of ignoring them."""
        super().__init_subclass__(**keywords)
        refuse_overrides(cls, SINK_OVERRIDES)

    def __init__(
        self, target: Target, stream_name: str, schema: Schema, key_properties: Sequence[str] | None = None
    ) -> None:
        self._target = target
        self.stream_name = stream_name
        self.schema = schema
        self.original_schema = schema
        self._key_properties = list(key_properties or ())
        self.logger = logging.getLogger(f"{target.name}.{stream_name}")
        self.sync_started_at = target.initialized_at

    @property
    def config(self) -> Mapping[str, Any]:
        """The target's config, read-only."""
        return self._target.config

    @property
    def key_properties(self) -> Sequence[str]:
        """The properties that make a record unique; empty: every record is a new row."""
        return self._key_properties

    @property
    def batch_size_rows(self) -> int | None:
        """What the user set for the rows of a batch."""
        rows: int | None = self.config.get("batch_size_rows")
        return rows

    @property
    def max_size(self) -> int:
        """Rows of a full batch."""
        return self.batch_size_rows or self.MAX_SIZE_DEFAULT

    @property
    def include_sdc_metadata_properties(self) -> bool:
        """Whether records get the ``_sdc_*`` properties."""
        return bool(self.config.get("add_record_metadata", False))

    @property
    def validate_schema(self) -> bool:
        """Whether records are checked against their schema."""
        return bool(self.config.get("validate_records", True))

    def setup(self) -> None:
        """Get ready: open what is needed, make the table."""

    def clean_up(self) -> None:
        """Close what was opened."""

    def settle(self) -> None:
        """Make everything durable that was given before; called where ``settle_seconds`` is set."""

    @property
    def is_settled(self) -> bool:
        """Whether everything that was given is durable; asked where ``settle_seconds`` is set."""
        return True

    @default_hook
    def process_batch_files(self, encoding: BatchEncoding, files: Sequence[str]) -> None:
        """Store the files of a BATCH message; when this returns they are durable.

        Where this is overridden, and neither a stream map nor ``add_record_metadata`` asks for records, the files are
        handed over unread: nothing in them is validated. ``files``: their addresses, all below ``batch_root``.
        """

    @default_hook
    def activate_version(self, new_version: int) -> None:
        """Remove the rows with an older version, or with none; does nothing unless overridden."""
        self.logger.warning("This target does not act on ACTIVATE_VERSION; rows of before version %d stay", new_version)

    @default_hook
    def preprocess_record(self, record: Record, context: dict[str, Any]) -> Record:
        """Change a record before it is processed."""
        return record

    def process(self, records: list[Record]) -> None:
        """Store the records of a batch; the engine calls this."""
        raise NotImplementedError(f"{type(self).__name__} has to be a BatchSink or a RecordSink")


class RecordSink(Sink):
    """Stores record by record."""

    MAX_SIZE_DEFAULT = 1_000

    def process_record(self, record: Record, context: dict[str, Any]) -> None:
        """Store one record; when this returns it is durable."""
        raise NotImplementedError(f"{type(self).__name__} has to define process_record")

    def process(self, records: list[Record]) -> None:
        """Store the records of a batch one by one."""
        context: dict[str, Any] = {}
        preprocess = overridden(self, "preprocess_record")
        for record in records:
            self.process_record(record if preprocess is None else preprocess(record, context), context)


class BatchSink(Sink):
    """Stores batch by batch."""

    @default_hook
    def start_batch(self, context: dict[str, Any]) -> None:
        """Get ready for a batch; ``context`` has its ``batch_id`` and ``batch_start_time``."""

    @default_hook
    def process_record(self, record: Record, context: dict[str, Any]) -> None:
        """Take a record into the batch; where this is not overridden the whole list is handed over at once."""
        context.setdefault("records", []).append(record)

    def process_batch(self, context: dict[str, Any]) -> None:
        """Store ``context["records"]``; when this returns they are durable."""
        raise NotImplementedError(f"{type(self).__name__} has to define process_batch")

    def process(self, records: list[Record]) -> None:
        """Store the records of a batch."""
        context: dict[str, Any] = {"batch_id": str(uuid4()), "batch_start_time": clock.utc_now()}
        start_batch = overridden(self, "start_batch")
        if start_batch is not None:
            start_batch(context)
        preprocess = overridden(self, "preprocess_record")
        if preprocess is not None:
            records = [preprocess(record, context) for record in records]
        process_record: Callable[[Record, dict[str, Any]], None] | None = overridden(self, "process_record")
        if process_record is None:
            context["records"] = records
        else:
            for record in records:
                process_record(record, context)
        self.process_batch(context)
