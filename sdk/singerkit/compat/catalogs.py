"""The catalog in the form that taps of singer-sdk write, for taps that came from there: tools and tests know it.

Beside the facts it has a choice, which the specification leaves to the user: ``selected`` on each stream that is read
by default. A stream's own metadata come last, and of each schema there are the keywords that singer-sdk knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_KEYWORDS = frozenset(
    {
        "$id",
        "$schema",
        "additionalProperties",
        "allOf",
        "anyOf",
        "contentEncoding",
        "contentMediaType",
        "default",
        "deprecated",
        "description",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "maxLength",
        "maximum",
        "minLength",
        "minimum",
        "multipleOf",
        "oneOf",
        "pattern",
        "patternProperties",
        "required",
        "title",
        "type",
        "x-sql-datatype",
        "x-sql-datatype-properties",
    }
)


def as_singer_sdk_writes(catalog: Mapping[str, Any]) -> dict[str, Any]:
    """Give a catalog that was discovered in that form; ``catalog`` is the wire's, and is not changed."""
    return {**catalog, "streams": [_entry(entry) for entry in catalog["streams"]]}


def _entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    properties = [element for element in entry["metadata"] if element["breadcrumb"]]
    stream = [_with_choice(element) for element in entry["metadata"] if not element["breadcrumb"]]
    return {**entry, "schema": _known(entry["schema"]), "metadata": [*properties, *stream]}


def _with_choice(element: Mapping[str, Any]) -> dict[str, Any]:
    facts = element["metadata"]
    return {**element, "metadata": {**facts, "selected": bool(facts.get("selected-by-default", True))}}


def _known(schema: Any) -> Any:
    if not isinstance(schema, dict):  # true and false are schemas, too
        return schema
    known = {keyword: said for keyword, said in schema.items() if keyword in _KEYWORDS and said is not None}
    if isinstance(schema.get("properties"), dict):
        known["properties"] = {name: _known(part) for name, part in schema["properties"].items()}
    if isinstance(schema.get("items"), dict):
        known["items"] = _known(schema["items"])
    return known
