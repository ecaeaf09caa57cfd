"""Conforming brings anything to JSON form, once and for all; the fast encoder writes what the careful one would."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from singerkit.protocol.codec import decode_exact, encode
from singerkit.records.conform import Changes, compile_conform
from singerkit.records.encode import RecordEncoder


class Color(Enum):
    RED = "red"
    ONE = 1


PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8))
ODD = st.one_of(
    st.floats(),
    st.decimals(),
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.just(UTC)),
    st.times(),
    st.timedeltas(timedelta(0), timedelta(days=9999)),
    st.uuids(),
    st.binary(max_size=8),
    st.sampled_from([*Color, {1, 2}, frozenset({"a"}), (1, "x"), bytearray(b"ab"), memoryview(b"c"), object]),
)
VALUES = st.recursive(
    st.one_of(PLAIN, ODD),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=8,
)
TYPES = st.sampled_from(["string", "integer", "number", "boolean", "object", "array", "null"])
FORMATS = st.sampled_from([{}, {"format": "date-time"}, {"format": "date"}, {"format": "time"}])


def schemas(depth: int = 2) -> st.SearchStrategy[dict]:
    types = st.one_of(TYPES, st.lists(TYPES, min_size=1, max_size=3, unique=True))
    leaf = st.one_of(st.just({}), st.builds(lambda t, f: {"type": t, **f}, types, FORMATS))
    if not depth:
        return leaf
    inner = st.dictionaries(st.sampled_from("abcd"), st.deferred(lambda: schemas(depth - 1)), max_size=4)
    return st.one_of(
        leaf,
        st.builds(
            lambda p, more: {"type": ["object", "null"], "properties": p, **more},
            inner,
            st.sampled_from([{}, {"additionalProperties": True}, {"additionalProperties": False}]),
        ),
        st.builds(lambda i: {"type": "array", "items": i}, st.deferred(lambda: schemas(depth - 1))),
    )


RECORD_SCHEMAS = st.builds(
    lambda p: {"type": "object", "properties": p}, st.dictionaries(st.sampled_from("abcd"), schemas(), max_size=4)
)
RECORDS = st.dictionaries(st.sampled_from("abcde"), VALUES, max_size=5)


@given(RECORD_SCHEMAS, RECORDS)
def test_conforming_twice_is_conforming_once(schema: dict, record: dict) -> None:
    conform = compile_conform(schema, Changes())
    once = conform(record)
    changes = Changes()
    again = compile_conform(schema, changes)(once)
    assert repr(again) == repr(once)
    assert not changes.dropped
    assert not changes.not_a_number


@given(RECORD_SCHEMAS, RECORDS)
def test_what_is_conformed_can_be_written_and_names_only_what_the_schema_has(schema: dict, record: dict) -> None:
    before = repr(record)
    conformed = compile_conform(schema, Changes())(record)
    assert conformed.keys() <= schema["properties"].keys()
    assert conformed.keys() == record.keys() & schema["properties"].keys()
    decode_exact(encode(conformed))
    assert repr(record) == before


@given(RECORD_SCHEMAS, st.lists(RECORDS, max_size=6))
def test_the_fast_way_writes_what_the_careful_way_would(schema: dict, records: list[dict]) -> None:
    fast = RecordEncoder(schema, (), Changes())
    lines = fast(records).splitlines()
    careful = [encode(compile_conform(schema, Changes())(record)) for record in records]
    assert len(lines) == len(records)
    for line, expected in zip(lines, careful, strict=True):
        assert same(json.loads(line), json.loads(expected)), (line, expected)


def same(first: object, second: object) -> bool:
    """Compare JSON values; an instant may be written with `Z` or with `+00:00`."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(first[name], second[name]) for name in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, str) and isinstance(second, str):
        return first == second or first.replace("Z", "+00:00") == second
    return type(first) is type(second) and first == second


@given(st.lists(RECORDS, min_size=1, max_size=10))
def test_an_encoder_that_has_learned_writes_no_less(records: list[dict]) -> None:
    schema = {"properties": {"a": {"type": "string", "format": "date-time"}, "b": {"type": "number"}, "c": {}}}
    encoder = RecordEncoder(schema, (), Changes())
    for record in records:
        line = json.loads(encoder([record]))
        expected = json.loads(encode(compile_conform(schema, Changes())(record)))
        assert same(line, expected)


def test_examples_of_each_kind() -> None:
    kinds = {
        "bytes": (b"\x00\xff", "00ff"),
        "naive": (datetime(2024, 1, 1), "2024-01-01T00:00:00Z"),
        "date": (date(2024, 1, 1), "2024-01-01"),
        "time": (time(1, 2), "01:02:00"),
        "duration": (timedelta(days=1), "1970-01-02T00:00:00Z"),
        "uuid": (UUID(int=0), "00000000-0000-0000-0000-000000000000"),
        "enum": (Color.RED, "red"),
        "decimal": (Decimal("1.50"), Decimal("1.50")),
        "tuple": ((1, Color.ONE), [1, 1]),
        "nan": (float("nan"), None),
    }
    conform = compile_conform({"properties": {name: {} for name in kinds}}, Changes())
    assert conform({name: value for name, (value, _) in kinds.items()}) == {n: form for n, (_, form) in kinds.items()}
