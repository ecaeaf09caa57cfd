"""The class an author subclasses to make a target."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from singerkit.cli.plugin import PluginCommand
from singerkit.cli.run import author_code
from singerkit.cli.target import input_descriptor, target_command
from singerkit.compat.overrides import TARGET_OVERRIDES, refuse_overrides
from singerkit.config.settings import PluginCapabilities, TargetCapabilities
from singerkit.errors import ConfigurationError, DataError, InvalidInputLine
from singerkit.plugins import Plugin
from singerkit.types import Record, Schema, Step

if TYPE_CHECKING:
    from singerkit.engine.batch_input import BatchInput
    from singerkit.engine.rejects import Rejects
    from singerkit.engine.slot import SinkSpec, SlotSpec
    from singerkit.protocol.reader import ReaderLimits
    from singerkit.records.map import OutputStream
    from singerkit.sinks.core import Sink

_MIB = 1024 * 1024


class Target(Plugin):
    """Stores what a tap writes. Give it a ``name``, a ``config_jsonschema`` and a ``default_sink_class``."""

    kind = "target"
    capabilities: ClassVar[Sequence[str]] = (
        PluginCapabilities.ABOUT,
        PluginCapabilities.ACTIVATE_VERSION,
        PluginCapabilities.BATCH,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
        TargetCapabilities.VALIDATE_RECORDS,
    )
    #: The sink class of every stream, unless ``get_sink_class`` says otherwise.
    default_sink_class: type[Sink]
    #: Whether the target can keep its states where it keeps its records, and show them: ``stored_state``.
    keeps_states: ClassVar[bool] = False
    _rejects: Rejects | None = None
    _released: bytes | None = None
    #: Streams that are stored at the same time, at most; the setting ``max_parallelism`` wins.
    max_parallelism: int = 4
    #: Seconds after which a batch is stored though it is not full; the setting ``batch_wait_limit_seconds`` wins.
    batch_wait_limit_seconds: float = 10.0
    #: MiB of records that may wait or be on their way to a sink; the setting ``max_pending_mb`` wins.
    max_pending_mb: int = 32

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Refuse overrides of what is not called here, instead of ignoring them."""
        super().__init_subclass__(**keywords)
        refuse_overrides(cls, TARGET_OVERRIDES)

    def get_sink_class(self, stream_name: str) -> type[Sink]:
        """Give the sink class for a stream; the same for all by default."""
        sink_class = getattr(self, "default_sink_class", None)
        if sink_class is None:
            raise ConfigurationError(f"{type(self).__name__} has no default_sink_class")
        return self.default_sink_class

    def get_sink(
        self,
        stream_name: str,
        *,
        record: Record | None = None,
        schema: Schema | None = None,
        key_properties: Sequence[str] | None = None,
    ) -> Sink:
        """Make the sink of a stream, for the schema and key properties of its latest SCHEMA message."""
        return self.get_sink_class(stream_name)(
            target=self, stream_name=stream_name, schema=schema or {}, key_properties=key_properties
        )

    @property
    def publisher(self) -> Callable[[], None] | None:
        """What makes everything that was loaded count at once, when the input has ended well; ``None`` for nothing.

        Where there is something, no state leaves before it was called.
        """
        return None

    @property
    def state_keeper(self) -> Callable[[bytes], None] | None:
        """What stores a state together with everything that the sinks were given since the one before; or ``None``.

        Where there is something, sinks need not make durable what they are given: no state leaves before it was called.
        """
        return None

    def listen(self, file_input: BinaryIO | None = None) -> None:
        """Load a stream of Singer messages: a file that has a descriptor, or stdin.

        Errors: what the run gives; ``SystemExit`` with 128 plus the signal's number when a signal stopped it.
        """
        # Imported here: `--help` and `--about` do not need what runs a target, and start faster without it.
        from singerkit.engine.collector import calm_collector
        from singerkit.engine.load import Load, LoadRun
        from singerkit.engine.stop import StopSignal
        from singerkit.protocol.writer import claim_stdout, write_to
        from singerkit.telemetry.metrics import record_counter

        # First, as a closed one's number would go to what is opened next.
        messages = input_descriptor(file_input)
        write = write_to(claim_stdout())
        stop = StopSignal()
        stop.listen()
        counters: dict[str, Any] = {}
        self._rejects = self._open_rejects()
        run = LoadRun(
            input_descriptor=messages,
            open_slot=self._open_slot,
            write_state=lambda state: self._release(state, write),
            count_records=lambda stream, count: counters.setdefault(stream, record_counter(stream)).increment(count),
            stop=stop,
            limits=self._limits(),
            max_parallelism=self.config.get("max_parallelism") or self.max_parallelism,
            max_pending_bytes=(self.config.get("max_pending_mb") or self.max_pending_mb) * _MIB,
            activate_versions=bool(self.config.get("process_activate_version_messages", True)),
            rejects=self._rejects,
            publish=self.publisher,
            keep_state=self.state_keeper,
            batches=self._open_batches(),
        )
        try:
            with author_code(self.name), calm_collector():
                Load(run).run()
        finally:
            for counter in counters.values():
                counter.exit()
        if stop:
            self.logger.warning("Stopped by %s; everything up to the last state written is stored", stop.name)
            raise SystemExit(stop.exit_code)

    def _open_batches(self) -> BatchInput:
        from singerkit.engine.batch_input import BatchInput
        from singerkit.files.batches import open_root

        storage = (self.config.get("batch_config") or {}).get("storage") or {}
        place = self.config.get("batch_root") or storage.get("root")
        root = open_root(place, self.config.get("batch_storage_options")) if place else None
        return BatchInput(root, self._limits(), deletes=bool(self.config.get("batch_delete_files")))

    def _open_rejects(self) -> Rejects | None:
        from pathlib import Path

        from singerkit.engine.rejects import Rejects

        policy = self.config.get("on_invalid", "fail")
        if policy == "fail":
            return None
        folder = Path(self.config.get("quarantine_path", "quarantine")) if policy == "quarantine" else None
        return Rejects(folder, float(self.config.get("max_invalid_ratio", 0.1)))

    def _limits(self) -> ReaderLimits:
        from singerkit.protocol.reader import ReaderLimits

        config = self.config
        default = ReaderLimits()
        return ReaderLimits(
            max_line_bytes=(config.get("max_line_mb") or default.max_line_bytes // _MIB) * _MIB,
            max_depth=config.get("max_nesting_depth") or default.max_depth,
            max_digits=config.get("max_digits") or default.max_digits,
        )

    def _release(self, state: bytes, write: Callable[[bytes], object]) -> None:
        write(state + b"\n")
        self._released = state

    @property
    def _latest_state(self) -> dict[str, Any] | None:
        """The state that was released last: all before it is durable."""
        return None if self._released is None else json.loads(self._released)

    def _open_slot(self, stream: str, schema: Schema, key_properties: Sequence[str]) -> SlotSpec:
        """Make the sinks of a stream, get them ready, and compile the way of its records."""
        from singerkit.engine.drain import DrainRule
        from singerkit.engine.slot import SlotSpec
        from singerkit.engine.spec import overridden
        from singerkit.records.map import plan_outputs
        from singerkit.records.validate import compile_decoder
        from singerkit.schema.refs import resolve_references

        schema = resolve_references(schema)
        outputs = plan_outputs(stream, schema, tuple(key_properties), self.config)
        sinks = [self._open_sink(output) for output in outputs]
        looks_at_none = bool(sinks) and not any(map(_looks_at_records, sinks, outputs))
        try:
            decode = compile_decoder(
                schema,
                key_properties=key_properties,
                validate=all(sink.validate_schema for sink in sinks),
                exact_numbers=any(sink.exact_numbers for sink in sinks),
                parse_datetimes=all(sink.parse_datetimes for sink in sinks) and bool(sinks),
                keep_structs=looks_at_none and all(sink.takes_structs for sink in sinks),
                keep_raw=looks_at_none and all(sink.takes_raw for sink in sinks),
            )
        except DataError as error:  # the SCHEMA message is at fault, not a record
            raise InvalidInputLine(str(error), stream=stream) from None
        wait_limit = self.config.get("batch_wait_limit_seconds")
        rule = DrainRule(
            max_rows=min((sink.max_size for sink in sinks), default=10_000),
            max_bytes=self.config.get("batch_size_bytes") or min((sink.max_bytes for sink in sinks), default=_MIB),
            max_age_s=self.batch_wait_limit_seconds if wait_limit is None else wait_limit,
        )
        specs = [self._sink_spec(sink, output) for sink, output in zip(sinks, outputs, strict=True)]
        takes_files = len(sinks) == 1 and specs[0].step is None and specs[0].stamp is None
        process_files = overridden(sinks[0], "process_batch_files") if takes_files else None
        return SlotSpec(
            decode=decode, sinks=tuple(specs), rule=rule, rejects=self._rejects, process_files=process_files
        )

    def _open_sink(self, output: OutputStream) -> Sink:
        from singerkit.records.metadata import with_metadata_properties

        schema = output.schema
        if self.config.get("add_record_metadata"):
            schema = with_metadata_properties(schema)
        sink = self.get_sink(output.name, schema=schema, key_properties=output.key_properties)
        sink.setup()
        return sink

    def _sink_spec(self, sink: Sink, output: OutputStream) -> SinkSpec:
        from singerkit.engine.slot import Settling, SinkSpec
        from singerkit.records.metadata import MetadataStamp

        stamp = None
        if sink.include_sdc_metadata_properties:
            stamp = MetadataStamp(self.initialized_at, parse_datetimes=sink.parse_datetimes)
        return SinkSpec(
            process=sink.process,
            activate_version=sink.activate_version,
            clean_up=sink.clean_up,
            step=_with_dates(output) if output.step is not None and sink.parse_datetimes else output.step,
            stamp=stamp,
            settling=None
            if sink.settle_seconds is None
            else Settling(sink.settle, lambda: sink.is_settled, sink.settle_seconds),
        )

    @classmethod
    def _command(cls) -> PluginCommand:
        return target_command(cls)


def _looks_at_records(sink: Sink, output: OutputStream) -> bool:
    """Tell whether anything on the way to a sink needs records as dicts."""
    from singerkit.engine.spec import overridden

    hooks = (overridden(sink, name) for name in ("preprocess_record", "process_record") if hasattr(sink, name))
    return output.step is not None or sink.include_sdc_metadata_properties or any(hooks)


def _with_dates(output: OutputStream) -> Step | None:
    """Give a stream map's step with the dates read that it makes: those it took out of nested objects, for example."""
    from singerkit.records.dates import DateChanges, compile_dates, date_formats_of, log_changes

    read_dates = compile_dates(dict(date_formats_of(output.schema, lenient=True)), DateChanges(log_changes()))
    step = output.step
    if step is None or read_dates is None:
        return step

    def mapped(record: Record) -> Record | None:
        made = step(record)
        if made is not None:
            read_dates(made)
        return made

    return mapped
