"""Which numbers a double holds: those that can be read from it again, digit for digit.

Sources write the double 0.1 as ``0.1``, with 17 digits as ``0.10000000000000001``, or with all the digits that it has
in binary, ``0.1000000000000000055511151231257827``: a double is enough for each of these. It is not enough for a number
with more digits of its own, such as ``123456789.123456789012345678``.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from singerkit.records.columns import Values, has_null


def double_of(value: Decimal) -> float | None:
    """Give the double that holds a number; None where none does."""
    near = float(value)
    return near if Decimal(repr(near)) == value or _is_spelling(value, near) else None


def as_doubles(values: Values) -> Values | None:
    """Give numbers as doubles, None as it is; None where a ``Decimal`` is among them that no double holds.

    Shape: integers must not be beyond 53 bits.
    """
    if not has_null(values):
        return _doubles(values)
    doubles = _doubles([value for value in values if value is not None])
    if doubles is None:
        return None
    next_double = iter(doubles).__next__
    return [None if value is None else next_double() for value in values]


def _doubles(values: Values) -> list[float] | None:
    """Read all of them at once, and look closely only at those that are not written as their double is."""
    given = _encode(values)
    try:
        doubles = _decode_doubles(given)
    except msgspec.ValidationError:  # one is beyond the range of doubles
        return None
    written = _encode(doubles)
    if given == written:
        return doubles
    pairs = zip(given[1:-1].split(b","), written[1:-1].split(b","), strict=True)
    unlike = [number for number, (text, of_double) in enumerate(pairs) if text != of_double]
    return doubles if all(_holds(doubles[number], values[number]) for number in unlike) else None


_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode_doubles = msgspec.json.Decoder(list[float]).decode


def _holds(near: float, value: Any) -> bool:
    return not isinstance(value, Decimal) or Decimal(repr(near)) == value or _is_spelling(value, near)


def _is_spelling(value: Decimal, near: float) -> bool:
    """Tell whether a number is a double written with 17 digits, or with all that it has."""
    return Decimal(f"{near:.17g}") == value or Decimal(near) == value
