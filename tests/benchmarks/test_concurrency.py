"""The benchmark of waiting at the same time runs, and what it reads is right; how fast it is, is not judged here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent / "concurrency.py"


def test_both_loads_are_read_whole_and_within_the_bounds() -> None:
    command = [sys.executable, SCRIPT, "--scale", "0.05", "--pages", "20", "--partitions", "12"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = result.stdout.splitlines()
    assert [line.split(",")[0] for line in lines] == ["pages by offset", "partitions of 5 pages"], result.stderr
    assert ["; 200 records" in lines[0], "; 600 records" in lines[1]] == [True, True]
    missed = [name for line in lines for name in re.findall(r"missed: (.*)", line)]
    assert set(missed) <= {"times faster"}
