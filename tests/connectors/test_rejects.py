"""Records that are refused: the run ends, or goes on without them and keeps them aside."""

from __future__ import annotations

import json

import pytest

from .conftest import record, schema, state


def bad(number):
    return record(id=number, name=[number])


def quarantined(target, folder="aside", stream="people"):
    path = target.folder.parent / folder / f"{stream}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def ids(target):
    return sorted(int(row["id"]) for row in target.rows(order=None))


def settings(target, **given):
    return {"on_invalid": "quarantine", "quarantine_path": str(target.folder.parent / "aside"), **given}


def test_by_default_the_first_refused_record_ends_the_run(target):
    ended = target.run(schema(), record(id=1, name="a"), bad(2), state(1))
    assert (ended.code, ended.states) == (1, [])


@pytest.mark.parametrize("where", [[0], [19], [3, 4, 5], [0, 7, 19]])
def test_quarantine_keeps_what_is_refused_and_stores_the_rest(target, where):
    messages = [bad(n) if n in where else record(id=n, name=f"n{n}") for n in range(20)]
    ended = target.load(schema(), *messages, state("end"), **settings(target, max_invalid_ratio=0.5))
    assert ended.states == ["end"]
    assert ids(target) == [n for n in range(20) if n not in where]
    kept = quarantined(target)
    assert [entry["message"]["record"] for entry in kept] == [{"id": n, "name": [n]} for n in where]
    assert [entry["line"] for entry in kept] == [n + 2 for n in where]
    assert all("/name" in entry["error"] + str(entry["violations"]) for entry in kept)
    refused = "1 record was" if len(where) == 1 else f"{len(where)} records were"
    assert f"{refused} refused and put into quarantine" in ended.err


def test_skip_counts_and_writes_nothing(jsonl):
    messages = [bad(n) if n == 3 else record(id=n, name="x") for n in range(20)]
    ended = jsonl.load(schema(), *messages, state(1), on_invalid="skip")
    assert ids(jsonl) == [n for n in range(20) if n != 3]
    assert "1 record was refused and left out" in ended.err
    assert '"metric":"refused_record_count","value":1,"tags":{"stream":"people"' in ended.err
    assert not (jsonl.folder.parent / "quarantine").exists()


def test_beyond_the_ratio_the_run_fails_and_no_state_leaves(target):
    messages = [bad(n) if n % 5 == 0 else record(id=n, name="x") for n in range(50)]
    ended = target.run(schema(), *messages, state(1), **settings(target, max_invalid_ratio=0.1))
    assert (ended.code, ended.states) == (1, [])
    assert "10 of 50 records were refused, more than max_invalid_ratio (0.1) allows" in ended.err
    assert len(quarantined(target)) == 10


def test_a_line_that_is_no_message_ends_the_run_all_the_same(jsonl):
    ended = jsonl.run(
        schema(), record(id=1, name="a"), b'{"type":"RECORD","stream":"people","record":\n', **settings(jsonl)
    )
    assert ended.code == 4


def test_a_record_that_the_database_refuses_is_found_in_its_batch(postgres):
    messages = [record(id=n, name="nul\0" if n == 57 else f"n{n}") for n in range(100)]
    ended = postgres.load(schema(), *messages, state(1), **settings(postgres))
    assert ended.states == [1]
    assert ids(postgres) == [n for n in range(100) if n != 57]
    (kept,) = quarantined(postgres)
    assert kept["record"] == {"id": 57, "name": "nul\0"}
    assert "NUL" in kept["error"]


def test_values_of_refused_records_are_in_no_log(jsonl):
    ended = jsonl.load(
        schema(),
        *(record(id=n, name="x") for n in range(20)),
        record(id=1, name=["can4ry"]),
        state(1),
        **settings(jsonl),
    )
    assert "can4ry" not in ended.err


def test_a_quarantine_that_cannot_be_written_ends_the_run(jsonl):
    (jsonl.folder.parent / "file").write_text("")
    blocked = {"on_invalid": "quarantine", "quarantine_path": str(jsonl.folder.parent / "file" / "below")}
    ended = jsonl.run(schema(), record(id=1, name="a"), bad(2), state(1), **blocked)
    assert (ended.code, ended.states) == (1, [])
    assert "quarantine" in ended.err
    assert "Traceback" not in ended.err
