from __future__ import annotations

import io
import sys
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import Meter, Pipeline, forward


class Chunks(io.RawIOBase):
    """Bytes that come in pieces, as from a pipe."""

    def __init__(self, pieces):
        self.pieces = list(pieces)

    def readable(self):
        return True

    def readinto(self, buffer):
        piece = self.pieces.pop(0) if self.pieces else b""
        buffer[: len(piece)] = piece
        return len(piece)


def forwarded(pieces):
    meter, output = Meter(), io.BytesIO()
    with io.BufferedReader(Chunks(pieces)) as reader:
        forward(reader, output, meter)
    return output.getvalue(), meter


def record(stream, number):
    return b'{"type":"RECORD","stream":"%s","record":{"id":%d}}\n' % (stream.encode(), number)


@given(pieces=st.lists(st.binary(min_size=1, max_size=30) | st.just(b"\n"), max_size=30))
def test_that_whole_lines_go_through_however_they_come(pieces):
    everything = b"".join(pieces)
    whole_lines = everything[: everything.rfind(b"\n") + 1]
    assert forwarded(pieces)[0] == whole_lines


def test_that_records_are_counted_by_stream():
    lines = [
        b'{"type":"SCHEMA","stream":"a","schema":{},"key_properties":[]}\n',
        *(record("a", number) for number in range(3)),
        record("b", 1),
        b'{"type":"STATE","value":{}}\n',
    ]
    _, meter = forwarded(lines)
    assert {name: count.records for name, count in meter.streams.items()} == {"a": 3, "b": 1}
    assert meter.streams["b"].bytes == len(lines[4])


@pytest.fixture
def run(tmp_path):
    """Run two programs as a pipeline and give the outcome."""

    def start(tap, target):
        commands = ([sys.executable, "-c", textwrap.dedent(program)] for program in (tap, target))
        with Pipeline(*commands, tmp_path) as pipeline:
            return pipeline.outcome()

    return start


STORE = "import sys; lines = sys.stdin.readlines(); print('{\"lines\": %d}' % len(lines))"


def test_that_the_last_state_is_kept(run):
    target = "import sys; sys.stdin.read(); print('{\"n\": 1}'); print('{\"n\": 2}')"
    outcome = run("print('x\\n' * 3, end='')", target)
    assert (outcome.failed, outcome.state) == ({}, {"n": 2})


def test_that_half_a_line_of_a_crashed_tap_is_withheld(run):
    outcome = run("import os; os.write(1, b'one\\ntwo\\nthr'); os._exit(9)", STORE)
    assert outcome.failed == {"tap": 9}
    assert outcome.state == {"lines": 2}


def test_that_a_target_that_fails_stops_the_tap(run, tmp_path):
    tap = """
        import signal, sys
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        while True:
            print("x" * 1000)
    """
    outcome = run(tap, "import sys; sys.exit('no room')")
    assert outcome.failed == {"target": 1}
    assert outcome.tap_exit == 143
    assert outcome.state is None
    assert "no room" in (tmp_path / "target.log").read_text()


def test_that_a_target_that_stops_reading_has_failed_whatever_it_says(run):
    outcome = run("while True: print('x' * 1000)", "import sys; sys.exit(0)")
    assert outcome.failed == {"target": 0}


def test_that_much_goes_through_without_loss(run):
    outcome = run(f"for n in range(200_000): print({record('a', 7).decode().strip()!r})", STORE)
    assert outcome.failed == {}
    assert outcome.state == {"lines": 200_000}
    assert outcome.meter.streams["a"].records == 200_000


def test_that_a_pipeline_that_is_left_early_leaves_nothing_behind(tmp_path):
    forever = [sys.executable, "-c", "import time; time.sleep(60)"]
    with Pipeline(forever, forever, tmp_path) as pipeline:
        assert pipeline.is_running(0.05)
    assert pipeline.outcome().tap_exit == pipeline.outcome().target_exit == -9


def test_that_a_command_that_is_missing_leaves_nothing_behind(tmp_path):
    with pytest.raises(FileNotFoundError):
        Pipeline([sys.executable, "-c", "import time; time.sleep(60)"], ["/no/such/target"], tmp_path)
