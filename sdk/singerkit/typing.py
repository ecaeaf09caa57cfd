"""Builders of JSON Schema, by the names that authors know: ``from singerkit import typing as th``.

A type may be given as a class or as an instance, ``th.StringType`` or ``th.StringType(max_length=3)``. What is built
is what catalogs of existing taps hold, with one exception, see ``append_type``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, ItemsView, Iterator, Mapping, Sequence
from copy import deepcopy
from types import GenericAlias
from typing import Any, ClassVar, TypeAlias

JSON_SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def append_type(type_dict: dict[str, Any], new_type: str) -> dict[str, Any]:
    """Give a copy of a schema that also allows a type, for instance "null"; one that names no types stays as it is.

    In anyOf and oneOf it becomes a branch, ``{"type": "null"}``, unless a branch allows it already: a bare ``"null"``
    there, as singer-sdk writes it, is no valid schema, and a second match makes oneOf refuse.
    """
    result = deepcopy(type_dict)
    for keyword in ("anyOf", "oneOf"):
        if keyword in result:
            if not any(new_type in _types_in(branch) for branch in result[keyword]):
                result[keyword].append({"type": new_type})
            return result
    types = _types_in(result)
    if types and new_type not in types:
        result["type"] = [*types, new_type]
    return result


def _types_in(schema: Mapping[str, Any]) -> list[str]:
    types = schema.get("type", [])
    return list(types) if isinstance(types, list) else [types]


class DefaultInstanceProperty:
    """A property that works on the class too, where it is read from an instance made without arguments."""

    def __init__(self, fget: Callable[[Any], Any]) -> None:
        self.fget = fget

    def __get__(self, instance: Any, owner: type) -> Any:
        return self.fget(_default_instance(owner) if instance is None else instance)


def _default_instance(owner: type) -> Any:
    try:
        return owner()
    except TypeError as error:
        raise TypeError(
            f"{owner.__name__} needs arguments, for instance {owner.__name__}(th.StringType): {error}"
        ) from error


class JSONTypeHelper:
    """A type; the base of all."""

    def __init__(
        self,
        *,
        allowed_values: Sequence[Any] | None = None,
        examples: Sequence[Any] | None = None,
        nullable: bool | None = None,
    ) -> None:
        self.allowed_values = allowed_values
        self.examples = examples
        self.nullable = nullable

    def __class_getitem__(cls, item: Any) -> GenericAlias:  # `th.ArrayType[th.StringType]` in annotations
        return GenericAlias(cls, item)

    @DefaultInstanceProperty
    def type_dict(self) -> dict[str, Any]:
        """Give the JSON Schema of the type; a type of your own overrides this."""
        return self._schema()

    def _schema(self) -> dict[str, Any]:
        raise NotImplementedError(f"{type(self).__name__} has no type_dict")

    @property
    def extras(self) -> dict[str, Any]:
        """The keywords that any type may have."""
        given = {"enum": self.allowed_values, "examples": self.examples}
        return {keyword: list(values) for keyword, values in given.items() if values}

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON Schema, a new dict each time."""
        return deepcopy(self.type_dict)

    def to_json(self, **kwargs: Any) -> str:
        """Give the JSON Schema as text; ``kwargs`` are those of ``json.dumps``."""
        return json.dumps(self.to_dict(), **kwargs)


TypeLike: TypeAlias = JSONTypeHelper | type[JSONTypeHelper]


class _ScalarType(JSONTypeHelper):
    """A type with one name and some keywords of its own."""

    type_name: ClassVar[str]

    def __init__(self, keywords: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.keywords = {keyword: value for keyword, value in (keywords or {}).items() if value is not None}

    def _schema(self) -> dict[str, Any]:
        types = [self.type_name, "null"] if self.nullable else [self.type_name]
        return {"type": types, **self.keywords, **self.extras}


class StringType(_ScalarType):
    """Text; a subclass may set ``string_format``."""

    type_name = "string"
    string_format: str | None = None

    def __init__(
        self,
        *,
        min_length: int | None = None,
        max_length: int | None = None,
        pattern: str | None = None,
        **kwargs: Any,
    ) -> None:
        lengths = {"maxLength": max_length, "minLength": min_length}
        super().__init__({"format": self.string_format, **lengths, "pattern": pattern}, **kwargs)


class DateTimeType(StringType):
    """An instant: ``2018-11-13T20:20:39+00:00``."""

    string_format = "date-time"


class TimeType(StringType):
    """A time of day: ``20:20:39+00:00``."""

    string_format = "time"


class DateType(StringType):
    """A day: ``2018-11-13``."""

    string_format = "date"


class DurationType(StringType):
    """A length of time: ``P3D``."""

    string_format = "duration"


class EmailType(StringType):
    """An e-mail address."""

    string_format = "email"


class IDNEmailType(StringType):
    """An e-mail address in any script."""

    string_format = "idn-email"


class HostnameType(StringType):
    """A host name."""

    string_format = "hostname"


class IDNHostnameType(StringType):
    """A host name in any script."""

    string_format = "idn-hostname"


class IPv4Type(StringType):
    """An IPv4 address."""

    string_format = "ipv4"


class IPv6Type(StringType):
    """An IPv6 address."""

    string_format = "ipv6"


class UUIDType(StringType):
    """A UUID: ``3e4666bf-d5e5-4aa7-b8ce-cefe41c7568a``."""

    string_format = "uuid"


class URIType(StringType):
    """A URI."""

    string_format = "uri"


class IRIType(StringType):
    """A URI in any script."""

    string_format = "iri"


class URIReferenceType(StringType):
    """A URI, or a part of one."""

    string_format = "uri-reference"


class IRIReferenceType(StringType):
    """A URI in any script, or a part of one."""

    string_format = "iri-reference"


class URITemplateType(StringType):
    """A URI with ``{variables}``."""

    string_format = "uri-template"


class JSONPointerType(StringType):
    """A JSON pointer: ``/a/0/b``."""

    string_format = "json-pointer"


class RelativeJSONPointerType(StringType):
    """A JSON pointer from where one is: ``1/b``."""

    string_format = "relative-json-pointer"


class RegexType(StringType):
    """A regular expression."""

    string_format = "regex"


class SingerDecimalType(StringType):
    """A decimal number as text, exact at any precision."""

    string_format = "singer.decimal"


class BooleanType(_ScalarType):
    """True or false."""

    type_name = "boolean"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)


class _NumericType(_ScalarType):
    """What integers and numbers share."""

    def __init__(
        self,
        *,
        minimum: float | None = None,
        maximum: float | None = None,
        exclusive_minimum: float | None = None,
        exclusive_maximum: float | None = None,
        multiple_of: float | None = None,
        **kwargs: Any,
    ) -> None:
        exclusive = {"exclusiveMinimum": exclusive_minimum, "exclusiveMaximum": exclusive_maximum}
        super().__init__({"minimum": minimum, "maximum": maximum, **exclusive, "multipleOf": multiple_of}, **kwargs)


class IntegerType(_NumericType):
    """A whole number."""

    type_name = "integer"


class DecimalType(_NumericType):
    """A number."""

    type_name = "number"


class NumberType(DecimalType):
    """A number, by its older name."""


class NullType(JSONTypeHelper):
    """Nothing but null."""

    def _schema(self) -> dict[str, Any]:
        return {"type": "null"}


class AnyType(JSONTypeHelper):
    """Anything."""

    def _schema(self) -> dict[str, Any]:
        return self.extras


class Constant(JSONTypeHelper):
    """One value, always the same."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def _schema(self) -> dict[str, Any]:
        return {"const": self.value}


class CustomType(JSONTypeHelper):
    """A JSON Schema of your own."""

    def __init__(self, jsonschema_type_dict: dict[str, Any]) -> None:
        super().__init__()
        self._given = jsonschema_type_dict

    def _schema(self) -> dict[str, Any]:
        return deepcopy(self._given)


class ArrayType(JSONTypeHelper):
    """A list of values of one type."""

    def __init__(self, wrapped_type: TypeLike, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wrapped_type = wrapped_type

    def _schema(self) -> dict[str, Any]:
        return {
            "type": ["array", "null"] if self.nullable else "array",
            "items": self.wrapped_type.type_dict,
            **self.extras,
        }


class _Composition(JSONTypeHelper):
    """Several schemas under one keyword."""

    keyword: ClassVar[str]

    def __init__(self, *types: TypeLike) -> None:
        super().__init__()
        self.wrapped = types

    def _schema(self) -> dict[str, Any]:
        return {self.keyword: [wrapped.type_dict for wrapped in self.wrapped]}


class AnyOf(_Composition):
    """At least one of some types."""

    keyword = "anyOf"


class OneOf(_Composition):
    """Exactly one of some types."""

    keyword = "oneOf"


class AllOf(_Composition):
    """All of some types at once."""

    keyword = "allOf"


class Property(JSONTypeHelper):
    """A named member of an object; null is allowed unless it is required.

    ``secret`` marks credentials; ``requires_properties`` names those that have to be there with it; further keyword
    arguments become JSON Schema keywords. ``to_dict`` gives ``{name: schema}``.
    """

    def __init__(
        self,
        name: str,
        wrapped: TypeLike,
        required: bool = False,
        default: Any = None,
        description: str | None = None,
        secret: bool | None = False,
        allowed_values: Sequence[Any] | None = None,
        examples: Sequence[Any] | None = None,
        *,
        nullable: bool | None = None,
        title: str | None = None,
        deprecated: bool | None = None,
        requires_properties: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(allowed_values=allowed_values or None, examples=examples or None, nullable=nullable)
        self.name = name
        self.wrapped = wrapped
        self.optional = not required
        self.default = default
        self.description = description
        self.secret = secret
        self.title = title
        self.deprecated = deprecated
        self.requires_properties = requires_properties
        self.kwargs = kwargs

    def _schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = self.wrapped.type_dict
        return schema

    def to_dict(self) -> dict[str, Any]:
        """Give ``{name: schema}``, a new dict each time."""
        nullable = self.nullable or self.optional
        schema = append_type(self.type_dict, "null") if nullable else deepcopy(self.type_dict)
        return {self.name: {**schema, **deepcopy(self._annotations())}}

    def _annotations(self) -> dict[str, Any]:
        described = {"title": self.title, "description": self.description}
        stated = {"default": self.default, "deprecated": self.deprecated}
        return {
            **{keyword: text for keyword, text in described.items() if text},
            **{keyword: value for keyword, value in stated.items() if value is not None},
            **({"secret": True, "writeOnly": True} if self.secret else {}),
            **self.extras,
            **self.kwargs,
        }


class ObjectType(JSONTypeHelper):
    """An object with named properties.

    ``additional_properties`` says whether others may be there, or of what type they are; None leaves it unsaid.
    ``pattern_properties`` gives a type by regular expression on the name.
    """

    def __init__(
        self,
        *properties: Property,
        additional_properties: TypeLike | bool | None = True,
        pattern_properties: Mapping[str, TypeLike] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.wrapped = {one.name: one for one in properties}
        self.additional_properties = additional_properties
        self.pattern_properties = pattern_properties

    def _schema(self) -> dict[str, Any]:
        members = self.wrapped.values()
        schema: dict[str, Any] = {
            "type": ["object", "null"] if self.nullable else "object",
            "properties": {name: part for member in members for name, part in member.to_dict().items()},
        }
        if required := [member.name for member in members if not member.optional]:
            schema["required"] = required
        if dependent := {member.name: member.requires_properties for member in members if member.requires_properties}:
            schema["dependentRequired"] = dependent
        return {**schema, **self._openness()}

    def _openness(self) -> dict[str, Any]:
        """Give what is said of properties that are not named."""
        said: dict[str, Any] = {}
        additional = self.additional_properties
        if additional is not None:
            said["additionalProperties"] = additional if isinstance(additional, bool) else additional.type_dict
        if self.pattern_properties:
            said["patternProperties"] = {regex: wrapped.type_dict for regex, wrapped in self.pattern_properties.items()}
        return said


class DiscriminatedUnion(OneOf):
    """Objects told apart by the constant value of one property, ``key``: one option per value."""

    def __init__(self, key: str, **options: ObjectType) -> None:
        self.key = key
        self.options = options
        super().__init__(*(self._option(value, option) for value, option in options.items()))

    def _option(self, value: str, option: ObjectType) -> ObjectType:
        description = f"Discriminator for object of type '{value}'."
        return ObjectType(
            Property(self.key, Constant(value), required=True, description=description),
            *option.wrapped.values(),
            additional_properties=option.additional_properties,
            pattern_properties=option.pattern_properties,
        )


class PropertiesList(ObjectType):
    """The properties of a stream's schema, or the settings of a config."""

    def __init__(self, *properties: Property, additional_properties: TypeLike | bool | None = None, **kw: Any) -> None:
        super().__init__(*properties, additional_properties=additional_properties, **kw)

    def _schema(self) -> dict[str, Any]:
        return {**super()._schema(), "$schema": JSON_SCHEMA_DIALECT}

    def items(self) -> ItemsView[str, Property]:
        """Give (name, property) pairs."""
        return self.wrapped.items()

    def append(self, property: Property) -> None:
        """Add a property, or replace the one of the same name."""
        self.wrapped[property.name] = property

    def __iter__(self) -> Iterator[Property]:
        return iter(self.wrapped.values())
