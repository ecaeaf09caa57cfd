"""The page on new connectors is done as written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/how-to/make-a-connector.md"
SAVED = re.compile(r"[Ss]ave it\s+as\s+`([^`]+)`:\n\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^\$ (.*)$", re.MULTILINE)
TEXT = re.compile(r"^```text\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL = f'python() {{ \'{sys.executable}\' "$@"; }}; singerkit() {{ python -m singerkit "$@"; }}; set -o pipefail; '


def test_the_page_works_as_written(tmp_path):
    text = PAGE.read_text(encoding="utf-8")
    for name, content in SAVED.findall(text):
        (tmp_path / name).write_text(content, encoding="utf-8")
    printed = []
    for command in CONSOLE.findall(text):
        words = ["bash", "-c", SHELL + command]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, (command, done.stderr)
        printed.append(done.stdout)
    made, _, orders, _, state, from_document, vehicles = printed
    assert "cd tap-shop" in made
    assert len(orders.splitlines()) == 5
    assert json.loads(state)["bookmarks"]["orders"]["replication_key_value"] == "2024-03-03T10:00:00Z"
    assert TEXT.findall(text)[1] in from_document
    records = [message["record"] for message in map(json.loads, vehicles.splitlines()) if message["type"] == "RECORD"]
    assert [record["plate"] for record in records] == ["plate 1", "plate 2", "plate 3"]
