from __future__ import annotations

import pytest

from singerkit_testing import transcript as module
from singerkit_testing.transcript import parse_transcript
from singerkit_testing.wire import Flaw

OUTPUT = b"""{"type":"SCHEMA","stream":"a","schema":{"properties":{"id":{}}},"key_properties":["id"]}
{"type":"RECORD","stream":"a","record":{"id":1}}
{"type":"SCHEMA","stream":"b","schema":{},"key_properties":"id"}
oops
{"type":"record","stream":"a","record":{"id":2}}
{"type":"STATE","value":{"a":2}}
{"type":"SCHEMA","stream":"a","schema":{"properties":{"id":{},"x":{}}},"key_properties":[]}
{"type":"RECORD","stream":"a","record":null}
{"type":"ACTIVATE_VERSION","stream":"a","version":1}
{"type":7}
[1]
"""


@pytest.fixture(scope="module")
def transcript():
    return parse_transcript(OUTPUT)


def test_messages_are_found_by_type_whatever_its_case(transcript):
    assert [message.number for message in transcript.records] == [2, 5, 8]
    assert [message.number for message in transcript.schemas] == [1, 3, 7]
    assert [message.state for message in transcript.states] == [{"a": 2}]
    assert [message.number for message in transcript.activations] == [9]
    assert transcript.batches == []
    assert transcript.streams == ["a", "b"]


def test_messages_are_found_by_stream(transcript):
    assert [message.number for message in transcript.of("a")] == [1, 2, 5, 7, 8, 9]
    assert [message.number for message in transcript.records_of("a")] == [2, 5, 8]
    assert [message.number for message in transcript.schemas_of("b")] == [3]
    assert transcript.of("nobody") == []


def test_the_schema_in_force_is_the_last_one_before(transcript):
    in_force = [transcript.schema_before(record) for record in transcript.records]
    assert [schema.number for schema in in_force] == [1, 1, 7]
    assert transcript.schema_before(transcript.schemas[0]) is None


def test_records_before_a_state(transcript):
    assert [record.number for record in transcript.records_before(transcript.last_state)] == [2, 5]


def test_parts_of_the_wrong_shape_are_empty(transcript):
    assert transcript.records[-1].record == {}
    assert transcript.schemas[1].key_properties == []
    assert list(transcript.schemas[2].properties) == ["id", "x"]


def test_lines_know_their_place(transcript):
    line = transcript.lines[3]
    assert (line.number, str(line)) == (4, "line 4: oops")
    assert OUTPUT[line.offset :].startswith(b"oops\n")
    assert line.problem(Flaw.NOT_JSON).text.startswith("Expecting value")
    assert line.problem(Flaw.BLANK) is None


def test_only_a_line_feed_ends_a_line():
    text = '{"type":"RECORD","stream":"a","record":{"x":"\u2028\u2029\x85 \\u000b"}}'
    assert len(parse_transcript(f"{text}\n{text}\n".encode()).lines) == 2


def test_an_end_within_a_line_is_noted():
    (line,) = parse_transcript(b'{"type":"STA').lines
    assert {problem.flaw for problem in line.problems} == {Flaw.NOT_JSON, Flaw.NO_LINE_FEED}
    assert parse_transcript(b"").lines == ()


def test_an_output_that_was_cut_ends_with_a_whole_line():
    cut = parse_transcript(b'{}\n{"type":"STA', cut=True)
    assert (len(cut.lines), cut.cut) == (1, True)


def test_endless_output_is_cut(monkeypatch):
    monkeypatch.setattr(module, "MAX_LINES", 10)
    endless = parse_transcript(b"y\n" * 100)
    assert (len(endless.lines), endless.cut) == (10, True)
