"""What the pages on retries, limits and other answers tell people to write works as written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

PAGES = Path(__file__).parents[2] / "docs/how-to"
CODE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SAVED_AS = re.compile(r"[Ss]ave it as `([^`]+)`")
ANSWERS = {
    "retries-and-limits.md": (
        "/orders",
        [Response("", 503), Response("", 429, headers={"Retry-After": "0.1"}), '{"data": [{"id": 1}]}'],
        [{"id": 1}],
    ),
    "large-and-other-answers.md": (
        "/report.csv",
        ["id,name,paid\n1,Ann,true\n2,,0\n"],
        [{"id": 1, "name": "Ann", "paid": True}, {"id": 2, "name": None, "paid": False}],
    ),
}


@pytest.mark.parametrize("page", ANSWERS)
def test_the_tap_of_the_page(tmp_path, page):
    path, answers, records = ANSWERS[page]
    text = (PAGES / page).read_text(encoding="utf-8")
    script = tmp_path / SAVED_AS.search(text)[1]
    script.write_text(CODE.search(text)[1], encoding="utf-8")
    with HTTPServer(host="127.0.0.1") as api:
        api.expect_request(path).respond_with_handler(
            lambda request: answer if isinstance(answer := answers.pop(0), Response) else Response(answer)
        )
        (tmp_path / "config.json").write_text(json.dumps({"api_url": api.url_for("").rstrip("/")}))
        words = [sys.executable, script.name, "--config", "config.json"]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    messages = map(json.loads, done.stdout.splitlines())
    assert [message["record"] for message in messages if message["type"] == "RECORD"] == records
    assert answers == []


@pytest.mark.parametrize("page", ANSWERS)
def test_the_other_blocks_of_the_page(page):
    for block in CODE.findall((PAGES / page).read_text(encoding="utf-8"))[1:]:
        found: dict = {}
        exec(compile(block, page, "exec"), found)
        assert found.keys() & {"retry", "body_format", "Stubborn", "Orders"}
