from __future__ import annotations

import json

import pytest

from singerkit.errors import InvalidInputLine
from singerkit.protocol.reader import MessageReader, OtherMessage, ReaderLimits, RecordRun, excerpt_of, stream_in

SCHEMA = b'{"type":"SCHEMA","stream":"a","schema":{"properties":{}},"key_properties":[]}\n'
STATE = b'{"type":"STATE","value":{"n":1}}\n'


def record(stream: str = "a", value: object = 1) -> bytes:
    return json.dumps({"type": "RECORD", "stream": stream, "record": {"id": value}}).encode() + b"\n"


def read(*chunks: bytes, limits: ReaderLimits | None = None) -> list[RecordRun | OtherMessage]:
    reader = MessageReader(limits)
    events = [event for chunk in chunks for event in reader.feed(chunk)]
    return [*events, *reader.close()]


def lines_of(events: list[RecordRun | OtherMessage]) -> list[bytes]:
    """Give every line of the events, one by one."""
    found: list[bytes] = []
    for event in events:
        found += event.lines.splitlines(keepends=True) if isinstance(event, RecordRun) else [event.line]
    return found


def test_consecutive_records_of_a_stream_are_one_run() -> None:
    data = record("a", 1) + record("a", 2)
    events = read(SCHEMA, record("a", 0), data + STATE + data)
    assert [type(event).__name__ for event in events] == [
        "OtherMessage",
        *["RecordRun"] * 2,
        "OtherMessage",
        "RecordRun",
    ]
    assert events[2] == RecordRun("a", data, 2, 3, len(SCHEMA) + len(record()))
    assert events[3].line_number == 5
    assert events[4].byte_offset == sum(map(len, (SCHEMA, record(), data, STATE)))


def test_streams_do_not_mix() -> None:
    stream = [record("a"), record("b"), record("a"), record("b"), record("b")]
    events = read(b"".join(stream))
    assert [(event.stream, event.rows) for event in events] == [("a", 1), ("b", 1), ("a", 1), ("b", 2)]
    assert lines_of(events) == stream


def test_a_stream_whose_name_begins_like_another_keeps_its_records() -> None:
    events = read(record("ab") + record("a") + record("abc") + record("a"))
    assert [event.stream for event in events] == ["ab", "a", "abc", "a"]


@pytest.mark.parametrize(
    "line",
    [
        b'{"record":{"id":1},"type":"RECORD","stream":"a"}\n',
        b'{"stream":"a","type":"RECORD","record":{"id":1}}\n',
        b'  {  "type" : "RECORD" , "stream":"a", "time_extracted":"2024-01-01T00:00:00Z","record" : {"id":1}}\n',
        b'{"type":"record","stream":"a","record":{"id":1}}\n',
        b'{"type":"Record","stream":"\\u0061","record":{"id":1}}\n',
        b'{"type":"RECORD","stream":"a","record":  {"id":"\\ud800"}}\n',
        b'{"type":"RECORD","stream":"a","record":{"id":1},"version":7}\r\n',
    ],
)
def test_the_order_of_members_and_white_space_do_not_matter(line: bytes) -> None:
    for data in (line, line + line + line, SCHEMA + line + STATE + line):
        events = read(data)
        assert b"".join(lines_of(events)) == data
        assert {event.stream for event in events if isinstance(event, RecordRun)} == {"a"}


@pytest.mark.parametrize("kind", ["STATE", "state", "State", "sTaTe"])
def test_types_are_read_whatever_their_case(kind: str) -> None:
    assert [event.type for event in read(f'{{"type":"{kind}","value":1}}\n'.encode())] == ["STATE"]


def test_a_byte_order_mark_crlf_blank_lines_and_a_missing_end_are_tolerated() -> None:
    data = b"\xef\xbb\xbf" + SCHEMA.replace(b"\n", b"\r\n") + b"\n \r\n\t\n" + record() + b"\n" + record("a", 2)[:-1]
    events = read(data)
    assert [type(event).__name__ for event in events] == ["OtherMessage", "RecordRun", "RecordRun"]
    assert [event.line_number for event in events] == [1, 5, 7]
    assert [data[event.byte_offset :][:2] for event in events] == [b'{"'] * 3


@pytest.mark.parametrize("at", range(4))
def test_a_byte_order_mark_anywhere_else_is_an_error(at: int) -> None:
    lines = [SCHEMA, record(), record(), STATE]
    if at:
        lines[at] = b"\xef\xbb\xbf" + lines[at]
        with pytest.raises(InvalidInputLine):
            read(b"".join(lines))
    else:
        assert len(lines_of(read(b"\xef", b"\xbb\xbf" + b"".join(lines)))) == 4


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b"[]",
        b"1",
        b'"RECORD"',
        b"null",
        b"{}",
        b'{"type":1}',
        b'{"type":null,"stream":"a","record":{}}',
        b'{"type":"RECORD"}',
        b'{"type":"RECORD","record":{}}',
        b'{"type":"RECORD","stream":"","record":{}}',
        b'{"type":"RECORD","stream":5,"record":{}}',
        b'{"type":"RECORD","stream":"a"}',
        b'{"type":"RECORD","stream":"a","record":null}',
        b'{"type":"RECORD","stream":"a","record":[]}',
        b'{"type":"RECORD","stream":"a","record":"{}"}',
        b'{"type":"STATE","value":NaN}',
        b'{"type":"STATE","value":1e999999999999999999999}',
        b'{"type":"STATE","value":"\xff"}',
        b'{"type":"STATE","value":{}',
        b'{"type":"STATE","value":{}}{"type":"STATE","value":{}}',
        b"\x00",
        b"{\x00}",
    ],
)
@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_line_that_is_no_message_is_refused_where_it_stands(line: bytes, position: int) -> None:
    lines = [SCHEMA, STATE]
    lines.insert(position, line + b"\n")
    reader = MessageReader()
    given = []
    with pytest.raises(InvalidInputLine) as caught:
        for event in (event for chunk in lines for event in reader.feed(chunk)):
            given.append(event)
    assert len(given) == position
    assert caught.value.line_number == position + 1
    assert caught.value.byte_offset == len(b"".join(lines[:position]))


def test_events_before_a_bad_line_are_given_also_when_it_is_the_unfinished_one() -> None:
    reader = MessageReader(ReaderLimits(max_line_bytes=200))
    events = reader.feed(STATE + b"x" * 500)
    assert next(events).type == "STATE"
    with pytest.raises(InvalidInputLine) as caught:
        next(events)
    assert caught.value.line_number == 2
    assert caught.value.byte_offset == len(STATE)


@pytest.mark.parametrize("size", [1, 7, 64, 1000, 100_000])
@pytest.mark.parametrize("learned", [False, True])
def test_a_line_over_the_limit_is_refused_however_it_comes(size: int, *, learned: bool) -> None:
    long = record("a", "x" * 2000)
    data = (record() if learned else SCHEMA) + long
    reader = MessageReader(ReaderLimits(max_line_bytes=1000))
    with pytest.raises(InvalidInputLine, match=r"1,000 bytes.*max_line_mb"):
        for start in range(0, len(data), size):
            list(reader.feed(data[start : start + size]))


@pytest.mark.parametrize("size", [1, 7, 64, 1000, 100_000])
def test_lines_within_the_limit_pass_however_many_there_are(size: int) -> None:
    data = b"".join(record("a", "x" * 500) for _ in range(20))
    reader = MessageReader(ReaderLimits(max_line_bytes=1000))
    events = [event for start in range(0, len(data), size) for event in reader.feed(data[start : start + size])]
    assert b"".join(lines_of(events)) == data


def test_nesting_and_digits_have_limits_that_the_error_names() -> None:
    deep = b'{"type":"STATE","value":' + b"[" * 600 + b"]" * 600 + b"}\n"
    with pytest.raises(InvalidInputLine, match=r"512 levels.*max_nesting_depth"):
        read(deep)
    assert len(read(deep, limits=ReaderLimits(max_depth=700))) == 1
    with pytest.raises(InvalidInputLine, match="max_nesting_depth"):
        read(b'{"type":"STATE","value":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n")
    with pytest.raises(InvalidInputLine, match=r"4,300 digits.*max_digits"):
        read(b'{"type":"STATE","value":' + b"1" * 5000 + b"}\n")


def test_a_repeated_member_does_not_send_records_to_another_stream() -> None:
    odd = b'{"type":"RECORD","stream":"a","record":{"id":1},"stream":"b"}\n'
    plain = b'{"type":"RECORD","stream":"a","record":{"id":1}}\n'
    events = read(odd, plain, plain)
    assert [event.stream for event in events] == ["b", "a", "a"]


def test_errors_name_the_stream_and_show_no_values() -> None:
    with pytest.raises(InvalidInputLine) as caught:
        read(b'{"type":"RECORD","stream":"people","record":{"name":"Jane Roe","ssn":123456789},}\n')
    assert caught.value.stream == "people"
    shown = caught.value.describe()
    assert "line 1" in shown
    for value in ("Jane", "Roe", "123", "ssn"):
        assert value not in shown


def test_an_excerpt_keeps_the_words_of_the_protocol_only() -> None:
    assert (
        excerpt_of(b'{"type":"RECORD","stream":"s1","record":{"a":"b"}}')
        == '{"type":"RECORD","stream":"xx","record":{"x":"x"}}'
    )
    assert stream_in(b'{"stream" : "orders", oops') == "orders"
    assert stream_in(b"oops") is None


def test_an_unknown_type_is_an_event_like_any_other() -> None:
    (event,) = read(b'{"type":"hello","x":1.50}\n')
    assert event.type == "HELLO"
    assert str(event.members["x"]) == "1.50"


def test_empty_input_gives_nothing() -> None:
    assert read() == read(b"") == read(b"\n\n \n") == read(b"\xef\xbb\xbf") == []
