"""The pages about SQL taps and targets are done as written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "docs/how-to"
SAVED = re.compile(r"[Ss]ave it\s+as\s+`([^`]+)`:\n\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL = f'python() {{ \'{sys.executable}\' "$@"; }}; singerkit() {{ python -m singerkit "$@"; }}; '


@pytest.fixture
def typed(tmp_path):
    """Save what a page says to save, type its commands, run its other blocks; gives what each command printed."""

    def follow(page):
        text = (PAGES / page).read_text(encoding="utf-8")
        saved = dict(SAVED.findall(text))
        for name, content in saved.items():
            (tmp_path / name).write_text(content, encoding="utf-8")
        for code in PYTHON.findall(text):
            if code not in saved.values():
                exec(compile(code, page, "exec"), {"__name__": "page"})
        lines = "".join(CONSOLE.findall(text)).splitlines()
        printed = []
        for command in (line.removeprefix("$ ") for line in lines if line.startswith("$ ")):
            words = ["bash", "-c", SHELL + command]
            done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, (command, done.stderr)
            printed.append(done.stdout)
        return printed

    return follow


def test_a_sql_target_in_sixty_lines(typed, tmp_path):
    printed = typed("write-a-sql-target.md")
    assert len((tmp_path / "target_shop.py").read_text().splitlines()) <= 60
    assert printed[2] == printed[5] == "(1, 8.5) (2, 1.0)\n"
    assert json.loads(printed[1]) == json.loads(printed[4])


def test_a_sql_tap(typed):
    *_, catalog, full, _, incremental = typed("write-a-sql-tap.md")
    assert catalog == ""
    for output in (full, incremental):
        records = [message["record"] for message in map(json.loads, output.splitlines()) if "record" in message]
        assert [record["id"] for record in records] == [1, 3]
    assert '"replication_key":"at"' in incremental.replace(": ", ":")


def test_load_methods(typed):
    upsert, append, overwrite, *_, marked = typed("load-methods.md")
    text = (PAGES / "load-methods.md").read_text(encoding="utf-8")
    for name, printed in (("upsert", upsert), ("append-only", append), ("overwrite", overwrite)):
        (row,) = (line for line in text.splitlines() if line.startswith(f"| `{name}`"))
        assert f"`{printed.strip()}`" in row
    assert f"`{marked.strip()}`" in text


def test_refused_records(typed):
    state, kept, *_, rows = typed("refused-records.md")
    assert json.loads(state) == {"users": 3}
    (entry,) = map(json.loads, kept.splitlines())
    text = (PAGES / "refused-records.md").read_text(encoding="utf-8")
    assert all(f"| `{key}` |" in text for key in entry)
    assert (entry["line"], entry["message"]["record"]["id"]) == (3, 2)
    assert "/age" in str(entry["violations"]) + entry["error"]
    assert rows == "(1, 30) (2, 40) (3, 50)\n"


def test_keep_the_state_in_the_database(typed):
    _, broken, state, _, rows = typed("keep-state-in-the-database.md")
    text = (PAGES / "keep-state-in-the-database.md").read_text(encoding="utf-8")
    assert json.loads(broken.splitlines()[0]) == json.loads(state)
    for printed in (broken.splitlines()[1], state.strip(), rows.strip()):
        assert f"`{printed}`" in text
