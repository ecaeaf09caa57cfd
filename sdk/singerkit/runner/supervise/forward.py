"""The data between two programs: whole lines only, counted by stream, and a record of which side waits."""

from __future__ import annotations

import fcntl
import os
import select
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any

from singerkit.clock import monotonic
from singerkit.errors import InvalidInputLine
from singerkit.protocol.reader import MessageReader, OtherMessage, ReaderLimits, RecordRun

_READ_BYTES = 1 << 20
_LOOK_AGAIN_MS = 500
_ENLARGE_PIPE = getattr(fcntl, "F_SETPIPE_SZ", None)  # Linux
#: The runner passes on what the target may well accept; a line beyond this is a runaway.
_LIMITS = ReaderLimits(max_line_bytes=1 << 30)


@dataclass
class Counts:
    """What went through, so far.

    Units: seconds that were spent waiting for the program that writes, and for the one that reads.
    """

    records: dict[str, int] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
    messages: int = 0
    waited_for_writer_s: float = 0.0
    waited_for_reader_s: float = 0.0

    def by_stream(self) -> dict[str, dict[str, int]]:
        """Give each stream's records and bytes; safe while they are counted."""
        return {stream: {"records": count, "bytes": self.bytes[stream]} for stream, count in list(self.records.items())}


class Forwarder:
    """Copies what one program writes to the next one; runs in a thread of its own (:meth:`run`).

    After it: ``refused`` is the line that is no Singer message, ``reader_gone`` says that the next program no longer
    reads, ``withheld`` counts the bytes of an unfinished last line, ``last_state`` is the newest STATE's value.
    """

    def __init__(self, source: IO[bytes], sink: IO[bytes], ended_well: Callable[[], bool]) -> None:
        """Take both ends; ``ended_well`` waits for the end of the writing program and says whether it succeeded."""
        self._source = source
        self._sink = sink
        self._ended_well = ended_well
        self._reader = MessageReader(_LIMITS)
        self.counts = Counts()
        self.last_state: Any = None
        self.has_state = False
        self.refused: InvalidInputLine | None = None
        self.reader_gone = False
        self.withheld = 0
        #: Set before the ends are closed, so before the next program can see the end of its input.
        self.finished = False
        #: Set by the loop: do not wait for the end of input any longer.
        self.abandoned = False
        self.last_activity = monotonic()
        for end in (source, sink):
            _enlarge(end)

    def run(self) -> None:
        """Copy until the end of input, a line that must not pass, or a reader that is gone; then close both ends."""
        try:
            self._copy()
        except InvalidInputLine as error:
            self.refused = error
        except (BrokenPipeError, ConnectionResetError):
            self.reader_gone = True
        finally:
            self.finished = True
            for end in (self._sink, self._source):
                with suppress(OSError):  # a broken pipe has been noticed already
                    end.close()

    def _copy(self) -> None:
        unfinished = 0
        while data := self._read():
            end = data.rfind(b"\n") + 1
            unfinished = len(data) - end if end else unfinished + len(data)
            self._pass_on(data)
        if unfinished:
            self._finish(unfinished)

    def _read(self) -> bytes:
        """Give what the writing program has written, or nothing at the end."""
        descriptor = self._source.fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        began = monotonic()
        while not poll.poll(_LOOK_AGAIN_MS):
            if self.abandoned:
                return b""
        data = os.read(descriptor, _READ_BYTES)
        self.last_activity = monotonic()
        self.counts.waited_for_writer_s += self.last_activity - began
        return data

    def _finish(self, unfinished: int) -> None:
        """Pass on a last line that has no end, if its writer meant it to be whole."""
        if self._ended_well():
            self._pass_on(b"\n")
        else:
            self.withheld = unfinished

    def _pass_on(self, data: bytes) -> None:
        parts: list[bytes] = []
        try:
            for event in self._reader.feed(data):
                parts.append(self._counted(event))
        finally:  # what came before a refused line is good
            self._write(b"".join(parts) if len(parts) != 1 else parts[0])

    def _counted(self, event: RecordRun | OtherMessage) -> bytes:
        counts = self.counts
        if isinstance(event, RecordRun):
            counts.messages += event.rows
            counts.bytes[event.stream] = counts.bytes.get(event.stream, 0) + len(event.lines)
            counts.records[event.stream] = counts.records.get(event.stream, 0) + event.rows
            return event.lines
        counts.messages += 1
        if event.type == "STATE":
            self.last_state, self.has_state = event.members.get("value"), True
        return event.line

    def _write(self, data: bytes) -> None:
        if not data:
            return
        view = memoryview(data)
        descriptor = self._sink.fileno()
        began = monotonic()
        while view:
            view = view[os.write(descriptor, view) :]
        self.last_activity = monotonic()
        self.counts.waited_for_reader_s += self.last_activity - began


def _enlarge(end: IO[bytes]) -> None:
    """Let a pipe hold more, so that programs take turns less often."""
    if _ENLARGE_PIPE is not None:
        with suppress(OSError):  # the user's share of pipe memory may be used up
            fcntl.fcntl(end.fileno(), _ENLARGE_PIPE, _READ_BYTES)
