from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singerkit import clock
from singerkit.engine.drain import DrainRule
from singerkit.engine.slot import SinkSpec, Slot, SlotSpec, split_run
from singerkit.errors import DataError, InvalidInputLine
from singerkit.protocol.reader import MessageReader, RecordRun
from singerkit.records.metadata import MetadataStamp
from singerkit.records.validate import compile_decoder

SCHEMA = {"properties": {"id": {"type": "integer"}, "text": {"type": "string"}}}


def lines(*records: object) -> bytes:
    return b"".join(
        (r if isinstance(r, bytes) else json.dumps({"type": "RECORD", "stream": "s", "record": r}).encode()) + b"\n"
        for r in records
    )


def runs_of(data: bytes) -> list[RecordRun]:
    return [event for event in MessageReader().feed(data) if isinstance(event, RecordRun)]


def slot(
    *, rows: int = 10, line_bytes: int = 10**6, age: float = 5.0, sinks: tuple = (), stored: list | None = None
) -> Slot:
    sink = SinkSpec((stored if stored is not None else []).append, lambda version: None, lambda: None, None, None)
    spec = SlotSpec(compile_decoder(SCHEMA, key_properties=("id",)), sinks or (sink,), DrainRule(rows, line_bytes, age))
    return Slot("s", SCHEMA, ("id",), spec)


def fill(filled: Slot, data: bytes) -> None:
    for run in runs_of(data):
        filled.add(run)


def test_it_is_full_by_rows_or_by_bytes() -> None:
    by_rows = slot(rows=3)
    fill(by_rows, lines({"id": 1}, {"id": 2}))
    assert not by_rows.is_full
    fill(by_rows, lines({"id": 3}))
    assert by_rows.is_full
    by_bytes = slot(line_bytes=100)
    fill(by_bytes, lines({"id": 1, "text": "x" * 10}))
    assert not by_bytes.is_full
    fill(by_bytes, lines({"id": 1, "text": "x" * 100}))
    assert by_bytes.is_full


@given(st.lists(st.integers(1, 9), max_size=8), st.integers(1, 7), st.integers(60, 400))
def test_batches_keep_every_line_in_order_and_stay_within_the_limits(groups: list, rows: int, line_bytes: int) -> None:
    filled = slot(rows=rows, line_bytes=line_bytes)
    data, number = [], 0
    for group in groups:
        records = [{"id": number + index} for index in range(group)]
        number += group
        data.append(lines(*records))
        fill(filled, data[-1])
    longest = max((len(line) + 1 for line in b"".join(data).splitlines()), default=0)
    taken = []
    while filled.rows:
        batch = filled.take()
        assert 0 < batch.rows <= rows
        assert batch.line_bytes < line_bytes + longest
        assert batch.rows == sum(run.rows for run in batch.runs)
        assert batch.line_bytes == sum(len(run.lines) for run in batch.runs)
        taken += [run.lines for run in batch.runs]
    assert b"".join(taken) == b"".join(data)
    assert filled.line_bytes == 0
    assert filled.due_at is None


def test_it_is_due_when_its_oldest_line_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    filled = slot(age=5)
    assert filled.due_at is None
    fill(filled, lines({"id": 1}))
    now[0] = 103.0
    fill(filled, lines({"id": 2}))
    assert filled.due_at == 105.0
    filled.take()
    assert filled.due_at is None
    fill(filled, lines({"id": 3}))
    assert filled.due_at == 108.0


def test_splitting_keeps_places() -> None:
    data = lines({"id": 1}, {"id": 22}, {"id": 333})
    first, rest = split_run(RecordRun("s", data, 3, 7, 1000), 2)
    assert first.lines + rest.lines == data
    assert (first.rows, first.line_number, first.byte_offset) == (2, 7, 1000)
    assert (rest.rows, rest.line_number, rest.byte_offset) == (1, 9, 1000 + len(first.lines))


@pytest.mark.parametrize("position", [0, 1, 5, 11, 19])
@pytest.mark.parametrize("kind", ["breaks its schema", "not JSON", "no key", "cut off"])
def test_a_bad_record_is_located_and_nothing_of_its_batch_is_stored(position: int, kind: str) -> None:
    bad = {
        "breaks its schema": {"id": 1, "text": 5},
        "not JSON": b'{"type": "RECORD", "stream": "s", "record": {"id": NaN}}',
        "no key": {"text": "x"},
        "cut off": b'{"type": "RECORD", "stream": "s", "record": {"id": 1',
    }[kind]
    records: list = [{"id": number} for number in range(20)]
    records[position] = bad
    all_lines = lines(*records)
    stored: list = []
    filled = slot(rows=100, stored=stored)
    start = 0
    for number, line in enumerate(all_lines.splitlines(keepends=True)):
        if number in (0, 3, 4, 12):
            start = start or 1
        filled.add(RecordRun("s", line, 1, 101 + number, 5000 + all_lines.index(line)))
    with pytest.raises((DataError, InvalidInputLine)) as caught:
        filled.store(filled.take())
    assert caught.value.line_number == 101 + position
    assert caught.value.stream == "s"
    if isinstance(caught.value, InvalidInputLine):
        assert caught.value.byte_offset == 5000 + sum(len(line) + 1 for line in all_lines.splitlines()[:position])
    assert stored == []


def test_maps_drop_and_stamps_follow_their_records() -> None:
    stored: list = []
    step = SinkSpec(
        stored.append,
        lambda version: None,
        lambda: None,
        lambda record: record if record["id"] % 2 else None,
        MetadataStamp(1, parse_datetimes=False),
    )
    filled = slot(sinks=(step,))
    versions = [{"type": "RECORD", "stream": "s", "record": {"id": n}, "version": n * 10} for n in range(4)]
    fill(filled, lines(*(json.dumps(message).encode() for message in versions)))
    filled.store(filled.take())
    assert [(record["id"], record["_sdc_table_version"]) for record in stored[0]] == [(1, 10), (3, 30)]
    assert filled.versions == {0, 10, 20, 30}


def test_a_batch_that_a_map_empties_is_not_handed_over() -> None:
    stored: list = []
    sink = SinkSpec(stored.append, lambda version: None, lambda: None, lambda record: None, None)
    filled = slot(sinks=(sink,))
    fill(filled, lines({"id": 1}))
    filled.store(filled.take())
    assert stored == []
