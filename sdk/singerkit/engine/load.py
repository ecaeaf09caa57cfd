"""A target's run: messages to slots, slots to sinks, and a state out as soon as all before it is durable.

One thread, the main one, reads and decides; drains run in a bounded pool, one at a time per stream. The main thread
waits for whichever comes first: input, a drain that ended, a batch that has become too old, a signal. Reading pauses
while too much is pending, so memory is bounded.

What stops a run: the end of the input (everything is drained, the last state leaves, exit 0), a signal (the same, but
the exit code says so), or a failure (what was released stands, nothing more is released).
"""

from __future__ import annotations

import logging
import os
import select
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from singerkit import clock
from singerkit.engine.batch_input import BatchInput, batch_of
from singerkit.engine.rejects import Rejects
from singerkit.engine.slot import Batch, Slot, SlotSpec
from singerkit.engine.stop import StopSignal
from singerkit.engine.workers import Workers
from singerkit.errors import InvalidInputLine, ProtocolError, RecordsWithoutSchemaException, SingerKitError
from singerkit.protocol.reader import Event, MessageReader, OtherMessage, ReaderLimits, RecordRun
from singerkit.state.gate import StateGate
from singerkit.types import Schema

logger = logging.getLogger(__name__)

#: Small enough for the processor's cache: a block that was read stays there until it is decoded.
_READ_BYTES = 256 * 1024
#: How long a failed run waits for the sinks that are still storing, in seconds.
_PATIENCE_SECONDS = 10
#: Rows after which a state makes every stream drain, so that little is redone after a crash.
_ROWS_PER_RELEASE = 10_000


class _StateLine(msgspec.Struct):
    value: msgspec.Raw = msgspec.Raw(b"")


_state_decoder = msgspec.json.Decoder(_StateLine)


@dataclass(frozen=True, slots=True)
class LoadRun:
    """What a target's run is given.

    Shape: ``open_slot(stream, schema, key_properties)`` makes the sinks; ``write_state(text)`` lets a state out;
    ``publish()``, if there is one, makes all that was stored count at once, and no state leaves before it did.
    Units: ``max_pending_bytes`` bytes of lines that wait or are being stored.
    """

    input_descriptor: int
    open_slot: Callable[[str, Schema, tuple[str, ...]], SlotSpec]
    write_state: Callable[[bytes], None]
    count_records: Callable[[str, int], None]
    stop: StopSignal
    limits: ReaderLimits
    max_parallelism: int
    max_pending_bytes: int
    activate_versions: bool = True
    rejects: Rejects | None = None
    publish: Callable[[], None] | None = None
    batches: BatchInput | None = None


class _Interrupted(Exception):
    """A signal came in the middle of a message."""


class Load:
    """A target's run under way. Everything but the drains happens in the thread that calls :meth:`run`."""

    def __init__(self, given: LoadRun) -> None:
        self._given = given
        self._reader = MessageReader(given.limits)
        self._gate = StateGate()
        self._workers = Workers(given.max_parallelism)
        self._slots: dict[str, Slot] = {}
        self._ended: deque[tuple[Slot, Batch, BaseException | None]] = deque()
        self._drains = 0
        self._rows_since_release = 0
        self._pending_bytes = 0
        self._input_ended = False
        self._unpublished_state: bytes | None = None
        self._used_files: list[str] = []
        self._activations: dict[str, int] = {}
        self._records_of_activation: set[str] = set()
        self._state_after_activation: set[str] = set()
        self._unknown_types: set[str] = set()
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_writer, False)

    def run(self) -> None:
        """Load the whole input.

        Errors: ``ProtocolError`` for bad input, ``DataError`` for a bad record, whatever a sink raises. What was
        released before stands.
        """
        try:
            ended = self._read_all()
            self._drain_all()
            self._judge_rejects()
            if ended:
                self._activate_at_end()
                for slot in self._slots.values():
                    _clean_up(slot)
                self._publish()
        finally:
            self._let_drains_end()
            self._workers.close()
            if self._given.rejects is not None:
                self._given.rejects.close()

    def _read_all(self) -> bool:
        """Read until the input ends (``True``) or a signal comes."""
        while not self._given.stop:
            if self._wait_for_input():
                data = os.read(self._given.input_descriptor, _READ_BYTES)
                try:
                    for event in self._reader.feed(data) if data else self._reader.close():
                        self._handle(event)
                except _Interrupted:  # what follows it is not read, so that no state after it counts
                    return False
                if not data:
                    self._input_ended = True
                    return True
            self._collect()
            self._drain_what_is_due()
        return False

    # Waiting

    def _wait_for_input(self) -> bool:
        """Wait for anything to happen; tell whether there is input to read."""
        descriptors = [self._wake_reader]
        if self._pending_bytes < self._given.max_pending_bytes:
            descriptors.append(self._given.input_descriptor)
        if self._given.stop.wake_reader is not None:
            descriptors.append(self._given.stop.wake_reader)
        ready = select.select(descriptors, [], [], self._seconds_until_due())[0]
        if self._wake_reader in ready:
            os.read(self._wake_reader, 4096)
        return self._given.input_descriptor in ready and not self._given.stop

    def _seconds_until_due(self) -> float | None:
        idle = [slot for slot in self._slots.values() if slot.draining is None]
        due = [at for slot in idle for at in (slot.due_at, slot.settle_at) if at is not None]
        return max(0.0, min(due) - clock.monotonic()) if due else None

    # Messages

    def _handle(self, event: Event) -> None:
        if isinstance(event, RecordRun):
            self._take_records(event)
            return
        handler = _HANDLERS.get(event.type)
        if handler is not None:
            handler(self, event)
        elif event.type not in self._unknown_types:
            self._unknown_types.add(event.type)
            logger.warning("Line %d: messages of the unknown type '%s' are skipped", event.line_number, event.type)

    def _take_records(self, run: RecordRun) -> None:
        slot = self._slot_of(run.stream, run, "RECORD")
        if run.stream in self._activations:
            self._records_of_activation.add(run.stream)
            self._state_after_activation.discard(run.stream)
        slot.add(run)
        self._gate.received(run.stream, run.rows)
        self._rows_since_release += run.rows
        self._pending_bytes += len(run.lines)
        if slot.is_full:
            self._drain(slot)

    def _slot_of(self, stream: str, at: RecordRun | OtherMessage, kind: str) -> Slot:
        slot = self._slots.get(stream)
        if slot is None:
            raise RecordsWithoutSchemaException(
                f"a {kind} came before the SCHEMA of its stream",
                stream=stream,
                line_number=at.line_number,
                byte_offset=at.byte_offset,
            )
        return slot

    def _take_schema(self, message: OtherMessage) -> None:
        stream, schema, key_properties = schema_parts(message)
        slot = self._slots.get(stream)
        if slot is not None:
            if slot.schema == schema and slot.key_properties == key_properties:
                return
            # What came under the old schema is stored under it, before anything of the new one.
            self._drain_now(slot)
            _clean_up(slot)
        with located_at(message, stream):
            spec = self._given.open_slot(stream, schema, key_properties)
        self._slots[stream] = Slot(stream, schema, key_properties, spec)
        if slot is not None:
            self._slots[stream].versions = slot.versions

    def _take_state(self, message: OtherMessage) -> None:
        if "value" not in message.members:
            raise _refused(message, "the STATE message has no 'value'")
        self._note_progress(message)
        self._release(self._gate.hold(_state_text(message)))
        if self._gate.holds and self._rows_since_release >= self._rows_per_release():
            for slot in self._slots.values():
                if not slot.spec.settlings:
                    self._drain(slot)

    def _rows_per_release(self) -> int:
        return max([_ROWS_PER_RELEASE, *(slot.spec.rule.max_rows for slot in self._slots.values())])

    def _take_activate_version(self, message: OtherMessage) -> None:
        stream, version = message.members.get("stream"), message.members.get("version")
        if not isinstance(stream, str) or not isinstance(version, int) or isinstance(version, bool):
            raise _refused(message, "an ACTIVATE_VERSION message needs a 'stream' and an integer 'version'")
        slot = self._slots.get(stream)
        if slot is None:
            raise _refused(message, "an ACTIVATE_VERSION came before the SCHEMA of its stream", stream)
        if not self._given.activate_versions:
            return
        self._drain_now(slot)
        if version in slot.versions:
            self._activations.pop(stream, None)
            _activate(slot, version)
        else:
            # Either the version's records are still to come, or there are none: acting now could delete what is not
            # replaced yet. See _activate_at_end.
            self._activations[stream] = version
            self._records_of_activation.discard(stream)
            self._state_after_activation.discard(stream)

    def _activate_at_end(self) -> None:
        """Act on the versions that were announced and not confirmed by a second message, where all of them came.

        That is so if a state followed the version's last record, or, for a version without records, a state that may
        speak of the stream. Else the tap may have died on the way, and what it did not send again must not be deleted.
        """
        for stream, version in self._activations.items():
            if stream in self._state_after_activation:
                _activate(self._slots[stream], version)
            else:
                logger.warning(
                    "Stream '%s': version %d was announced, but nothing says that all of it came; older rows stay",
                    stream,
                    version,
                )

    def _note_progress(self, state: OtherMessage) -> None:
        """Note that the tap has come past the announced versions' records so far.

        For a version without records, bookmarks of other streams only say nothing.
        """
        value = state.members["value"]
        bookmarks = value.get("bookmarks") if isinstance(value, dict) else None
        for stream in self._activations:
            if not bookmarks or stream in bookmarks or stream in self._records_of_activation:
                self._state_after_activation.add(stream)

    def _take_batch(self, message: OtherMessage) -> None:
        batch = batch_of(message)
        slot = self._slot_of(batch.stream, message, "BATCH")
        source = self._given.batches
        if source is None:
            raise _refused(message, "this target takes no BATCH messages: remove 'batch_config' from the tap's config")
        names = source.names(message, batch)
        if slot.spec.process_files is not None:
            self._drain_now(slot)
            with _in_sink_of(slot.stream):
                slot.spec.process_files(batch.encoding, batch.addresses)
        else:
            for name in names:
                for run in source.runs(name, batch):
                    self._take_records(run)
                    self._make_room()
        if source.deletes:
            self._drain_now(slot)
            if self._given.publish is None:
                source.delete(names)
            else:  # nothing is durable before the end
                self._used_files += names

    def _make_room(self) -> None:
        """Wait until no more is pending than may be."""
        self._collect()
        self._drain_what_is_due()
        while self._pending_bytes >= self._given.max_pending_bytes and not self._given.stop:
            self._wait_for_drain()
            self._drain_what_is_due()
        if self._given.stop:
            raise _Interrupted

    # Draining

    def _drain_what_is_due(self) -> None:
        now = clock.monotonic()
        crowded = self._pending_bytes >= self._given.max_pending_bytes
        for slot in self._slots.values():
            if slot.settle_at is not None and slot.settle_at <= now:
                self._drain(slot, settles=True)
            elif slot.due_at is not None and (crowded or slot.is_full or slot.due_at <= now):
                self._drain(slot)

    def _drain(self, slot: Slot, *, settles: bool = False) -> None:
        """Start storing what waits in a slot, unless it is storing already."""
        if slot.draining is None and (slot.rows or settles):
            batch = slot.take(settles=settles)
            self._drains += 1
            self._workers.submit(self._store, (slot, batch))
            self._workers.ensure(self._drains)

    def _drain_now(self, slot: Slot) -> None:
        """Store everything that a slot holds, and wait until it is durable."""
        while not slot.is_empty:
            self._drain(slot, settles=not slot.rows)
            self._wait_for_drain()

    def _drain_all(self) -> None:
        while not all(slot.is_empty for slot in self._slots.values()):
            for slot in self._slots.values():
                if not slot.is_empty:
                    self._drain(slot, settles=not slot.rows)
            self._wait_for_drain()

    def _wait_for_drain(self) -> None:
        if not self._ended:
            select.select([self._wake_reader], [], [])
            os.read(self._wake_reader, 4096)
        self._collect()

    def _let_drains_end(self) -> None:
        """After a failure: let the drains under way end, so that no commit is cut off; they release nothing.

        A sink that hangs must not hide the failure for ever, so there is an end to the patience.
        """
        deadline = clock.monotonic() + _PATIENCE_SECONDS
        while self._drains > len(self._ended) and clock.monotonic() < deadline:
            if select.select([self._wake_reader], [], [], max(0.0, deadline - clock.monotonic()))[0]:
                os.read(self._wake_reader, 4096)
        if self._drains > len(self._ended):
            logger.error("A sink did not end within %d seconds and is left behind", _PATIENCE_SECONDS)

    def _store(self, item: tuple[Slot, Batch]) -> None:
        """Store a batch, in a worker."""
        slot, batch = item
        failure: BaseException | None = None
        try:
            slot.store(batch)
        except BaseException as error:  # noqa: BLE001  # whatever a sink raises, sys.exit() too, ends the run: in run()
            failure = error
        self._ended.append((slot, batch, failure))
        os.write(self._wake_writer, b"\0")

    def _collect(self) -> None:
        """Take note of the drains that ended; raise the first failure."""
        while self._ended:
            slot, batch, failure = self._ended.popleft()
            self._drains -= 1
            if failure is not None:
                raise _attached(failure, batch.stream)
            self._pending_bytes -= batch.line_bytes
            self._given.count_records(batch.stream, batch.rows)
            self._release(self._gate.durable({batch.stream: slot.stored(batch)}))

    def _release(self, state: bytes | None) -> None:
        if state is not None:
            self._judge_rejects()
            self._rows_since_release = sum(slot.rows for slot in self._slots.values())
            if self._given.publish is None:
                self._given.write_state(state)
            else:
                self._unpublished_state = state

    def _publish(self) -> None:
        if self._given.publish is not None:
            self._given.publish()
            if self._given.batches is not None and self._used_files:
                self._given.batches.delete(self._used_files)
            if self._unpublished_state is not None:
                self._given.write_state(self._unpublished_state)

    def _judge_rejects(self) -> None:
        if self._given.rejects is not None:
            self._given.rejects.judge(at_end=self._input_ended)


_HANDLERS: dict[str, Callable[[Load, OtherMessage], None]] = {
    "SCHEMA": Load._take_schema,
    "STATE": Load._take_state,
    "ACTIVATE_VERSION": Load._take_activate_version,
    "BATCH": Load._take_batch,
}


def schema_parts(message: OtherMessage) -> tuple[str, Schema, tuple[str, ...]]:
    """Read a SCHEMA message: its stream, schema and key properties (missing or null: none).

    Errors: ``InvalidInputLine`` for a member that is missing or of another type.
    """
    stream = message.members.get("stream")
    schema = message.members.get("schema")
    keys = message.members.get("key_properties") or []
    if not isinstance(stream, str) or not stream:
        raise _refused(message, "the SCHEMA message has no 'stream'")
    if not isinstance(schema, dict):
        raise _refused(message, "the SCHEMA message has no 'schema' object", stream)
    if not isinstance(schema.get("properties", {}), dict):
        raise _refused(message, "the schema's 'properties' are not an object", stream)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise _refused(message, "'key_properties' of a SCHEMA message has to be a list of names", stream)
    missing = [key for key in keys if key not in schema.get("properties", {})]
    if missing:
        raise _refused(message, f"the key property '{missing[0]}' is not in the schema", stream)
    return stream, schema, tuple(keys)


def _refused(message: OtherMessage, problem: str, stream: str | None = None) -> InvalidInputLine:
    return InvalidInputLine(problem, stream=stream, line_number=message.line_number, byte_offset=message.byte_offset)


def _state_text(message: OtherMessage) -> bytes:
    """Give a state's value as the very bytes that came, so that no number in it changes."""
    return bytes(_state_decoder.decode(message.line).value).strip()


def _activate(slot: Slot, version: int) -> None:
    with _in_sink_of(slot.stream):
        for sink in slot.spec.sinks:
            sink.activate_version(version)


def _clean_up(slot: Slot) -> None:
    with _in_sink_of(slot.stream):
        for sink in slot.spec.sinks:
            sink.clean_up()


@contextmanager
def _in_sink_of(stream: str) -> Iterator[None]:
    """Attach the stream to what its sink raises."""
    try:
        yield
    except Exception as failure:
        _attached(failure, stream)
        raise


class located_at:  # reads as a statement: with located_at(message, stream)
    """Attach a message's line and stream to what is raised inside."""

    def __init__(self, message: OtherMessage, stream: str) -> None:
        self._message = message
        self._stream = stream

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: Any, failure: BaseException | None, traceback: Any) -> None:
        """Attach, and let it go on."""
        if failure is not None:
            _attached(failure, self._stream)
        if isinstance(failure, ProtocolError):
            failure.line_number = failure.line_number or self._message.line_number


def _attached(failure: BaseException, stream: str) -> BaseException:
    if isinstance(failure, SingerKitError):
        failure.stream = failure.stream or stream
    else:
        failure.add_note(f"in the sink of stream '{stream}'")
    return failure
