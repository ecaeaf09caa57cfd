from __future__ import annotations

import fcntl
import json
import re

from .conftest import record, schema, state

ANYTHING = {"id": {"type": "integer"}, "number": {"type": "number"}, "free": {}}


def text(target, stream="people"):
    return (target.folder / f"{stream}.jsonl").read_bytes()


def test_numbers_keep_every_digit(jsonl):
    numbers = [b"1.10", b"123456789012345678901234567890", b"0.1234567890123456789012345", b"1E+400", b"-0.0"]
    messages = [
        b'{"type":"RECORD","stream":"people","record":{"id":1,"number":%s,"free":[%s]}}\n' % (number, number)
        for number in numbers
    ]
    jsonl.load(schema(**ANYTHING), *messages)
    for line, number in zip(text(jsonl).splitlines(), numbers, strict=True):
        assert line == b'{"id":1,"number":%s,"free":[%s]}' % (number, number)


def test_texts_keep_every_character(jsonl):
    texts = ["", "a\nb\r\t", "\0", "\u2028", "😀", "\ud800 half", '"\\', "x" * 1_000_000]
    jsonl.load(schema(), *(record(id=number, name=value) for number, value in enumerate(texts)))
    assert [row["name"] for row in jsonl.rows()] == texts


def test_date_times_stay_as_they_came(jsonl):
    instants = ["2024-01-01T00:00:00.123456789Z", "2024-01-01 00:00:00", "0001-01-01T00:00:00+05:30"]
    properties = {"id": {"type": "integer"}, "at": {"type": "string", "format": "date-time"}}
    jsonl.load(schema(**properties), *(record(id=number, at=value) for number, value in enumerate(instants)))
    assert [row["at"] for row in jsonl.rows()] == instants


def test_runs_add_to_the_file(jsonl):
    jsonl.load(schema(), record(id=1, name="a"))
    jsonl.load(schema(), record(id=2, name="b"))
    assert [row["id"] for row in jsonl.rows()] == [1, 2]


def test_a_line_not_written_to_its_end_is_cut_off(jsonl):
    (jsonl.folder / "people.jsonl").write_bytes(b'{"id":1}\n{"id":2,"na')
    ended = jsonl.load(schema(), record(id=3, name="c"))
    assert text(jsonl) == b'{"id":1}\n{"id": 3, "name": "c"}\n'
    assert "cut off the last 11 bytes" in ended.err


def test_a_whole_line_that_only_lacks_its_end_is_kept(jsonl):
    (jsonl.folder / "people.jsonl").write_bytes(b'{"id":1}\n{"id":2}')
    jsonl.load(schema(), record(id=3, name="c"))
    assert text(jsonl) == b'{"id":1}\n{"id":2}\n{"id": 3, "name": "c"}\n'


def test_a_planted_link_is_not_followed(jsonl, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (jsonl.folder / "people.jsonl").symlink_to(victim)
    ended = jsonl.run(schema(), record(id=1), state(1))
    assert (ended.code, ended.out) == (2, "")
    assert "symbolic link" in ended.err
    assert victim.read_text() == "precious"


def test_a_pipe_in_the_place_of_the_file_is_refused(jsonl):
    import os

    os.mkfifo(jsonl.folder / "people.jsonl")
    ended = jsonl.run(schema(), record(id=1), state(1))
    assert ended.code != 0
    assert ended.out == ""


def test_a_file_that_another_run_writes_is_left_alone(jsonl):
    path = jsonl.folder / "people.jsonl"
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        ended = jsonl.run(schema(), record(id=1), state(1))
    assert (ended.code, ended.out) == (1, "")
    assert "another program" in ended.err
    assert path.read_bytes() == b""


def test_names_may_tell_the_time(jsonl):
    wide = schema(id={"type": "integer"}, name={"type": "string"}, more={"type": "string"})
    jsonl.load(schema(), record(id=1), wide, record(id=2), do_timestamp_file=True)
    (path,) = jsonl.folder.iterdir()
    assert re.fullmatch(r"people-\d{8}T\d{6}\.jsonl", path.name)
    assert len(path.read_text().splitlines()) == 2


def test_a_custom_name_is_for_one_stream(jsonl):
    jsonl.load(schema(), record(id=1), custom_name="mine")
    assert [path.name for path in jsonl.folder.iterdir()] == ["mine.jsonl"]
    ended = jsonl.run(schema(), schema("others"), custom_name="../mine")
    assert ended.code == 2
    assert "'people' and 'others'" in ended.err


def test_streams_that_a_map_gives_one_name_share_a_file(jsonl):
    maps = {"a": {"__alias__": "people"}, "b": {"__alias__": "people"}}
    records = [record("ab"[number % 2], id=number, name="x") for number in range(5_000)]
    jsonl.load(schema("a"), schema("b"), *records, stream_maps=maps, batch_size_rows=100)
    assert [row["id"] for row in jsonl.rows()] == list(range(5_000))
    assert all(json.loads(line) for line in text(jsonl).splitlines())


def test_metadata_can_be_added(jsonl):
    jsonl.load(schema(), record(id=1, name="a"), add_record_metadata=True)
    assert jsonl.rows()[0]["_sdc_batched_at"]
