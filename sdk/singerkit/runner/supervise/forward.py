"""The data between two programs: whole lines only, counted by stream, and a record of which side waits."""

from __future__ import annotations

import fcntl
import os
import select
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any

from singerkit.clock import monotonic
from singerkit.errors import InvalidInputLine
from singerkit.runner.supervise.counting import Counts, LineCounter

_READ_BYTES = 1 << 20
_LOOK_AGAIN_MS = 500
_ENLARGE_PIPE = getattr(fcntl, "F_SETPIPE_SZ", None)  # Linux


class Forwarder:
    """Copies what one program writes to the next one; runs in a thread of its own (:meth:`run`).

    After it: ``refused`` is the line that is no Singer message, ``reader_gone`` says that the next program no longer
    reads, ``withheld`` counts the bytes of an unfinished last line.
    """

    def __init__(self, source: IO[bytes], sink: IO[bytes], ended_well: Callable[[], bool]) -> None:
        """Take both ends; ``ended_well`` waits for the end of the writing program and says whether it succeeded."""
        self._source = source
        self._sink = sink
        self._ended_well = ended_well
        self.counts = Counts()
        self._lines = LineCounter(self.counts)
        self._unfinished: list[bytes] = []
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

    @property
    def last_state(self) -> Any:
        """The value of the newest STATE that was passed on."""
        return self._lines.last_state

    @property
    def has_state(self) -> bool:
        """Whether a STATE was passed on."""
        return self._lines.has_state

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
        while data := self._read():
            end = data.rfind(b"\n") + 1
            if not end:
                self._unfinished.append(data)
                continue
            self._pass_on(b"".join([*self._unfinished, data[:end]]) if self._unfinished else data[:end])
            self._unfinished = [data[end:]] if end < len(data) else []
        if rest := b"".join(self._unfinished):
            self._finish(rest)

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

    def _finish(self, rest: bytes) -> None:
        """Pass on a last line that has no end, if its writer meant it to be whole."""
        if self._ended_well():
            self._pass_on(rest + b"\n")
        else:
            self.withheld = len(rest)

    def _pass_on(self, chunk: bytes) -> None:
        try:
            self._lines.count(chunk)
        except InvalidInputLine as error:
            self._write(chunk[: error.byte_offset])  # what came before it is good
            raise
        self._write(chunk)

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
