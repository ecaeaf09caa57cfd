"""Runs a tap into a target, forwarding whole lines between them and counting what goes by.

A shell's ``tap | target`` does the same without the counting.
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from io import BufferedReader, BufferedWriter
from pathlib import Path
from typing import IO, Any, cast

READ_BYTES = 1 << 20
#: How a RECORD line begins, as singerkit writes it.
RECORD = re.compile(rb'\{"type":"RECORD","stream":"([^"]+)"')


@dataclass(slots=True)
class StreamCount:
    """What has gone by of one stream.

    Units: bytes of whole lines; moments in seconds of ``time.monotonic``.
    """

    first_s: float
    last_s: float
    records: int = 0
    bytes: int = 0

    @property
    def records_per_s(self) -> float | None:
        """How fast they came; ``None`` when they came too nearly at once to say."""
        duration_s = self.last_s - self.first_s
        return self.records / duration_s if duration_s > 0.1 else None


@dataclass(slots=True)
class Meter:
    """Counts the records of each stream, in the order in which the streams began; one thread writes, any may read."""

    streams: dict[str, StreamCount] = field(default_factory=dict)

    def count(self, lines: bytes) -> None:
        """Count whole lines."""
        now_s = time.monotonic()
        for line in lines.splitlines(keepends=True):
            if found := RECORD.match(line):
                name = found[1].decode()
                stream = self.streams.get(name)
                if stream is None:
                    stream = self.streams[name] = StreamCount(first_s=now_s, last_s=now_s)
                stream.records += 1
                stream.bytes += len(line)
                stream.last_s = now_s


def forward(tap_output: BufferedReader, target_input: IO[bytes], meter: Meter) -> None:
    """Copy whole lines until the tap's output ends; what follows the last line's end is withheld.

    A tap that crashes can leave half a line. The target must not see it: it would take it for the tap's last word.

    Errors: ``BrokenPipeError`` when the target has stopped reading.
    """
    rest = b""
    while chunk := tap_output.read1(READ_BYTES):
        lines, end, tail = chunk.rpartition(b"\n")
        if not end:
            rest += chunk
            continue
        lines = rest + lines + end
        rest = tail
        target_input.write(lines)
        target_input.flush()
        meter.count(lines)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended; ``state`` is the last that the target let out, if it let out any."""

    tap_exit: int
    target_exit: int
    target_quit: bool
    state: Mapping[str, Any] | None
    meter: Meter
    seconds: float

    @property
    def failed(self) -> dict[str, int]:
        """The exit codes of the sides that failed; not of a tap that was stopped only because the target was gone."""
        if self.target_exit or self.target_quit:
            return {"target": self.target_exit} | (
                {} if self.target_quit or not self.tap_exit else {"tap": self.tap_exit}
            )
        return {"tap": self.tap_exit} if self.tap_exit else {}


class Pipeline:
    """A tap and a target that run; a context manager that leaves neither behind.

    Shape: files of ``folder``: each side's log, ``tap.log`` and ``target.log``; the target's states, ``states.jsonl``.
    """

    def __init__(self, tap: Sequence[str], target: Sequence[str], folder: Path) -> None:
        """Start both."""
        self.meter = Meter()
        self._started_s = time.monotonic()
        self._states = folder / "states.jsonl"
        self._target_quit = False
        self._stack = ExitStack()
        with ExitStack() as starting:
            states = starting.enter_context(self._states.open("wb"))
            self._tap = self._start(starting, tap, folder / "tap.log", subprocess.DEVNULL, subprocess.PIPE)
            self._target = self._start(starting, target, folder / "target.log", subprocess.PIPE, states.fileno())
            self._stack = starting.pop_all()
        self._thread = threading.Thread(target=self._forward)
        self._thread.start()

    @staticmethod
    def _start(stack: ExitStack, command: Sequence[str], log: Path, stdin: int, stdout: int) -> subprocess.Popen[bytes]:
        stderr = stack.enter_context(log.open("ab"))
        process = stack.enter_context(
            subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, pipesize=READ_BYTES)
        )
        stack.callback(process.kill)
        return process

    def __enter__(self) -> Pipeline:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill what still runs."""
        for process in (self._tap, self._target):
            process.kill()
        self._thread.join()
        self._stack.close()

    def _forward(self) -> None:
        try:
            with cast(BufferedWriter, self._target.stdin) as target_input:
                forward(cast(BufferedReader, self._tap.stdout), target_input, self.meter)
        except BrokenPipeError:
            self._target_quit = True
            self._tap.terminate()

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self._started_s

    def is_running(self, wait_s: float) -> bool:
        """Wait for the end, but not longer than ``wait_s``; tell whether it is still to come."""
        deadline_s = time.monotonic() + wait_s
        self._thread.join(wait_s)
        try:
            self._target.wait(max(0.0, deadline_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            return True
        return self._thread.is_alive()

    def outcome(self) -> Outcome:
        """Wait for the end and tell how it was."""
        self._thread.join()
        exits = self._tap.wait(), self._target.wait()
        lines = self._states.read_bytes().rpartition(b"\n")[0].splitlines()
        state = json.loads(lines[-1]) if lines else None
        return Outcome(*exits, self._target_quit, state, self.meter, self.seconds)
