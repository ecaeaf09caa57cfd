"""Lines are counted as they are, in whatever form and order they come and however they are cut into chunks."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singerkit.errors import InvalidInputLine
from singerkit.runner.supervise.counting import Counts, LineCounter

STREAMS = ("orders", "people", "record", 'a"b', "ö")
RECORDS = st.fixed_dictionaries(
    {"id": st.integers()}, optional={"record": st.text(max_size=5), "type": st.just("STATE")}
)
#: The members of a RECORD in the orders that taps write them.
FORMS = (
    ("type", "stream", "record"),
    ("stream", "type", "record"),
    ("record", "stream", "type"),
    ("type", "stream", "version", "record"),
    ("type", "stream", "time_extracted", "record"),
    ("type", "stream", "record", "version", "time_extracted"),
)


@st.composite
def record_lines(draw):
    members = {
        "type": draw(st.sampled_from(["RECORD", "RECORD", "record"])),
        "stream": draw(st.sampled_from(STREAMS)),
        "record": draw(RECORDS),
        "version": draw(st.integers(1, 2)),
        "time_extracted": "2026-01-01T00:00:00Z",
    }
    form = draw(st.sampled_from(FORMS))
    separators = draw(st.sampled_from([(", ", ": "), (",", ":")]))
    return json.dumps({name: members[name] for name in form}, separators=separators)


OTHERS = st.sampled_from(
    [
        '{"type": "SCHEMA", "stream": "orders", "schema": {}, "key_properties": []}',
        '{"type": "STATE", "value": {"record": 1}}',
        '{"value": {"bookmarks": {"type": "RECORD"}}, "type": "state"}',
        '{"type":"STATE","value":{"n":12345678901234567890123}}',
        '{"type": "ACTIVATE_VERSION", "stream": "orders", "version": 3}',
        "",
    ]
)


@given(st.lists(st.lists(record_lines() | OTHERS, min_size=1, max_size=12), max_size=6))
def test_what_is_counted_is_what_is_there(chunks):
    counts = Counts()
    counter = LineCounter(counts)
    for lines in chunks:
        counter.count("".join(f"{line}\n" for line in lines).encode())
    records, sizes, others, state = Counter(), Counter(), 0, None
    for line in filter(None, (line for lines in chunks for line in lines)):
        message = json.loads(line)
        if message["type"].upper() == "RECORD":
            records[message["stream"]] += 1
            sizes[message["stream"]] += len(line.encode()) + 1
            continue
        others += 1
        state = message["value"] if message["type"].upper() == "STATE" else state
    expected = {stream: {"records": records[stream], "bytes": sizes[stream]} for stream in records}
    assert (counts.by_stream(), counts.others) == (expected, others)
    assert (counter.last_state, counter.has_state) == (state, state is not None)


BAD = (
    "Traceback",
    "[1]",
    '{"stream": "orders", "record": {}}',
    '{"type": "RECORD", "record": {}}',
    '{"type": "RECORD", "stream": "", "record": {}}',
    '{"record": 1, "type": "RECORD", "stream": "orders"}',
)


@pytest.mark.parametrize("bad", BAD)
def test_a_line_that_is_no_message_is_told_with_its_place(bad):
    good = [json.dumps({"type": "RECORD", "stream": stream, "record": {}}) for stream in ("orders", "people")] * 2
    counts = Counts()
    counter = LineCounter(counts)
    counter.count("".join(f"{line}\n" for line in good).encode())
    before = "".join(f"{line}\n" for line in good).encode()
    with pytest.raises(InvalidInputLine) as caught:
        counter.count(before + f"{bad}\n".encode() + before)
    assert (caught.value.line_number, caught.value.byte_offset) == (9, len(before))
    assert counts.records == {"orders": 4, "people": 4}  # what came before it is passed on, so it is counted


def test_a_state_that_can_not_be_read_is_none():
    counter = LineCounter(Counts())
    counter.count(b'{"type": "STATE", "value": {"n": }}\n')
    assert (counter.has_state, counter.last_state) == (True, None)
