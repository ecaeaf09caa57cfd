"""Each way of paging that docs/how-to/paginate.md shows reads every record of an API that pages this way."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from engine_runs import run_tap
from paging_api import PagingApi, serving

from singerkit import RESTStream, Tap

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "paginate.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
TAP, *SNIPPETS = BLOCKS


@pytest.fixture
def api():
    with serving(PagingApi()) as served:
        yield served


def test_the_tap_runs_as_written(api, tmp_path):
    text = PAGE.read_text(encoding="utf-8")
    name = re.search(r"Save it as\s+`([^`]+)`", text)[1]
    (tmp_path / name).write_text(TAP, encoding="utf-8")
    (tmp_path / "config.json").write_text(json.dumps({"api_url": api.url}))
    command = re.search(r"^\$ python (.*)$", text, re.MULTILINE)[1].split()
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    assert [message["record"] for message in messages if message["type"] == "RECORD"] == api.expected


@pytest.mark.parametrize("snippet", SNIPPETS, ids=[re.search(r"paginator = (\w+)", s)[1] for s in SNIPPETS])
def test_each_snippet_reads_every_record(api, snippet):
    declared: dict = {}
    exec(snippet, {"__name__": "snippet"}, declared)  # as the body of a class
    names = ("path", "records_jsonpath", "paginator", "get_url_params")
    members = {name: declared[name] for name in names if name in declared}
    whole: dict = {"__name__": "tap_shop"}
    exec(TAP, whole)
    assert issubclass(whole["Orders"], RESTStream)
    assert issubclass(whole["TapShop"], Tap)
    stream = type("Orders", (whole["Orders"],), members)(whole["TapShop"](config={"api_url": api.url}))
    outcome = run_tap(stream.spec())
    assert outcome.failure is None
    assert outcome.records("orders") == api.expected
