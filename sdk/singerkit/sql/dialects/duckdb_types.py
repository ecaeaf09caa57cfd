"""Which DuckDB type a column has, which it needs for the values to come, and how the values travel there as JSON."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, get_args

import msgspec

from singerkit.records.columns import Values, as_json, each, text_of, types_in
from singerkit.sql import kinds
from singerkit.sql.doubles import as_doubles
from singerkit.sql.texts import fits

BOOLEAN, BIGINT, HUGEINT, DOUBLE = "BOOLEAN", "BIGINT", "HUGEINT", "DOUBLE"
VARCHAR, JSON, TIMESTAMPTZ, DATE = "VARCHAR", "JSON", "TIMESTAMP WITH TIME ZONE", "DATE"

_DECIMAL_DIGITS = 38
_DEFAULT_SCALE = 18
#: A time of day stays text: DuckDB's own type would drop its offset.
_OF_KIND = {
    kinds.BOOLEAN: BOOLEAN,
    kinds.INTEGER: BIGINT,
    kinds.NUMBER: DOUBLE,
    kinds.INSTANT: TIMESTAMPTZ,
    kinds.DATE: DATE,
    kinds.JSON: JSON,
    kinds.MIXED: JSON,
}
_WHOLE_BITS: Mapping[str, int] = {"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, BIGINT: 64, HUGEINT: 128}
_UNSIGNED = frozenset({"UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"})
_EXACT_IN_DOUBLE = 2**53
_ENUM = "ENUM("
#: What DuckDB's reader keeps in an object; a number with a fraction it reads as a double.
_KEPT_IN_OBJECTS = frozenset({str, int, float, bool, type(None), datetime, date, time, msgspec.UnsetType})
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_PLAIN: Mapping[str, frozenset[type]] = {
    BOOLEAN: frozenset({bool}),
    DOUBLE: frozenset({float}),
    VARCHAR: frozenset({str}),
    TIMESTAMPTZ: frozenset({datetime}),
    DATE: frozenset({date}),
}


def type_of_kind(kind: str, scale: int | None) -> str:
    """Give the type of a new column."""
    if kind == kinds.DECIMAL:
        return f"DECIMAL({_DECIMAL_DIGITS},{_DEFAULT_SCALE if scale is None else min(scale, _DEFAULT_SCALE)})"
    return _OF_KIND.get(kind, VARCHAR)


def wider(existing: str, wanted: str) -> str:
    """Give the type that can hold what both can; ``DOUBLE`` for integers and doubles, which holds 53 bits of them."""
    if existing in (wanted, VARCHAR, JSON) or (_DECIMAL.fullmatch(existing) and _is_number(wanted)):
        return existing
    if existing.startswith(_ENUM) and wanted == VARCHAR:
        return existing
    if existing in _UNSIGNED and wanted == BIGINT:
        return HUGEINT
    if wanted in (BIGINT, BOOLEAN) and existing in _WHOLE_BITS:
        return existing  # a table of others may have a narrower one; it is widened when a value needs it
    if (existing, wanted) == (BOOLEAN, BIGINT):
        return BIGINT
    if wanted == DOUBLE and (existing in _WHOLE_BITS or existing in (BOOLEAN, "FLOAT")):
        return DOUBLE
    if existing == DOUBLE and wanted in (BIGINT, BOOLEAN):
        return DOUBLE
    if existing.startswith("TIMESTAMP") and wanted in (DATE, TIMESTAMPTZ):
        return existing
    return TIMESTAMPTZ if (existing, wanted) == (DATE, TIMESTAMPTZ) else VARCHAR


def is_whole(column_type: str) -> bool:
    """Tell whether a column holds whole numbers only."""
    return column_type in _WHOLE_BITS or column_type in _UNSIGNED


def _is_number(name: str) -> bool:
    return name in (BIGINT, DOUBLE, HUGEINT) or _DECIMAL.fullmatch(name) is not None


def fitted(values: Values, column_type: str) -> tuple[Values, str]:
    """Give the values in a form that JSON carries exactly, and the type that their column needs to hold them so."""
    types = types_in(values)
    if column_type == JSON:
        return values if _are_objects_kept(types) else as_json(values), JSON
    if types <= _PLAIN.get(column_type, frozenset()):
        return values, column_type
    if column_type.startswith(_ENUM) and types <= {str}:  # its owner says what may be in it: the database judges
        return values, column_type
    if column_type in _WHOLE_BITS and types == {int}:
        needed = _whole_type(values, column_type)
        return (values, needed) if needed != VARCHAR else (each(values, text_of), VARCHAR)
    if column_type == DOUBLE and types <= {int, float} and _bits(values) <= _EXACT_IN_DOUBLE:
        return values, DOUBLE
    decimal_type = _DECIMAL.fullmatch(column_type)
    if decimal_type:
        fixed = _fixed(values, int(decimal_type[1]), int(decimal_type[2]))
        return (fixed, column_type) if fixed is not None else (each(values, text_of), VARCHAR)
    if column_type == DOUBLE and types <= {int, float, Decimal} and _bits(values) <= _EXACT_IN_DOUBLE:
        doubles = as_doubles(values)
        if doubles is not None:
            return doubles, DOUBLE
    if column_type.startswith("TIMESTAMP") and types <= {datetime, date}:
        return values, column_type
    return each(values, text_of), VARCHAR


def carried_as(column_type: str, values: Values) -> str:
    """Give the type as which the JSON reader takes a column: what it would change on the way it takes as text."""
    if column_type == JSON and _are_objects_kept(types_in(values)):
        return JSON
    as_text = column_type == JSON or column_type.startswith(_ENUM) or _DECIMAL.fullmatch(column_type)
    return VARCHAR if as_text else column_type


def _are_objects_kept(kinds: Collection[type]) -> bool:
    return bool(kinds) and all(issubclass(kind, msgspec.Struct) and _is_kept(kind) for kind in kinds)


@lru_cache(maxsize=256)
def _is_kept(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return all(map(_is_kept, annotation.__annotations__.values()))
    parts = get_args(annotation)
    return annotation in _KEPT_IN_OBJECTS or (bool(parts) and all(map(_is_kept, parts)))


def _whole_type(values: Values, column_type: str) -> str:
    whole = [value for value in values if value is not None]
    low, high = min(whole), max(whole)
    for name, bits in _WHOLE_BITS.items():
        if bits >= _WHOLE_BITS[column_type] and -(1 << bits - 1) <= low and high < 1 << bits - 1:
            return name
    return VARCHAR


def _bits(values: Values) -> int:
    whole = [value for value in values if type(value) is int]
    return max(max(whole), -min(whole)) if whole else 0


def _fixed(values: Values, precision: int, scale: int) -> Values | None:
    """Give numbers as texts with a fixed point; None when one has more digits than fit."""
    texts: list[str | None] = []
    for value in values:
        number = None if value is None else _decimal(value)
        if number is not None and not fits(number, precision, scale):
            return None
        texts.append(None if number is None else format(number, "f"))
    return texts


def _decimal(value: Any) -> Decimal:
    try:
        return Decimal(value if isinstance(value, int | str | Decimal) and value is not True else repr(value))
    except (InvalidOperation, ValueError):
        return Decimal("NaN")
