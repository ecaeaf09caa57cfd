"""Selecting: what the user left out is taken out of the schema, once per stream.

Records are not looked at: conforming them to the pruned schema drops the values, so selecting is free per record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singerkit.schema.walk import rebuild, walk

if TYPE_CHECKING:
    from singerkit.protocol.catalog import Selection
    from singerkit.types import Breadcrumb, Schema


#: Keywords by which several schemas speak of one value together, so that none of them knows all its properties.
_JOINT = frozenset({"allOf", "if", "not", "dependentSchemas", "dependencies"})
_ALTERNATIVES = frozenset({"anyOf", "oneOf"})


def prune_schema(schema: Schema, selection: Selection) -> Schema:
    """Give a new schema without the properties, nested ones too, that are not selected.

    ``required`` and the like no longer name them. An object that lost a property is closed
    (``additionalProperties: false``), so that what was left out can't come back as a property nobody declared.
    """
    joint = {breadcrumb for breadcrumb, part in walk(schema) if _is_joint(part)}

    def prune(breadcrumb: Breadcrumb, part: Schema) -> Schema:
        gone = {name for name in _named(part) if not selection.includes((*breadcrumb, "properties", name))}
        return _without(part, gone, close=breadcrumb not in joint) if gone else part

    return rebuild(schema, prune)


def _is_joint(schema: Schema) -> bool:
    return bool(_JOINT & schema.keys()) or ("properties" in schema and bool(_ALTERNATIVES & schema.keys()))


def _named(schema: Schema) -> set[str]:
    """Give the properties that an object's schema names, be it only to require them."""
    required = schema.get("required")  # draft 3 has a boolean here, and some old schemas too
    names = {*(schema.get("properties") or ()), *(required if isinstance(required, list) else ())}
    return names.union(*(schema.get(keyword) or () for keyword in _DEPENDENCIES))


_DEPENDENCIES = ("dependentRequired", "dependentSchemas", "dependencies")


def _without(schema: Schema, gone: set[str], close: bool) -> Schema:
    """Take properties out of an object's schema, and out of every keyword that asks for them."""
    pruned = {keyword: value for keyword, value in schema.items() if keyword != "minProperties"}
    for keyword in ("properties", *_DEPENDENCIES):
        if keyword in schema:
            members = schema[keyword].items()
            pruned[keyword] = {name: _less(part, gone) for name, part in members if name not in gone}
    if isinstance(schema.get("required"), list):
        pruned["required"] = _less(schema["required"], gone)
        if not pruned["required"]:
            del pruned["required"]  # draft 4 does not allow it to be empty
    if close and "properties" in schema:
        pruned["additionalProperties"] = False
    return pruned


def _less(part: Any, gone: set[str]) -> Any:
    """Take names out of a list of names; a schema stays."""
    return [name for name in part if name not in gone] if isinstance(part, list) else part
