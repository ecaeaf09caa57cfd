"""Starting the connectors of this folder as processes, and reading what they wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def command(script: str, folder: Path, *options: str, **config: Any) -> list[str]:
    """Give the command line of a connector, its config written to a file of its own."""
    number = len(list(folder.glob("config-*.json")))
    path = folder / f"config-{number}.json"
    path.write_text(json.dumps(config))
    return [sys.executable, str(HERE / f"{script}.py"), "--config", str(path), *options]


def start(words: list[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a process with pipes for what is not given otherwise; unbuffered, so that reading some lines loses none."""
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(words, bufsize=0, **{**pipes, **options})


@dataclass
class Ended:
    """What a process wrote, and how it ended."""

    code: int
    out: bytes
    log: str
    states: list[Any] = field(default_factory=list)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Every line of the output, decoded."""
        return [json.loads(line) for line in self.out.splitlines()]

    def ids(self, stream: str) -> list[int]:
        """The ids of a stream's records."""
        return [m["record"]["id"] for m in self.messages if m["type"] == "RECORD" and m["stream"] == stream]

    @property
    def state(self) -> Any:
        """The last state that a tap wrote."""
        return [message["value"] for message in self.messages if message["type"] == "STATE"][-1]

    @property
    def released(self) -> list[Any]:
        """The states that a target let out: its output holds nothing else."""
        return self.messages


def end(process: subprocess.Popen[bytes], data: bytes | None = None, seconds: float = 60.0) -> Ended:
    """Wait for the end of a process."""
    try:
        out, log = process.communicate(data, timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise AssertionError(f"the process was not over after {seconds} seconds") from None
    return Ended(process.returncode, out or b"", (log or b"").decode())


def run(words: list[str], data: bytes = b"", seconds: float = 60.0, **options: Any) -> Ended:
    """Run a process to its end."""
    return end(start(words, **options), data, seconds)


def pipe(tap: list[str], target: list[str], seconds: float = 60.0) -> tuple[Ended, Ended]:
    """Run ``tap | target`` to the end; the tap's output is the target's alone."""
    first = start(tap, stdin=subprocess.DEVNULL)
    second = start(target, stdin=first.stdout)
    if first.stdout is not None:
        first.stdout.close()
        first.stdout = None
    loaded = end(second, None, seconds)
    return end(first, None, seconds), loaded


def write_state(folder: Path, state: Any) -> list[str]:
    """Write a state file; give the options that name it: none for no state."""
    if state is None:
        return []
    path = folder / f"state-{os.urandom(4).hex()}.json"
    path.write_text(json.dumps(state))
    return ["--state", str(path)]
