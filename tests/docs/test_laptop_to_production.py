"""What the tutorial on running tells people to type is typed here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/tutorials/laptop-to-production.md"
SAVED = re.compile(r"Save it as `([^`]+)`:\n\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_tutorial_works_as_written(tmp_path):
    text = PAGE.read_text(encoding="utf-8")
    saved = SAVED.findall(text)
    assert [name for name, _ in saved] == ["orders.csv", "tap.json", "target.json", "singer.toml"]
    for name, content in saved:
        (tmp_path / name).write_text(content, encoding="utf-8")
    blocks = CONSOLE.findall(text)
    commands = "\n".join(blocks).replace("\n$ ", "\n").removeprefix("$ ")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "XDG_STATE_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        ["bash", "-ec", commands], cwd=tmp_path, capture_output=True, text=True, timeout=180, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "3 records loaded\n" in done.stdout
    assert "exit code 2\n" in done.stdout
    assert "not healthy\n" in done.stdout
    assert "there is no file './orders.csv'" in done.stdout.split("orders FAILED: its setup has to be mended")[1]
    assert "All pipelines are well" in (tmp_path / "status.html").read_text()
    assert "singerkit_pipeline_healthy" in (tmp_path / "singerkit.prom").read_text()
