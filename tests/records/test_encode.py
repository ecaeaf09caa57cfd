from __future__ import annotations

import json
import threading
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from singerkit.errors import DataError, MissingKeyPropertiesError
from singerkit.protocol.codec import decode_exact
from singerkit.records.conform import Changes
from singerkit.records.encode import RecordEncoder, line_frame

SCHEMA = {
    "properties": {
        "id": {"type": "integer"},
        "name": {"type": ["string", "null"]},
        "price": {"type": ["number", "null"]},
        "at": {"type": "string", "format": "date-time"},
        "ok": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "home": {"type": "object", "properties": {"zip": {"type": "string"}}},
        "any": {},
    }
}


def encoder(schema: dict = SCHEMA, required: tuple = ()) -> tuple[RecordEncoder, Changes]:
    changes = Changes()
    return RecordEncoder(schema, required, changes), changes


def encode(records: list[dict], schema: dict = SCHEMA, required: tuple = ()) -> list[dict]:
    return [decode_exact(line) for line in encoder(schema, required)[0](records).splitlines()]


def test_plain_records_pass_as_they_are() -> None:
    records = [
        {"id": 1, "name": "x\n\u2028", "price": Decimal("1.50"), "ok": True, "tags": ["a"], "home": {"zip": "1"}},
        {"id": 2**80, "name": None, "price": 3, "any": {"deep": [1, {"x": None}]}},
        {},
    ]
    assert encode(records) == records


@pytest.mark.parametrize("before", [[], [{"id": 1}] * 3, [{"price": 1.5}], [{"price": "1.5"}]])
@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("price", Decimal("12345678901234567890.123456789012345678"), b"12345678901234567890.123456789012345678"),
        ("price", Decimal("1.10"), b"1.10"),
        ("price", 2**70 + 1, b"1180591620717411303425"),
        ("price", 0.1, b"0.1"),
        ("price", "1.50", b'"1.50"'),
        ("id", Decimal("7"), b"7"),
        ("any", Decimal("1.10"), b"1.10"),
        ("any", {"n": [Decimal("1.10"), 2**70]}, b'{"n":[1.10,1180591620717411303424]}'),
        ("any", b"\x00\xff", b'"00ff"'),
        ("any", [b"\xff"], b'["ff"]'),
        ("any", datetime(2024, 1, 1), b'"2024-01-01T00:00:00Z"'),
        ("any", {"d": date(2024, 1, 1)}, b'{"d":"2024-01-01"}'),
        ("name", "2024-01-01T00:00:00.123456789Z", b'"2024-01-01T00:00:00.123456789Z"'),
        ("at", "2024-01-01T00:00:00.123456789Z", b'"2024-01-01T00:00:00.123456789Z"'),
        ("at", "not a date", b'"not a date"'),
        ("name", "\ud800", b'"\\ud800"'),
        ("name", "NaN", b'"NaN"'),
        ("ok", 1, b"true"),
    ],
)
def test_a_value_is_written_exactly_whatever_came_before(before: list, name: str, value: object, text: bytes) -> None:
    encode_block, _ = encoder()
    if before:
        encode_block(before)
    for block in ([{name: value}], [{name: value}, {"id": 1}], [{"id": 1}] * 20 + [{name: value}]):
        assert b'{"' + name.encode() + b'":' + text + b"}" in encode_block(block).splitlines()


def test_objects_of_datetime_and_texts_mix() -> None:
    encode_block, _ = encoder()
    for value in (datetime(2024, 1, 1, tzinfo=UTC), "2024-01-01T00:00:00.1234567Z", datetime(2024, 1, 1), None) * 3:
        (line,) = encode_block([{"at": value}]).splitlines()
        found = json.loads(line)["at"]
        if isinstance(value, datetime):
            assert datetime.fromisoformat(found) == value.replace(tzinfo=UTC)
        else:
            assert found == value


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity"), Decimal("sNaN")])
@pytest.mark.parametrize("name", ["price", "any", "id"])
def test_what_json_has_no_number_for_becomes_null_and_is_counted(name: str, bad: object) -> None:
    encode_block, changes = encoder()
    assert encode_block([{"id": 1}, {name: bad}]) == b'{"id":1}\n{"%s":null}\n' % name.encode()
    assert changes.not_a_number == 1


def test_unknown_properties_are_dropped_and_counted() -> None:
    encode_block, changes = encoder()
    assert encode_block([{"id": 1, "new": 2}, {"home": {"zip": "1", "x": 1}}]) == b'{"id":1}\n{"home":{"zip":"1"}}\n'
    assert set(changes.dropped) == {"new", "home.x"}


@pytest.mark.parametrize("good_before", [0, 1, 300])
def test_a_key_property_that_is_missing_is_an_error(good_before: int) -> None:
    encode_block, _ = encoder(required=("id",))
    with pytest.raises(MissingKeyPropertiesError, match="'id'"):
        encode_block([{"id": 1}] * good_before + [{"name": "Jane"}])


def test_an_object_that_json_can_not_say_becomes_text() -> None:
    class Money:
        def __str__(self) -> str:
            return "5 EUR"

    assert encode([{"any": Money()}]) == [{"any": "5 EUR"}]


def test_an_integer_of_too_many_digits_is_an_error_without_its_value() -> None:
    with pytest.raises(DataError) as caught:
        encoder()[0]([{"id": 10**5000 + 7}])
    assert "0000" not in str(caught.value)


def test_odd_names_are_written_rightly() -> None:
    names = ['q"uote', "back\\slash", "é", "new\nline", "", "f0", "class", "\u2028", "type"]
    schema = {"properties": {name: {"type": "integer"} for name in names}}
    record = dict(zip(names, range(9), strict=True))
    assert encode([record] * 2, schema) == [record] * 2


def test_a_name_that_no_text_encoding_has_is_written_rightly() -> None:
    assert encode([{"\ud800": 1}], {"properties": {"\ud800": {"type": "integer"}}}) == [{"\ud800": 1}]


def test_many_threads_encode_with_one_encoder() -> None:
    encode_block, _ = encoder()
    kinds = [{"any": b"\xff"}, {"at": datetime(2024, 1, 1)}, {"new": 1}, {"price": Decimal("1.10")}, {"id": 1}]
    found: dict[int, set[bytes]] = {}

    def work(index: int) -> None:
        found[index] = {encode_block([kinds[(index + step) % 5]] * 3) for step in range(200)}

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = {line for texts in found.values() for text in texts for line in text.splitlines()}
    instants = {b'{"at":"2024-01-01T00:00:00Z"}'}
    assert lines - instants == {b'{"any":"ff"}', b"{}", b'{"price":1.10}', b'{"id":1}'}
    assert all(len(texts) >= 5 for texts in found.values())


def test_a_frame_makes_whole_lines() -> None:
    frame = line_frame('str"eam', 7)
    lines = frame(b'{"a":1}\n{"a":2}\n', "2024-01-01T00:00:00Z").splitlines()
    assert [json.loads(line) for line in lines] == [
        {
            "type": "RECORD",
            "stream": 'str"eam',
            "record": {"a": number},
            "version": 7,
            "time_extracted": "2024-01-01T00:00:00Z",
        }
        for number in (1, 2)
    ]
    assert "version" not in json.loads(line_frame("s", None)(b"{}\n", "2024-01-01T00:00:00Z"))
