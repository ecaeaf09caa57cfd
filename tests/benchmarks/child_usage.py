"""Run one command and write down what it used: `child_usage.py REPORT COMMAND...`.

A program of its own because Linux starts a child's peak memory at that of the process it was forked from. This one is
as small as an empty Python, so the peak it reports is the command's own.
"""

from __future__ import annotations

import os
import sys
import time


def main(report: str, command: list[str]) -> int:
    """Write `CPU seconds, peak bytes, exit code, seconds elapsed` as one line to `report`; give the exit code."""
    started_s = time.monotonic()
    process_id = os.posix_spawn(command[0], command, os.environ)
    _, status, usage = os.wait4(process_id, 0)
    elapsed_s = time.monotonic() - started_s
    exit_code = os.waitstatus_to_exitcode(status)
    peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    with open(report, "w", encoding="ascii") as file:  # noqa: PTH123 - pathlib would make this process larger
        file.write(f"{usage.ru_utime + usage.ru_stime} {peak_bytes} {exit_code} {elapsed_s}\n")
    return exit_code if exit_code >= 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
