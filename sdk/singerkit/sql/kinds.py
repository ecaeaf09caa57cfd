"""What kind of column a property makes, from its JSON Schema.

Shape: a kind is one of ``boolean``, ``integer``, ``number`` (a double is enough), ``decimal`` (every digit counts),
``text``, ``instant``, ``date``, ``time``, ``json`` (objects and arrays) and ``mixed`` (values of several kinds).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

BOOLEAN, INTEGER, NUMBER, DECIMAL = "boolean", "integer", "number", "decimal"
TEXT, INSTANT, DATE, TIME, JSON, MIXED = "text", "instant", "date", "time", "json", "mixed"

_OF_TYPE = {"boolean": BOOLEAN, "integer": INTEGER, "object": JSON, "array": JSON}
_OF_FORMAT = {"date-time": INSTANT, "date": DATE, "time": TIME, "singer.decimal": DECIMAL, "decimal": DECIMAL}
_OF_VALUE = {bool: BOOLEAN, int: INTEGER, float: NUMBER, str: TEXT, dict: JSON, list: JSON}
_TEXTS = frozenset({TEXT, INSTANT, DATE, TIME, DECIMAL})


def kind_of(schema: Any) -> str:
    """Give the kind of column for a property's schema."""
    kinds = _kinds(schema)
    if not kinds or len(kinds) == 1:
        return next(iter(kinds)) if kinds else MIXED
    if kinds <= {INTEGER, NUMBER, DECIMAL}:
        return DECIMAL if DECIMAL in kinds else NUMBER
    return TEXT if kinds <= _TEXTS else MIXED


def scale_of(schema: Any) -> int | None:
    """Give how many digits the values have behind the point, where ``multipleOf`` tells; None where it does not."""
    for part in (schema, *schema.get("anyOf", ()), *schema.get("oneOf", ())) if isinstance(schema, dict) else ():
        step = part.get("multipleOf") if isinstance(part, dict) else None
        if step:
            exponent = Decimal(str(step)).as_tuple().exponent
            return max(0, -exponent) if isinstance(exponent, int) else None
    return None


def _kinds(schema: Any) -> frozenset[str] | None:
    """Give every kind that the values may be of, null aside; None for any."""
    if schema == "null":  # as older catalogs have it
        return frozenset()
    if not isinstance(schema, dict) or "$ref" in schema:
        return None
    if "type" in schema:
        types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        return frozenset(_kind_of_type(name, schema) for name in types if name != "null")
    for keyword in ("anyOf", "oneOf"):
        if schema.get(keyword):
            return _union(map(_kinds, schema[keyword]))
    if schema.get("allOf"):
        return next((kinds for kinds in map(_kinds, schema["allOf"]) if kinds), None)
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    return None if not values else frozenset(_OF_VALUE[type(value)] for value in values if value is not None)


def _kind_of_type(name: str, schema: dict[str, Any]) -> str:
    if name == "string":
        return _OF_FORMAT.get(schema.get("format", ""), TEXT)
    if name == "number":
        step = schema.get("multipleOf")
        exact = (step is not None and step < 1) or _OF_FORMAT.get(schema.get("format", "")) == DECIMAL
        return DECIMAL if exact else NUMBER
    return _OF_TYPE.get(name, MIXED)


def _union(parts: Iterable[frozenset[str] | None]) -> frozenset[str] | None:
    listed = list(parts)
    return None if None in listed else frozenset().union(*(part for part in listed if part is not None))
