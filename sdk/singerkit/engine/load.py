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
from collections.abc import Callable
from dataclasses import dataclass

from singerkit import clock
from singerkit.engine.activations import Activations
from singerkit.engine.batch_input import BatchInput, batch_of
from singerkit.engine.drains import Drains
from singerkit.engine.epoch import Epoch
from singerkit.engine.incoming import (
    activation_of,
    attached,
    in_sink_of,
    located_at,
    refused,
    schema_parts,
    state_text,
)
from singerkit.engine.rejects import Rejects
from singerkit.engine.slot import Slot, SlotSpec
from singerkit.engine.stop import StopSignal
from singerkit.errors import RecordsWithoutSchemaException, SyncError
from singerkit.protocol.reader import Event, MessageReader, OtherMessage, ReaderLimits, RecordRun
from singerkit.state.gate import StateGate
from singerkit.types import Schema

logger = logging.getLogger(__name__)

#: Small enough for the processor's cache: a block that was read stays there until it is decoded.
_READ_BYTES = 256 * 1024
#: Rows after which a state makes every stream drain, so that little is redone after a crash.
_ROWS_PER_RELEASE = 10_000
#: Seconds that a state waits for more rows to be stored with it, where no stream says it.
_LONGEST_EPOCH_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class LoadRun:
    """What a target's run is given.

    Shape: ``open_slot(stream, schema, key_properties)`` makes the sinks; ``write_state(text)`` lets a state out;
    ``publish()``, if there is one, makes all that was stored count at once, and no state leaves before it did.
    ``keep_state(text)``, if there is one, stores a state together with all that the sinks were given since the one
    before, all or nothing; sinks store nothing by themselves then.
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
    keep_state: Callable[[bytes], None] | None = None
    batches: BatchInput | None = None


class _Interrupted(Exception):
    """A signal came in the middle of a message."""


class Load:
    """A target's run under way. Everything but the drains happens in the thread that calls :meth:`run`."""

    def __init__(self, given: LoadRun) -> None:
        self._given = given
        self._reader = MessageReader(given.limits)
        self._gate = StateGate()
        self._epoch = None if given.keep_state is None else Epoch()
        self._drains = Drains(given.max_parallelism)
        self._slots: dict[str, Slot] = {}
        self._rows_since_release = 0
        self._pending_bytes = 0
        self._input_ended = False
        self._unpublished_state: bytes | None = None
        self._used_files: list[str] = []
        self._activations = Activations()
        self._unknown_types: set[str] = set()

    def run(self) -> None:
        """Load the whole input.

        Errors: ``ProtocolError`` for bad input, ``DataError`` for a bad record, whatever a sink raises. What was
        released before stands.
        """
        try:
            ended = self._read_all()
            if self._epoch is not None:
                self._end_epochs(self._epoch, ended=ended)
                return
            self._drain_all()
            self._judge_rejects()
            if ended:
                self._finish()
                self._publish()
        finally:
            self._drains.close()
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

    def _finish(self) -> bool:
        """Act on what holds for the whole input, and let the sinks go; tell whether rows changed by that."""
        activated = list(self._activations.confirmed())
        for stream, version in activated:
            _activate(self._slots[stream], version)
        for slot in self._slots.values():
            _clean_up(slot)
        return bool(activated)

    # Waiting

    def _wait_for_input(self) -> bool:
        """Wait for anything to happen; tell whether there is input to read."""
        descriptors = [self._drains.wake_reader]
        if self._pending_bytes < self._given.max_pending_bytes:
            descriptors.append(self._given.input_descriptor)
        if self._given.stop.wake_reader is not None:
            descriptors.append(self._given.stop.wake_reader)
        ready = select.select(descriptors, [], [], self._seconds_until_due())[0]
        if self._drains.wake_reader in ready:
            self._drains.woken()
        return self._given.input_descriptor in ready and not self._given.stop

    def _seconds_until_due(self) -> float | None:
        idle = [slot for slot in self._slots.values() if slot.draining is None]
        due = [at for slot in idle for at in (slot.due_at, slot.settle_at) if at is not None]
        if self._epoch is not None and (at := self._epoch.due_at(self._longest_epoch_s())) is not None:
            due.append(at)
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
        self._activations.note_records(run.stream)
        self._pending_bytes += len(run.lines)
        if self._epoch is not None and self._epoch.state is not None:
            self._epoch.put_aside(run)
        else:
            self._add(slot, run)

    def _add(self, slot: Slot, run: RecordRun) -> None:
        slot.add(run)
        if self._epoch is not None:
            self._epoch.note(run.rows)
        else:
            self._gate.received(run.stream, run.rows)
            self._rows_since_release += run.rows
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
            self._keep_held_state()
            self._drain_now(slot)
            _clean_up(slot)
        with located_at(message, stream):
            spec = self._given.open_slot(stream, schema, key_properties)
        self._slots[stream] = Slot(stream, schema, key_properties, spec)
        if slot is not None:
            self._slots[stream].versions = slot.versions

    def _take_state(self, message: OtherMessage) -> None:
        state = state_text(message)
        self._activations.note_state(message.members["value"])
        if self._epoch is not None:
            self._extend(self._epoch, state)
            return
        self._release(self._gate.hold(state))
        if self._gate.holds and self._rows_since_release >= self._rows_per_release():
            for slot in self._slots.values():
                if not slot.spec.settlings:
                    self._drain(slot)

    def _rows_per_release(self) -> int:
        return max([_ROWS_PER_RELEASE, *(slot.spec.rule.max_rows for slot in self._slots.values())])

    def _take_activate_version(self, message: OtherMessage) -> None:
        stream, version = activation_of(message)
        slot = self._slots.get(stream)
        if slot is None:
            raise refused(message, "an ACTIVATE_VERSION came before the SCHEMA of its stream", stream)
        if not self._given.activate_versions:
            return
        self._keep_held_state()
        self._drain_now(slot)
        if version in slot.versions:
            self._activations.settle(stream)
            _activate(slot, version)
        else:
            self._activations.announce(stream, version)

    def _take_batch(self, message: OtherMessage) -> None:
        batch = batch_of(message)
        slot = self._slot_of(batch.stream, message, "BATCH")
        source = self._given.batches
        if source is None:
            raise refused(message, "this target takes no BATCH messages: remove 'batch_config' from the tap's config")
        names = source.names(message, batch)
        self._keep_held_state()
        if slot.spec.process_files is not None:
            self._drain_now(slot)
            with in_sink_of(slot.stream):
                slot.spec.process_files(batch.encoding, batch.addresses)
        else:
            for name in names:
                for run in source.runs(name, batch):
                    self._take_records(run)
                    self._make_room()
        if source.deletes:
            self._drain_now(slot)
            if self._given.publish is None and self._epoch is None:
                source.delete(names)
            else:  # nothing of it is durable yet
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
        due_at = None if self._epoch is None else self._epoch.due_at(self._longest_epoch_s())
        if due_at is not None and (crowded or due_at <= now):
            self._keep_held_state()
        for slot in self._slots.values():
            if slot.settle_at is not None and slot.settle_at <= now:
                self._drain(slot, settles=True)
            elif slot.due_at is not None and (crowded or slot.is_full or slot.due_at <= now):
                self._drain(slot)

    def _drain(self, slot: Slot, *, settles: bool = False) -> None:
        """Start storing what waits in a slot, unless it is storing already."""
        if slot.draining is None and (slot.rows or settles):
            self._drains.start(slot, slot.take(settles=settles))

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
        self._drains.wait()
        self._collect()

    def _collect(self) -> None:
        """Take note of the drains that ended; raise the first failure."""
        for slot, batch, failure in self._drains.ended():
            if failure is not None:
                raise attached(failure, batch.stream)
            self._pending_bytes -= batch.line_bytes
            self._given.count_records(batch.stream, batch.rows)
            if self._epoch is not None:
                slot.stored(batch)
                continue
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
            self._delete_used_files()
            if self._unpublished_state is not None:
                self._given.write_state(self._unpublished_state)

    def _delete_used_files(self) -> None:
        if self._given.batches is not None and self._used_files:
            self._given.batches.delete(self._used_files)
        self._used_files = []

    # Epochs, where a state is stored with its rows

    def _extend(self, epoch: Epoch, state: bytes) -> None:
        """Let the epoch reach to a state; end it when it is large enough."""
        for run in epoch.take_aside():
            self._add(self._slots[run.stream], run)
        epoch.hold(state)
        if epoch.rows >= self._rows_per_release():
            self._keep_held_state()

    def _longest_epoch_s(self) -> float:
        return min((slot.spec.rule.max_age_s for slot in self._slots.values()), default=_LONGEST_EPOCH_SECONDS)

    def _keep_held_state(self) -> None:
        """Store the state that covers the epoch, with its rows; what was put aside begins the next one."""
        epoch = self._epoch
        if epoch is None or epoch.state is None:
            return
        self._drain_all()
        self._keep(epoch.state)
        epoch.end()
        for run in epoch.take_aside():
            self._add(self._slots[run.stream], run)

    def _keep(self, state: bytes) -> None:
        assert self._given.keep_state is not None  # noqa: S101  # for the type checker: without it there are no epochs
        self._judge_rejects()
        self._given.keep_state(state)
        self._given.write_state(state)
        self._delete_used_files()

    def _end_epochs(self, epoch: Epoch, *, ended: bool) -> None:
        """Store what a state covers; the rest would be there twice after the next run.

        Errors: ``SyncError`` where the input ended behind records that no state covers.
        """
        uncovered = epoch.uncovered_rows
        if not ended or uncovered:
            self._keep_held_state()
            if ended:
                raise SyncError(
                    f"the input ended without a STATE behind its last records ({uncovered:,}): they are not stored, as "
                    "the next run brings them again. Run again if the tap broke off; a tap that writes no STATE at "
                    "its end can't be loaded with 'state_key'"
                )
            return
        self._drain_all()
        changed = self._finish()
        state = epoch.state if epoch.state is not None else epoch.kept
        if state is not None and (epoch.state is not None or changed):
            self._keep(state)

    def _judge_rejects(self) -> None:
        if self._given.rejects is not None:
            self._given.rejects.judge(at_end=self._input_ended)


_HANDLERS: dict[str, Callable[[Load, OtherMessage], None]] = {
    "SCHEMA": Load._take_schema,
    "STATE": Load._take_state,
    "ACTIVATE_VERSION": Load._take_activate_version,
    "BATCH": Load._take_batch,
}


def _activate(slot: Slot, version: int) -> None:
    with in_sink_of(slot.stream):
        for sink in slot.spec.sinks:
            sink.activate_version(version)


def _clean_up(slot: Slot) -> None:
    with in_sink_of(slot.stream):
        for sink in slot.spec.sinks:
            sink.clean_up()
