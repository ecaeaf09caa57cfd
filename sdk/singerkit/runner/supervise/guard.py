"""Ends programs whose runner was killed: a small shell that outlives the runner for as long as that takes.

Nothing in the runner's own process can do this after a SIGKILL. The shell waits for the end of a pipe of which the
runner holds the only other end, so it wakes when the runner is gone, however it went. Programs write their process
group into a file before they start, so that none is missed that is being started at that moment.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_SECONDS_TO_END = 2
#: No `--` before the group: the shell of Debian and Ubuntu takes it for a number, and ends nobody.
_WATCH = f"""
trap '' INT TERM HUP
read -r word && [ "$word" = done ] && exit 0
for kind in TERM KILL; do
  while read -r group; do [ "$group" -gt 1 ] && kill -$kind "-$group"; done <"$0"
  [ $kind = KILL ] || sleep {_SECONDS_TO_END}
done 2>/dev/null
"""
_REGISTER = 'echo "$$" >>"$0"; exec "$@"'


class Guard:
    """Watches over the programs of one attempt."""

    def __init__(self, groups: Path) -> None:
        """Start watching; ``groups`` is a file that nobody else may write to."""
        groups.write_bytes(b"")
        self._groups = groups
        self._shell = subprocess.Popen(  # noqa: S603 - a constant script
            ["/bin/sh", "-c", _WATCH, str(groups)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def guarded(self, argv: Sequence[str]) -> list[str]:
        """Give the command that registers its process group, then becomes the given one."""
        return ["/bin/sh", "-c", _REGISTER, str(self._groups), *argv]

    def close(self) -> None:
        """Stop watching: every program has ended."""
        if self._shell.stdin is not None:
            with suppress(BrokenPipeError):
                os.write(self._shell.stdin.fileno(), b"done\n")
            self._shell.stdin.close()
        self._shell.wait()
