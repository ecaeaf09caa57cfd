"""The class an author subclasses to make a tap."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from singerkit.cli.plugin import PluginCommand
from singerkit.cli.run import author_code
from singerkit.cli.tap import tap_command
from singerkit.compat.overrides import TAP_OVERRIDES, refuse_overrides
from singerkit.config.settings import PluginCapabilities, TapCapabilities
from singerkit.engine.spec import FULL_TABLE, LOG_BASED
from singerkit.errors import ConfigurationError, DiscoveryError, SingerKitError
from singerkit.http.tape import current_tape, replaying
from singerkit.plugins import Plugin
from singerkit.streams.core import Stream
from singerkit.types import Schema, TapState

# The rest is imported where it is used: `--help`, `--about` and `--version` start faster without it.
if TYPE_CHECKING:
    from singerkit.cli.watch import Watch
    from singerkit.engine.batch_output import BatchWriter
    from singerkit.engine.plan import StreamPlan, TapPlan
    from singerkit.engine.stop import StopSignal
    from singerkit.engine.unit import Unit
    from singerkit.files.batches import BatchEncoding
    from singerkit.protocol.catalog import Catalog, CatalogEntry, MetadataMapping
    from singerkit.protocol.writer import MessageWriter
    from singerkit.records.pipeline import FrameOf, Pipeline


class Tap(Plugin):
    """Reads a source. Give it a ``name``, a ``config_jsonschema`` and :meth:`discover_streams`."""

    kind = "tap"
    capabilities: ClassVar[Sequence[str]] = (
        TapCapabilities.CATALOG,
        TapCapabilities.STATE,
        TapCapabilities.DISCOVER,
        TapCapabilities.TEST,
        TapCapabilities.PROPERTIES,
        PluginCapabilities.ABOUT,
        PluginCapabilities.ACTIVATE_VERSION,
        PluginCapabilities.BATCH,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
    )
    #: Query parameters, and members of JSON bodies, that differ in every run: recordings are matched without them.
    recording_ignores: ClassVar[Sequence[str]] = ()
    #: ``singer-sdk`` is for taps that came from there, whose tests and users know it so: the streams are made, and so
    #: a wrong config is noticed, when the tap is constructed, and discovery writes ``selected`` and more beside facts.
    habits: ClassVar[Literal["specification", "singer-sdk"]] = "specification"
    #: Streams and partitions that are read at the same time, at most; the setting ``max_concurrency`` wins.
    max_concurrency: int = 4
    #: How often an API may be asked by all its streams and workers together, e.g. ``"10/s, 1000/h"``.
    rate_limit: str | None = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Refuse overrides of what is not called here, instead of ignoring them."""
        super().__init_subclass__(**keywords)
        refuse_overrides(cls, TAP_OVERRIDES)

    def __init__(
        self,
        *,
        config: Mapping[str, Any] | str | Path | Sequence[str | Path] | None = None,
        catalog: Catalog | Mapping[str, Any] | str | Path | None = None,
        state: TapState | str | Path | None = None,
        parse_env_config: bool = False,
        validate_config: bool = True,
    ) -> None:
        """Take in config, catalog and state; each as an object or as the path of a JSON file.

        An empty dict is no catalog; an empty file is a mistake.

        Errors: ``ConfigurationError`` and its kinds for what can't be read or is not valid.
        """
        from singerkit.protocol.catalog import Catalog
        from singerkit.state.bookmarks import Bookmarks

        super().__init__(config=config, parse_env_config=parse_env_config, validate_config=validate_config)
        document = None if type(catalog) is dict and not catalog else _read(catalog, "catalog")
        #: The catalog that the user gave, if any.
        self.input_catalog = Catalog.from_dict(document) if type(document) is dict else document
        self.bookmarks = Bookmarks(_read(state, "state"))
        if self.habits == "singer-sdk":
            _ = self._discovered

    @classmethod
    def replaying(cls, folder: str | Path) -> AbstractContextManager[None]:
        """Give a context in which taps are answered from a folder that ``--record`` wrote, without a network."""
        return replaying(folder)

    # What an author defines

    def discover_streams(self) -> Sequence[Stream]:
        """Give every stream that the source has."""
        raise NotImplementedError(f"{type(self).__name__} has to define discover_streams")

    @cached_property
    def _discovered(self) -> list[Stream]:
        return sorted(self.discover_streams(), key=lambda stream: stream.name)

    # What an author reads

    @cached_property
    def streams(self) -> dict[str, Stream]:
        """All streams by name, sorted; parents know their children.

        Errors: ``DiscoveryError`` when two streams have one name or the source can't be asked.
        """
        streams: dict[str, Stream] = {}
        for stream in self._discovered:
            if stream.tap_stream_id in streams:
                raise DiscoveryError(f"two streams are called '{stream.name}'")
            streams[stream.tap_stream_id] = stream
        for stream in streams.values():
            if stream.parent_stream_type is not None:
                streams[self._id_of(stream.parent_stream_type, streams)].child_streams.append(stream)
        return streams

    @property
    def state(self) -> TapState:
        """The state as it stands."""
        return self.bookmarks.value

    @cached_property
    def catalog(self) -> Catalog:
        """What the tap has, with what the user selected where a catalog was given."""
        from singerkit.protocol.catalog import Catalog

        entries = {name: self._entry_of(stream) for name, stream in self.streams.items()}
        return Catalog(entries)

    @property
    def catalog_dict(self) -> dict[str, Any]:
        """The catalog as an object."""
        catalog = self.catalog.to_dict()
        if self.habits == "specification" or self.input_catalog is not None:
            return catalog
        from singerkit.compat.catalogs import as_singer_sdk_writes
        from singerkit.schema.refs import resolve_references

        whole = [{**entry, "schema": resolve_references(entry["schema"])} for entry in catalog["streams"]]
        return as_singer_sdk_writes({**catalog, "streams": whole})

    @property
    def catalog_json_text(self) -> str:
        """The catalog as JSON text: what ``--discover`` prints."""
        import json

        return json.dumps(self.catalog_dict, indent=2)

    def run_discovery(self) -> str:
        """Give what ``--discover`` prints."""
        return self.catalog_json_text

    def stream_id_of(self, stream_type: type[Stream]) -> str:
        """Give the id of the one stream that is of this class."""
        return self._id_of(stream_type, self.streams)

    def metadata_of(self, stream: Stream) -> MetadataMapping:
        """Give a stream's metadata: the given catalog's, else what discovery says."""
        entry = self.input_catalog.get(stream.tap_stream_id) if self.input_catalog else None
        return entry.metadata if entry is not None else self.catalog[stream.tap_stream_id].metadata

    def is_selected(self, stream: Stream) -> bool:
        """Tell whether the user wants a stream."""
        plans = {plan.spec.tap_stream_id: plan for plan in self.plan.streams}
        plan = plans.get(stream.tap_stream_id)
        return plan is not None and plan.selected

    # Running

    @cached_property
    def plan(self) -> TapPlan:
        """What a run reads; see :mod:`singerkit.engine.plan`."""
        from singerkit.engine.plan import plan_tap

        plan = plan_tap([stream.spec() for stream in self.streams.values()], self.input_catalog)
        for stream_plan in plan.streams:
            _make_effective(self.streams[stream_plan.spec.tap_stream_id], stream_plan)
        return plan

    def units(self) -> Iterator[dict[str, Any]]:
        """Give the parts of the work that can be read by themselves; see :mod:`singerkit.engine.unit`."""
        from singerkit.engine.unit import units_of

        with author_code(self.name):
            yield from units_of(self.plan)

    def sync_unit(self, unit: Unit) -> None:
        """Read one unit as :meth:`sync_all` reads everything; of a partition no versions are announced.

        Errors: as :meth:`sync_all`; ``ConfigurationError`` when there is no such unit.
        """
        from singerkit.engine.unit import plan_of_unit

        self.plan = plan_of_unit(self.plan, unit)
        if unit.context is not None:  # the other partitions' records are not replaced by these
            self._versions = {}
        self.sync_all()

    def sync_all(self) -> None:
        """Read everything that is selected and write it to stdout as Singer messages.

        Errors: what the run gives, after the last state is written; ``SystemExit`` with 128 plus the signal's number
        when a signal stopped it.
        """
        from singerkit.engine.stop import StopSignal
        from singerkit.protocol.writer import MessageWriter, claim_stdout, write_to

        stop = StopSignal()
        batches = self._open_batches()
        write = write_to(claim_stdout())
        writer = MessageWriter(write) if batches is None else batches(write)
        _ = self.plan  # asks the source what it has: until then a signal may end the process at once
        stop.listen()
        try:
            self._sync(writer, stop)
        finally:
            writer.discard()
        if stop:
            self.logger.warning("Stopped by %s; the state says how far it came", stop.name)
            raise SystemExit(stop.exit_code)

    def run_sync_dry_run(self, dry_run_record_limit: int | None = 1) -> bool:
        """Read so many records of each stream and write nothing.

        Errors: what the run gives.
        """
        from singerkit.engine.stop import StopSignal
        from singerkit.protocol.writer import MessageWriter

        self._sync(MessageWriter(lambda data: None), StopSignal(), dry_run_record_limit)
        return True

    def run_connection_test(self) -> bool:
        """Tell whether one record of each selected stream can be read; what fails is logged."""
        try:
            return self.run_sync_dry_run(1)
        except SingerKitError as failure:
            self.logger.error("%s", failure.describe())
            return False

    def infer_schema(self, stream_name: str, *, records: int = 500, enums: bool = False) -> Schema:
        """Give the JSON Schema that so many records of a stream fit; the stream need not have a schema yet.

        ``enums``: texts from a short list become ``enum``, which allows no others, instead of ``examples``. The
        stream's key properties are never null. The tap is good for nothing else afterwards.

        Errors: ``ConfigurationError`` for an unknown stream; ``DiscoveryError`` when there are no records; what
        reading them gives.
        """
        from itertools import islice

        from singerkit.engine.plan import plan_tap
        from singerkit.engine.sample import sample_records
        from singerkit.schema.infer import infer_schema

        lineage = self._lineage_of(stream_name)
        for stream in lineage:
            stream.assume_schema()
        # What is not asked for is not planned: it may have no schema either.
        specs = [replace(stream.spec(), selected_by_default=stream is lineage[0]) for stream in lineage]
        self.plan = plan_tap(specs, None)
        samples = list(islice(sample_records(self.plan, stream_name), records))
        if not samples:
            raise DiscoveryError("it gave no records, so there is nothing to infer a schema from", stream=stream_name)
        schema = infer_schema(samples, key_properties=tuple(lineage[0].primary_keys or ()), enums=enums)
        self.logger.info(
            "Stream '%s': inferred %d properties from %d records", stream_name, len(schema["properties"]), len(samples)
        )
        if unknown := [name for name, member in schema["properties"].items() if not member]:
            self.logger.warning("Stream '%s': always null, so of no known type: %s", stream_name, ", ".join(unknown))
        return schema

    def preview(self, stream_name: str, limit: int, watch: Watch) -> None:
        """Have the first records of a stream read under somebody's eyes; the stream need not have a schema yet.

        The tap is good for nothing else afterwards.

        Errors: ``ConfigurationError`` for a stream that the tap does not have or that the catalog does not select; what
        reading gives.
        """
        from singerkit.engine.plan import plan_tap
        from singerkit.protocol.catalog import Catalog

        with author_code(self.name):
            lineage = self._lineage_of(stream_name)
            has_schema = lineage[0].has_schema
            for stream in lineage:
                stream.assume_schema()
            names = [stream.tap_stream_id for stream in lineage]
            given = self.input_catalog
            catalog = None if given is None else Catalog({name: given[name] for name in names if name in given})
            specs = [replace(stream.spec(), selected_by_default=stream is lineage[0]) for stream in lineage]
            self.plan = plan_tap(specs, catalog)
            pipelines = self._pipelines()
            if stream_name not in pipelines:
                raise ConfigurationError(f"the catalog does not select '{stream_name}', so there is nothing to preview")
            for stream, plan in zip(reversed(lineage), self.plan.streams, strict=True):
                _make_effective(stream, plan)
                watch.watch_paginators(stream)
            # Without a schema nothing would go out, so all that comes is shown.
            watch.read(self.plan, stream_name, limit, pipelines[stream_name] if has_schema else None)
        self._report_changes(pipelines)

    def _lineage_of(self, stream_name: str) -> list[Stream]:
        """Give a stream and its ancestors, the stream first."""
        if stream_name not in self.streams:
            raise ConfigurationError(f"there is no stream '{stream_name}'; the tap has: {', '.join(self.streams)}")
        lineage = [self.streams[stream_name]]
        while (parent := lineage[-1].parent_stream_type) is not None and len(lineage) <= len(self.streams):
            lineage.append(self.streams[self.stream_id_of(parent)])
        return lineage

    def write_schemas(self) -> None:
        """Write the SCHEMA messages of all selected streams to stdout."""
        from singerkit.engine.sync import write_schemas
        from singerkit.protocol.writer import MessageWriter, claim_stdout, write_to

        writer = MessageWriter(write_to(claim_stdout()))
        pipelines = self._pipelines()
        for plan in self.plan.streams:
            write_schemas(writer, plan, pipelines.get(plan.spec.tap_stream_id))
        writer.flush()

    def _open_batches(self) -> Callable[[Callable[[bytes], None]], BatchWriter] | None:
        """Give what makes the writer of BATCH messages, where ``batch_config`` asks for one."""
        if not self.config.get("batch_config"):
            return None
        from datetime import UTC, datetime

        from singerkit.engine.batch_output import BatchWriter, batch_output_of

        output = batch_output_of(self.config)
        started = datetime.fromtimestamp(self.initialized_at // 1000, tz=UTC)
        return None if output is None else lambda write: BatchWriter(write, output, started, _columnar_file)

    def _sync(self, writer: MessageWriter, stop: StopSignal, record_limit: int | None = None) -> None:
        from singerkit.engine.collector import calm_collector
        from singerkit.engine.sync import Sync, TapRun
        from singerkit.telemetry.metrics import record_counter

        self._warn_of_unknown_maps()
        self._warn_of_what_is_not_read()
        pipelines = self._pipelines(writer.frame_of)
        counters = {plan.spec.name: record_counter(plan.spec.name) for plan in self.plan.streams}
        run = TapRun(
            plan=self.plan,
            pipelines=pipelines,
            versions=self._versions,
            bookmarks=self.bookmarks,
            writer=writer,
            stop=stop,
            max_concurrency=self.config.get("max_concurrency") or self.max_concurrency,
            state_frequency=max(writer.records_per_state, self._state_frequency),
            count_records=lambda stream, count: counters[stream].increment(count),
            record_limit=record_limit,
        )
        try:
            with author_code(self.name), calm_collector():
                Sync(run).run()
        finally:
            for counter in counters.values():
                counter.exit()
            self._report_changes(pipelines)

    @property
    def _state_frequency(self) -> int:
        return min((type(stream).STATE_MSG_FREQUENCY for stream in self.streams.values()), default=10_000)

    def _pipelines(self, frame_of: FrameOf | None = None) -> dict[str, Pipeline]:
        from singerkit.records.encode import line_frame
        from singerkit.records.pipeline import compile_pipeline

        return {
            plan.spec.tap_stream_id: compile_pipeline(
                plan.spec.name,
                plan.schema,
                plan.key_properties,
                self.config,
                version=self._versions.get(plan.spec.tap_stream_id),
                frame_of=frame_of or line_frame,
                keeps_nested=plan.spec.keeps_nested,
            )
            for plan in self.plan.streams
            if plan.selected
        }

    def _warn_of_unknown_maps(self) -> None:
        """Tell of a stream map that maps nothing: what it was to hide would go out."""
        from fnmatch import fnmatchcase

        for name, rule in (self.config.get("stream_maps") or {}).items():
            source = (rule.get("__source__") if isinstance(rule, Mapping) else None) or name
            known = any(fnmatchcase(stream.name, source) for stream in self.streams.values())
            if not name.startswith("__") and not known:
                self.logger.warning("stream_maps: there is no stream '%s', so its map does nothing", source)

    def _warn_of_what_is_not_read(self) -> None:
        """Tell of a catalog that selects nothing, and of a state that helps nothing: both look like a success."""
        from singerkit.state.remarks import state_remarks

        if self.streams and not any(plan.selected for plan in self.plan.streams):
            self.logger.warning("Nothing is selected, so nothing is read; the tap has: %s", ", ".join(self.streams))
        keys = dict.fromkeys(self.streams) | {
            plan.spec.tap_stream_id: plan.replication_key for plan in self.plan.streams
        }
        for remark in state_remarks(self.bookmarks.value, keys):
            self.logger.warning("%s", remark)

    @cached_property
    def _versions(self) -> dict[str, int]:
        """The versions of the tables that this run replaces: the moment it began, in milliseconds."""
        if not self.config.get("emit_activate_version_messages"):
            return {}
        full = [plan for plan in self.plan.streams if plan.selected and plan.replication_method == FULL_TABLE]
        return {plan.spec.tap_stream_id: self.initialized_at for plan in full}

    def _report_changes(self, pipelines: Mapping[str, Pipeline]) -> None:
        for name, pipeline in pipelines.items():
            for message in pipeline.changes.messages():
                self.logger.warning("Stream '%s': %s", name, message)

    def _resolve(self, config: Any, *, parse_env_config: bool, validate_config: bool) -> Mapping[str, Any]:
        resolved = super()._resolve(config, parse_env_config=parse_env_config, validate_config=validate_config)
        if (tape := current_tape()) is not None:
            tape.begin(self.name, resolved, getattr(resolved, "secrets", ()), self.recording_ignores)
        return resolved

    def _complete_config(self, config: Mapping[str, Any], *, is_given: bool) -> Mapping[str, Any]:
        tape = current_tape()
        return config if tape is None else tape.completed(config, is_given=is_given)

    # Discovery

    def _entry_of(self, stream: Stream) -> CatalogEntry:
        from singerkit.protocol.catalog import CatalogEntry, discovered_metadata

        given = self.input_catalog.get(stream.tap_stream_id) if self.input_catalog else None
        if given is not None:
            return given
        keys = list(stream.primary_keys or ())
        replication_key = stream.replication_key
        return CatalogEntry(
            tap_stream_id=stream.tap_stream_id,
            stream=stream.name,
            schema=stream.schema,
            key_properties=keys,
            metadata=discovered_metadata(
                stream.schema,
                key_properties=keys,
                replication_keys=[replication_key] if replication_key else [],
                forced_replication_method=stream.forced_replication_method,
                selected_by_default=stream.selected_by_default,
            ),
            replication_method=stream.replication_method,
            replication_key=replication_key,
        )

    def _id_of(self, stream_type: type[Stream], streams: Mapping[str, Stream]) -> str:
        found = [name for name, stream in streams.items() if type(stream) is stream_type]
        found = found or [name for name, stream in streams.items() if isinstance(stream, stream_type)]
        if len(found) != 1:
            count = len(found) or "none"
            raise ConfigurationError(f"parent_stream_type: {count} of the tap's streams is a {stream_type.__name__}")
        return found[0]

    @classmethod
    def _command(cls) -> PluginCommand:
        return tap_command(cls)


def _columnar_file(stream: str, schema: Schema, texts: bytes, encoding: BatchEncoding) -> bytes:
    from singerkit.sinks.arrow_files import columnar_file  # pyarrow is an extra

    return columnar_file(stream, schema, texts, encoding)


def _make_effective(stream: Stream, plan: StreamPlan) -> None:
    """Let an author's hooks read what the catalog decided; a property stays as the author wrote it."""
    # Who reads a log may use the key for a position in it: that is nothing that the catalog decides.
    is_log_based = plan.replication_method == LOG_BASED
    effective = {
        "primary_keys": plan.key_properties,
        "replication_key": stream.replication_key if is_log_based else plan.replication_key,
        "forced_replication_method": plan.replication_method,
    }
    for name, value in effective.items():
        if getattr(stream, name) != value and not isinstance(getattr(type(stream), name, None), property):
            setattr(stream, name, value)


def _read(source: Any, what: str) -> Any:
    if not isinstance(source, str | Path):
        return source
    from singerkit.config.resolve import read_json_object

    return read_json_object(source, what)
