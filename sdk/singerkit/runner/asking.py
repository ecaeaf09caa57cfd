"""Asks a program a question: runs it once, gives it what it is to read, and takes what it writes."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from singerkit.clock import monotonic
from singerkit.errors import SyncError
from singerkit.runner.supervise.children import Command, describe_code, started
from singerkit.runner.supervise.guard import Guard
from singerkit.runner.supervise.log_lines import KEPT_LINES
from singerkit.telemetry.redact import Redactor, escape_controls

SECONDS = 900.0
_TICK_S = 0.2


class NoAnswer(SyncError):
    """A program did not end in time."""


@dataclass(frozen=True)
class Answer:
    """What a program wrote, and how it ended."""

    code: int
    output: bytes
    log: bytes

    def failure(self, redactor: Redactor) -> str:
        """Say how it failed, with the end of its log."""
        lines = redactor.redact(self.log.decode("utf-8", "replace")).splitlines()[-KEPT_LINES:]
        return f"({describe_code(self.code)})" + "".join(f"\n  {escape_controls(line)}" for line in lines)


def ask(
    program: Command,
    options: Sequence[str] = (),
    *,
    given: bytes = b"",
    tick: Callable[[], None] = lambda: None,
    seconds: float = SECONDS,
) -> Answer:
    """Run a program with options added to its own, to its end.

    ``tick`` is called several times a second meanwhile; when it raises, the program is ended, and so it is when its
    time is up.

    Errors: ``ConfigurationError`` when there is no such program; ``NoAnswer``; what ``tick`` raises.
    """
    program.check()
    guard = Guard(program.groups)
    try:
        process = started(program, guard.guarded([*program.argv, *options]))
        try:
            output, log = _communicate(process, given, tick, monotonic() + seconds)
        except subprocess.TimeoutExpired:
            raise NoAnswer(f"{program.name} did not answer within {seconds:g} s") from None
        finally:
            _end(process)
    finally:
        guard.close()
    return Answer(process.returncode, output, log)


def _communicate(
    process: subprocess.Popen[bytes], given: bytes, tick: Callable[[], None], until: float
) -> tuple[bytes, bytes]:
    while True:
        try:
            return process.communicate(given, timeout=_TICK_S)
        except subprocess.TimeoutExpired:
            given = b""  # it has been taken over; the rest of it is on its way
            tick()
            if monotonic() > until:
                raise


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it, and what it left behind."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for end in (process.stdin, process.stdout, process.stderr):
        if end is not None:
            with suppress(OSError):
                end.close()
