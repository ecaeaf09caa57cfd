"""A sink that keeps rows after it was given them: no state leaves before they are durable."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
import sys
from singerkit import BatchSink, Target, typing as th

class Keeps(BatchSink):
    settle_seconds = {seconds}
    max_size = 2
    def setup(self): self.kept = []
    def process_batch(self, context):
        self.kept += context["records"]
        print("given", len(context["records"]), file=sys.stderr)
    def settle(self):
        if {fails}: raise OSError("the disk is full")
        with open("stored", "a") as file:
            for record in self.kept: print(record["id"], file=file)
        print("settled", len(self.kept), file=sys.stderr)
        self.kept = []
    @property
    def is_settled(self): return not self.kept
    def clean_up(self): print("clean", file=sys.stderr)

class TargetKeeps(Target):
    name = "target-keeps"
    config_jsonschema = th.PropertiesList().to_dict()
    default_sink_class = Keeps

TargetKeeps.cli()
"""

SCHEMA = {"type": "SCHEMA", "stream": "s", "schema": {"properties": {"id": {"type": "integer"}}}, "key_properties": []}


def record(number):
    return {"type": "RECORD", "stream": "s", "record": {"id": number}}


def state(value):
    return {"type": "STATE", "value": value}


def lines(*messages):
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


@pytest.fixture
def start(tmp_path):
    def start(*, seconds=60.0, fails=False):
        (tmp_path / "target_keeps.py").write_text(PROGRAM.format(seconds=seconds, fails=fails))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([sys.executable, "target_keeps.py"], cwd=tmp_path, **pipes)

    return start


def notes(err):
    return [line for line in err.decode().splitlines() if line.split()[0] in ("given", "settled", "clean")]


def test_at_the_end_everything_settles_and_then_the_state_leaves(start, tmp_path):
    out, err = start().communicate(lines(SCHEMA, *map(record, range(5)), state(1)), timeout=60)
    assert out == b"1\n"
    assert notes(err) == ["given 2", "given 2", "given 1", "settled 5", "clean"]
    assert (tmp_path / "stored").read_text().split() == ["0", "1", "2", "3", "4"]


def test_rows_settle_when_they_are_old_though_nothing_comes(start):
    process = start(seconds=0.2)
    process.stdin.write(lines(SCHEMA, record(1), record(2), state(1)))
    process.stdin.flush()
    assert process.stdout.readline() == b"1\n"
    process.stdin.write(lines(record(3), record(4), state(2)))
    process.stdin.flush()
    assert process.stdout.readline() == b"2\n"
    _, err = process.communicate(timeout=60)
    assert notes(err) == ["given 2", "settled 2", "given 2", "settled 2", "clean"]


def test_rows_settle_before_their_schema_changes(start):
    other = {**SCHEMA, "schema": {"properties": {"id": {"type": "integer"}, "more": {}}}}
    out, err = start().communicate(lines(SCHEMA, record(1), state(1), other, record(2), state(2)), timeout=60)
    assert out.splitlines()[-1] == b"2"
    assert notes(err) == ["given 1", "settled 1", "clean", "given 1", "settled 1", "clean"]


def test_many_states_do_not_make_small_batches(start):
    messages = [
        message for number in range(30_000) for message in (record(number), *([state(number)] * (number % 3 == 0)))
    ]
    process = start()
    out, err = process.communicate(lines(SCHEMA, *messages), timeout=60)
    assert out.split() == [b"29997"]
    assert set(notes(err)) == {"given 2", "settled 30000", "clean"}


def test_what_does_not_settle_releases_nothing(start):
    process = start(fails=True)
    out, err = process.communicate(lines(SCHEMA, record(1), state(1)), timeout=60)
    assert (process.returncode, out) == (1, b"")
    assert "clean" not in notes(err)
