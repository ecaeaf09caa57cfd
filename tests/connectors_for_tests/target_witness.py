"""target-sqlite with a witness: a lock is held for the part it loads, and two at once on one part are written down.

The first record says which part it is; the lock is the process's and its child's, so it ends when both have, however.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

ARGUMENTS = sys.argv[1:]
WITNESSED = Path(ARGUMENTS[ARGUMENTS.index("--config") + 1]).read_text()


def part_of(line: bytes) -> str | None:
    """Give the part that a line is about, if it is a record."""
    message = json.loads(line)
    return f"{message['stream']}-{message['record']['part']}" if message["type"] == "RECORD" else None


def hold(folder: Path, part: str) -> int:
    """Take the lock of a part, and give its descriptor; says so where somebody has it."""
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder / part, os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with (folder / "two-at-once").open("a") as file:
            file.write(f"{part}\n")
    return descriptor


def main() -> int:
    """Read to the first record, then start the target and pass everything on."""
    seen, held = [], []
    for line in sys.stdin.buffer:
        seen.append(line)
        if part := part_of(line):
            held.append(hold(Path(json.loads(WITNESSED)["path_to_database"]).parent / "parts", part))
            break
    command = [sys.executable, "-m", "singerkit", "target-sqlite", *ARGUMENTS]
    target = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=held)
    assert target.stdin is not None
    with target.stdin:
        target.stdin.writelines(seen)
        for line in sys.stdin.buffer:
            target.stdin.write(line)
            target.stdin.flush()
    return target.wait()


if __name__ == "__main__":
    sys.exit(main())
