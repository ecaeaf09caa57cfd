"""The pages about incremental replication and about families of streams are done as written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

PAGES = Path(__file__).parents[2] / "docs/how-to"
SAVED = re.compile(r"[Ss]ave it as `([^`]+)`:\n\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^\$ (.*)$", re.MULTILINE)


@pytest.fixture
def api():
    with HTTPServer(host="127.0.0.1", threaded=True) as server:
        yield server


def done(page, folder, address, url):
    """Save what a page says to save, with an address of ours, run what it only shows, and type its command."""
    text = (PAGES / page).read_text(encoding="utf-8")
    saved = dict(SAVED.findall(text))
    for name, content in saved.items():
        (folder / name).write_text(content.replace(address, url), encoding="utf-8")
    for code in PYTHON.findall(text):
        if code not in saved.values():
            exec(compile(code, page, "exec"), {"__name__": "page"})
    (command,) = CONSOLE.findall(text)
    shell = f"python() {{ '{sys.executable}' \"$@\"; }}; {command}"
    ended = subprocess.run(["bash", "-c", shell], cwd=folder, capture_output=True, text=True, timeout=60)
    return ended, [json.loads(line) for line in ended.stdout.splitlines()]


def answer(*records):
    return Response(json.dumps({"data": records}), content_type="application/json")


def test_replicate_incrementally(api, tmp_path):
    months = ["2024-01-15T00:00:00Z", "2024-02-15T00:00:00Z", "2024-03-15T00:00:00Z"]
    asked = []

    def orders(request):
        first, last = request.args["updated_from"], request.args["updated_to"]
        asked.append((first, last))
        found = [{"id": n, "updated_at": at} for n, at in enumerate(months) if first <= at < last]
        return answer(*found) if request.args["page"] == "1" else answer()

    api.expect_request("/orders").respond_with_handler(orders)
    ended, messages = done(
        "replicate-incrementally.md", tmp_path, "https://shop.example.com", f"http://127.0.0.1:{api.port}"
    )
    assert ended.returncode == 0, ended.stderr
    assert [m["record"]["id"] for m in messages if m["type"] == "RECORD"] == [0, 1, 2]
    edges = ["2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01"]
    assert list(dict.fromkeys(asked)) == [
        (f"{first}T00:00:00Z", f"{last}T00:00:00Z") for first, last in pairwise(edges)
    ]
    assert messages[-1]["value"]["bookmarks"]["orders"]["replication_key_value"] == months[-1]


def test_partitions_and_children(api, tmp_path):
    asked = Counter()

    def forum(request):
        asked[request.path] += 1
        match request.path.strip("/").split("/"):
            case ["groups"]:
                return answer({"id": 1}, {"id": 2}, {"id": 3})
            case ["groups", "2", "topics"]:
                return Response("gone", status=404)
            case ["groups", group, "topics"]:
                return answer({"id": int(group) * 10, "changed_at": "2024-01-01T00:00:00Z"})
            case ["news", "eu" | "us"]:
                return answer({"id": 1})
            case _:
                return answer({"id": 7})

    api.expect_request(re.compile("/.*")).respond_with_handler(forum)
    ended, messages = done(
        "partitions-and-children.md", tmp_path, "https://forum.example.com", f"http://127.0.0.1:{api.port}"
    )
    assert ended.returncode == 0, ended.stderr
    records = [
        (m["stream"], m["record"].get("group_id") or m["record"].get("region")) for m in messages if "record" in m
    ]
    assert set(records) == {
        ("groups", None),
        *(("members", group) for group in (1, 2, 3)),
        *(("topics", group) for group in (1, 3)),
        ("news", "eu"),
        ("news", "us"),
    }
    assert set(asked.values()) == {1}
    assert "Summary: 4 completed" in ended.stderr


def test_what_the_page_says_of_overrides_is_what_they_are_refused_with():
    from singerkit.compat.overrides import STREAM_OVERRIDES

    text = (PAGES / "partitions-and-children.md").read_text(encoding="utf-8")
    table = text[text.index("| override |") : text.index("`_increment_stream_state(")]
    names = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    mentioned = {name for cell in names for name in re.findall(r"`(\w+)", cell)}
    assert mentioned <= set(STREAM_OVERRIDES)
    assert len(mentioned) == 6
