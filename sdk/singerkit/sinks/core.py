"""The classes an author subclasses to store the records of one stream.

The hooks, in the order in which they are called::

    setup()                                  once, before the first record
      start_batch(context)                   each batch, BatchSink
      preprocess_record(record, context)     each record, only if overridden
      process_record(record, context)        each record: RecordSink (BatchSink: only if overridden)
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
from singerkit.compat.overrides import BATCH_SINK_OVERRIDES, SINK_OVERRIDES, refuse_overrides
from singerkit.engine.spec import default_hook, overridden
from singerkit.errors import ConfigurationError
from singerkit.sinks.validator import RecordValidator
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

    #: Overrides that nothing would call.
    _refused: ClassVar[Mapping[str, str]] = SINK_OVERRIDES
    #: Nothing waits with a sink: the engine keeps a batch, and stores it before it calls another hook.
    _pending_batch: ClassVar[None] = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Refuse overrides of what is not called here, instead of ignoring them."""
        super().__init_subclass__(**keywords)
        refuse_overrides(cls, cls._refused)

    def __init__(
        self, target: Target, stream_name: str, schema: Schema, key_properties: Sequence[str] | None = None
    ) -> None:
        self._target = target
        self.stream_name = stream_name
        self.schema = schema
        self.original_schema = schema
        self._key_properties = list(key_properties or ())
        self.logger: logging.Logger = target.logger.getChild(stream_name)
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
        return bool(self.config.get("validate_records", True)) and self._gives_validator()

    def get_validator(self) -> RecordValidator | None:
        """Give what checks records; ``None`` turns it off for this sink.

        The engine checks records by itself, many at once, so a validator of another kind is refused.
        """
        return RecordValidator(self.schema)

    def _gives_validator(self) -> bool:
        validator = self.get_validator()
        if validator is not None and type(validator) is not RecordValidator:
            raise ConfigurationError(
                f"{type(self).__name__}.get_validator gives a validator that would never be called: give None, or what "
                "super() gives, and change records in preprocess_record(record, context)"
            )
        return validator is not None

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

    def start_drain(self) -> dict[str, Any]:
        """Give what waits with the sink, which is nothing."""
        return {}

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

    _refused = BATCH_SINK_OVERRIDES
    _taken: int = 0

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

    @property
    def current_size(self) -> int:
        """Records of the batch that runs, counted for an ``is_full`` of the author's."""
        return self._taken

    @property
    def is_full(self) -> bool:
        """Whether the batch is to be stored now: asked after each record where it is overridden.

        A batch ends where the engine's limits say so, too.
        """
        return self._taken >= self.max_size

    @default_hook
    def mark_drained(self) -> None:
        """Take note that a batch is stored."""

    def process(self, records: list[Record]) -> None:
        """Store the records of a batch; in several, where an ``is_full`` of the author's says so."""
        if type(self).is_full is not BatchSink.is_full:
            self._process_until_full(records)
            return
        context = self._start()
        preprocess = overridden(self, "preprocess_record")
        if preprocess is not None:
            records = [preprocess(record, context) for record in records]
        process_record: Callable[[Record, dict[str, Any]], None] | None = overridden(self, "process_record")
        if process_record is None:
            context["records"] = records
        else:
            for record in records:
                process_record(record, context)
        self._finish(context)

    def _process_until_full(self, records: list[Record]) -> None:
        preprocess = overridden(self, "preprocess_record")
        context: dict[str, Any] | None = None
        for record in records:
            context = self._start() if context is None else context
            self.process_record(record if preprocess is None else preprocess(record, context), context)
            self._taken += 1
            if self.is_full:
                self._finish(context)
                context = None
        if context is not None:
            self._finish(context)

    def _start(self) -> dict[str, Any]:
        context: dict[str, Any] = {"batch_id": str(uuid4()), "batch_start_time": clock.utc_now()}
        start_batch = overridden(self, "start_batch")
        if start_batch is not None:
            start_batch(context)
        return context

    def _finish(self, context: dict[str, Any]) -> None:
        self.process_batch(context)
        self._taken = 0
        mark_drained = overridden(self, "mark_drained")
        if mark_drained is not None:
            mark_drained()
