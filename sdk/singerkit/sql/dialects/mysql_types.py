"""Which type a column of MariaDB or MySQL has, which it needs for the values to come, and how those are written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from singerkit.records.columns import Values, as_json, each, text_of, types_in
from singerkit.sql import kinds
from singerkit.sql.delimited import Texts
from singerkit.sql.texts import are_doubles, fit_digits, longest, plain_number, whole_range

BOOLEAN, BIGINT, DOUBLE, WHOLE, DECIMAL = "tinyint(1)", "bigint(20)", "double", "decimal(65,0)", "decimal(65,30)"
TEXT, KEY_TEXT, JSON, INSTANT, DATE = "longtext", "varchar(255)", "json", "datetime(6)", "date"
_SCALE = 30
#: Integers up to here are doubles.
_EXACT_IN_DOUBLE = 2**53
#: Numbers from here on have more digits before the point than the widest decimal with a fraction has.
_TOO_LARGE = "1e35"

#: A time of day stays text: the server's own type has no offset. So do values of several types: in a column of JSON a
#: text would have quotes.
_OF_KIND = {
    kinds.BOOLEAN: BOOLEAN,
    kinds.INTEGER: BIGINT,
    kinds.NUMBER: DOUBLE,
    kinds.INSTANT: INSTANT,
    kinds.DATE: DATE,
    kinds.JSON: JSON,
}
_WHOLE = re.compile(r"(tinyint|smallint|mediumint|int|bigint)(?:\(\d+\))?( unsigned)?")
_WHOLE_BITS: Mapping[str, int] = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")
_LIMITED_TEXT = re.compile(r"(?:var)?char\((\d+)\)")
_TEXT_BYTES: Mapping[str, int] = {"tinytext": 255, "text": 65_535, "mediumtext": 16_777_215}
_NUMBERS = frozenset({int, float, Decimal})
_COLLATED = re.compile(r"(var)?char|\w*text|enum|set")


def type_of_kind(kind: str, scale: int | None, *, is_key: bool) -> str:
    """Give the type of a new column; a key can't be a type without a length."""
    if kind == kinds.DECIMAL:
        return f"decimal(65,{_SCALE if scale is None else min(scale, _SCALE)})"
    name = _OF_KIND.get(kind, TEXT)
    return KEY_TEXT if is_key and name in (TEXT, JSON) else name


def is_text(column_type: str) -> bool:
    """Tell whether a column holds texts."""
    return _COLLATED.match(column_type) is not None


def _is_number(column_type: str) -> bool:
    return column_type in (DOUBLE, "float") or bool(_WHOLE.fullmatch(column_type) or _DECIMAL.fullmatch(column_type))


def wider(existing: str, wanted: str) -> str:
    """Give the type that can hold what both can; a value that does not fit after all widens it later."""
    if existing in (wanted, JSON) or is_text(existing):
        return existing
    if _is_number(existing) and _is_number(wanted):
        whole = _WHOLE.fullmatch(existing)
        if whole and _WHOLE.fullmatch(wanted):
            return BIGINT if existing == BOOLEAN else existing
        if whole:
            return DECIMAL if wanted != DOUBLE else DOUBLE
        return existing
    if existing.startswith(("datetime", "timestamp")) and wanted in (DATE, INSTANT):
        return existing if existing == INSTANT else INSTANT
    return INSTANT if (existing, wanted) == (DATE, INSTANT) else TEXT


class Rounding(NamedTuple):
    """Which numbers of a column another type would round, as a condition in SQL, and the type that would not."""

    condition: str
    instead: str


def rounding(name: str, before: str, after: str) -> Rounding | None:
    """Give what a change of type would round in the column of this quoted name; ``None``: nothing."""
    is_whole = _WHOLE.fullmatch(before) is not None
    if is_whole and after == DOUBLE:
        return Rounding(f"{name} NOT BETWEEN -{_EXACT_IN_DOUBLE} AND {_EXACT_IN_DOUBLE}", DECIMAL)
    if is_whole or not _DECIMAL.fullmatch(after):
        return None
    too_large = f"{name} <= -{_TOO_LARGE} OR {name} >= {_TOO_LARGE}"
    return Rounding(f"{name} <> 0 AND ({too_large} OR CAST({name} AS {after}) <> {name})", TEXT)


def fitted(values: Values, column_type: str) -> tuple[Texts, str]:
    """Give the values as the server reads them, and the type that their column needs to hold them exactly."""
    types = types_in(values)
    if not types:
        return values, column_type
    if column_type == JSON:
        return as_json(values), JSON
    if is_text(column_type):
        return _as_texts(values, types, column_type)
    needed = _needed(values, types, column_type)
    if needed != column_type:
        return fitted(values, needed)[0], needed
    return each(values, _written_as(types, column_type)), column_type


def _as_texts(values: Values, types: set[type], column_type: str) -> tuple[Texts, str]:
    texts: Texts = values if types == {str} else each(values, text_of)
    limit = _LIMITED_TEXT.fullmatch(column_type)
    if limit is not None:
        return texts, TEXT if longest(texts) > int(limit[1]) else column_type
    most = _TEXT_BYTES.get(column_type)
    fits = most is None or all(len(text.encode("utf-8", "surrogatepass")) <= most for text in texts if text is not None)
    return texts, column_type if fits else TEXT


def _needed(values: Values, types: set[type], column_type: str) -> str:
    if column_type == BOOLEAN:
        return BOOLEAN if types == {bool} else TEXT
    whole = _WHOLE.fullmatch(column_type)
    if whole and types == {int}:
        return _whole_type(values, column_type, whole)
    if whole and types <= _NUMBERS:
        return _decimal_type(values, DECIMAL)
    if column_type == DOUBLE and types <= _NUMBERS:
        return DOUBLE if are_doubles(values) else _decimal_type(values, DECIMAL)
    if _DECIMAL.fullmatch(column_type) and types <= _NUMBERS:
        return _decimal_type(values, column_type)
    if column_type == DATE and types == {date}:
        return DATE
    if column_type.startswith(("date", "timestamp")):
        return INSTANT if types <= {datetime, date} else TEXT
    return column_type if not _is_number(column_type) else TEXT  # a type of the owner's: the server judges


def _whole_type(values: Values, column_type: str, whole: re.Match[str]) -> str:
    low, high = whole_range(values)
    bits = _WHOLE_BITS[whole[1]]
    fits = low >= 0 and high < 1 << bits if whole[2] else -(1 << bits - 1) <= low and high < 1 << bits - 1
    if fits:
        return column_type
    if low >= -(1 << 63) and high < 1 << 63 and not whole[2]:
        return BIGINT
    return WHOLE if fit_digits(values, 65, 0) else TEXT


def _decimal_type(values: Values, column_type: str) -> str:
    for candidate in (column_type, DECIMAL):
        digits = _DECIMAL.fullmatch(candidate)
        if digits and fit_digits(values, int(digits[1]), int(digits[2])):
            return candidate
    return TEXT


def _written_as(types: set[type], column_type: str) -> Any:
    if column_type == BOOLEAN:
        return lambda value: "1" if value else "0"
    if types <= {datetime, date}:
        return _moment
    if types == {int} or column_type == DOUBLE:
        return str
    return plain_number if types <= _NUMBERS else text_of


def _moment(value: date) -> str:
    """Give an instant in UTC without its offset, which the type has no place for; a day as it is."""
    if not isinstance(value, datetime):
        return value.isoformat()
    if value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return value.isoformat(sep=" ")
