from __future__ import annotations

import json

import pytest

from singerkit import clock
from singerkit.engine.checkpoint import Checkpoints
from singerkit.protocol.writer import MessageWriter
from singerkit.state.bookmarks import Bookmarks


class Tap:
    """A writer, bookmarks and a clock that stands still."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, every: int = 100) -> None:
        self.now = 1000.0
        monkeypatch.setattr(clock, "monotonic", lambda: self.now)
        self.written: list[bytes] = []
        self.writer = MessageWriter(self.written.append)
        self.bookmarks = Bookmarks()
        self.checkpoints = Checkpoints(self.writer, self.bookmarks, every)

    def write(self, records: int, *, size: int = 1000) -> None:
        self.writer.write_records((b"x" * (size - 1) + b"\n") * records)
        self.bookmarks.entry("a", None)["n"] = self.bookmarks.entry("a", None).get("n", 0) + records
        self.checkpoints.count(records)
        self.checkpoints.emit_if_due()

    @property
    def states(self) -> list[int]:
        lines = b"".join(self.written).splitlines()
        return [json.loads(line)["value"]["bookmarks"]["a"]["n"] for line in lines if line.startswith(b"{")]


@pytest.fixture
def tap(monkeypatch: pytest.MonkeyPatch) -> Tap:
    return Tap(monkeypatch)


def test_a_state_comes_after_so_many_records(tap: Tap) -> None:
    for _ in range(25):
        tap.write(10)
    assert tap.states == [100, 200]


def test_a_state_comes_after_five_seconds_if_something_was_written(tap: Tap) -> None:
    tap.write(10)
    tap.now += 4.9
    tap.checkpoints.emit_if_due()
    assert tap.states == []
    tap.now += 0.2
    tap.checkpoints.emit_if_due()
    assert tap.states == [10]
    tap.now += 1000
    tap.checkpoints.emit_if_due()
    assert tap.states == [10]


def test_a_large_state_waits_until_it_is_a_small_part_of_what_is_written(tap: Tap) -> None:
    tap.bookmarks.entry("big", None)["x"] = "y" * 50_000
    tap.write(100)
    for _ in range(40):
        tap.write(100)
    assert 1 < len(tap.states) < 6
    assert tap.writer.state_bytes <= 0.05 * tap.writer.record_bytes + 50_100


def test_a_large_state_comes_after_half_a_minute_all_the_same(tap: Tap) -> None:
    tap.bookmarks.entry("big", None)["x"] = "y" * 50_000
    tap.write(100)
    seen = len(tap.states)
    tap.write(1)
    tap.now += 31
    tap.checkpoints.emit_if_due()
    assert len(tap.states) == seen + 1


def test_the_same_state_is_not_written_twice_but_lines_leave(tap: Tap) -> None:
    tap.write(1)
    tap.checkpoints.emit()
    tap.writer.write_records(b"later\n")
    tap.checkpoints.emit()
    assert len(tap.states) == 1
    assert b"later\n" in b"".join(tap.written)
