"""Reading a JSON Schema: its one visitor, its one rebuilder, and what a property's schema says of types.

Nothing here follows ``$ref``: resolve first (``refs.resolve_references``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from singerkit.types import Breadcrumb, Schema

#: Keywords whose schemas speak of the same value, so their breadcrumb is that of their parent.
_SAME_VALUE_LISTS = frozenset({"anyOf", "oneOf", "allOf"})
_SAME_VALUE = frozenset({"if", "then", "else", "not"})
_SAME_VALUE_NAMED = frozenset({"dependentSchemas", "dependencies"})
_PARTS = frozenset({"items", "additionalItems", "additionalProperties", "contains", "propertyNames"}) | {
    "unevaluatedItems",
    "unevaluatedProperties",
}
_NAMED_PARTS = frozenset({"properties", "patternProperties", "definitions", "$defs"})
_NUMBERED_PARTS = frozenset({"items", "prefixItems"})

_TYPE_NAMES: dict[type, str] = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def walk(schema: Schema, breadcrumb: Breadcrumb = ()) -> Iterator[tuple[Breadcrumb, Schema]]:
    """Give every schema within this one, itself first, parents before children, in document order.

    Shape: a breadcrumb is the path of the *value* the schema speaks of: ``("properties", "a", "items")``. The branches
    of anyOf, oneOf, allOf, not, if/then/else and dependentSchemas share their parent's. Boolean schemas are not given.
    """
    yield breadcrumb, schema
    for keyword, value in schema.items():
        for child_breadcrumb, child in _children(keyword, value, breadcrumb):
            yield from walk(child, child_breadcrumb)


def _children(keyword: str, value: Any, breadcrumb: Breadcrumb) -> Iterator[tuple[Breadcrumb, Schema]]:
    """Give the schemas directly under one keyword; what is no dict there (a boolean schema, a mistake) is left out."""
    for below, part in _members(keyword, value, breadcrumb):
        if isinstance(part, dict):
            yield below, part


def _members(keyword: str, value: Any, breadcrumb: Breadcrumb) -> Iterable[tuple[Breadcrumb, Any]]:
    """Give what stands where a keyword has schemas."""
    if isinstance(value, list):
        if keyword in _SAME_VALUE_LISTS:
            return ((breadcrumb, part) for part in value)
        return (((*breadcrumb, keyword), part) for part in value if keyword in _NUMBERED_PARTS)
    if keyword in _PARTS:
        return [((*breadcrumb, keyword), value)]
    if keyword in _SAME_VALUE:
        return [(breadcrumb, value)]
    if not isinstance(value, dict):
        return ()
    if keyword in _SAME_VALUE_NAMED:
        return ((breadcrumb, part) for part in value.values())
    return (((*breadcrumb, keyword, name), part) for name, part in value.items() if keyword in _NAMED_PARTS)


def rebuild(schema: Schema, change: Callable[[Breadcrumb, Schema], Schema], breadcrumb: Breadcrumb = ()) -> Schema:
    """Give a new schema in which every schema, children before parents, is what ``change`` makes of it.

    ``change`` receives a shallow copy that it may alter and give back; the original stays as it is. Breadcrumbs are
    those of ``walk``.
    """
    copy = {keyword: _rebuilt(keyword, value, change, breadcrumb) for keyword, value in schema.items()}
    return change(breadcrumb, copy)


def _rebuilt(keyword: str, value: Any, change: Callable[[Breadcrumb, Schema], Schema], breadcrumb: Breadcrumb) -> Any:
    """Give the value of one keyword, with the schemas in it rebuilt."""
    children = iter([rebuild(child, change, below) for below, child in _children(keyword, value, breadcrumb)])
    if isinstance(value, dict):
        if keyword in _NAMED_PARTS | _SAME_VALUE_NAMED:
            return {name: next(children) if isinstance(part, dict) else part for name, part in value.items()}
        return next(children, value)
    if isinstance(value, list) and keyword in _SAME_VALUE_LISTS | _NUMBERED_PARTS:
        return [next(children) if isinstance(part, dict) else part for part in value]
    return value


def spell_out(schema: Schema) -> Schema:
    """Give a new schema in which that of each property is an object: ``{}`` for true, ``{"not": {}}`` for false."""

    def change(_: Breadcrumb, part: Schema) -> Schema:
        if isinstance(part.get("properties"), dict):
            part["properties"] = {name: object_schema(member) for name, member in part["properties"].items()}
        return part

    return rebuild(schema, change)


def object_schema(schema: Any) -> Any:
    """Give the object that means the same as a boolean schema; what is none stays."""
    if not isinstance(schema, bool):
        return schema
    return {} if schema else {"not": {}}


def types_of(schema: Any) -> frozenset[str]:
    """Give the JSON types that a value may have; empty means that the schema does not say, so any.

    anyOf and oneOf add up, allOf narrows down; without any of them, ``enum`` and ``const`` tell by their values.
    """
    if isinstance(schema, str):  # a bare "null" in anyOf, as older catalogs have it
        return frozenset({schema})
    if not isinstance(schema, dict):
        return frozenset()
    found = [_declared_types(schema)]
    found += [_any_of(map(types_of, schema[keyword])) for keyword in ("anyOf", "oneOf") if schema.get(keyword)]
    found += [types_of(part) for part in schema.get("allOf", ())]
    return _all_of(found)


def _declared_types(schema: Schema) -> frozenset[str]:
    """Give what the schema itself says, its branches aside."""
    declared = schema.get("type")
    if isinstance(declared, str):
        return frozenset({declared})
    if isinstance(declared, list):
        return frozenset(name for name in declared if isinstance(name, str))
    values = [schema["const"]] if "const" in schema else schema.get("enum") or ()
    return frozenset(_TYPE_NAMES[type(value)] for value in values if type(value) in _TYPE_NAMES)


def _any_of(alternatives: Iterator[frozenset[str]]) -> frozenset[str]:
    """Give the union; an alternative that says nothing allows everything."""
    listed = list(alternatives)
    return frozenset().union(*listed) if all(listed) else frozenset()


def _all_of(demands: list[frozenset[str]]) -> frozenset[str]:
    """Give the intersection of those that say something."""
    telling = [demand for demand in demands if demand]
    return frozenset.intersection(*telling) if telling else frozenset()


def is_nullable(schema: Any) -> bool:
    """Say whether null is one of the types, or nothing is said of types."""
    types = types_of(schema)
    return not types or "null" in types


def format_of(schema: Any) -> str | None:
    """Give the ``format``, the schema's own or the only one among its branches; None where there is none or several."""
    if not isinstance(schema, dict):
        return None
    if isinstance(schema.get("format"), str):
        return str(schema["format"])
    found = {format_of(branch) for branch in _branches(schema)} - {None}
    return found.pop() if len(found) == 1 else None


def properties_of(schema: Any) -> dict[str, Schema]:
    """Give the properties that an object may have, its own before those of its branches, in order; a new dict."""
    if not isinstance(schema, dict):
        return {}
    properties = dict(schema.get("properties") or {})
    for branch in _branches(schema):
        for name, part in properties_of(branch).items():
            properties.setdefault(name, part)
    return properties


def items_of(schema: Any) -> Schema:
    """Give the schema of an array's items, ``{}`` where nothing (or one schema per position) is declared."""
    if not isinstance(schema, dict):
        return {}
    if isinstance(schema.get("items"), dict):
        return dict(schema["items"])
    return next((items for items in map(items_of, _branches(schema)) if items), {})


def _branches(schema: Schema) -> Iterator[Any]:
    """Give the anyOf, oneOf and allOf branches in order."""
    for keyword in ("anyOf", "oneOf", "allOf"):
        yield from schema.get(keyword) or ()
