"""What people do wrong on their first day looks like no success, and says what to do."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest

TAP = """
from singerkit import Stream, Tap
from singerkit import typing as th


class Numbers(Stream):
    primary_keys = ("n",)
    replication_key = "n"
    schema = th.PropertiesList(th.Property("n", th.IntegerType)).to_dict()

    def get_records(self, context):
        yield {"n": 1}


class TapNumbers(Tap):
    name = "tap-numbers"

    def discover_streams(self):
        return [Numbers(self, name="squares"), Numbers(self, name="cubes")]


TapNumbers.cli()
"""


@pytest.fixture
def tap(tmp_path):
    (tmp_path / "tap.py").write_text(TAP)

    def run_tap(option, document):
        text = document if isinstance(document, str) else json.dumps(document)
        (tmp_path / "file.json").write_text(text)
        words = [sys.executable, "tap.py", f"--{option}", "file.json"]
        return subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    return run_tap


@pytest.mark.parametrize("streams", [[], [{"tap_stream_id": "squares", "schema": {}, "selected": False}]])
def test_a_catalog_that_selects_nothing_is_noticed(tap, streams):
    done = tap("catalog", {"streams": streams})
    assert done.returncode == 0
    assert '"RECORD"' not in done.stdout
    assert "WARNING tap-numbers: Nothing is selected, so nothing is read; the tap has: cubes, squares" in done.stderr


def test_an_empty_object_is_no_catalog(tap):
    done = tap("catalog", {})
    assert (done.returncode, done.stdout) == (2, "")
    assert "catalog file 'file.json' has no 'streams': take what --discover writes" in done.stderr


def bookmark(stream="squares", key="n"):
    return {"bookmarks": {stream: {"replication_key": key, "replication_key_value": 1}}}


@pytest.mark.parametrize(
    ("state", "remark"),
    [
        ({"squares": {"replication_key_value": 1}}, "The state has 'squares' beside its 'bookmarks'"),
        (bookmark("sqares"), "of 'sqares', which is no stream of this tap; did you mean 'squares'?"),
        (
            bookmark(key="updated"),
            "Stream 'squares': the state's bookmark is of 'updated', but its replication key is 'n'",
        ),
    ],
)
def test_a_state_that_helps_nothing_is_noticed(tap, state, remark):
    done = tap("state", state)
    assert (done.returncode, done.stdout.count('"RECORD"')) == (0, 2)
    assert remark in done.stderr


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"bookmarks": {}, "currently_syncing": None},
        bookmark(),
        bookmark("elsewhere"),
        {"bookmarks": {"squares": {}}},
    ],
)
def test_a_state_that_is_right_is_not_remarked_on(tap, state):
    assert "WARNING" not in tap("state", state).stderr


def test_all_states_of_a_run_are_no_state(tap):
    done = tap("state", f"{json.dumps(bookmark())}\n" * 2)
    assert done.returncode == 2
    assert "not valid JSON at line 2, column 1: Extra data: a state is the last line alone" in done.stderr


def test_a_target_in_a_terminal_says_that_it_waits(tmp_path):
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "singerkit", "target-jsonl"]
    with subprocess.Popen(words, stdin=theirs, stderr=subprocess.PIPE, cwd=tmp_path, text=True) as target:
        os.close(theirs)
        assert target.stderr is not None
        said = target.stderr.readline()
        os.write(ours, b"\x04")
        assert target.wait(30) == 0
    os.close(ours)
    assert "Waiting for Singer messages from this terminal: pipe a tap's output into it" in said


def test_a_tap_that_is_no_package_is_described_without_a_version(tmp_path):
    (tmp_path / "tap.py").write_text(TAP)
    done = subprocess.run(
        [sys.executable, "tap.py", "--about"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines()[0].startswith("tap-numbers without a version (singerkit v")
