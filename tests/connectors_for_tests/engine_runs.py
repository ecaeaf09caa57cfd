"""Taps and targets without a class around them: values and functions in, lines and calls out."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from singerkit.engine.drain import DrainRule
from singerkit.engine.load import Load, LoadRun
from singerkit.engine.plan import TapPlan, plan_tap
from singerkit.engine.slot import SinkSpec, SlotSpec
from singerkit.engine.spec import FULL_TABLE, INCREMENTAL, StreamSpec
from singerkit.engine.stop import StopSignal
from singerkit.engine.sync import Sync, TapRun
from singerkit.protocol.catalog import Catalog
from singerkit.protocol.reader import ReaderLimits
from singerkit.protocol.writer import MessageWriter
from singerkit.records.pipeline import compile_pipeline
from singerkit.records.validate import compile_decoder
from singerkit.state.bookmarks import Bookmarks

SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "parent": {"type": ["integer", "null"]},
        "at": {"type": ["integer", "null"]},
        "text": {"type": ["string", "null"]},
    },
}


def stream(
    name: str, records: Iterable[Any] | Callable[[Any], Iterable[Any]] = (), *, key: str | None = None, **declared: Any
) -> StreamSpec:
    """Declare a stream: its records, or the function that gives them for a context."""
    read = records if callable(records) else lambda context: records
    values: dict[str, Any] = {
        "tap_stream_id": name,
        "name": name,
        "schema": SCHEMA,
        "primary_keys": ("id",),
        "replication_key": key,
        "replication_method": INCREMENTAL if key else FULL_TABLE,
        "forced_replication_method": None,
        "is_sorted": False,
        "check_sorted": True,
        "selected_by_default": True,
        "state_partitioning_keys": None,
        "parent": None,
        "ignore_parent_replication_key": False,
        "read": read,
        "read_pages": None,
        "post_process": None,
        "child_contexts": lambda record, context: [{"parent": record["id"]}],
        "partitions": lambda: None,
        "signpost": None,
    }
    return StreamSpec(**{**values, **declared})


class Stop(StopSignal):
    """A signal that comes when a test says so."""

    def now(self, number: int = 15) -> None:
        """Let the signal come."""
        self._number = number


@dataclass
class TapOutcome:
    """What a tap wrote, and how it ended."""

    output: bytes
    failure: BaseException | None
    bookmarks: Bookmarks
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Every whole line, decoded."""
        return [json.loads(line) for line in self.output.split(b"\n")[:-1]]

    def records(self, name: str) -> list[dict[str, Any]]:
        """The records of a stream, in order."""
        return [line["record"] for line in self.lines if line["type"] == "RECORD" and line["stream"] == name]

    def ids(self, name: str) -> list[int]:
        """The ids of a stream's records, in order."""
        return [record["id"] for record in self.records(name)]

    @property
    def states(self) -> list[dict[str, Any]]:
        """Every state, in order."""
        return [line["value"] for line in self.lines if line["type"] == "STATE"]

    @property
    def state(self) -> dict[str, Any]:
        """The last state."""
        return self.states[-1]

    def kinds(self) -> list[str]:
        """The lines' types, neighbours that are equal put together."""
        types = [line["type"] for line in self.lines]
        return [kind for index, kind in enumerate(types) if not index or types[index - 1] != kind]


def run_tap(
    *specs: StreamSpec,
    state: Any = None,
    catalog: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    versions: Mapping[str, int] | None = None,
    stop: Stop | None = None,
    max_concurrency: int = 4,
    state_frequency: int = 10_000,
    write: Callable[[bytes], None] | None = None,
    record_limit: int | None = None,
    seconds: float = 30.0,
) -> TapOutcome:
    """Run streams to the end; a run that hangs fails the test after ``seconds``."""
    plan = plan_tap(specs, Catalog.from_dict(catalog) if catalog else None)
    output = bytearray()
    bookmarks = Bookmarks(state)
    outcome = TapOutcome(b"", None, bookmarks)

    def count(name: str, rows: int) -> None:
        outcome.counts[name] = outcome.counts.get(name, 0) + rows

    run = TapRun(
        plan=plan,
        pipelines=_pipelines(plan, config or {}, versions or {}),
        versions=versions or {},
        bookmarks=bookmarks,
        writer=MessageWriter(write or output.extend),
        stop=Stop() if stop is None else stop,
        max_concurrency=max_concurrency,
        state_frequency=state_frequency,
        count_records=count,
        record_limit=record_limit,
    )
    outcome.failure = within(seconds, Sync(run).run)
    outcome.output = bytes(output)
    return outcome


def _pipelines(plan: TapPlan, config: Mapping[str, Any], versions: Mapping[str, int]) -> dict[str, Any]:
    return {
        stream.spec.tap_stream_id: compile_pipeline(
            stream.spec.name,
            stream.schema,
            stream.key_properties,
            config,
            version=versions.get(stream.spec.tap_stream_id),
        )
        for stream in plan.streams
        if stream.selected
    }


def within(seconds: float, work: Callable[[], None]) -> BaseException | None:
    """Do the work in a thread and give what it raised; a test fails when it takes too long."""
    raised: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            raised.append(error)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise AssertionError(f"the run was not over after {seconds} seconds")
    return raised[0] if raised else None


class MemorySink:
    """A sink that keeps what it gets, with what happened to it in order; ``before(records)`` runs before each batch."""

    def __init__(self, stream: str, events: list[Any], before: Callable[[str, list[Any]], None] | None = None) -> None:
        self.stream = stream
        self.events = events
        self._before = before

    def process(self, records: list[Any]) -> None:
        if self._before is not None:
            self._before(self.stream, records)
        self.events.append(("batch", self.stream, [record.get("id") for record in records]))

    def activate_version(self, version: int) -> None:
        self.events.append(("activate", self.stream, version))

    def clean_up(self) -> None:
        self.events.append(("clean up", self.stream, None))


@dataclass
class TargetOutcome:
    """What a target's sinks and its output saw, in order, and how the run ended."""

    events: list[Any]
    failure: BaseException | None

    @property
    def states(self) -> list[Any]:
        """The states that were let out."""
        return [json.loads(event[2]) for event in self.events if event[0] == "state"]

    def ids(self, name: str) -> list[int]:
        """The ids that a stream's sinks were given, in order."""
        return [one for kind, where, ids in self.events if kind == "batch" and where == name for one in ids]

    def batches(self, name: str) -> list[list[int]]:
        """The ids of each batch of a stream."""
        return [ids for kind, where, ids in self.events if kind == "batch" and where == name]


def run_target(
    messages: bytes | int | Iterable[Any],
    *,
    before: Callable[[str, list[Any]], None] | None = None,
    stop: Stop | None = None,
    max_rows: int = 10_000,
    max_bytes: int = 8 * 1024 * 1024,
    max_age_s: float = 30.0,
    max_parallelism: int = 4,
    max_pending_bytes: int = 32 * 1024 * 1024,
    limits: ReaderLimits | None = None,
    activate_versions: bool = True,
    seconds: float = 30.0,
    write_state: Callable[[bytes], None] | None = None,
    keeps_states: bool = False,
) -> TargetOutcome:
    """Load messages: bytes, dicts, or a descriptor to read them from.

    ``keeps_states``: states are kept with what the sinks were given; the event of that is ``keep``.
    """
    events: list[Any] = []

    def open_slot(name: str, schema: dict[str, Any], keys: tuple[str, ...]) -> SlotSpec:
        sink = MemorySink(name, events, before)
        events.append(("open", name, sorted(schema.get("properties", {}))))
        spec = SinkSpec(sink.process, sink.activate_version, sink.clean_up, None, None)
        return SlotSpec(
            compile_decoder(schema, key_properties=keys), (spec,), DrainRule(max_rows, max_bytes, max_age_s)
        )

    descriptor = messages if isinstance(messages, int) else _fed(messages)
    run = LoadRun(
        input_descriptor=descriptor,
        open_slot=open_slot,
        write_state=write_state or (lambda text: events.append(("state", "", text))),
        count_records=lambda name, rows: None,
        stop=Stop() if stop is None else stop,
        limits=limits or ReaderLimits(),
        max_parallelism=max_parallelism,
        max_pending_bytes=max_pending_bytes,
        activate_versions=activate_versions,
        keep_state=(lambda text: events.append(("keep", "", text))) if keeps_states else None,
    )
    try:
        return TargetOutcome(events, within(seconds, Load(run).run))
    finally:
        os.close(descriptor)


def _fed(messages: bytes | Iterable[Any]) -> int:
    """Give a descriptor that a thread feeds with the messages."""
    data = messages if isinstance(messages, bytes) else b"".join(map(line_of, messages))
    reader, writer = os.pipe()

    def feed() -> None:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(writer, view) :]
        except OSError:
            pass  # the run ended before its input did
        finally:
            os.close(writer)

    threading.Thread(target=feed, daemon=True).start()
    return reader


def line_of(message: Any) -> bytes:
    """Give a message's line."""
    return message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n"


def schema_of(name: str, **properties: Any) -> dict[str, Any]:
    """Give a SCHEMA message."""
    members = {"id": {"type": "integer"}, **properties}
    return {"type": "SCHEMA", "stream": name, "schema": {"properties": members}, "key_properties": ["id"]}


def record_of(name: str, number: int, **members: Any) -> dict[str, Any]:
    """Give a RECORD message."""
    version = members.pop("version", None)
    message = {"type": "RECORD", "stream": name, "record": {"id": number, **members}}
    return message if version is None else {**message, "version": version}


def state_of(value: Any) -> dict[str, Any]:
    """Give a STATE message."""
    return {"type": "STATE", "value": value}


def activate_of(name: str, version: int) -> dict[str, Any]:
    """Give an ACTIVATE_VERSION message."""
    return {"type": "ACTIVATE_VERSION", "stream": name, "version": version}
