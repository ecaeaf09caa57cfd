"""The pages on previewing and on testing offline work as written."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

HOW_TO = Path(__file__).parents[2] / "docs/how-to"
CODE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^\$ (.*)$", re.MULTILINE)
TEXT = re.compile(r"^```text\n(.*?)^```", re.MULTILINE | re.DOTALL)
JSON = re.compile(r"^```json\n(.*?)^```", re.MULTILINE | re.DOTALL)
ORDERS = [
    '{"id": 11, "total": 9.90, "items": ["pen", "paper"], "changed_at": "2024-03-01T10:00:00Z"}',
    '{"id": 12, "total": 12.50, "items": ["ink"], "changed_at": "2024-03-02T10:00:00Z"}',
    '{"id": 13, "total": 0.80, "items": [], "changed_at": "2024-03-03T10:00:00Z"}',
]


def answer(request):
    if request.headers.get("Authorization") != "Bearer s3cret-key":
        return Response("{}", 401)
    if request.path == "/customers":
        body = '{"data": [{"id": 1, "name": "Ann"}, {"id": 2, "name": "Bob"}]}'
        return Response(body, content_type="application/json")
    rows = [row for row in ORDERS if json.loads(row)["changed_at"] >= request.args["since"]]
    rows = rows if request.path == "/customers/1/orders" else []
    first = 2 * int(request.args["page"]) - 2
    more = "true" if len(rows) > first + 2 else "false"
    body = f'{{"data": [{", ".join(rows[first : first + 2])}], "more": {more}}}'
    return Response(body, content_type="application/json")


@pytest.fixture(scope="module")
def shop():
    with HTTPServer(host="127.0.0.1", threaded=True) as server:
        server.expect_request(re.compile(".*")).respond_with_handler(answer)
        yield server


@pytest.fixture
def folder(tmp_path, shop):
    (tmp_path / "tap_shop.py").write_text(CODE.search((HOW_TO / "preview-a-stream.md").read_text())[1])
    config = {"api_url": shop.url_for("").rstrip("/"), "api_key": "s3cret-key", "start_date": "2024-01-01T00:00:00Z"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


def run(command, folder):
    tools = f"python() {{ '{sys.executable}' \"$@\"; }}; singerkit() {{ '{sys.executable}' -m singerkit \"$@\"; }}; "
    shell = ["bash", "-c", f"set -o pipefail; {tools}{command}"]
    return subprocess.run(
        shell, cwd=folder, capture_output=True, text=True, timeout=120, env={**os.environ, "COLUMNS": "80"}
    )


def without_times(text):
    return [re.sub(r"\d+ ms", "# ms", line).rstrip() for line in text.strip("\n").splitlines()]


def test_the_preview_is_as_shown(folder):
    text = (HOW_TO / "preview-a-stream.md").read_text()
    (command,) = CONSOLE.findall(text)
    done = run(command, folder)
    assert done.returncode == 0, done.stderr
    assert without_times(done.stdout) == without_times(TEXT.search(text)[1])


def test_what_is_recorded_runs_offline_as_shown(folder, shop):
    text = (HOW_TO / "test-offline.md").read_text()
    record, listing, show, replay, later, tests, *checks = CONSOLE.findall(text)
    (folder / "test_tap_shop.py").write_text(CODE.findall(text)[1])
    state = {
        "bookmarks": {"orders": {"partitions": [{"context": {"customer": 1}, **bookmark("2024-03-02T10:00:00Z")}]}}
    }
    (folder / "later.json").write_text(json.dumps(state))
    done = run(record, folder)
    assert done.returncode == 0, done.stderr
    assert "recording.json" in run(listing, folder).stdout
    assert json.loads(run(show, folder).stdout) == json.loads(JSON.search(text)[1])
    kept = "".join(path.read_text() for path in (folder / "recordings").iterdir())
    assert "s3cret" not in kept
    asked = len(shop.log)
    done = run(replay, folder)
    assert done.returncode == 0, done.stderr
    assert lines_of(folder / "again.jsonl") == lines_of(folder / "messages.jsonl")
    done = run(later, folder)
    assert done.stdout.endswith("exit code 1\n")
    assert TEXT.search(text)[1].strip() in done.stderr
    done = run(tests, folder)
    assert done.returncode == 0, done.stdout
    assert len(shop.log) == asked
    assert len(checks) == 3


def bookmark(value):
    return {"replication_key": "changed_at", "replication_key_value": value}


def lines_of(path):
    messages = [json.loads(line) for line in path.read_text().splitlines()]
    return sorted(json.dumps({**message, "time_extracted": None}) for message in messages if message["type"] != "STATE")


def test_the_check_is_recorded_and_replayed_as_shown(folder, shop):
    *_, record, replay, session = CONSOLE.findall((HOW_TO / "test-offline.md").read_text())
    python = shlex.quote(f"{sys.executable} {folder / 'tap_shop.py'}")
    few = [
        f"{command.replace(repr('python tap_shop.py'), python)} {rules}"
        for command, rules in [
            (record, "--rules TAP-008"),
            (replay, "--rules TAP-008"),
            (f"python -m {session}", "--singer-rules TAP-008 -p no:cacheprovider"),
        ]
    ]
    assert run(few[0], folder).returncode == 0
    asked = len(shop.log)
    for command in few[1:]:
        done = run(command, folder)
        assert done.returncode == 0, done.stdout + done.stderr
    assert len(shop.log) == asked
