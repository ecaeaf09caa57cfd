"""Making one schema of several: what a value must be that fits all of them, or any of them.

Both give a schema without ``allOf``, ``anyOf`` and ``oneOf``, which is what catalogs and tables can use. Most keywords
of JSON Schema speak of one type only (``properties`` of objects, ``format`` of text), so alternatives of different
types fit into one schema. Where a keyword can't say both, the result allows more, never less.

The schemas that come in are resolved: no ``$ref``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

from singerkit.schema.walk import types_of

if TYPE_CHECKING:
    from singerkit.types import Schema

_NUMBERS = frozenset({"integer", "number"})
_ORDER = ("string", "integer", "number", "boolean", "array", "object", "null")
#: Keywords that a type is known by where it is not declared.
_TELLING = {"properties": "object", "additionalProperties": "object", "items": "array"}


def fit_all(schemas: Iterable[Schema]) -> Schema:
    """Give the schema of a value that fits every one of these; where they disagree about a keyword, the last decides.

    Null is allowed if the last says so: that is how a schema is made nullable that only refers to another.
    """
    return reduce(_both, schemas, {})


def fit_any(schemas: Sequence[Schema]) -> Schema:
    """Give the schema of a value that fits at least one of these; what they don't agree on is left open."""
    typed = [typed_schema(schema) for schema in schemas]
    if not typed or not all(schema.get("type") for schema in typed):
        return {}  # one of them allows anything
    return reduce(_either, typed)


def typed_schema(schema: Schema) -> Schema:
    """Give a copy that says its types as a list, in one order; where it tells them otherwise, they are added."""
    types = set(types_of(schema)) or {kind for keyword, kind in _TELLING.items() if keyword in schema}
    copy = {keyword: value for keyword, value in schema.items() if keyword != "type"}
    return {"type": [name for name in _ORDER if name in types], **copy} if types else copy


def _both(one: Schema, other: Schema) -> Schema:
    merged = {**one, **other}
    if types := _common_types(types_of(one), types_of(other)):
        merged["type"] = [name for name in _ORDER if name in types]
    if "properties" in one and "properties" in other:
        merged["properties"] = _members(one["properties"], other["properties"], lambda a, b: fit_all([a, b]))
    if "required" in one and "required" in other:
        merged["required"] = list(dict.fromkeys([*one["required"], *other["required"]]))
    if isinstance(one.get("items"), dict) and isinstance(other.get("items"), dict):
        merged["items"] = fit_all([one["items"], other["items"]])
    return merged


def _common_types(one: frozenset[str], other: frozenset[str]) -> set[str]:
    if not one or not other:
        return set(one | other)
    common = set(one & other)
    if one & _NUMBERS and other & _NUMBERS and not common & _NUMBERS:
        common.add("integer")
    # What can't be both is a mistake of the document: the later says more.
    return common - {"null"} | (other & {"null"}) if common - {"null"} else set(other)


def _either(one: Schema, other: Schema) -> Schema:
    types = {*one["type"], *other["type"]}
    if types >= _NUMBERS:
        types.discard("integer")
    merged: Schema = {"type": [name for name in _ORDER if name in types]}
    for keyword in dict.fromkeys([*one, *other]):
        if keyword != "type":
            merged.update(_either_keyword(keyword, one, other))
    return merged


def _either_keyword(keyword: str, one: Schema, other: Schema) -> Schema:
    """Give what the union says under one keyword, as a dict: empty where it says nothing."""
    if keyword not in one or keyword not in other:
        given, lacking = (one, other) if keyword in one else (other, one)
        # What lacks the keyword allows what it forbids, if it can be of the type that the keyword speaks of.
        is_open = keyword not in _HARMLESS and _speaks_of(keyword, lacking)
        return {} if is_open else {keyword: given[keyword]}
    first, second = one[keyword], other[keyword]
    if keyword == "properties":
        return {keyword: _members(first, second, lambda a, b: fit_any([a, b]))}
    if keyword == "required":
        common = [name for name in first if name in second]
        return {keyword: common} if common else {}
    if keyword == "examples":
        return {keyword: [*first, *(value for value in second if value not in first)]}
    if keyword == "items" and isinstance(first, dict) and isinstance(second, dict):
        return {keyword: fit_any([first, second])}
    return {keyword: first} if first == second or keyword in _NOTES else {}


def _speaks_of(keyword: str, schema: Schema) -> bool:
    """Say whether a keyword has something to say about a value of a schema's types."""
    types = set(schema["type"])
    return any(keyword in keywords and bool(types & kinds) for kinds, keywords in _KEYWORDS) or not any(
        keyword in keywords for _, keywords in _KEYWORDS
    )


#: Keywords by the types that they speak of (JSON Schema Validation, section 6; Core, section 10.3).
_KEYWORDS: tuple[tuple[frozenset[str], frozenset[str]], ...] = (
    (frozenset({"string"}), frozenset({"format", "minLength", "maxLength", "contentEncoding", "contentMediaType"})),
    (_NUMBERS, frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})),
    (frozenset({"array"}), frozenset({"items", "prefixItems", "contains", "minItems", "maxItems", "uniqueItems"})),
    (
        frozenset({"object"}),
        frozenset({"required", "additionalProperties", "patternProperties", "minProperties", "maxProperties"}),
    ),
)
#: What does not forbid anything: notes to the reader, and properties, which need not be there.
_NOTES = frozenset({"title", "description", "default", "deprecated"})
_HARMLESS = _NOTES | {"properties", "examples"}


def _members(one: dict[str, Any], other: dict[str, Any], merge: Any) -> dict[str, Any]:
    """Give the properties of both; a boolean schema gives way."""
    merged = {**one, **other}
    for name in one.keys() & other.keys():
        pair = [part for part in (one[name], other[name]) if isinstance(part, dict)]
        merged[name] = merge(*pair) if len(pair) == 2 else (pair or [{}])[0]
    return merged
