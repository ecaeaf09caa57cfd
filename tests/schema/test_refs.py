from __future__ import annotations

import copy

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from singerkit.errors import ConfigurationError
from singerkit.schema.refs import check_schema, make_nullable, resolve_references

ADDRESS = {"type": "object", "properties": {"city": {"type": "string"}}}


def test_references_are_replaced_and_definitions_gone() -> None:
    schema = {
        "properties": {"home": {"$ref": "#/definitions/address"}, "work": {"$ref": "#/$defs/a~1b", "title": "Work"}},
        "definitions": {"address": ADDRESS},
        "$defs": {"a/b": {"$ref": "#/definitions/address", "title": "Any"}},
    }
    before = copy.deepcopy(schema)
    assert resolve_references(schema) == {"properties": {"home": ADDRESS, "work": {**ADDRESS, "title": "Work"}}}
    assert schema == before


def test_without_references_a_copy_is_given_with_its_definitions() -> None:
    schema = {"properties": {"$ref": {"type": "string"}}, "definitions": {"a": {}}}
    assert resolve_references(schema) == schema
    assert resolve_references(schema)["properties"] is not schema["properties"]


def test_a_definition_within_itself_is_cut() -> None:
    node = {"properties": {"value": {"type": "string"}, "next": {"$ref": "#/$defs/node"}}}
    resolved = resolve_references({"properties": {"root": {"$ref": "#/$defs/node"}}, "$defs": {"node": node}})
    assert resolved == {"properties": {"root": {"properties": {"value": {"type": "string"}, "next": {}}}}}


def test_any_pointer_within_the_document_is_followed() -> None:
    schema = {"properties": {"a": {"anyOf": [{"type": "string"}, True]}, "b c": {"$ref": "#/properties/a/anyOf/0"}}}
    assert resolve_references(schema)["properties"]["b c"] == {"type": "string"}
    spaced = {"properties": {"x": {"$ref": "#/%24defs/one%20two"}}, "$defs": {"one two": {"type": "null"}}}
    assert resolve_references(spaced)["properties"]["x"] == {"type": "null"}
    boolean = {"properties": {"x": {"$ref": "#/$defs/never"}}, "$defs": {"never": False}}
    assert resolve_references(boolean)["properties"]["x"] == {"not": {}}


@pytest.mark.parametrize("reference", ["other.json", "http://127.0.0.1/x", "#anchor", "#/$defs/missing", "#/type/9"])
def test_a_reference_elsewhere_or_to_nothing_is_refused(reference: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is not followed|points to nothing"):
        resolve_references({"type": ["string"], "properties": {"a": {"$ref": reference}}})


def test_a_document_that_grows_without_end_is_refused() -> None:
    doubling = {
        f"d{level}": {"properties": {side: {"$ref": f"#/$defs/d{level + 1}"} for side in ("l", "r")}}
        for level in range(40)
    }
    with pytest.raises(ConfigurationError, match="more than"):
        resolve_references({"$ref": "#/$defs/d0", "$defs": {**doubling, "d40": {}}})


def test_a_chain_that_is_too_long_is_refused() -> None:
    chain = {f"d{level}": {"items": {"$ref": f"#/$defs/d{level + 1}"}} for level in range(200)}
    with pytest.raises(ConfigurationError, match="nested in one another"):
        resolve_references({"$ref": "#/$defs/d0", "$defs": {**chain, "d200": {}}})


@given(
    st.sampled_from(
        [
            {},
            {"type": "string", "minLength": 3},
            {"type": ["integer"], "enum": [1, 2]},
            {"enum": ["a"]},
            {"const": 1},
            {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            {"oneOf": [{"type": "string"}, {"type": "null"}]},
            {"oneOf": [{"type": "string"}, {"type": "integer"}]},
            {"allOf": [{"type": "string"}]},
            {"type": "object", "anyOf": [{"required": ["a"]}], "properties": {"a": {"type": "string"}}},
            {"not": {"type": "null"}},
        ]
    ),
    st.sampled_from([None, "a", "abc", 1, 2.5, {}, {"a": "x"}, []]),
)
def test_make_nullable_adds_null_and_nothing_else(schema: dict, value: object) -> None:
    before = copy.deepcopy(schema)
    nullable = make_nullable(schema)
    accepts = jsonschema.Draft202012Validator(nullable).is_valid(value)
    assert accepts == (value is None or jsonschema.Draft202012Validator(schema).is_valid(value))
    assert make_nullable(nullable) == nullable
    assert schema == before


def test_make_nullable_keeps_the_simple_form() -> None:
    assert make_nullable({"type": "string"}) == {"type": ["string", "null"]}
    assert make_nullable({"type": ["string", "null"]}) == {"type": ["string", "null"]}


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object", "properties": {"a": {"type": ["null", "string"], "format": "date-time"}}},
        {"type": "number", "minimum": 0, "exclusiveMinimum": True},
        {"type": "number", "exclusiveMinimum": 0},
        {"$schema": "http://json-schema.org/draft-04/schema#", "exclusiveMinimum": True, "minimum": 0},
        {"$schema": "urn:unknown", "type": "string"},
    ],
)
def test_valid_under_any_draft_is_valid(schema: dict) -> None:
    check_schema(schema)


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"type": "objct"}, "/type"),
        ({"properties": {"a": {"type": "strin"}}}, "/properties/a/type"),
        ({"$schema": "https://json-schema.org/draft/2020-12/schema", "exclusiveMinimum": True}, "/exclusiveMinimum"),
        ([], "expected an object"),
    ],
)
def test_an_invalid_schema_is_refused_with_its_path(schema: object, place: str) -> None:
    with pytest.raises(ConfigurationError, match=place):
        check_schema(schema)
