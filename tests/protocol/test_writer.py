from __future__ import annotations

import json
import os
import threading

import pytest

from singerkit import clock
from singerkit.errors import OutputClosed, SyncError
from singerkit.protocol.writer import MessageWriter, write_to


class Written:
    """Where a writer writes to in tests: keeps each write."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def __call__(self, data: bytes) -> None:
        self.writes.append(data)

    @property
    def lines(self) -> list[dict]:
        return [json.loads(line) for line in b"".join(self.writes).splitlines()]


def test_lines_wait_until_a_state_comes() -> None:
    written = Written()
    writer = MessageWriter(written)
    writer.write_schema("a", {"properties": {}}, ("id",), ["at"])
    writer.write_records(b'{"type":"RECORD","stream":"a","record":{}}\n')
    writer.write_activate_version("a", 7)
    assert written.writes == []
    writer.write_state(b'{"bookmarks":{}}')
    assert len(written.writes) == 1
    assert [line["type"] for line in written.lines] == ["SCHEMA", "RECORD", "ACTIVATE_VERSION", "STATE"]
    assert written.lines[0] == {
        "type": "SCHEMA",
        "stream": "a",
        "schema": {"properties": {}},
        "key_properties": ["id"],
        "bookmark_properties": ["at"],
    }


def test_lines_leave_at_64_kib() -> None:
    written = Written()
    writer = MessageWriter(written)
    line = b'{"type":"RECORD","stream":"a","record":{"x":"' + b"x" * 1000 + b'"}}\n'
    for _ in range(64):
        writer.write_records(line)
    assert len(written.writes) == 1
    assert 64 * 1024 <= len(written.writes[0]) < 64 * 1024 + len(line)


def test_lines_leave_after_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    written = Written()
    writer = MessageWriter(written)
    writer.write_records(b"{}\n")
    now[0] = 100.9
    writer.write_records(b"{}\n")
    writer.flush_if_due()
    assert written.writes == []
    now[0] = 101.0
    writer.flush_if_due()
    assert written.writes == [b"{}\n{}\n"]
    now[0] = 200.0
    writer.flush_if_due()
    assert len(written.writes) == 1


def test_what_follows_records_happens_before_any_later_state() -> None:
    written = Written()
    writer = MessageWriter(written, flush_bytes=1)
    count = [0]

    def write_many() -> None:
        for _ in range(300):
            writer.write_records(b'{"type":"RECORD"}\n', lambda: count.__setitem__(0, count[0] + 1))

    threads = [threading.Thread(target=write_many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(200):
        with writer.lock:
            writer.write_state(str(count[0]).encode())
    for thread in threads:
        thread.join()
    seen = 0
    for line in written.lines:
        if line["type"] == "RECORD":
            seen += 1
        else:
            assert line["value"] == seen
    assert seen == 1200


@pytest.mark.parametrize("fails_at", [1, 2, 3, 4])
def test_after_the_nth_write_failed_nothing_is_written(fails_at: int) -> None:
    calls: list[bytes] = []

    def write(data: bytes) -> None:
        calls.append(data)
        if len(calls) == fails_at:
            raise SyncError("disk full")

    writer = MessageWriter(write, flush_bytes=1)
    for index in range(fails_at - 1):
        writer.write_records(b"%d\n" % index)
    with pytest.raises(SyncError):
        writer.write_records(b"last\n")
    for again in (
        lambda: writer.write_records(b"more\n"),
        lambda: writer.write_state(b"{}"),
        lambda: writer.write_schema("a", {}, ()),
        writer.flush,
    ):
        with pytest.raises(SyncError) as caught:
            again()
        assert caught.value is writer.failure
    assert len(calls) == fails_at


def test_a_reader_that_went_away_and_a_full_disk_are_told_apart() -> None:
    reader, descriptor = os.pipe()
    os.close(reader)
    with pytest.raises(OutputClosed):
        write_to(descriptor)(b"x")
    os.close(descriptor)
    full = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(SyncError, match="No space left"):
        write_to(full)(b"x")
    os.close(full)


def test_all_bytes_are_written_to_a_pipe_that_takes_them_slowly() -> None:
    reader, descriptor = os.pipe()
    data = os.urandom(1 << 20)
    found = bytearray()

    def drain() -> None:
        while chunk := os.read(reader, 1000):
            found.extend(chunk)

    thread = threading.Thread(target=drain)
    thread.start()
    write_to(descriptor)(data)
    os.close(descriptor)
    thread.join()
    os.close(reader)
    assert bytes(found) == data


def test_record_and_state_bytes_are_counted() -> None:
    writer = MessageWriter(Written())
    writer.write_records(b"12345\n")
    writer.write_state(b"{}")
    assert writer.record_bytes == 6
    assert writer.state_bytes == len(b'{"type":"STATE","value":{}}\n')


def test_a_schema_is_written_as_valid_json_even_with_odd_defaults() -> None:
    written = Written()
    writer = MessageWriter(written)
    writer.write_schema("a", {"properties": {"x": {"default": float("nan")}, "y": {"default": "\ud800"}}}, ())
    writer.flush()
    assert written.lines[0]["schema"]["properties"] == {"x": {"default": None}, "y": {"default": "\ud800"}}
