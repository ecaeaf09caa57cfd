"""Values as the texts that a server reads, and what numbers need to stay exact."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from decimal import Decimal
from typing import Any

from singerkit.records.columns import Values, each
from singerkit.records.json_text import json_texts
from singerkit.sql.delimited import Texts

EXACT_IN_DOUBLE = 2**53


def date_texts(values: Values) -> Texts:
    """Give instants and days in ISO 8601; null stays. Written all at once, which is far cheaper than one by one."""
    zones = {getattr(value, "tzinfo", None) for value in values}
    if not zones <= {None, UTC}:  # an offset may have seconds, which JSON's form has no place for
        return each(values, str)
    return [None if text == "null" else text[1:-1] for text in json_texts(values)]


def whole_range(values: Values) -> tuple[int, int]:
    """Give the least and the greatest of integers; null aside."""
    whole = [value for value in values if value is not None]
    return min(whole), max(whole)


def are_doubles(values: Values) -> bool:
    """Tell whether doubles hold these numbers exactly; null aside."""
    return all(map(_is_double, values))


def _is_double(value: Any) -> bool:
    if value is None or isinstance(value, float):
        return True
    if isinstance(value, Decimal):
        return bool(Decimal(repr(float(value))) == value)
    return bool(abs(value) <= EXACT_IN_DOUBLE)


def fit_digits(values: Values, precision: int, scale: int) -> bool:
    """Tell whether numbers fit so many digits, ``scale`` of them behind the point; null aside."""
    return all(fits(Decimal(str(value)), precision, scale) for value in values if value is not None)


def fits(number: Decimal, precision: int, scale: int) -> bool:
    """Tell whether a number has no more digits than that, ``scale`` of them behind the point."""
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        return False
    excess = -scale - exponent
    return not (excess > 0 and any(digits[-excess:])) and (not number or number.adjusted() < precision - scale)


def plain_number(value: Any) -> str:
    """Give a number without an exponent."""
    return format(value, "f") if isinstance(value, Decimal) else format(Decimal(repr(value)), "f")


def longest(texts: Iterable[str | None]) -> int:
    """Give the characters of the longest text."""
    return max(map(len, filter(None, texts)), default=0)
