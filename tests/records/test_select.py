from __future__ import annotations

import copy

import jsonschema
from hypothesis import given
from hypothesis import strategies as st

from singerkit.protocol.catalog import CatalogEntry, Metadata, MetadataMapping, Selection, selection_of
from singerkit.records.select import prune_schema
from singerkit.schema.walk import walk


def without(*breadcrumbs: tuple[str, ...]) -> Selection:
    return Selection(excluded=frozenset(breadcrumbs))


def test_deselected_properties_are_gone_and_no_longer_asked_for() -> None:
    schema = {
        "type": "object",
        "properties": {"id": {"type": "integer"}, "secret": {"type": "string"}, "hint": {"type": "string"}},
        "required": ["id", "secret"],
        "dependentRequired": {"secret": ["id"], "hint": ["secret", "id"]},
        "minProperties": 2,
    }
    before = copy.deepcopy(schema)
    assert prune_schema(schema, without(("properties", "secret"))) == {
        "type": "object",
        "properties": {"id": {"type": "integer"}, "hint": {"type": "string"}},
        "required": ["id"],
        "dependentRequired": {"hint": ["id"]},
        "additionalProperties": False,
    }
    assert schema == before


def test_required_goes_when_nothing_is_left_in_it() -> None:
    schema = {"properties": {"a": {}, "b": {}}, "required": ["a"]}
    assert "required" not in prune_schema(schema, without(("properties", "a")))


def test_nested_properties_are_pruned_in_objects_arrays_and_branches() -> None:
    person = {"type": "object", "properties": {"name": {"type": "string"}, "mail": {"type": "string"}}}
    schema = {
        "properties": {
            "owner": {"anyOf": [person, {"type": "null"}]},
            "members": {"type": "array", "items": person},
            "author": person,
        }
    }
    pruned = prune_schema(
        schema,
        without(
            ("properties", "owner", "properties", "mail"),
            ("properties", "members", "items", "properties", "mail"),
            ("properties", "author", "properties", "name"),
            ("properties", "author", "properties", "mail"),
        ),
    )
    nameless = {"type": "object", "properties": {"name": {"type": "string"}}, "additionalProperties": False}
    assert pruned == {
        "properties": {
            "owner": {"anyOf": [nameless, {"type": "null"}]},
            "members": {"type": "array", "items": nameless},
            "author": {"type": "object", "properties": {}, "additionalProperties": False},
        }
    }


def test_schemas_that_speak_of_one_object_together_are_not_closed() -> None:
    schema = {
        "properties": {
            "both": {"allOf": [{"properties": {"a": {}, "b": {}}}, {"properties": {"c": {}}, "required": ["a", "c"]}]}
        }
    }
    pruned = prune_schema(schema, without(("properties", "both", "properties", "a")))
    assert pruned["properties"]["both"] == {
        "allOf": [{"properties": {"b": {}}}, {"properties": {"c": {}}, "required": ["c"]}]
    }


def test_a_boolean_required_and_boolean_schemas_are_left_alone() -> None:
    schema = {"properties": {"a": {"type": "string", "required": True}, "b": True, "c": {}}}
    assert prune_schema(schema, without(("properties", "c"))) == {
        "properties": {"a": {"type": "string", "required": True}, "b": True},
        "additionalProperties": False,
    }


names = st.sampled_from(["id", "a", "items", "properties"])
schemas = st.recursive(
    st.sampled_from([{}, {"type": "string"}]),
    lambda inner: st.one_of(
        st.builds(
            lambda properties, required: {"type": "object", "properties": properties, "required": required},
            st.dictionaries(names, inner, min_size=1, max_size=3),
            st.lists(names, max_size=2, unique=True),
        ),
        inner.map(lambda items: {"type": "array", "items": items}),
        inner.map(lambda branch: {"anyOf": [branch, {"type": "null"}]}),
        inner.map(lambda branch: {"allOf": [branch, {"properties": {"a": {}}}]}),
    ),
    max_leaves=10,
)
roots = st.dictionaries(names, schemas, min_size=1, max_size=4).map(
    lambda properties: {"type": "object", "properties": properties, "required": list(properties)}
)
facts = st.builds(
    Metadata,
    st.fixed_dictionaries(
        {},
        optional={
            "selected": st.booleans(),
            "selected-by-default": st.booleans(),
            "inclusion": st.sampled_from(["available", "automatic", "unsupported"]),
        },
    ),
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict, MetadataMapping]:
    schema = draw(roots)
    breadcrumbs = sorted({breadcrumb for breadcrumb, _ in walk(schema) if breadcrumb})
    return schema, MetadataMapping({breadcrumb: draw(facts) for breadcrumb in breadcrumbs})


@given(cases(), st.lists(names, max_size=2))
def test_automatic_always_stays_and_unsupported_never(case: tuple[dict, MetadataMapping], keys: list[str]) -> None:
    schema, metadata = case
    before = copy.deepcopy(schema)
    selection = selection_of(CatalogEntry("s", metadata=metadata), schema, automatic=keys)
    pruned = prune_schema(schema, selection)
    kept = {breadcrumb for breadcrumb, _ in walk(pruned)}
    for name in schema["properties"]:
        facts = metadata["properties", name]
        if facts.inclusion == "unsupported":
            assert ("properties", name) not in kept
        elif name in keys or facts.inclusion == "automatic":
            assert ("properties", name) in kept
    assert not [path for path in kept if path and metadata[path].inclusion == "unsupported" and path[-1] != "items"]
    assert schema == before
    assert prune_schema(pruned, selection) == pruned


@given(cases())
def test_what_is_kept_is_what_the_selection_includes(case: tuple[dict, MetadataMapping]) -> None:
    schema, metadata = case
    selection = selection_of(CatalogEntry("s", metadata=metadata), schema)
    pruned = prune_schema(schema, selection)
    kept = {path for path, _ in walk(pruned)}
    assert {path for path, _ in walk(schema) if selection.includes(path)} <= kept
    for path, part in walk(pruned):
        asked = part.get("required", ())
        assert all(selection.includes((*path, "properties", name)) for name in asked)
    jsonschema.Draft202012Validator.check_schema(pruned)


@given(roots)
def test_when_all_is_selected_the_schema_stays(schema: dict) -> None:
    assert prune_schema(schema, Selection()) == schema
