"""Start commands and measure them: CPU seconds (user and system), peak memory, exit code, time elapsed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

CHILD_USAGE = Path(__file__).parent / "child_usage.py"
STDERR_TAIL_BYTES = 1_500
NOTHING = Path(os.devnull)


class CommandFailed(Exception):
    """A measured command ended with another exit code than 0; the message holds the end of its stderr."""


@dataclass(frozen=True)
class Command:
    """What to start: the argument list (first an absolute path) and the whole environment."""

    arguments: Sequence[str | Path]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Usage:
    """What one command used from start to end."""

    cpu_s: float
    peak_bytes: int
    exit_code: int
    elapsed_s: float


def run(command: Command, *, stdin: Path = NOTHING, stdout: Path = NOTHING) -> Usage:
    """Run a command to its end. Raises CommandFailed when it fails."""
    with stdin.open("rb") as source, stdout.open("wb") as sink, _Started(command, source, sink) as started:
        return started.finish()


def run_piped(first: Command, second: Command) -> tuple[Usage, Usage]:
    """Run `first | second` to the end of both. Raises CommandFailed when one of them fails."""
    with ExitStack() as stack:
        read_end, write_end = (stack.enter_context(os.fdopen(end, mode)) for end, mode in _pipe())
        nothing_in, nothing_out = (stack.enter_context(NOTHING.open(mode)) for mode in ("rb", "wb"))
        reader = stack.enter_context(_Started(second, read_end, nothing_out))
        writer = stack.enter_context(_Started(first, nothing_in, write_end))
        read_end.close()
        write_end.close()
        return writer.finish(), reader.finish()


def _pipe() -> list[tuple[int, str]]:
    read_end, write_end = os.pipe()
    return [(read_end, "rb"), (write_end, "wb")]


class _Started:
    """A command under way below `child_usage.py`, with its report and stderr in a folder of its own."""

    def __init__(self, command: Command, stdin: IO[bytes], stdout: IO[bytes]) -> None:
        self._command = command
        self._folder = tempfile.TemporaryDirectory(prefix="singerkit-benchmark-")
        self._report = Path(self._folder.name) / "report"
        self._stderr = Path(self._folder.name) / "stderr"
        arguments: list[Any] = [sys.executable, "-I", "-S", CHILD_USAGE, self._report, *command.arguments]
        with self._stderr.open("wb") as stderr:
            self._process = subprocess.Popen(
                arguments, env=dict(command.environment), stdin=stdin, stdout=stdout, stderr=stderr
            )

    def __enter__(self) -> _Started:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    def finish(self) -> Usage:
        self._process.wait()
        if not self._report.exists():
            raise CommandFailed(self._failure())
        cpu_s, peak_bytes, exit_code, elapsed_s = self._report.read_text().split()
        if int(exit_code) != 0:
            raise CommandFailed(self._failure())
        return Usage(float(cpu_s), int(peak_bytes), int(exit_code), float(elapsed_s))

    def _failure(self) -> str:
        tail = self._stderr.read_bytes()[-STDERR_TAIL_BYTES:].decode(errors="replace")
        command = " ".join(str(argument) for argument in self._command.arguments)
        return f"exit code {self._process.returncode} from {command}\n{tail}"
