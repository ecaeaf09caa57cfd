"""Which numbers a double holds: those that can be read from it again, digit for digit.

Sources write the double 0.1 as ``0.1``, with 17 digits as ``0.10000000000000001``, or with all the digits that it has
in binary, ``0.1000000000000000055511151231257827``: a double is enough for each of these. It is not enough for a number
with more digits of its own, such as ``123456789.123456789012345678``.
"""

from __future__ import annotations

from decimal import Decimal
from operator import eq

from singerkit.records.columns import Values, has_null, types_in


def double_of(value: Decimal) -> float | None:
    """Give the double that holds a number; None where none does."""
    near = float(value)
    return near if Decimal(repr(near)) == value or _is_spelling(value, near) else None


def as_doubles(values: Values) -> list[float | None] | None:
    """Give numbers as doubles, None as it is; None where a ``Decimal`` is among them that no double holds.

    Shape: integers must not be beyond 53 bits.
    """
    if types_in(values) == {Decimal} and not has_null(values):
        # As below, without a step of Python for each.
        exact: list[float | None] = list(map(float, values))
        if all(map(eq, map(Decimal, map(repr, exact)), values)):
            return exact
    doubles = [None if value is None else float(value) for value in values]
    for value, near in zip(values, doubles, strict=True):
        if type(value) is Decimal and Decimal(repr(near)) != value and not _is_spelling(value, near):
            return None
    return doubles


def _is_spelling(value: Decimal, near: float | None) -> bool:
    """Tell whether a number is a double written with 17 digits, or with all that it has."""
    return near is not None and (Decimal(f"{near:.17g}") == value or Decimal(near) == value)
