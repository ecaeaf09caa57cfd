"""Which PostgreSQL type a column has, which it needs for the values to come, and how those are written for COPY."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from singerkit.errors import DataError
from singerkit.records.columns import Values, as_json, each, text_of, types_in
from singerkit.sql import kinds
from singerkit.sql.delimited import Texts
from singerkit.sql.texts import are_doubles, date_texts, fit_digits, longest, whole_range

BOOLEAN, BIGINT, NUMERIC, DOUBLE, TEXT = "boolean", "bigint", "numeric", "double precision", "text"
INSTANT, LOCAL, DATE, JSONB, JSON, UUID_TYPE = (
    "timestamp with time zone",
    "timestamp without time zone",
    "date",
    "jsonb",
    "json",
    "uuid",
)

#: A time of day stays text: the server's own type would drop its offset, or take one as given where there is none.
_OF_KIND = {
    kinds.BOOLEAN: BOOLEAN,
    kinds.INTEGER: BIGINT,
    kinds.NUMBER: NUMERIC,
    kinds.DECIMAL: NUMERIC,
    kinds.INSTANT: INSTANT,
    kinds.DATE: DATE,
    kinds.JSON: JSONB,
    kinds.MIXED: JSONB,
}
_WHOLE_BITS: Mapping[str, int] = {"smallint": 16, "integer": 32, BIGINT: 64}
_FLOATS = frozenset({DOUBLE, "real"})
_NUMBERS = frozenset({int, float, Decimal})
_BOUNDED = re.compile(r"numeric\((\d+),(-?\d+)\)")
_VARYING = re.compile(r"character varying\((\d+)\)")
#: Digits before and after the point that a numeric without bounds holds.
_MOST_DIGITS, _MOST_SCALE = 131_072, 16_383
#: Characters of a number without an exponent that fits in any case.
_SURELY_FITS = 10_000


def type_of_kind(kind: str) -> str:
    """Give the type of a new column: numbers are ``numeric``, which keeps every digit."""
    return _OF_KIND.get(kind, TEXT)


def is_number(column_type: str) -> bool:
    """Tell whether a column holds numbers."""
    return column_type in _WHOLE_BITS or column_type in _FLOATS or column_type.startswith(NUMERIC)


def is_text(column_type: str) -> bool:
    """Tell whether a column holds texts of any form."""
    return column_type == TEXT or column_type.startswith("character") or column_type == '"char"'


def wider(existing: str, wanted: str) -> str:
    """Give the type that can hold what both can; a value that does not fit after all widens it later."""
    if existing in (wanted, JSONB, JSON) or is_text(existing) or (existing == UUID_TYPE and wanted == TEXT):
        return existing
    if wanted == JSONB:
        return JSONB
    if is_number(existing) and is_number(wanted):
        return existing if wanted == BIGINT or existing.startswith(NUMERIC) else NUMERIC
    if existing == BOOLEAN and is_number(wanted):
        return wanted
    if is_number(existing) and wanted == BOOLEAN:
        return existing
    if existing == INSTANT and wanted == DATE:
        return INSTANT
    if existing in (DATE, LOCAL) and wanted in (INSTANT, DATE):
        return INSTANT
    return existing if existing not in _OURS else TEXT


_OURS = frozenset({*_OF_KIND.values(), *_WHOLE_BITS, *_FLOATS, LOCAL, "time without time zone", "time with time zone"})


def fitted(values: Values, column_type: str) -> tuple[Texts, str]:
    """Give the values as COPY reads them, and the type that their column needs to hold them exactly.

    Errors: ``DataError`` for a text with a NUL character, which PostgreSQL has no place for.
    """
    types = types_in(values)
    if not types:
        return values, column_type
    if column_type in (JSONB, JSON):
        return _without_nul(as_json(values)), column_type
    if is_text(column_type):
        return _as_texts(values, types, column_type)
    fit = _FITS.get(column_type) or (_fit_numeric if column_type.startswith(NUMERIC) else None)
    if fit is None:  # a type of the table's owner: the server judges
        return _without_nul(each(values, text_of)), column_type
    if column_type == NUMERIC and types <= _NUMBERS:
        numbers = each(values, str)
        if _surely_numeric(numbers):
            return numbers, NUMERIC
    needed = fit(values, types, column_type)
    if needed != column_type:
        return fitted(values, needed)[0], needed
    if types <= {datetime, date}:
        return date_texts(values), column_type
    return each(values, _written_as(types)), column_type


def _written_as(types: set[type]) -> Callable[[Any], str]:
    return str if types <= _NUMBERS or types <= {datetime, date, bool, str} else text_of


def _as_texts(values: Values, types: set[type], column_type: str) -> tuple[Texts, str]:
    texts = _without_nul(values if types == {str} else each(values, text_of))
    limit = _VARYING.fullmatch(column_type)
    is_short = limit is not None or column_type.startswith("character(")
    return texts, TEXT if is_short and longest(texts) > int(limit[1] if limit else 0) else column_type


def _without_nul(texts: Texts) -> Texts:
    # Looking at all of them at once is far cheaper than at each.
    if "\0" in "".join(filter(None, texts)):
        raise DataError("a text holds a NUL character, which PostgreSQL can't hold: take it out with a stream map")
    return texts


def _fit_boolean(values: Values, types: set[type], column_type: str) -> str:
    if types == {bool}:
        return BOOLEAN
    return TEXT


def _fit_whole(values: Values, types: set[type], column_type: str) -> str:
    if types != {int}:
        return NUMERIC if types <= _NUMBERS else TEXT
    low, high = whole_range(values)
    for name, bits in _WHOLE_BITS.items():
        if bits >= _WHOLE_BITS[column_type] and -(1 << bits - 1) <= low and high < 1 << bits - 1:
            return name
    return _fit_numeric(values, types, NUMERIC)


def _fit_float(values: Values, types: set[type], column_type: str) -> str:
    exact = types <= _NUMBERS and column_type == DOUBLE and are_doubles(values)
    return column_type if exact else _fit_numeric(values, types, NUMERIC)


def _fit_numeric(values: Values, types: set[type], column_type: str) -> str:
    if not types <= _NUMBERS:
        return TEXT
    bounded = _BOUNDED.fullmatch(column_type)
    if bounded:
        return column_type if fit_digits(values, int(bounded[1]), int(bounded[2])) else NUMERIC
    if _surely_numeric(each(values, str)):
        return NUMERIC
    return NUMERIC if fit_digits(values, _MOST_DIGITS + _MOST_SCALE, _MOST_SCALE) else TEXT


def _surely_numeric(numbers: Texts) -> bool:
    """Look at the texts of all numbers together, which is far cheaper than at each number."""
    together = "".join(filter(None, numbers))
    return "E" not in together and "e" not in together and longest(numbers) < _SURELY_FITS


def _fit_instant(values: Values, types: set[type], column_type: str) -> str:
    return INSTANT if types <= {datetime, date} else TEXT


def _fit_date(values: Values, types: set[type], column_type: str) -> str:
    if types == {date}:
        return DATE
    return _fit_instant(values, types, column_type)


def _fit_uuid(values: Values, types: set[type], column_type: str) -> str:
    return UUID_TYPE if types == {str} and all(value is None or _is_uuid(value) for value in values) else TEXT


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text  # in any other form it would come back changed
    except ValueError:
        return False


_FITS: Mapping[str, Callable[[Values, set[type], str], str]] = {
    BOOLEAN: _fit_boolean,
    **dict.fromkeys(_WHOLE_BITS, _fit_whole),
    **dict.fromkeys(_FLOATS, _fit_float),
    INSTANT: _fit_instant,
    LOCAL: _fit_instant,
    DATE: _fit_date,
    UUID_TYPE: _fit_uuid,
}
