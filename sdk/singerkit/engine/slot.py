"""The engine's holder of one incoming stream: its waiting lines, how they are read, and the sinks they go to."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from singerkit import clock
from singerkit.engine.drain import DrainRule
from singerkit.engine.rejects import Rejects
from singerkit.errors import DataError, InvalidInputLine
from singerkit.protocol.reader import RecordRun, excerpt_of
from singerkit.records.metadata import MetadataStamp
from singerkit.records.rejection import LineRejected
from singerkit.records.validate import Decode, Envelope
from singerkit.types import Record, Schema, Step

if TYPE_CHECKING:
    from singerkit.files.batches import BatchEncoding

_BLOCK_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True)
class Settling:
    """How the rows that a sink keeps become durable.

    Shape: ``settle()`` makes them so, ``is_settled()`` tells whether there are none. Units: seconds that they may wait.
    """

    settle: Callable[[], None]
    is_settled: Callable[[], bool]
    max_age_s: float


@dataclass(frozen=True, slots=True)
class SinkSpec:
    """A sink as its author declared it.

    Shape: ``process(records)`` stores a batch and returns when it is durable; ``activate_version(version)`` removes
    what is older; ``stamp`` adds metadata; ``step`` is the stream map. ``None`` where there is nothing to do.
    """

    process: Callable[[list[Record]], None]
    activate_version: Callable[[int], None]
    clean_up: Callable[[], None]
    step: Step | None
    stamp: MetadataStamp | None
    #: For a sink that keeps rows after ``process`` has returned.
    settling: Settling | None = None


@dataclass(frozen=True, slots=True)
class SlotSpec:
    """What a SCHEMA message makes of a stream: how to decode its lines and where they go."""

    decode: Decode
    sinks: tuple[SinkSpec, ...]
    rule: DrainRule
    #: Takes what is refused; without it the first refused record ends the run.
    rejects: Rejects | None = None
    #: Takes the files of a BATCH message, where a sink's author does so: encoding and addresses.
    process_files: Callable[[BatchEncoding, Sequence[str]], None] | None = None

    @property
    def settlings(self) -> tuple[Settling, ...]:
        """Those of the sinks that keep rows."""
        return tuple(sink.settling for sink in self.sinks if sink.settling is not None)


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines of one stream on their way to its sinks."""

    stream: str
    runs: tuple[RecordRun, ...]
    rows: int
    line_bytes: int
    #: Whether the sinks have to make durable what they keep.
    settles: bool = False


class Slot:
    """Gathers a stream's lines between two drains. One thread fills it; at most one drain runs at a time."""

    def __init__(self, stream: str, schema: Schema, key_properties: Sequence[str], spec: SlotSpec) -> None:
        self.stream = stream
        self.schema = schema
        self.key_properties = tuple(key_properties)
        self.spec = spec
        #: The versions that this run's stored records carried.
        self.versions: set[int | None] = set()
        self.draining: Batch | None = None
        self.rows = 0
        self.line_bytes = 0
        self._runs: deque[RecordRun] = deque()
        self._since = 0.0
        #: Rows that sinks keep and that are not durable yet.
        self.unsettled_rows = 0
        self._settle_at: float | None = None

    def add(self, run: RecordRun) -> None:
        """Take in lines."""
        if not self._runs:
            self._since = clock.monotonic()
        self._runs.append(run)
        self.rows += run.rows
        self.line_bytes += len(run.lines)

    @property
    def is_full(self) -> bool:
        """Whether what waits makes a full batch."""
        return self.spec.rule.is_full(self.rows, self.line_bytes)

    @property
    def due_at(self) -> float | None:
        """When the waiting lines are too old (monotonic seconds); ``None`` if nothing waits."""
        return self._since + self.spec.rule.max_age_s if self._runs else None

    @property
    def settle_at(self) -> float | None:
        """When the rows that sinks keep are too old (monotonic seconds); ``None`` if they keep none."""
        return self._settle_at

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits, is under way or is kept."""
        return self.draining is None and not self.rows and not self.unsettled_rows

    def take(self, *, settles: bool = False) -> Batch:
        """Give what waits, at most a full batch of it, as the batch under way."""
        runs: list[RecordRun] = []
        rows = line_bytes = 0
        while self._runs and not self.spec.rule.is_full(rows, line_bytes):
            run = self._runs.popleft()
            fitting = rows_that_fit(run, self.spec.rule.max_rows - rows, self.spec.rule.max_bytes - line_bytes)
            if run.rows > fitting:
                run, rest = split_run(run, fitting)
                self._runs.appendleft(rest)
            runs.append(run)
            rows += run.rows
            line_bytes += len(run.lines)
        self.rows -= rows
        self.line_bytes -= line_bytes
        self.draining = Batch(self.stream, tuple(runs), rows, line_bytes, settles)
        return self.draining

    def stored(self, batch: Batch) -> int:
        """Note that a batch was stored; give how many rows are durable by that."""
        self.draining = None
        self.unsettled_rows += batch.rows
        settlings = self.spec.settlings
        if all(settling.is_settled() for settling in settlings):
            durable, self.unsettled_rows, self._settle_at = self.unsettled_rows, 0, None
            return durable
        if self._settle_at is None:
            self._settle_at = clock.monotonic() + min(settling.max_age_s for settling in settlings)
        return 0

    def store(self, batch: Batch) -> None:
        """Decode a batch and hand it to the sinks; when this returns it is durable.

        Errors: ``DataError`` or ``InvalidInputLine`` for the first record that is refused, with its line; whatever a
        sink raises.
        """
        envelopes: list[Envelope] = []
        for runs in _blocks_of(batch.runs):
            envelopes += self._decoded(runs)
        self.versions.update({envelope.version for envelope in envelopes})
        records = [envelope.record for envelope in envelopes]
        for sink in self.spec.sinks:
            delivered = _prepared(sink, records, envelopes)
            if delivered:
                self._process(sink, delivered)
        if batch.settles:
            for settling in self.spec.settlings:
                settling.settle()
        if self.spec.rejects is not None:
            self.spec.rejects.settle(batch.rows)

    def _decoded(self, runs: Sequence[RecordRun]) -> list[Envelope]:
        """Decode a block; where refused records are taken aside, all but those."""
        lines = b"".join([run.lines for run in runs])
        rows = sum([run.rows for run in runs])
        kept: list[Envelope] = []
        start = 0
        while True:
            try:
                decoded = self.spec.decode(lines, rows - start)
                return kept + decoded if kept else decoded
            except LineRejected as rejected:
                before = lines.split(b"\n", rejected.index + 1)
                index, rejected.index = rejected.index, start + rejected.index
                error = located(rejected, self.stream, runs)
                if self.spec.rejects is None or not isinstance(error, LineRejected):
                    raise error from None
                self.spec.rejects.take_line(self.stream, before[index], error)
            if index:
                kept += self.spec.decode(b"\n".join(before[:index]) + b"\n", index)
            start += index + 1
            lines = before[index + 1]

    def _process(self, sink: SinkSpec, records: list[Record]) -> None:
        """Hand a batch to a sink; one with a record that the sink refuses is halved until only that is left out."""
        try:
            sink.process(records)
        except DataError as error:
            if self.spec.rejects is None:
                raise
            if len(records) == 1:
                self.spec.rejects.take_record(self.stream, records[0], error)
                return
            middle = len(records) // 2
            self._process(sink, records[:middle])
            self._process(sink, records[middle:])


def _prepared(sink: SinkSpec, records: list[Record], envelopes: list[Envelope]) -> list[Record]:
    """Map and stamp; where neither is asked for the records go on as they are."""
    if sink.step is None and sink.stamp is None:
        return records
    mapped: list[Any] = records if sink.step is None else list(map(sink.step, records))
    if sink.stamp is None:
        return [record for record in mapped if record is not None]
    kept = [(record, envelope) for record, envelope in zip(mapped, envelopes, strict=True) if record is not None]
    return sink.stamp(
        [record for record, _ in kept],
        [envelope.version for _, envelope in kept],
        [envelope.time_extracted for _, envelope in kept],
    )


def rows_that_fit(run: RecordRun, rows: int, line_bytes: int) -> int:
    """Give how many lines of a run go into a batch that has so much room; the last one may stand out."""
    if len(run.lines) > line_bytes:
        end = run.lines.index(b"\n", line_bytes - 1) + 1
        rows = min(rows, run.lines.count(b"\n", 0, end))
    return min(rows, run.rows)


def split_run(run: RecordRun, rows: int) -> tuple[RecordRun, RecordRun]:
    """Cut a run behind so many of its lines."""
    end = 0
    for _ in range(rows):
        end = run.lines.index(b"\n", end) + 1
    first = run._replace(lines=run.lines[:end], rows=rows)
    rest = run._replace(
        lines=run.lines[end:],
        rows=run.rows - rows,
        line_number=run.line_number + rows,
        byte_offset=run.byte_offset + end,
    )
    return first, rest


def _blocks_of(runs: Sequence[RecordRun]) -> Iterator[list[RecordRun]]:
    """Put short runs together: decoding is paid per block, and is fastest while a block fits the processor's cache."""
    block: list[RecordRun] = []
    size = 0
    for run in runs:
        block.append(run)
        size += len(run.lines)
        if size >= _BLOCK_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block


def located(rejected: LineRejected, stream: str, runs: Sequence[RecordRun]) -> Exception:
    """Say in which line of the input a rejected record stood."""
    index = rejected.index
    for run in runs:
        if index < run.rows:
            break
        index -= run.rows
    before = run.lines.split(b"\n", index)
    offset = run.byte_offset + len(run.lines) - len(before[index])
    rejected.stream = stream
    rejected.line_number = run.line_number + index
    if run.file:
        rejected.args = (f"in the batch file '{run.file}': {rejected}",)
    if not rejected.malformed:
        return rejected
    line = before[index].split(b"\n", 1)[0]
    return InvalidInputLine(
        str(rejected),
        stream=stream,
        line_number=rejected.line_number,
        byte_offset=offset,
        excerpt=excerpt_of(line),
    )
