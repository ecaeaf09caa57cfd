"""Kills one of a runner and its programs at some moment, and sees who of them is left."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path


def kill_somebody(runner, seed, within_s=2.5):
    """Kill the runner, its tap or its target at some moment of a run that takes so long; says whether that hit.

    Does not wait for a moment that never comes, as the run has ended.
    """
    with suppress(subprocess.TimeoutExpired):
        runner.wait(seed.random() * within_s)
        return False
    victims = [runner.pid, *children_of(runner.pid)]
    with suppress(ProcessLookupError):
        os.kill(victims[seed.randrange(len(victims))], seed.choice([signal.SIGKILL, signal.SIGTERM]))
        return runner.poll() is None or runner.returncode != 0
    return False


def children_of(pid):
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(word) for word in path.read_text().split()]
    # Not the guard: who kills that by name wants orphans.
    return [child for child in found if b"read -r word" not in command_line(child)]


def command_line(pid):
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def processes_with(text):
    """Give the taps and targets of a folder that still run."""
    found = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            line = command_line(int(path.name)).replace(b"\0", b" ").decode("utf-8", "replace")
            if text in line and "read -r word" not in line and int(path.name) != os.getpid():
                found[int(path.name)] = line
    return found
