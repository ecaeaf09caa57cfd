"""Counts Singer lines by stream while they pass, as cheaply as that can be done, and judges those that are no RECORD.

Nearly all lines are RECORDs, and those of one stream begin with the same bytes. What a line's beginning means is learnt
from one line whose envelope was read; lines that begin the same way are then counted without being read: their content
is for the target to judge. So is that of a STATE, which is read when it is asked for: a tap may write one behind each
record.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from singerkit.errors import InvalidInputLine
from singerkit.protocol.reader import Event, MessageReader, OtherMessage, ReaderLimits, RecordRun

#: What is passed on is the target's to limit; a line beyond this is a runaway.
_LIMITS = ReaderLimits(max_line_bytes=1 << 30)
_RECORD_MEMBER = b'"record"'
_TYPE = rb'"type"\s*:\s*"record"\s*,\s*'
_STREAM = rb'"stream"\s*:\s*"([^"\\]*)"\s*,\s*'
#: Before the member `record`: all of the envelope, and nothing that differs from record to record.
_HEAD = re.compile(
    rb"\{\s*(?:" + _TYPE + _STREAM + rb"|" + _STREAM + _TYPE + rb')(?:"version"\s*:\s*\d+\s*,\s*)?', re.IGNORECASE
)
_STATE = re.compile(rb'\{\s*"type"\s*:\s*"STATE"\s*,\s*"value"\s*:\s*\{')
#: A beginning that holds more than type and stream differs from record to record, and would be learnt for nothing.
_LONGEST_HEAD = 400
_MOST_HEADS = 10_000


@dataclass(slots=True)
class StreamCount:
    """Records of one stream, and their lines' bytes."""

    records: int = 0
    bytes: int = 0


@dataclass
class Counts:
    """What went through, so far.

    Units: seconds that were spent waiting for the program that writes, and for the one that reads.
    """

    streams: dict[str, StreamCount] = field(default_factory=dict)
    others: int = 0
    waited_for_writer_s: float = 0.0
    waited_for_reader_s: float = 0.0

    @property
    def records(self) -> dict[str, int]:
        """Records by stream; safe while they are counted."""
        return {stream: count.records for stream, count in list(self.streams.items())}

    @property
    def is_empty(self) -> bool:
        """Whether nothing went through."""
        return not self.streams and not self.others

    def by_stream(self) -> dict[str, dict[str, int]]:
        """Give each stream's records and bytes; safe while they are counted."""
        found = list(self.streams.items())
        return {stream: {"records": count.records, "bytes": count.bytes} for stream, count in found}

    def __add__(self, other: Counts) -> Counts:
        """Give what went through in both, as it stands now."""
        streams: dict[str, StreamCount] = {}
        for counts in (self, other):
            for stream, count in list(counts.streams.items()):
                both = streams.setdefault(stream, StreamCount())
                both.records += count.records
                both.bytes += count.bytes
        return Counts(
            streams,
            self.others + other.others,
            self.waited_for_writer_s + other.waited_for_writer_s,
            self.waited_for_reader_s + other.waited_for_reader_s,
        )


class _Envelope(msgspec.Struct):
    type: str = ""
    stream: str = ""
    record: msgspec.Raw = msgspec.Raw()


_OBJECT = memoryview(b"{")
_envelopes = msgspec.json.Decoder(_Envelope)


class LineCounter:
    """Counts whole lines; ``has_state`` says whether there was a STATE."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._heads: dict[bytes, StreamCount] = {}
        self._without_head: set[str] = set()
        self._latest: tuple[bytes, StreamCount] | None = None
        self._lines = 0
        self._state_line = b""

    @property
    def has_state(self) -> bool:
        """Whether there was a STATE."""
        return bool(self._state_line)

    @property
    def last_state(self) -> Any:
        """The value of the newest STATE; ``None`` before the first, and for one that can't be read."""
        try:
            events = list(MessageReader(_LIMITS).feed(self._state_line + b"\n"))
        except InvalidInputLine:
            return None
        return next((event.members.get("value") for event in events if isinstance(event, OtherMessage)), None)

    def count(self, chunk: bytes) -> None:
        """Count a chunk of whole lines.

        Errors: ``InvalidInputLine`` for the first that is no Singer message; its ``byte_offset`` is within the chunk.
        """
        rows = chunk.count(b"\n")
        if not self._count_run(chunk, rows):
            self._count_lines(chunk)
        self._lines += rows

    def _count_run(self, chunk: bytes, rows: int) -> bool:
        """Count a chunk of which every line begins as the latest one did; says whether it is one."""
        if self._latest is None:
            return False
        head, count = self._latest
        if not chunk.startswith(head) or chunk.count(b"\n" + head) != rows - 1:
            return False
        count.records += rows
        count.bytes += len(chunk)
        return True

    def _count_lines(self, chunk: bytes) -> None:
        """Count a chunk line by line: lines of one beginning are put together first, and counted at once."""
        lines = chunk.split(b"\n")
        lines.pop()
        groups: dict[bytes, list[bytes]] = {}
        try:
            self._group(lines, groups)
        finally:
            for head, group in groups.items():
                count = self._heads[head]
                count.records += len(group)
                count.bytes += sum(map(len, group)) + len(group)
        head = lines[-1].partition(_RECORD_MEMBER)[0]
        self._latest = (head + _RECORD_MEMBER, self._heads[head]) if head in self._heads else None

    def _group(self, lines: list[bytes], groups: dict[bytes, list[bytes]]) -> None:
        """Put lines with known beginnings into ``groups``, and read the others."""
        add: dict[bytes, Callable[[bytes], None]] = {}
        for index, line in enumerate(lines):
            head = line.partition(_RECORD_MEMBER)[0]
            found = add.get(head)
            if found is not None:
                found(line)
            elif head in self._heads:
                groups[head] = [line]
                add[head] = groups[head].append
            else:
                self._read(lines, index, head)

    def _read(self, lines: list[bytes], index: int, head: bytes) -> None:
        """Read as much of a line as tells what it is, and learn its beginning."""
        line = lines[index]
        if _STATE.match(line):
            self._counts.others += 1
            self._state_line = line
        elif (stream := _stream_of_record(line)) is not None:
            self._count_record(stream, line, head)
        else:
            try:
                events = list(MessageReader(_LIMITS).feed(line + b"\n"))
            except InvalidInputLine as error:
                error.line_number = self._lines + index + 1
                error.byte_offset = sum(map(len, lines[:index])) + index
                raise
            for event in events:
                self._take(event, line, head)

    def _take(self, event: Event, line: bytes, head: bytes) -> None:
        if isinstance(event, RecordRun):
            self._count_record(event.stream, line, head)
            return
        self._counts.others += 1
        if event.type == "STATE":
            self._state_line = line

    def _count_record(self, stream: str, line: bytes, head: bytes) -> None:
        count = self._counts.streams.setdefault(stream, StreamCount())
        count.records += 1
        count.bytes += len(line) + 1
        if stream not in self._without_head:
            self._learn(stream, head, count)

    def _learn(self, stream: str, head: bytes, count: StreamCount) -> None:
        match = _HEAD.fullmatch(head) if len(head) < _LONGEST_HEAD and len(self._heads) < _MOST_HEADS else None
        # A name that a second `stream` member overrules says nothing about other lines.
        if match is not None and (match[1] or match[2]) == stream.encode("utf-8", "surrogatepass"):
            self._heads[head] = count
        else:
            self._without_head.add(stream)


def _stream_of_record(line: bytes) -> str | None:
    """Give the stream of a RECORD; ``None`` for other messages, and for what has to be looked at closely."""
    try:
        envelope = _envelopes.decode(line)
    except (ValueError, RecursionError):
        return None
    if envelope.type.upper() != "RECORD" or memoryview(envelope.record)[:1] != _OBJECT:
        return None
    return envelope.stream or None
