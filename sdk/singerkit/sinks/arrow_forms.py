"""Which form a column of Arrow has, from the JSON Schema of its values; objects and arrays have forms inside."""

from __future__ import annotations

from typing import Any, NamedTuple

from singerkit.schema.walk import types_of
from singerkit.sql import kinds

STRUCT, LIST = "struct", "list"
#: Digits of a decimal, all in all.
DIGITS = 38
_DEFAULT_SCALE = 18
#: Deeper ones are JSON text: readers of Arrow and Parquet have limits.
_MOST_LEVELS = 16
#: What an object's schema may not have if its members are to be columns: more could come than it names.
_NAMES_BY_RULE = ("patternProperties", "propertyNames", "unevaluatedProperties")


class ColumnForm(NamedTuple):
    """What a column's values become.

    Shape: ``name``, a kind (see ``singerkit.sql.kinds``) or ``struct`` or ``list``; ``scale``: digits behind the point,
    of ``decimal`` only; ``parts``: the members of a ``struct``, with their names, or the one form of a ``list``;
    ``takes_null``: whether the schema allows null.
    """

    name: str
    scale: int = 0
    parts: tuple[tuple[str, ColumnForm], ...] = ()
    takes_null: bool = True


def form_of(schema: Any, *, nested: bool, mixed: ColumnForm, levels: int = _MOST_LEVELS) -> ColumnForm:
    """Give the form for a property's schema.

    ``nested``: whether objects and arrays may be structs and lists; ``mixed``: the form for values of several types.
    """
    kind = kinds.kind_of(schema)
    takes_null = _takes_null(schema)
    if kind == kinds.DECIMAL:
        scale = kinds.scale_of(schema)
        return ColumnForm(kind, _DEFAULT_SCALE if scale is None else min(scale, DIGITS), takes_null=takes_null)
    if kind == kinds.JSON and nested and levels:
        parts = _parts_of(_only_branch(schema), mixed, levels - 1)
        return ColumnForm(*parts, takes_null=takes_null) if parts else ColumnForm(kind, takes_null=takes_null)
    name = {kinds.TIME: kinds.TEXT, kinds.MIXED: mixed.name}.get(kind, kind)
    return ColumnForm(name, takes_null=takes_null)


def _parts_of(
    schema: Any, mixed: ColumnForm, levels: int
) -> tuple[str, int, tuple[tuple[str, ColumnForm], ...]] | None:
    """Give the forms inside of an object or array whose schema says all that is in it; None for any other."""
    if not isinstance(schema, dict):
        return None
    types = set(types_of(schema)) - {"null"}
    members, items = schema.get("properties"), schema.get("items")
    if types == {"object"} and members:
        if _has_other_members(schema) or not all(map(_is_sayable, members)):
            return None
        forms = [(name, form_of(part, nested=True, mixed=mixed, levels=levels)) for name, part in members.items()]
        return STRUCT, 0, tuple(forms)
    if types == {"array"} and isinstance(items, dict) and "prefixItems" not in schema:
        form = form_of(items, nested=True, mixed=mixed, levels=levels)
        is_loose = kinds.kind_of(items) == kinds.MIXED or form.name == kinds.JSON
        return None if is_loose else (LIST, 0, (("element", form),))
    return None


def _has_other_members(schema: dict[str, Any]) -> bool:
    """Tell whether a schema speaks of members that it does not name; that any may be there is what all schemas say."""
    additional = schema.get("additionalProperties")
    return any(name in schema for name in _NAMES_BY_RULE) or (isinstance(additional, dict) and bool(additional))


def _only_branch(schema: Any) -> Any:
    """Give the one schema besides null that ``anyOf`` or ``oneOf`` has, where it has one; else the schema."""
    if not isinstance(schema, dict) or "type" in schema:
        return schema
    for keyword in ("anyOf", "oneOf"):
        branches = [branch for branch in schema.get(keyword, ()) if not _is_null(branch)]
        if len(branches) == 1:
            return _only_branch(branches[0])
    return schema


def _takes_null(schema: Any) -> bool:
    """Tell whether null may be a value; where the schema says nothing of types, it may."""
    if not isinstance(schema, dict):
        return True
    if "type" in schema:
        return "null" in types_of(schema)
    branches = schema.get("anyOf") or schema.get("oneOf")
    if branches:
        return any(map(_takes_null, branches))
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    return values is None or None in values


def _is_null(schema: Any) -> bool:
    return schema == "null" or (isinstance(schema, dict) and set(types_of(schema)) == {"null"})


def _is_sayable(name: str) -> bool:
    """Tell whether UTF-8 can say a name."""
    return not any("\ud800" <= character <= "\udfff" for character in name)
