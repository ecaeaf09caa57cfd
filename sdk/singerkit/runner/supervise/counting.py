"""Counts Singer lines by stream while they pass, as cheaply as that can be done, and judges those that are no RECORD.

Nearly all lines are RECORDs, and those of one stream begin with the same bytes. What a line's beginning means is learnt
from one line that was read in full; lines that begin the same way are then counted without being read: their content is
for the target to judge.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from singerkit.errors import InvalidInputLine
from singerkit.protocol.reader import MessageReader, OtherMessage, ReaderLimits

#: What is passed on is the target's to limit; a line beyond this is a runaway.
_LIMITS = ReaderLimits(max_line_bytes=1 << 30)
_RECORD_MEMBER = b'"record"'
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


class LineCounter:
    """Counts whole lines; ``last_state`` is the newest STATE's value, if ``has_state``."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._heads: dict[bytes, StreamCount] = {}
        self._latest: tuple[bytes, StreamCount] | None = None
        self._lines = 0
        self.last_state: Any = None
        self.has_state = False

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
        heads = self._heads
        head, count = b"", None
        position = 0
        for number, line in enumerate(chunk.split(b"\n")[:-1], self._lines + 1):
            head = line.partition(_RECORD_MEMBER)[0]
            count = heads.get(head)
            if count is None:
                self._read(line, head, number, position)
            else:
                count.records += 1
                count.bytes += len(line) + 1
            position += len(line) + 1
        self._latest = (head + _RECORD_MEMBER, count) if count is not None else None

    def _read(self, line: bytes, head: bytes, number: int, position: int) -> None:
        """Read a line in full, and learn its beginning."""
        reader = MessageReader(_LIMITS)
        try:
            events = list(reader.feed(line + b"\n"))
        except InvalidInputLine as error:
            error.line_number, error.byte_offset = number, position
            raise
        for event in events:
            if isinstance(event, OtherMessage):
                self._counts.others += 1
                if event.type == "STATE":
                    self.last_state, self.has_state = event.members.get("value"), True
                continue
            count = self._counts.streams.setdefault(event.stream, StreamCount())
            count.records += 1
            count.bytes += len(line) + 1
            if reader.knows(event.stream) and len(head) < _LONGEST_HEAD and len(self._heads) < _MOST_HEADS:
                self._heads[head] = count
