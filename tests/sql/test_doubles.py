"""Which numbers a double holds."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singerkit.sql.doubles import as_doubles, double_of

NUMBERS = st.one_of(
    st.none(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda near: Decimal(repr(near))),
    st.floats(allow_nan=False, allow_infinity=False).map(Decimal),
    st.decimals(allow_nan=False, allow_infinity=False, places=3),
    st.decimals(allow_nan=False, allow_infinity=False),
)


@given(st.lists(NUMBERS))
def test_a_column_becomes_doubles_exactly_where_each_of_its_numbers_has_one(values: list[int | Decimal | None]) -> None:
    one_by_one = [double_of(value) if isinstance(value, Decimal) else value for value in values]
    expected = None if one_by_one.count(None) > values.count(None) else one_by_one
    assert as_doubles(values) == expected


@pytest.mark.parametrize(
    ("text", "double"),
    [
        ("0.1", 0.1),
        ("0.10", 0.1),
        ("0.10000000000000001", 0.1),
        ("0.1000000000000000055511151231257827021181583404541015625", 0.1),
        ("1E+2", 100.0),
        ("-0.0", -0.0),
        ("123456789.123456789012345678", None),
        ("1E+400", None),
        ("1E-400", None),
    ],
)
def test_spellings_of_a_number(text: str, double: float | None) -> None:
    assert as_doubles([Decimal(text), 1]) == (None if double is None else [double, 1.0])
    assert double_of(Decimal(text)) == double
