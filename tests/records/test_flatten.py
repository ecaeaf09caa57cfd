from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singerkit.errors import ConfigurationError, ConfigValidationError
from singerkit.records.flatten import (
    FlattenOptions,
    compile_flatten,
    flatten_options,
    flatten_record,
    flatten_schema,
    flattened_name,
    json_text,
)

NESTED = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "o": {
            "type": ["object", "null"],
            "properties": {
                "a": {"type": "string"},
                "p": {"type": "object", "properties": {"q": {"type": ["integer", "null"]}}},
            },
        },
        "tags": {"type": ["array", "null"], "items": {"type": "string"}},
    },
    "required": ["id", "o"],
}
RECORD = {"id": 1, "o": {"a": "x", "p": {"q": 2}}, "tags": ["é", 1]}


def flat_member(member, depth=1):
    return flatten_schema({"properties": {"a": member}}, FlattenOptions(depth))["properties"]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, None),
        ({"flattening_enabled": False, "flattening_max_depth": 3}, None),
        ({"flattening_enabled": True, "flattening_max_depth": 0}, None),
        ({"flattening_enabled": True, "flattening_max_depth": 2}, FlattenOptions(2, "__", 255)),
        (
            {
                "flattening_enabled": True,
                "flattening_max_depth": 1,
                "flattening_separator": ".",
                "flattening_max_key_length": 30,
            },
            FlattenOptions(1, ".", 30),
        ),
        (
            {
                "flattening_enabled": True,
                "flattening_max_depth": 1,
                "flattening_separator": None,
                "flattening_max_key_length": None,
            },
            FlattenOptions(1, "__", 255),
        ),
    ],
)
def test_options_come_from_the_settings(config, expected):
    assert flatten_options(config) == expected


def test_flattening_without_a_depth_is_a_config_error():
    with pytest.raises(ConfigValidationError) as caught:
        flatten_options({"flattening_enabled": True})
    assert caught.value.errors[0].startswith("flattening_max_depth")


@pytest.mark.parametrize(
    ("depth", "properties", "record"),
    [
        (
            1,
            {
                "id": {"type": "integer"},
                "o__a": {"type": "string"},
                "o__p": {"type": "string"},
                "tags": {"type": ["string", "null"]},
            },
            {"id": 1, "o__a": "x", "o__p": '{"q":2}', "tags": '["\\u00e9",1]'},
        ),
        (
            2,
            {
                "id": {"type": "integer"},
                "o__a": {"type": "string"},
                "o__p__q": {"type": ["integer", "null"]},
                "tags": {"type": ["string", "null"]},
            },
            {"id": 1, "o__a": "x", "o__p__q": 2, "tags": '["\\u00e9",1]'},
        ),
    ],
)
def test_schema_and_record_become_flat_to_the_depth(depth, properties, record):
    options = FlattenOptions(depth)
    flat = flatten_schema(NESTED, options)
    assert flat == {"type": "object", "properties": properties, "required": ["id"]}
    assert list(flat["properties"]) == list(properties)
    step = compile_flatten(NESTED, options)
    assert step is not None
    result = step(RECORD)
    assert result == record
    assert result is not None
    assert list(result) == list(record)


def test_the_arguments_stay_as_they_are():
    schema, record = json.dumps(NESTED), json.dumps(RECORD)
    options = FlattenOptions(3)
    flatten_schema(NESTED, options)["properties"]["id"]["type"] = "changed"
    compile_flatten(NESTED, options)(RECORD)
    assert (json.dumps(NESTED), json.dumps(RECORD)) == (schema, record)


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        ({"type": "string"}, {"a": {"type": "string"}}),
        ({"type": ["null", "array"]}, {"a": {"type": ["string", "null"]}}),
        ({"type": "array", "items": {}}, {"a": {"type": "string"}}),
        ({"type": "object"}, {"a": {"type": "string"}}),
        ({"type": ["object", "null"]}, {"a": {"type": ["string", "null"]}}),
        ({"type": "object", "properties": {}}, {}),
        ({"type": ["integer", "object"]}, {"a": {"type": "string"}}),
        ({"type": ["null", "object", "array"]}, {"a": {"type": ["string", "null"]}}),
        (
            {"anyOf": [{"type": "string", "format": "x"}, {"type": "null"}]},
            {"a": {"type": ["null", "string"], "format": "x"}},
        ),
        ({}, {"a": {"type": ["null", "string"]}}),
        ({"const": 1}, {"a": {"type": ["null", "string"]}}),
        ({"$ref": "#/x"}, {"a": {"type": ["null", "string"]}}),
        ({"anyOf": []}, {"a": {"type": ["null", "string"]}}),
        # told as the records are, where the established taps leave the property out or say array while writing text
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, {"a": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}),
        ({"oneOf": [{"type": "array", "items": {}}]}, {"a": {"type": ["null", "string"]}}),
        ({"oneOf": [{"type": "object"}, {"type": "integer"}]}, {"a": {"type": ["null", "integer", "string"]}}),
        ({"enum": ["x", None]}, {"a": {"enum": ["x", None]}}),
    ],
)
def test_what_becomes_of_a_member(member, expected):
    assert flat_member(member) == expected


def test_two_properties_of_one_name_are_an_error_that_says_what_to_do():
    schema = {"properties": {"a": {"type": "object", "properties": {"b": {}}}, "a__b": {}}}
    with pytest.raises(ConfigurationError, match=r"'a__b'.*flattening_separator"):
        flatten_schema(schema, FlattenOptions(1))


@pytest.mark.parametrize(
    ("path", "limit", "expected"),
    [
        (("foo",), 5, "foo"),
        (("customer_address",), 12, "ca"),
        (("customer_address",), 17, "customer_address"),
        (("customer_address",), 16, "ca"),
        (("customerAddress", "street_name"), 12, "ca__sn"),
        (("customerAddress", "street_name"), 20, "ca__street_name"),
        (("customerAddress", "StreetName", "ABC_def"), 5, "ca__sn__abcd"),
        (("customerAddress", "StreetName", "ABC_def"), 20, "ca__sn__ABC_def"),
        (("a", "b" * 30), 20, "a__bbb"),
        (("1st_thing", "x-y z"), 5, "1t__x- "),
        (("_lead", "é_É"), 5, "_le__éé"),
        (("ID", "VALUE"), 5, "id__value"),
        (("a" * 300, "b"), None, "a" * 300 + "__b"),
    ],
)
def test_long_names_are_shortened_from_the_left(path, limit, expected):
    assert flattened_name(path, FlattenOptions(5, max_key_length=limit)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([1.0, 1e-7, 1e22, 10**30, True, None], "[1.0,1e-07,1e+22,1000000000000000000000000000000,true,null]"),
        ([Decimal("1.10"), Decimal("1E+5"), Decimal("NaN")], "[1.10,1E+5,null]"),
        ([float("nan"), float("inf"), "é\u2028"], '[null,null,"\\u00e9\\u2028"]'),
        ([datetime(2020, 1, 1), Decimal(1)], '["2020-01-01T00:00:00",1]'),
        ({"a": (1, 2), "b": {}, "c": [Decimal(2)], 1: None, None: 2}, '{"a":[1,2],"b":{},"c":[2],"1":null,"null":2}'),
    ],
)
def test_nested_values_become_compact_ascii_json(value, expected):
    assert json_text(value) == expected


def test_no_step_where_all_is_flat_and_nothing_else_is_allowed():
    scalars = {"properties": {"a": {"type": "string"}, "b": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}}
    assert compile_flatten({**scalars, "additionalProperties": False}, FlattenOptions(2)) is None
    step = compile_flatten(scalars, FlattenOptions(2))
    assert step is not None
    assert step({"a": "x", "more": {"b": 1}}) == {"a": "x", "more__b": 1}


@pytest.mark.parametrize(
    ("record", "kept", "depth", "expected"),
    [
        ({"a": {"b": {"c": {"d": 1}}}}, ["a__b"], 3, {"a__b": '{"c":{"d":1}}'}),
        ({"a": {"b": {"c": {"d": 1}}}, "z": None}, [], 2, {"a__b__c": '{"d":1}', "z": None}),
        ({"a": {}}, [], 2, {}),
        ({"a": {"b": 1}, "a__b": 2}, [], 2, {"a__b": 2}),
    ],
)
def test_one_record_by_a_flat_schema(record, kept, depth, expected):
    flat = {"properties": {name: {} for name in kept}}
    assert flatten_record(record, flattened_schema=flat, max_level=depth) == expected


def test_one_record_without_a_schema_is_not_opened():
    assert flatten_record({"a": {"b": 1}}, max_level=2) == {"a": '{"b":1}'}


scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner))


@given(record=st.dictionaries(st.text(min_size=1, max_size=4), values), depth=st.integers(1, 4))
def test_flat_records_hold_no_objects_or_arrays_and_stay_as_they_are_when_flattened_again(record, depth):
    step = compile_flatten(NESTED, FlattenOptions(depth))
    assert step is not None
    flat = step(record)
    assert flat is not None
    assert not any(isinstance(value, (dict, list)) for value in flat.values())
    assert step(flat) == flat
