"""What the page about states tells people to type is typed here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/how-to/state.md"
SAVED = re.compile(r"[Ss]ave it as `([^`]+)`.*?^```json\n(.*?)^```", re.MULTILINE | re.DOTALL)
STEP = re.compile(r"^```console\n(.*?)^```\n\n```text\n(.*?)^```", re.MULTILINE | re.DOTALL)
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def test_the_page_about_states_is_right(tmp_path):
    text = PAGE.read_text(encoding="utf-8")
    for name, content in SAVED.findall(text):
        (tmp_path / name).write_text(content, encoding="utf-8")
    steps = STEP.findall(text)
    commands = "\n".join(commands for commands, _ in steps).replace("\n$ ", "\n").removeprefix("$ ")
    done = subprocess.run(
        ["bash", "-ec", commands],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "XDG_STATE_HOME": str(tmp_path / "home"),
        },
    )
    assert done.returncode == 0, done.stderr
    assert INSTANT.sub("…", done.stdout) == "".join(shown for _, shown in steps)
    assert text.count("```console") == len(steps) >= 9
