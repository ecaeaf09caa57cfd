from __future__ import annotations

import json

import jsonschema
import pytest

from singerkit import typing as th

DIALECT = "https://json-schema.org/draft/2020-12/schema"

FORMATS = {
    th.DateTimeType: "date-time",
    th.TimeType: "time",
    th.DateType: "date",
    th.DurationType: "duration",
    th.EmailType: "email",
    th.IDNEmailType: "idn-email",
    th.HostnameType: "hostname",
    th.IDNHostnameType: "idn-hostname",
    th.IPv4Type: "ipv4",
    th.IPv6Type: "ipv6",
    th.UUIDType: "uuid",
    th.URIType: "uri",
    th.IRIType: "iri",
    th.URIReferenceType: "uri-reference",
    th.IRIReferenceType: "iri-reference",
    th.URITemplateType: "uri-template",
    th.JSONPointerType: "json-pointer",
    th.RelativeJSONPointerType: "relative-json-pointer",
    th.RegexType: "regex",
    th.SingerDecimalType: "singer.decimal",
}


@pytest.mark.parametrize(("string_type", "name"), FORMATS.items())
def test_string_formats(string_type: type[th.StringType], name: str) -> None:
    assert string_type.type_dict == {"type": ["string"], "format": name}
    assert string_type(nullable=True).to_dict() == {"type": ["string", "null"], "format": name}


@pytest.mark.parametrize(
    ("built", "expected"),
    [
        (th.StringType, {"type": ["string"]}),
        (th.BooleanType, {"type": ["boolean"]}),
        (th.IntegerType, {"type": ["integer"]}),
        (th.NumberType, {"type": ["number"]}),
        (th.DecimalType, {"type": ["number"]}),
        (th.AnyType, {}),
        (th.NullType, {"type": "null"}),
        (th.ObjectType, {"type": "object", "properties": {}, "additionalProperties": True}),
    ],
)
def test_a_class_is_as_good_as_an_instance(built: type[th.JSONTypeHelper], expected: dict) -> None:
    assert built.type_dict == built().type_dict == built().to_dict() == expected


@pytest.mark.parametrize(
    ("built", "expected"),
    [
        (
            th.StringType(min_length=0, max_length=3, pattern="^a", allowed_values=["a"], examples=["a"]),
            {
                "type": ["string"],
                "minLength": 0,
                "maxLength": 3,
                "pattern": "^a",
                "enum": ["a"],
                "examples": ["a"],
            },
        ),
        (
            th.IntegerType(minimum=0, maximum=9, exclusive_minimum=-1, exclusive_maximum=10, multiple_of=3),
            {
                "type": ["integer"],
                "minimum": 0,
                "maximum": 9,
                "exclusiveMinimum": -1,
                "exclusiveMaximum": 10,
                "multipleOf": 3,
            },
        ),
        (th.BooleanType(nullable=True, allowed_values=[True]), {"type": ["boolean", "null"], "enum": [True]}),
        (th.ArrayType(th.StringType), {"type": "array", "items": {"type": ["string"]}}),
        (
            th.ArrayType(th.IntegerType(minimum=1), nullable=True, examples=[[1]]),
            {"type": ["array", "null"], "items": {"type": ["integer"], "minimum": 1}, "examples": [[1]]},
        ),
        (th.AnyType(examples=[1]), {"examples": [1]}),
        (th.Constant("a"), {"const": "a"}),
        (th.CustomType({"type": "string", "x": 1}), {"type": "string", "x": 1}),
        (th.AnyOf(th.StringType, th.NullType()), {"anyOf": [{"type": ["string"]}, {"type": "null"}]}),
        (th.OneOf(th.StringType, th.IntegerType), {"oneOf": [{"type": ["string"]}, {"type": ["integer"]}]}),
        (th.AllOf(th.StringType, th.AnyType), {"allOf": [{"type": ["string"]}, {}]}),
    ],
)
def test_types(built: th.JSONTypeHelper, expected: dict) -> None:
    assert built.to_dict() == expected
    assert json.loads(built.to_json(indent=2)) == expected


@pytest.mark.parametrize(
    ("built", "expected"),
    [
        (th.Property("p", th.StringType), {"type": ["string", "null"]}),
        (th.Property("p", th.StringType, required=True), {"type": ["string"]}),
        (th.Property("p", th.StringType, True, nullable=True), {"type": ["string", "null"]}),
        (th.Property("p", th.StringType(nullable=True), required=True), {"type": ["string", "null"]}),
        (th.Property("p", th.ArrayType(th.DateType)), {"type": ["array", "null"], "items": th.DateType.type_dict}),
        (th.Property("p", th.BooleanType, default=False), {"type": ["boolean", "null"], "default": False}),
        (th.Property("p", th.IntegerType, False, 0, "", title=""), {"type": ["integer", "null"], "default": 0}),
        (th.Property("p", th.StringType, secret=True), {"type": ["string", "null"], "secret": True, "writeOnly": True}),
        (th.Property("p", th.StringType, allowed_values=["a"]), {"type": ["string", "null"], "enum": ["a"]}),
        (th.Property("p", th.StringType, allowed_values=[], examples=[]), {"type": ["string", "null"]}),
        (
            th.Property("p", th.StringType, title="T", description="D", examples=["e"], deprecated=True, example="x"),
            {
                "type": ["string", "null"],
                "title": "T",
                "description": "D",
                "examples": ["e"],
                "deprecated": True,
                "example": "x",
            },
        ),
        (th.Property("p", th.StringType, required=True, deprecated=False), {"type": ["string"], "deprecated": False}),
        (th.Property("p", th.AnyType), {}),
        (th.Property("p", th.Constant(1)), {"const": 1}),
        (th.Property("p", th.NullType), {"type": "null"}),
        (
            th.Property("p", th.CustomType({"type": "string"}), description="D"),
            {"type": ["string", "null"], "description": "D"},
        ),
        (
            th.Property("p", th.OneOf(th.StringType, th.IntegerType)),
            {"oneOf": [{"type": ["string"]}, {"type": ["integer"]}, {"type": "null"}]},
        ),
        (
            th.Property("p", th.AnyOf(th.StringType, th.IntegerType)),
            {"anyOf": [{"type": ["string"]}, {"type": ["integer"]}, {"type": "null"}]},
        ),
        (th.Property("p", th.AllOf(th.StringType)), {"allOf": [{"type": ["string"]}]}),
    ],
)
def test_properties(built: th.Property, expected: dict) -> None:
    assert built.to_dict() == {"p": expected}


def test_objects() -> None:
    built = th.ObjectType(
        th.Property("id", th.IntegerType, required=True, requires_properties=["name"]),
        th.Property("name", th.StringType),
        additional_properties=th.NumberType,
        pattern_properties={"^x_": th.BooleanType()},
        nullable=True,
    )
    assert built.to_dict() == {
        "type": ["object", "null"],
        "properties": {"id": {"type": ["integer"]}, "name": {"type": ["string", "null"]}},
        "required": ["id"],
        "dependentRequired": {"id": ["name"]},
        "additionalProperties": {"type": ["number"]},
        "patternProperties": {"^x_": {"type": ["boolean"]}},
    }
    assert th.ObjectType(additional_properties=False).to_dict()["additionalProperties"] is False
    assert th.ObjectType(additional_properties=None).to_dict() == {"type": "object", "properties": {}}


def test_a_schema_with_objects_in_arrays() -> None:
    built = th.PropertiesList(
        th.Property("id", th.StringType, required=True),
        th.Property("lines", th.ArrayType(th.ObjectType(th.Property("price", th.NumberType, required=True)))),
        additional_properties=False,
    )
    assert built.to_dict() == {
        "type": "object",
        "properties": {
            "id": {"type": ["string"]},
            "lines": {
                "type": ["array", "null"],
                "items": {
                    "type": "object",
                    "properties": {"price": {"type": ["number"]}},
                    "required": ["price"],
                    "additionalProperties": True,
                },
            },
        },
        "required": ["id"],
        "additionalProperties": False,
        "$schema": DIALECT,
    }


def test_a_list_of_properties_grows_and_is_iterated() -> None:
    built = th.PropertiesList(th.Property("a", th.StringType))
    built.append(th.Property("b", th.IntegerType, required=True))
    built.append(th.Property("a", th.BooleanType))
    assert [one.name for one in built] == ["a", "b"]
    assert [(name, one.optional) for name, one in built.items()] == [("a", True), ("b", False)]
    assert (
        th.PropertiesList(*built).to_dict()
        == built.to_dict()
        == {
            "type": "object",
            "properties": {"a": {"type": ["boolean", "null"]}, "b": {"type": ["integer"]}},
            "required": ["b"],
            "$schema": DIALECT,
        }
    )


def test_a_discriminated_union() -> None:
    built = th.DiscriminatedUnion(
        "species",
        cat=th.ObjectType(th.Property("purrs", th.BooleanType), additional_properties=False),
        dog=th.ObjectType(pattern_properties={"^x": th.StringType}),
    )

    def species(name: str) -> dict:
        return {"const": name, "description": f"Discriminator for object of type '{name}'."}

    assert built.to_dict() == {
        "oneOf": [
            {
                "type": "object",
                "properties": {"species": species("cat"), "purrs": {"type": ["boolean", "null"]}},
                "required": ["species"],
                "additionalProperties": False,
            },
            {
                "type": "object",
                "properties": {"species": species("dog")},
                "required": ["species"],
                "additionalProperties": True,
                "patternProperties": {"^x": {"type": ["string"]}},
            },
        ]
    }


def test_every_result_is_a_new_dict() -> None:
    given = {"type": "object", "properties": {}}
    allowed = ["a"]
    built = th.PropertiesList(
        th.Property("custom", th.CustomType(given), default={"x": []}),
        th.Property("choice", th.StringType(allowed_values=allowed), examples=allowed),
    )
    first = built.to_dict()
    expected = json.loads(json.dumps(first))
    first["properties"]["custom"]["properties"]["new"] = {}
    first["properties"]["custom"]["default"]["x"].append(1)
    first["properties"]["choice"]["enum"].append("b")
    first["properties"]["choice"]["examples"].append("b")
    assert built.to_dict() == expected
    assert given == {"type": "object", "properties": {}}
    assert allowed == ["a"]


def test_append_type_adds_a_type_once() -> None:
    given = {"type": "string"}
    assert th.append_type(given, "null") == {"type": ["string", "null"]}
    assert given == {"type": "string"}
    assert th.append_type({"type": ["string", "null"]}, "null") == {"type": ["string", "null"]}
    assert th.append_type({"enum": [1]}, "null") == {"enum": [1]}
    nullable_branch = {"oneOf": [{"type": ["string", "null"]}, {"type": "integer"}]}
    assert th.append_type(nullable_branch, "null") == nullable_branch


def test_an_optional_choice_of_types_is_a_valid_schema_that_takes_null() -> None:
    for choice in (th.AnyOf, th.OneOf):
        schema = th.PropertiesList(
            th.Property("plain", choice(th.StringType, th.IntegerType)),
            th.Property("nullable", choice(th.StringType(nullable=True), th.IntegerType)),
        ).to_dict()
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate({"plain": None, "nullable": None}, schema, jsonschema.Draft202012Validator)


def test_a_type_of_ones_own() -> None:
    class Money(th.JSONTypeHelper):
        @th.DefaultInstanceProperty
        def type_dict(self) -> dict:
            return {"type": ["string"], "pattern": r"^\d+\.\d\d$"}

    class Phone(th.StringType):
        string_format = "phone"

    built = th.PropertiesList(th.Property("price", Money), th.Property("phones", th.ArrayType(Phone)))
    assert built.to_dict()["properties"] == {
        "price": {"type": ["string", "null"], "pattern": r"^\d+\.\d\d$"},
        "phones": {"type": ["array", "null"], "items": {"type": ["string"], "format": "phone"}},
    }
    assert Money.type_dict == Money().to_dict()
    assert th.ArrayType[Money] is not None


def test_a_type_that_needs_arguments_says_so() -> None:
    with pytest.raises(TypeError, match=r"ArrayType needs arguments, for instance ArrayType\(th.StringType\)"):
        th.Property("tags", th.ArrayType).to_dict()
    with pytest.raises(NotImplementedError, match="JSONTypeHelper has no type_dict"):
        th.JSONTypeHelper().to_dict()


#: What published connectors import from the module of this name in the SDK that they were written for.
NAMES_IN_USE = [
    "AllOf",
    "AnyOf",
    "AnyType",
    "ArrayType",
    "BooleanType",
    "Constant",
    "CustomType",
    "DateTimeType",
    "DateType",
    "DecimalType",
    "DefaultInstanceProperty",
    "DiscriminatedUnion",
    "DurationType",
    "EmailType",
    "HostnameType",
    "IDNEmailType",
    "IDNHostnameType",
    "IPv4Type",
    "IPv6Type",
    "IRIReferenceType",
    "IRIType",
    "IntegerType",
    "JSONPointerType",
    "JSONTypeHelper",
    "NullType",
    "NumberType",
    "ObjectType",
    "OneOf",
    "PropertiesList",
    "Property",
    "RegexType",
    "RelativeJSONPointerType",
    "SingerDecimalType",
    "StringType",
    "TimeType",
    "URIReferenceType",
    "URITemplateType",
    "URIType",
    "UUIDType",
    "append_type",
]


@pytest.mark.parametrize("name", NAMES_IN_USE)
def test_the_names_that_connectors_use_are_there(name: str) -> None:
    assert getattr(th, name).__module__ == "singerkit.typing"


def test_types_may_be_subscripted_where_annotations_and_base_classes_want_it() -> None:
    class Percent(th.JSONTypeHelper[float]):
        @th.DefaultInstanceProperty
        def type_dict(self) -> dict:
            return {"type": ["number"], "maximum": 100}

    listed = th.ArrayType(Percent)
    assert th.Property[float]("share", Percent, required=True).to_dict() == {"share": Percent.type_dict}
    assert listed.type_dict["items"] == {"type": ["number"], "maximum": 100}
    assert isinstance(Percent(), th.JSONTypeHelper)
