from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from uuid import uuid4

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from singerkit.schema.infer import MOST_CHOICES, MOST_NAMES, formats_of, infer_schema


def property_of(*values, **options):
    schema = infer_schema([{"v": value} for value in values], **options)
    return schema["properties"]["v"]


@pytest.mark.parametrize(
    ("values", "schema"),
    [
        ([1, 2**70], {"type": "integer"}),
        ([1, 2.5], {"type": "number"}),
        ([1, Decimal("2.50")], {"type": "number"}),
        ([True, False], {"type": "boolean"}),
        ([True, 1], {"type": ["integer", "boolean"]}),
        (["a", 1, None], {"type": ["string", "integer", "null"]}),
        ([None, None], {}),
        ([[]], {"type": "array"}),
        ([[1, None], [2.5]], {"type": "array", "items": {"type": ["number", "null"]}}),
        ([(1, 2)], {"type": "array", "items": {"type": "integer"}}),
        ([{"a": 1}, {"a": None, "b": True}], {
            "type": "object",
            "properties": {"a": {"type": ["integer", "null"]}, "b": {"type": ["boolean", "null"]}},
        }),
        ([{}], {"type": "object", "properties": {}}),
        ([datetime(2024, 1, 1, tzinfo=UTC)], {"type": "string", "format": "date-time"}),
        ([date(2024, 1, 1)], {"type": "string", "format": "date"}),
        ([time(1, 2)], {"type": "string", "format": "time"}),
        ([uuid4(), str(uuid4())], {"type": "string", "format": "uuid"}),
        ([datetime(2024, 1, 1, tzinfo=UTC), "2024-01-01T00:00:00Z"], {"type": "string", "format": "date-time"}),
        ([date(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC)], {"type": "string"}),
        ([b"raw"], {"type": "string"}),
    ],
)  # fmt: skip
def test_types(values, schema):
    assert property_of(*values) == schema


@pytest.mark.parametrize(
    ("texts", "form"),
    [
        (["2024-01-01T10:00:00Z", "2024-01-01t10:00:00.123456789+05:30"], "date-time"),
        (["2024-01-01T10:00:00"], None),
        (["2024-02-30T10:00:00Z"], None),
        (["2024-01-01T10:00:00Z", None], "date-time"),
        (["2024-01-01T10:00:00Z", ""], None),
        (["2024-01-01T10:00:00Z", "2024-01-01"], None),
        (["2024-02-29", "1999-12-31"], "date"),
        (["2023-02-29"], None),
        (["3e4666bf-d5e5-4aa7-b8ce-cefe41c7568a"], "uuid"),
        (["ann@example.com", "b.o-b+x@mail.example.org"], "email"),
        (["ann@example"], None),
        (["https://example.com/a?b=c#d", "http://127.0.0.1:80"], "uri"),
        (["https://example.com/a b"], None),
        (["note: this"], None),
    ],
)
def test_formats_that_every_sample_has(texts, form):
    assert property_of(*texts).get("format") == form


def test_absent_is_nullable_and_nothing_is_required():
    schema = infer_schema([{"id": 1, "a": "x"}, {"id": 2}])
    assert schema == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"id": {"type": "integer"}, "a": {"type": ["string", "null"]}},
    }


def test_key_properties_are_never_null():
    schema = infer_schema([{"id": 1}, {"id": None}, {}], key_properties=["id", "gone"])
    assert schema["properties"] == {"id": {"type": "integer"}}


def test_texts_from_a_short_list_are_examples_or_on_request_an_enum():
    values = ["new", "old", None] * 10
    assert property_of(*values) == {"type": ["string", "null"], "examples": ["new", "old"]}
    assert property_of(*values, enums=True) == {"type": ["string", "null"], "enum": ["new", "old", None]}
    assert property_of(*values, 1, enums=True) == {"type": ["string", "integer", "null"], "examples": ["new", "old"]}


@pytest.mark.parametrize(
    "values",
    [
        ["new", "old"],
        [f"c{number % (MOST_CHOICES + 1)}" for number in range(500)],
        ["x" * 61] * 100,
        ["2024-01-01"] * 100,
    ],
)
def test_other_texts_are_not_kept(values):
    found = property_of(*values)
    assert not {"examples", "enum"} & found.keys()


def test_an_object_with_very_many_names_is_a_map():
    many = [{f"2024-{number}": {"n": number}} for number in range(MOST_NAMES + 1)]
    assert property_of(*many) == {
        "type": "object",
        "additionalProperties": {"type": "object", "properties": {"n": {"type": "integer"}}},
    }
    wide = infer_schema([{f"c{number}": 1 for number in range(MOST_NAMES + 1)}])
    assert len(wide["properties"]) == MOST_NAMES + 1, "a record may be as wide as it likes"


_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 5),
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from(["a", "b", "", "2024-01-01", "2024-01-01T00:00:00Z", "a@b.co", "https://x.y/%20"]),
        st.text(max_size=5),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
    max_leaves=6,
)


@given(st.lists(st.dictionaries(st.sampled_from("xyz"), _values, max_size=3), max_size=30), st.booleans())
def test_every_sample_fits_what_was_inferred_of_it(records, enums):
    schema = infer_schema(records, enums=enums)
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    for record in records:
        validator.validate(json.loads(json.dumps(record)))


_formatted = st.one_of(
    st.from_regex(r"\d{4}-\d\d-\d\d([Tt]\d\d:\d\d:\d\d(\.\d{1,7})?(Z|[+-]\d\d:\d\d))?", fullmatch=True),
    st.emails(),
    st.from_regex(r"[a-z0-9.-]{1,5}@[a-z0-9.-]{1,6}", fullmatch=True),
    st.from_regex(r"https?://[a-z0-9.:_-]{1,8}/[A-Za-z0-9%/?#&=.:@~_-]{0,8}", fullmatch=True),
    st.uuids().map(str),
    st.text(),
)


@given(_formatted)
def test_a_format_is_claimed_only_for_what_a_validator_accepts(text):
    for form in formats_of(text):
        assert jsonschema_rs.is_valid({"type": "string", "format": form}, text, validate_formats=True), form
