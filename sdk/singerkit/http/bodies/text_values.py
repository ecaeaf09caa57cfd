"""Values out of text, for formats that have nothing else: as the schema's types ask.

Text that is not what the schema says stays as it is: whoever checks the record against its schema then says so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, TypeAlias

#: Gives the value that a text stands for.
FromText: TypeAlias = Callable[[str], Any]

_INTEGER = re.compile(r"[+-]?\d{1,4000}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,6})?")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def types_of(schema: Mapping[str, Any]) -> frozenset[str]:
    """Give the types that a property may have, those of its alternatives too."""
    named = schema.get("type", ())
    types = {named} if isinstance(named, str) else set(named)
    for keyword in ("anyOf", "oneOf"):
        for alternative in schema.get(keyword, ()):
            types |= types_of(alternative)
    return frozenset(types)


def compile_from_text(schema: Mapping[str, Any], *, exact_numbers: bool) -> FromText | None:
    """Give what turns a text into a property's value; ``None`` where the text is the value."""
    types = types_of(schema)
    readers: list[FromText] = []
    if "integer" in types:
        readers.append(_integer)
    if "number" in types:
        readers.append(_exact_number if exact_numbers else _number)
    if "boolean" in types:
        readers.append(lambda text: _BOOLEANS.get(text.strip().lower()))
    empty: Any = None if "null" in types else ""
    if not readers and empty == "":
        return None
    if "string" in types:  # any text is good, numbers among them
        readers = []

    def from_text(text: str) -> Any:
        if not text:
            return empty
        for read in readers:
            value = read(text)
            if value is not None:
                return value
        return text

    return from_text


def _integer(text: str) -> int | None:
    text = text.strip()
    return int(text) if _INTEGER.fullmatch(text) else None


def _number(text: str) -> float | int | None:
    text = text.strip()
    if _INTEGER.fullmatch(text):
        return int(text)
    value = float(text) if _NUMBER.fullmatch(text) else math.inf
    return value if math.isfinite(value) else None


def _exact_number(text: str) -> Decimal | int | None:
    text = text.strip()
    if _INTEGER.fullmatch(text):
        return int(text)
    return Decimal(text) if _NUMBER.fullmatch(text) else None
