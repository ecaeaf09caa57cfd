"""A program that runs: its process group, how it ended."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from singerkit.errors import ConfigurationError
from singerkit.runner.supervise.guard import Guard


@dataclass(frozen=True, kw_only=True)
class Command:
    """What is started: ``argv`` as it is, in ``folder``, with exactly this environment.

    ``groups`` is a private file for the guard.
    """

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    groups: Path
    folder: Path | None = None

    def check(self) -> None:
        """See that there is such a program.

        Errors: ``ConfigurationError`` says what is missing.
        """
        if self.folder is not None and not self.folder.is_dir():
            raise ConfigurationError(f"{self.name}: its folder '{self.folder}' does not exist")
        program = self.argv[0]
        found = shutil.which(program, path=self.environment.get("PATH", os.defpath))
        if found is None and not ("/" in program and self.folder and os.access(self.folder / program, os.X_OK)):
            raise ConfigurationError(
                f"the command '{program}' was not found; is it installed, and on PATH? (`singerkit install` installs "
                "what a project names)"
            )


def started(command: Command, argv: Sequence[str], *, stdin: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    """Start a program in a session and process group of its own, by ``argv``; what it writes are pipes.

    Errors: ``ConfigurationError`` when it can't be started.
    """
    try:
        return subprocess.Popen(  # noqa: S603 - what the user asks for is run
            argv,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(command.environment),
            cwd=command.folder,
            start_new_session=True,
        )
    except OSError as error:
        raise ConfigurationError(f"{command.name} can't be started: {error.strerror}") from None


class Child:
    """A started program of an attempt."""

    def __init__(self, command: Command, guard: Guard, *, stdin: int | None) -> None:
        """Start it; without ``stdin`` (a file descriptor or ``subprocess.PIPE``) it reads nothing.

        Errors: ``ConfigurationError`` when it can't be started.
        """
        self.name = command.name
        argv = guard.guarded(command.argv)
        self._process = started(command, argv, stdin=subprocess.DEVNULL if stdin is None else stdin)

    @property
    def stdin(self) -> IO[bytes]:
        """Where it reads, if it was given a pipe."""
        assert self._process.stdin is not None  # noqa: S101 - nobody else asks
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """What it writes."""
        assert self._process.stdout is not None  # noqa: S101 - it is always a pipe
        return self._process.stdout

    @property
    def stderr(self) -> IO[bytes]:
        """What it logs."""
        assert self._process.stderr is not None  # noqa: S101 - it is always a pipe
        return self._process.stderr

    @property
    def code(self) -> int | None:
        """How it ended: its exit code, minus a signal's number, or ``None`` while it runs."""
        return self._process.returncode

    def wait(self) -> int:
        """Wait for its end."""
        return self._process.wait()

    def ask_to_end(self) -> None:
        """Send SIGTERM to all of its process group."""
        self._signal(signal.SIGTERM)

    def end(self) -> None:
        """Send SIGKILL to all of its process group, also to what it has left behind."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        # A group keeps its number for as long as one of it is alive; an empty one is not found.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def describe_code(code: int) -> str:
    """Give words for how a program ended."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
