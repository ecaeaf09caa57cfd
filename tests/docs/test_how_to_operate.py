"""What the pages on selecting, watching and mappers tell people to save and to type is done here, in their order."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

PAGES = Path(__file__).parents[2] / "docs/how-to"
STEP = re.compile(r"(?:Save it as `([^`]+)`[^`\n]*(?:\n[^`\n]+)*\n\n)?^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def walk(page, folder):
    """Do what a page says; gives what each command wrote to stdout, and checks answers that are shown."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    said, last = {}, ""
    for file, language, content in STEP.findall((PAGES / page).read_text(encoding="utf-8")):
        if file:
            (folder / file).write_text(content, encoding="utf-8")
        elif language == "text":
            assert last == content
        for line in content.splitlines() if language == "console" else ():
            command = line.removeprefix("$ ")
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=120,
                env={**os.environ, "PATH": path},
                check=False,
            )
            assert done.returncode == 0, (command, done.stderr)
            said[command] = last = done.stdout
    return said


def test_selecting_works_as_written(tmp_path):
    walk("select-streams.md", tmp_path)
    (written,) = (tmp_path / "lake").iterdir()
    assert [set(json.loads(line)) for line in written.read_text().splitlines()] == [{"id", "customer", "total"}] * 2
    messages = [json.loads(line) for line in (tmp_path / "messages.jsonl").read_text().splitlines()]
    records = [message["record"] for message in messages if message["type"] == "RECORD"]
    assert [set(record) for record in records] == [{"id", "customer", "total"}] * 2
    assert {message["stream"] for message in messages if message["type"] == "SCHEMA"} == {"orders"}


def test_watching_works_as_written(tmp_path):
    said = walk("watch-pipelines.md", tmp_path)
    assert said['singerkit status || echo "exit code $?"'].endswith("exit code 1\n")
    assert said['singerkit run orders || echo "exit code $?"'] == "exit code 2\n"
    assert "there is no file 'orders.csv'" in said["singerkit show latest"]
    told = [json.loads(line) for line in said["cat told.jsonl"].splitlines()]
    assert [message["event"] for message in told] == ["failure", "recovery"]
    assert "All pipelines are well" in (tmp_path / "status.html").read_text()
    assert 'singerkit_pipeline_healthy{pipeline="orders"} 1' in (tmp_path / "singerkit.prom").read_text()


def test_the_mapper_works_as_written(tmp_path):
    said = walk("write-a-mapper.md", tmp_path)
    assert json.loads(said["cat output/orders.jsonl"].splitlines()[1])["day"] == "2024-05-02"
    text = (PAGES / "write-a-mapper.md").read_text(encoding="utf-8")
    for command in re.findall(r"^(singerkit check .*)$|`(singerkit run .*?)`", text, re.MULTILINE):
        line = "".join(command)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, "PATH": path},
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
