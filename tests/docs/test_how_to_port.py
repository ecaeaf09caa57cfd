"""What the page about porting tells people to type is typed here, on the connector that it shows."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

from singerkit.compat.overrides import SINK_OVERRIDES, STREAM_OVERRIDES, TAP_OVERRIDES, TARGET_OVERRIDES

PAGE = (Path(__file__).parents[2] / "docs/how-to/port-a-connector.md").read_text(encoding="utf-8")
BEFORE, AFTER = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^\$ singerkit (.*)$", PAGE, re.MULTILINE)


def test_the_page_works_as_written(tmp_path):
    tap = tmp_path / "tap_numbers.py"
    tap.write_text(BEFORE, encoding="utf-8")
    codes = []
    for command in COMMANDS:
        code = "from singerkit.cli.main import main; main()"
        words = [sys.executable, "-c", code, *shlex.split(command)]
        codes.append(subprocess.run(words, cwd=tmp_path, capture_output=True, check=False, timeout=60).returncode)
    assert codes == [1, 0, 0]
    assert tap.read_text(encoding="utf-8").startswith(AFTER)
    ran = subprocess.run([sys.executable, tap], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.count('"RECORD"') == 5


def test_the_overrides_that_the_page_names_are_refused():
    table = PAGE.partition("| override | instead |")[2].partition("\n\n")[0]
    named = {
        name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1] if "|" in row else "")
    }
    known = {*STREAM_OVERRIDES, *TAP_OVERRIDES, *TARGET_OVERRIDES, *SINK_OVERRIDES}
    assert named
    assert named <= known
