from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singerkit.schema.walk import format_of, is_nullable, items_of, properties_of, rebuild, spell_out, types_of, walk

NESTED = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
        "owner": {"anyOf": [{"type": "object", "properties": {"mail": {"format": "email"}}}, {"type": "null"}]},
        "open": True,
    },
    "patternProperties": {"^x_": {"type": "number"}},
    "additionalProperties": {"type": "boolean"},
    "$defs": {"properties": {"type": "string"}},
    "enum": [{"properties": {"not": "a schema"}}],
}

schemas = st.recursive(
    st.sampled_from([{}, {"type": "string"}, {"type": ["integer", "null"]}, {"enum": ["a", None]}]),
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from(["a", "items", "properties"]), inner, max_size=3).map(
            lambda found: {"type": "object", "properties": found}
        ),
        inner.map(lambda items: {"type": "array", "items": items}),
        st.lists(inner, min_size=1, max_size=2).map(lambda branches: {"anyOf": branches}),
    ),
    max_leaves=8,
)


def test_walk_gives_every_schema_once_parents_first() -> None:
    assert [breadcrumb for breadcrumb, _ in walk(NESTED)] == [
        (),
        ("properties", "id"),
        ("properties", "tags"),
        ("properties", "tags", "items"),
        ("properties", "tags", "items", "properties", "name"),
        ("properties", "owner"),
        ("properties", "owner"),
        ("properties", "owner", "properties", "mail"),
        ("properties", "owner"),
        ("patternProperties", "^x_"),
        ("additionalProperties",),
        ("$defs", "properties"),
    ]


@given(schemas)
def test_rebuild_that_changes_nothing_gives_an_equal_copy(schema: dict) -> None:
    before = copy.deepcopy(schema)
    rebuilt = rebuild(schema, lambda _, part: part)
    assert rebuilt == schema == before
    assert rebuilt is not schema


@given(schemas)
def test_rebuild_sees_what_walk_sees(schema: dict) -> None:
    seen = []
    rebuild(schema, lambda breadcrumb, part: seen.append(breadcrumb) or part)
    assert sorted(seen) == sorted(breadcrumb for breadcrumb, _ in walk(schema))


def test_rebuild_leaves_the_original_alone() -> None:
    schema = {"properties": {"a": {"type": "string"}, "b": True}, "items": [{"type": "null"}, False]}

    def titled(breadcrumb: tuple[str, ...], part: dict) -> dict:
        part["title"] = "/".join(breadcrumb)
        return part

    assert rebuild(schema, titled) == {
        "properties": {"a": {"type": "string", "title": "properties/a"}, "b": True},
        "items": [{"type": "null", "title": "items"}, False],
        "title": "",
    }
    assert "title" not in schema


@pytest.mark.parametrize(
    ("schema", "types"),
    [
        ({}, set()),
        (True, set()),
        ({"type": "string"}, {"string"}),
        ({"type": ["string", "null"]}, {"string", "null"}),
        ({"anyOf": [{"type": "string"}, {"type": ["integer", "null"]}]}, {"string", "integer", "null"}),
        ({"anyOf": [{"type": "string"}, "null"]}, {"string", "null"}),
        ({"anyOf": [{"type": "string"}, {}]}, set()),
        ({"oneOf": [{"type": "object"}, {"type": "array"}]}, {"object", "array"}),
        ({"type": "object", "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"object"}),
        ({"allOf": [{"type": ["string", "null"]}, {"type": "string"}]}, {"string"}),
        ({"allOf": [{"type": "string"}, {"description": "x"}]}, {"string"}),
        ({"const": 3}, {"integer"}),
        ({"enum": ["a", 1.5, True, None, [], {}]}, {"string", "number", "boolean", "null", "array", "object"}),
        ({"type": "string", "enum": ["a"]}, {"string"}),
    ],
)
def test_types_of(schema: object, types: set[str]) -> None:
    assert types_of(schema) == types


def test_is_nullable() -> None:
    assert is_nullable({})
    assert is_nullable({"anyOf": [{"type": "string"}, {"type": "null"}]})
    assert not is_nullable({"type": ["string"]})


def test_format_of() -> None:
    assert format_of({"type": "string", "format": "date"}) == "date"
    assert format_of({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}) == "date-time"
    assert format_of({"oneOf": [{"format": "date"}, {"format": "time"}]}) is None
    assert format_of({"type": "string"}) is None
    assert format_of(True) is None


def test_boolean_schemas_of_properties_are_spelt_out() -> None:
    schema = {"properties": {"a": True, "b": {"items": {"properties": {"c": False}}}}, "additionalProperties": False}
    assert spell_out(schema) == {
        "properties": {"a": {}, "b": {"items": {"properties": {"c": {"not": {}}}}}},
        "additionalProperties": False,
    }
    assert schema["properties"]["a"] is True


def test_properties_and_items_are_found_in_branches() -> None:
    assert list(properties_of(NESTED)) == ["id", "tags", "owner", "open"]
    assert properties_of(NESTED["properties"]["owner"]) == {"mail": {"format": "email"}}
    assert properties_of({"properties": {"a": {"type": "null"}}, "allOf": [{"properties": {"a": {}, "b": {}}}]}) == {
        "a": {"type": "null"},
        "b": {},
    }
    assert items_of({"anyOf": [{"type": "null"}, {"items": {"type": "string"}}]}) == {"type": "string"}
    assert items_of({"type": "array"}) == {}
