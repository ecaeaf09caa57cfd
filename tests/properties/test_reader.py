"""However bytes come, the reader gives the same lines: none lost, none in another order, none in another stream."""

from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from singerkit.errors import InvalidInputLine
from singerkit.protocol.reader import MessageReader, ReaderLimits, RecordRun

STREAMS = st.sampled_from(["a", "ab", "b", 'q"uote', "é", "record", ""])
SEPARATORS = st.sampled_from([(", ", ": "), (",", ":"), (" ,", " : ")])


@st.composite
def record_lines(draw: st.DrawFn) -> bytes:
    """Give a RECORD line with its members in any order, sometimes with a member twice."""
    members = [
        ("type", draw(st.sampled_from(["RECORD", "record", "Record"]))),
        ("stream", draw(STREAMS)),
        ("record", draw(st.sampled_from([{}, {"id": 1}, {"type": "STATE", "stream": "b"}, {"t": 'x","record":{'}]))),
    ]
    members += draw(st.sampled_from([[], [("version", 1)], [("time_extracted", "2024-01-01T00:00:00Z")], members[1:2]]))
    if draw(st.booleans()):
        members = draw(st.permutations(members))
    comma, colon = draw(SEPARATORS)
    return ("{" + comma.join(json.dumps(n) + colon + json.dumps(v) for n, v in members) + "}").encode()


OTHER_LINES = st.sampled_from(
    [
        b'{"type":"STATE","value":{"type":"RECORD","stream":"a","record":{}}}',
        b'{"type":"SCHEMA","stream":"a","schema":{},"key_properties":[]}',
        b'{"type":"ACTIVATE_VERSION","stream":"a","version":1}',
        b'{"type":"odd"}',
        b"",
        b"  ",
    ]
)
BAD_LINES = st.sampled_from(
    [
        b"x",
        b"[]",
        b'{"type":"RECORD","stream":"other","record":1}',
        b'{"type":"STATE","value":NaN}',
        b"{" * 50,
        b"y" * 400,
    ]
)
LINES = st.lists(st.one_of(record_lines(), record_lines(), OTHER_LINES), max_size=25)
ENDS = st.sampled_from([b"\n", b"\r\n"])


def cut(data: bytes, places: list[int]) -> list[bytes]:
    borders = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(borders)]


def events_of(chunks: list[bytes]) -> tuple[list[tuple], tuple | None]:
    """Give one tuple a line, and where and why it ended, if it did."""
    reader = MessageReader(ReaderLimits(max_line_bytes=300))
    found: list[tuple] = []

    def take(events: object) -> None:
        for event in events:
            if isinstance(event, RecordRun):
                lines = event.lines.split(b"\n")
                assert lines.pop() == b""
                assert len(lines) == event.rows
                offset = event.byte_offset
                for index, line in enumerate(lines):
                    found.append((event.stream, line, event.line_number + index, offset))
                    offset += len(line) + 1
            else:
                found.append((event.type, event.line.rstrip(b"\n"), event.line_number, event.byte_offset))

    try:
        for chunk in chunks:
            take(reader.feed(chunk))
        take(reader.close())
    except InvalidInputLine as error:
        return found, (error.line_number, error.byte_offset)
    return found, None


@given(LINES, ENDS, st.booleans(), st.booleans(), st.lists(st.integers(0, 10**6), max_size=12))
def test_the_events_do_not_depend_on_how_the_bytes_come(
    lines: list[bytes], end: bytes, mark: bool, ended: bool, places: list[int]
) -> None:
    data = (b"\xef\xbb\xbf" if mark else b"") + end.join(lines) + (end if ended and lines else b"")
    whole = events_of([data])
    assert events_of(cut(data, places)) == whole
    assert events_of([data[i : i + 1] for i in range(len(data))]) == whole
    assert events_of([line + b"\n" for line in data.split(b"\n")]) == whole


@given(LINES, st.booleans())
def test_every_line_is_given_once_in_order_and_belongs_to_its_stream(lines: list[bytes], ended: bool) -> None:
    usable = [line for line in lines if not line.strip() or json.loads(line).get("stream", "x")]
    data = b"\n".join(usable) + (b"\n" if ended and usable else b"")
    found, failure = events_of([data])
    assert failure is None
    expected = [line for line in usable if line.strip()]
    assert [event[1] for event in found] == expected
    for (name, line, number, offset), message in zip(found, map(json.loads, expected), strict=True):
        kind = message["type"].upper()
        assert name == (message["stream"] if kind == "RECORD" else kind)
        assert data[offset:].startswith(line)
        assert data.count(b"\n", 0, offset) == number - 1


@given(LINES, BAD_LINES, LINES, st.lists(st.integers(0, 10**6), max_size=8))
def test_a_bad_line_stops_it_where_it_stands_and_all_before_it_are_given(
    before: list[bytes], bad: bytes, after: list[bytes], places: list[int]
) -> None:
    usable = [line for line in before if not line.strip() or json.loads(line).get("stream", "x")]
    data = b"".join(line + b"\n" for line in [*usable, bad, *after])
    for chunks in ([data], cut(data, places)):
        found, failure = events_of(chunks)
        assert [event[1] for event in found] == [line for line in usable if line.strip()]
        assert failure == (len(usable) + 1, sum(len(line) + 1 for line in usable))


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_any_bytes_give_events_or_a_clear_refusal(chunks: list[bytes]) -> None:
    events_of(chunks)
