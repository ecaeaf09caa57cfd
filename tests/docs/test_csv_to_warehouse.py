"""What the tutorial on CSV files tells people to save and to type is done here, in its order; answers are as shown."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/tutorials/csv-to-warehouse.md"
STEP = re.compile(r"(?:Save it as `([^`]+)`:\n\n)?^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def run(command, folder):
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    words = ["bash", "-c", command]
    return subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=120, env={**os.environ, "PATH": path}, check=False
    )


def test_the_tutorial_works_as_written(tmp_path):
    said, last, shown = {}, "", 0
    for file, language, content in STEP.findall(PAGE.read_text(encoding="utf-8")):
        if file:
            (tmp_path / file).parent.mkdir(exist_ok=True)
            (tmp_path / file).write_text(content, encoding="utf-8")
        elif language == "console":
            for line in content.splitlines():
                command = line.removeprefix("$ ")
                done = run(command, tmp_path)
                assert done.returncode == 0, (command, done.stderr)
                said.setdefault(command, []).append(done)
                last = done.stdout
        elif language == "text":
            assert last == content
            shown += 1
    assert shown == 3
    summaries = [json.loads(done.stderr.splitlines()[-1])["summary"] for done in said["singerkit run orders"]]
    counts = [next(line for line in lines if "Records sent" in line) for lines in summaries]
    assert [re.search(r": (\d+) in", count)[1] for count in counts] == ["4", "4", "4"]
    assert "exit code 1" in said['singerkit run orders || echo "exit code $?"'][0].stdout
    refused = said["cat quarantine/orders.jsonl"][0].stdout
    assert json.loads(refused)["message"]["record"]["customer"] == "ben"
