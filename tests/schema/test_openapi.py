from __future__ import annotations

import copy
import json
from typing import NamedTuple

import jsonschema
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from singerkit import OpenAPISchema, Stream, StreamSchema, Tap
from singerkit.errors import DiscoveryError
from singerkit.schema import openapi_references
from singerkit.schema.openapi import OpenAPISchemaNormalizer
from singerkit.schema.refs import check_schema


def document(paths=None, **schemas):
    return {"openapi": "3.1.0", "paths": paths or {}, "components": {"schemas": schemas}}


def ref(name):
    return {"$ref": f"#/components/schemas/{name}"}


def schema_of(key="Thing", keys=(), /, **schemas):
    """Give what a stream would get, checked to be valid JSON Schema."""
    source = document(**schemas)
    before = copy.deepcopy(source)
    schema = OpenAPISchema(source).get_schema(key, key_properties=keys)
    assert source == before, "the document stays as it is"
    check_schema(schema)
    assert "$ref" not in json.dumps(schema)
    return schema


def properties_of(**schemas):
    return schema_of(**schemas)["properties"]


ADDRESS = {"type": "object", "properties": {"city": {"type": "string"}}}
NULLABLE_ADDRESS = {"type": ["object", "null"], "properties": {"city": {"type": ["string", "null"]}}}


def test_references_are_followed_and_properties_may_be_null():
    thing = {"type": "object", "properties": {"id": {"type": "integer"}, "home": ref("Address")}}
    assert schema_of("Thing", ["id"], Thing=thing, Address=ADDRESS) == {
        "type": "object",
        "properties": {"id": {"type": "integer"}, "home": NULLABLE_ADDRESS},
    }


@pytest.mark.parametrize(
    "home",
    [
        {**ADDRESS, "nullable": True},
        {"nullable": True, "allOf": [ref("Address")]},
        {**ref("Address"), "nullable": True, "x-owner": "me"},
        {"anyOf": [ref("Address"), {"type": "null"}]},
        {"oneOf": [{"type": "null"}, ref("Address")]},
        {**ADDRESS, "type": ["object", "null"]},
        {"properties": ADDRESS["properties"]},
        {**ADDRESS, "x-nullable": True},
        {"oneOf": [ref("Address")], "nullable": True},
    ],
)
def test_all_ways_to_say_that_it_may_be_null(home):
    listed = {"type": "array", "items": home}
    found = properties_of(Thing={"type": "object", "properties": {"home": home, "list": listed}}, Address=ADDRESS)
    assert found["home"] == NULLABLE_ADDRESS
    if "null" in json.dumps(home).lower().replace('"x-nullable": false', ""):
        assert found["list"]["items"] == NULLABLE_ADDRESS
    else:
        assert found["list"]["items"]["type"] == "object", "the items of a list are as the document says"


def test_all_of_is_merged():
    base = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}, "a": {"type": "number"}}}
    more = {
        "type": "object",
        "required": ["b"],
        "additionalProperties": False,
        "properties": {"a": {"type": "integer", "description": "whole"}, "b": {"allOf": [ref("Address")]}},
    }
    schema = schema_of(Thing={"allOf": [ref("Base"), more], "description": "A thing"}, Base=base, Address=ADDRESS)
    assert schema == {
        "type": "object",
        "description": "A thing",
        "required": ["id", "b"],
        "properties": {
            "id": {"type": ["integer", "null"]},
            "a": {"type": ["integer", "null"], "description": "whole"},
            "b": NULLABLE_ADDRESS,
        },
    }


@pytest.mark.parametrize(
    ("parts", "types"),
    [
        ([{"type": "integer"}, {"type": "number"}], ["integer", "null"]),
        ([{"type": "number"}, {"type": "integer"}], ["integer", "null"]),
        ([{"type": ["string", "integer"]}, {"type": ["integer", "boolean"]}], ["integer", "null"]),
        ([{"type": "string"}, {"description": "a note"}], ["string", "null"]),
        ([{"type": "string"}, {"type": "boolean"}], ["boolean", "null"]),
    ],
)
def test_types_of_all_of(parts, types):
    assert properties_of(Thing={"properties": {"v": {"allOf": parts}}})["v"]["type"] == types


def test_alternatives_become_one_schema():
    value = {
        "oneOf": [
            {"type": "string", "format": "uuid"},
            {"type": "integer", "minimum": 3},
            {"type": "number", "minimum": 4},
            {"type": "array", "items": {"type": "integer"}},
            {"type": "array", "items": {"type": "string"}},
            ref("Address"),
            {"type": "object", "properties": {"city": {"type": "integer"}, "zip": {"type": "string"}}},
        ]
    }
    assert properties_of(Thing={"type": "object", "properties": {"v": value}}, Address=ADDRESS)["v"] == {
        "type": ["string", "number", "array", "object", "null"],
        "format": "uuid",
        "items": {"type": ["string", "integer"]},
        "properties": {"city": {"type": ["string", "integer", "null"]}, "zip": {"type": ["string", "null"]}},
    }


def test_an_alternative_that_says_nothing_allows_anything():
    assert properties_of(Thing={"properties": {"v": {"anyOf": [{"type": "string"}, {}]}}})["v"] == {}


PET = {
    "type": "object",
    "required": ["kind"],
    "properties": {"kind": {"type": "string"}, "name": {"type": "string"}},
    "discriminator": {"propertyName": "kind", "mapping": {"cat": "#/components/schemas/Cat"}},
}
CAT = {"allOf": [ref("Pet"), {"type": "object", "properties": {"lives": {"type": "integer"}}}]}
DOG = {"allOf": [ref("Pet"), {"properties": {"tricks": {"type": "array", "items": ref("Pet")}}}]}
PUPPY = {"allOf": [ref("Dog"), {"properties": {"weeks": {"type": "integer"}}}]}


def test_a_discriminated_schema_stands_for_its_subtypes_and_theirs():
    schemas = {"Pet": PET, "Cat": CAT, "Dog": DOG, "Puppy": PUPPY}
    pet = schema_of("Pet", **schemas)
    assert list(pet["properties"]) == ["kind", "name", "lives", "tricks", "weeks"]
    assert pet["required"] == ["kind"]
    assert pet["properties"]["tricks"]["items"] == {"type": "object"}, "cut where it comes again"
    assert list(schema_of("Cat", **schemas)["properties"]) == ["kind", "name", "lives"]
    holder = schema_of("Holder", Holder={"properties": {"pets": {"items": ref("Pet")}}}, **schemas)
    assert "weeks" in holder["properties"]["pets"]["items"]["properties"]


def test_a_discriminator_over_listed_alternatives():
    cat = {"type": "object", "properties": {"kind": {"const": "cat"}, "lives": {"type": "integer"}}}
    dog = {"type": "object", "properties": {"kind": {"enum": ["dog"]}}}
    pet = {"oneOf": [ref("Cat"), ref("Dog")], "discriminator": {"propertyName": "kind"}}
    assert schema_of("Pet", Pet=pet, Cat=cat, Dog=dog)["properties"] == {
        "kind": {"type": ["string", "null"], "examples": ["cat", "dog"]},
        "lives": {"type": ["integer", "null"]},
    }


def test_an_alternative_may_extend_what_it_is_an_alternative_of():
    pet = {"type": "object", "properties": {"name": {"type": "string"}}, "oneOf": [ref("Cat")]}
    assert list(schema_of("Pet", Pet=pet, Cat=CAT)["properties"]) == ["name", "lives"]


def test_circles_are_cut_where_they_close():
    person = {"type": "object", "properties": {"boss": ref("Person"), "team": {"type": "array", "items": ref("Team")}}}
    team = {"type": "object", "properties": {"members": {"type": "array", "items": ref("Person")}}}
    found = properties_of(Thing={"properties": {"who": ref("Person")}}, Person=person, Team=team)["who"]["properties"]
    assert found["boss"] == {"type": ["object", "null"]}
    assert found["team"]["items"]["properties"]["members"] == {"type": ["array", "null"], "items": {"type": "object"}}


def test_what_is_only_written_is_left_out_and_what_is_only_read_stays():
    thing = {
        "type": "object",
        "required": ["password", "id"],
        "properties": {
            "id": {"type": "integer", "readOnly": True},
            "password": {"type": "string", "writeOnly": True},
            "secret": {**ref("Secret")},
        },
    }
    schema = schema_of(Thing=thing, Secret={"type": "string", "writeOnly": True})
    assert schema == {"type": "object", "required": ["id"], "properties": {"id": {"type": ["integer", "null"]}}}


def test_formats_enums_and_bounds_become_json_schema():
    thing = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "big": {"type": "integer", "format": "int64", "minimum": 0, "exclusiveMinimum": True},
            "at": {"type": "string", "format": "date-time", "example": "2024-01-01T00:00:00Z"},
            "url": {"type": "string", "format": "url"},
            "file": {"type": "string", "format": "binary", "pattern": "(?<name>x)"},
            "state": {"type": "string", "enum": ["on", "off", None], "xml": {"name": "s"}},
            "map": {"type": "object", "additionalProperties": {"type": "integer", "format": "int32"}},
        },
    }
    assert properties_of(Thing=thing) == {
        "big": {"type": ["integer", "null"], "exclusiveMinimum": 0},
        "at": {"type": ["string", "null"], "format": "date-time"},
        "url": {"type": ["string", "null"], "format": "uri"},
        "file": {"type": ["string", "null"]},
        "state": {"type": ["string", "null"], "examples": ["on", "off"]},
        "map": {"type": ["object", "null"], "additionalProperties": {"type": "integer"}},
    }


def test_properties_may_have_the_names_of_keywords():
    thing = {"type": "object", "properties": {"$ref": {"type": "string"}, "nullable": {"type": "boolean"}, "enum": {}}}
    assert OpenAPISchema(document(Thing=thing)).get_schema("Thing")["properties"] == {
        "$ref": {"type": ["string", "null"]},
        "nullable": {"type": ["boolean", "null"]},
        "enum": {},
    }


def test_swagger_2():
    spec = {
        "swagger": "2.0",
        "definitions": {
            "Pet": {"type": "object", "discriminator": "kind", "properties": {"kind": {"type": "string"}}},
            "Cat": {"allOf": [{"$ref": "#/definitions/Pet"}, {"properties": {"photo": {"type": "file"}}}]},
        },
    }
    source = OpenAPISchema(spec)
    assert source.spec_version == "v2"
    assert source.get_schema("Pet")["properties"].keys() == {"kind", "photo"}
    assert source.get_schema("Cat")["properties"]["photo"] == {"type": ["string", "null"]}


PATHS = {
    "/users": {
        "get": {
            "responses": {
                "200": {"content": {"application/json": {"schema": {"type": "array", "items": ref("Address")}}}},
                "default": {"$ref": "#/components/responses/Failed"},
            }
        }
    }
}
ANSWER = "#/paths/~1users/get/responses/200/content/application~1json/schema"


def test_a_pointer_is_a_key_and_a_list_stands_for_its_items():
    source = OpenAPISchema(document(PATHS, Address=ADDRESS))
    expected = {"type": "object", "properties": {"city": {"type": ["string", "null"]}}}
    assert source.get_schema(ANSWER) == source.get_schema(f"{ANSWER}/items") == expected
    # A pointer goes through references.
    assert source.get_schema(f"{ANSWER}/items/properties/city") == {"type": "string"}


def test_statuses_may_be_numbers_where_the_document_is_a_dict():
    paths = {"/users": {"get": {"responses": {200: {"schema": ADDRESS}}}}}
    source = OpenAPISchema(document(paths))
    assert source.get_schema("#/paths/~1users/get/responses/200/schema")["type"] == "object"


def test_keys_of_ones_own():
    """The shape in which existing connectors override it."""

    class Key(NamedTuple):
        path: str
        method: str

    class FromPath(OpenAPISchema[Key]):
        def get_unresolved_schema(self, key):
            paths = self.spec["paths"].get(key.path, {})
            answer = paths.get(key.method, {}).get("responses", {}).get("200")
            return answer and answer["content"]["application/json"]["schema"]

        def fetch_schema(self, key):
            schema = super().fetch_schema(key)["items"]
            schema["properties"]["branch"] = {"type": "string"}
            return schema

    class ByPath(StreamSchema[Key]):
        def get_stream_schema(self, stream, stream_class):
            return self.schema_source.get_schema(Key(stream.path, "get"))

    class Users(Stream):
        name = "users"
        path = "/users"
        schema = ByPath(FromPath(document(PATHS, Address=ADDRESS)))

    class TapX(Tap):
        name = "tap-x"

        def discover_streams(self):
            return [Users(self)]

    assert TapX().streams["users"].schema["properties"].keys() == {"city", "branch"}
    source = FromPath("never read")
    source.spec = document(PATHS, Address=ADDRESS)
    assert "items" in source.resolve_schema(Key("/users", "get")), "fetch_schema has the answer as the document says it"
    with pytest.raises(DiscoveryError, match="has no schema where get_unresolved_schema looks"):
        source.get_schema(Key("/nope", "get"))


def test_fetch_schema_is_resolved_and_as_the_document_says_else():
    source = OpenAPISchema(document(Thing={"properties": {"s": ref("S")}}, S={"type": "string", "enum": ["a"]}))
    first = source.fetch_schema("Thing")
    assert first == {"properties": {"s": {"type": "string", "enum": ["a"]}}}
    first["properties"]["s"]["enum"].append("")
    assert source.fetch_schema("Thing")["properties"]["s"]["enum"] == ["a"]


def test_another_preprocessor():
    class Keep:
        def preprocess_schema(self, schema, *, key_properties=()):
            return {**schema, "title": "kept"}

    source = OpenAPISchema(document(Thing={"enum": ["a"]}), preprocessor=Keep())
    assert source.get_schema("Thing") == {"enum": ["a"], "title": "kept"}


def test_it_is_resolved_once_a_stream(monkeypatch):
    resolved = []

    class Counting(OpenAPISchema):
        def resolve_schema(self, key):
            resolved.append(key)
            return super().resolve_schema(key)

    class Things(Stream):
        name = "Thing"
        schema = StreamSchema(Counting(document(Thing=ADDRESS)))

        def get_records(self, context):
            yield from ({"city": self.schema["properties"]["city"]["type"][0]} for _ in range(500))

    class TapX(Tap):
        name = "tap-x"

        def discover_streams(self):
            return [Things(self)]

    assert TapX().run_connection_test()
    assert resolved == ["Thing"]


@pytest.mark.parametrize(
    ("key", "schemas", "message"),
    [
        ("Thin", {"Thing": {}}, r"has no schema '#/components/schemas/Thin'; did you mean Thing\?"),
        ("users", {"Thing": {}, "A": {}}, "the key is the stream's name, .* it has: A, Thing"),
        (
            "A",
            {"A": ref("B"), "B": {"allOf": [ref("A")]}},
            r"'#/components/schemas/A' refers to itself .*A > .*B > .*A",
        ),
        ("A", {"A": {"properties": {"b": ref("B")}}}, "'#/components/schemas/B' points to nothing"),
        ("A", {"A": {"$ref": "https://example.com/a.json"}}, r"'https://example.com/a.json' leads out of the document"),
        ("A", {"A": {"items": {"$ref": "other.yaml#/B"}}}, "bundle the documents"),
        ("#/info/nope", {}, "'#/info/nope' points to nothing"),
    ],
)
def test_mistakes_name_document_and_pointer(tmp_path, key, schemas, message):
    (tmp_path / "api.json").write_text(json.dumps(document(**schemas)))
    with pytest.raises(DiscoveryError, match=message) as caught:
        OpenAPISchema(tmp_path / "api.json").get_schema(key)
    assert "api.json" in str(caught.value)


def test_a_document_of_another_kind(tmp_path):
    (tmp_path / "api.json").write_text('{"asyncapi": "3.0.0"}')
    with pytest.raises(DiscoveryError, match=r"api\.json' is no OpenAPI document"):
        OpenAPISchema(tmp_path / "api.json").get_schema("A")


def test_a_document_that_would_grow_without_end_says_how_to_bound_it(monkeypatch):
    monkeypatch.setattr(openapi_references, "MAX_RESOLVED_SCHEMAS", 2000)
    names = [f"T{number}" for number in range(12)]
    schemas = {name: {"type": "object", "properties": {other: ref(other) for other in names}} for name in names}
    with pytest.raises(DiscoveryError, match="max_reference_depth"):
        OpenAPISchema(document(**schemas)).get_schema("T0")
    bounded = OpenAPISchema(document(**schemas), max_reference_depth=2).get_schema("T0")
    assert bounded["properties"]["T1"]["properties"]["T2"] == {"type": ["object", "null"]}


def test_yaml_documents(tmp_path):
    (tmp_path / "api.yaml").write_text(
        "openapi: 3.0.3\ncomponents:\n  schemas:\n    Thing:\n      type: object\n      properties:\n"
        "        day: {type: string, format: date, example: 2024-01-01}\n"
    )
    schema = OpenAPISchema(tmp_path / "api.yaml").get_schema("Thing")
    assert schema["properties"]["day"] == {"type": ["string", "null"], "format": "date"}


def test_what_one_alternative_forbids_and_another_allows_is_allowed():
    alternatives = [
        {"type": "object", "required": ["x", "y"], "properties": {"x": {"type": "string", "maxLength": 3}, "y": {}}},
        {"type": "object", "required": ["x"], "properties": {"x": {"type": "string"}}},
    ]
    schema = schema_of(Thing={"anyOf": alternatives})
    assert schema == {"type": "object", "required": ["x"], "properties": {"x": {"type": ["string", "null"]}, "y": {}}}


# What the result allows: everything that the document allows.

SCALARS = [
    ({"type": "string"}, ["a", "ccc"]),
    ({"type": "string", "maxLength": 2}, ["a", "bb"]),
    ({"type": "string", "enum": ["a", "bb"]}, ["bb"]),
    ({"type": "integer"}, [0, -7]),
    ({"type": "integer", "minimum": 5}, [5]),
    ({"type": "number", "maximum": 1}, [0.5, -7]),
    ({"type": "boolean"}, [True]),
    ({"type": "null"}, [None]),
    ({"const": "a"}, ["a"]),
    ({"type": ["string", "null"]}, [None, "b"]),
    ({}, [1, "x", None]),
]


@st.composite
def _scalar(draw):
    schema, values = draw(st.sampled_from(SCALARS))
    return schema, draw(st.sampled_from(values))


@st.composite
def _object(draw, member):
    members = draw(st.dictionaries(st.sampled_from("xyz"), member, max_size=3))
    value = {name: inner for name, (_, inner) in members.items() if draw(st.booleans())}
    return {
        "type": "object",
        "properties": {name: schema for name, (schema, _) in members.items()},
        "required": [name for name in value if draw(st.booleans())],
        # Closed, as a description is meant: a property that an alternative does not name is not there.
        "additionalProperties": False,
    }, value


@st.composite
def _list(draw, member):
    schema, value = draw(member)
    return {"type": "array", "items": schema}, draw(st.sampled_from([[], [value], [value, value]]))


@st.composite
def _combination(draw, member):
    parts = draw(st.lists(member, min_size=1, max_size=3))
    keyword = draw(st.sampled_from(["anyOf", "oneOf", "allOf"]))
    return {keyword: [schema for schema, _ in parts]}, draw(st.sampled_from(parts))[1]


_schema_with_value = st.recursive(
    _scalar(), lambda member: st.one_of(_object(member), _list(member), _combination(member)), max_leaves=8
)


@given(_schema_with_value)
def test_what_fits_the_document_fits_the_result(pair):
    schema, value = pair
    whole = {"type": "object", "properties": {"v": schema}}
    result = OpenAPISchemaNormalizer().normalize_schema(whole)
    check_schema(result)
    text = json.dumps(result)
    assert not any(f'"{keyword}":' in text for keyword in ("allOf", "anyOf", "oneOf", "enum", "const"))
    # oneOf and allOf may refuse what one of their parts takes.
    assume(jsonschema.Draft202012Validator(whole).is_valid({"v": value}))
    jsonschema.validate({"v": value}, result)
