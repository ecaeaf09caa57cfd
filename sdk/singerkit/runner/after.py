"""Steps that follow a success: shell commands, one after the other, until one fails."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from singerkit.clock import monotonic
from singerkit.runner.signals import rest


def run_steps(steps: Sequence[str], **given: Any) -> tuple[str, int] | None:
    """Run steps until one fails; give that one and its exit code, or ``None``. ``given`` is as for :func:`run_step`."""
    for step in steps:
        given["show"](f"$ {step}")
        if code := run_step(step, **given):
            return step, code
    return None


def run_step(
    step: str,
    *,
    facts: Mapping[str, str],
    folder: Path | None,
    show: Callable[[str], None],
    signals: SimpleQueue[int],
    tick: Callable[[], None],
    grace_s: float,
) -> int:
    """Run one step and give its exit code; ``facts`` are added to its environment, its output is shown line by line.

    A signal to the runner ends it, by force after ``grace_s``; ``tick`` is called several times a second meanwhile.
    """
    process = subprocess.Popen(  # noqa: S602 - a shell command of the user's project
        step,
        shell=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **facts},
        cwd=folder,
        start_new_session=True,
        text=True,
        errors="replace",
    )

    def show_lines() -> None:
        assert process.stdout is not None  # noqa: S101 - a pipe, above
        with process.stdout as lines:
            for line in lines:
                show(line.rstrip("\n"))

    reader = threading.Thread(target=show_lines, daemon=True)
    reader.start()
    asked_at: float | None = None
    while process.poll() is None:
        tick()
        if asked_at is None and signals.empty():
            rest(signals)
            continue
        if asked_at is None:
            asked_at = monotonic()
            _end(process, signal.SIGTERM)  # once: what it starts to clean up is of its group too
        elif monotonic() - asked_at > grace_s:
            _end(process, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.2)
    reader.join(1)
    return process.returncode


def _end(process: subprocess.Popen[str], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
