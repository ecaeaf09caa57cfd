"""JSON texts of many values are those of each."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from singerkit.records.columns import as_json, has_null
from singerkit.records.json_text import json_text, json_texts

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=()))  # line separators and lone surrogates among them
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@given(st.lists(VALUES))
def test_texts_of_a_column_are_those_of_each_value(values: list[object]) -> None:
    assert json_texts(values) == [json_text(value) for value in values]


@given(st.lists(VALUES))
def test_null_stays_null_in_a_column(values: list[object]) -> None:
    assert as_json(values) == [None if value is None else json_text(value) for value in values]
    assert has_null([*values, Decimal("1"), None])
    assert has_null(values) == any(value is None for value in values)
