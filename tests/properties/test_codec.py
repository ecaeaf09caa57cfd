"""Whatever JSON can say survives the codec unchanged."""

from __future__ import annotations

import json
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from singerkit.protocol.codec import decode_exact, encode

TEXT = st.text(st.characters(exclude_categories=()), max_size=20)  # lone surrogates too
NUMBERS = st.one_of(
    st.integers(),
    st.integers(-(10**300), 10**300),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.sampled_from([2**53 + 1, 2**63, 2**64, -(2**63) - 1, Decimal("1E+400"), Decimal("-0.0"), Decimal("1.10")]),
)
JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=12,
)


def exact(value: object) -> object:
    """Give a form in which 1, 1.0, 1.00 and True differ. A decimal without a fraction may come back as an integer."""
    if isinstance(value, dict):
        return {name: exact(member) for name, member in value.items()}
    if isinstance(value, list):
        return list(map(exact, value))
    if isinstance(value, Decimal):
        return str(int(value)) if set("eE.").isdisjoint(str(value)) else str(value)
    return f"{type(value).__name__} {value!r}" if isinstance(value, bool) or value is None else str(value)


@given(JSON_VALUES)
def test_what_is_written_is_read_as_it_was(value: object) -> None:
    text = encode(value)
    assert b"\n" not in text
    assert exact(decode_exact(text)) == exact(value)


@given(JSON_VALUES, st.booleans())
def test_reading_agrees_with_the_standard_library(value: object, ascii_only: bool) -> None:
    text = encode(value)
    if not ascii_only and b"\\ud" not in text:
        text = text.decode().encode("utf-8")
    assert decode_exact(text) == json.loads(text, parse_float=Decimal)


@given(st.floats())
def test_floats_keep_their_value_or_become_null(value: float) -> None:
    found = decode_exact(encode(value))
    assert found is None if value != value or abs(value) == float("inf") else float(found) == value


@given(st.binary(max_size=40))
def test_any_bytes_are_a_value_or_a_value_error(data: bytes) -> None:
    try:
        value = decode_exact(data)
    except ValueError:
        return
    assert exact(decode_exact(encode(value))) == exact(value)


@given(st.text(st.sampled_from('{}[]",:0123456789.eE+-truefalsn\\ud8 \t\n'), max_size=30))
def test_what_is_accepted_is_json(text: str) -> None:
    try:
        ours = decode_exact(text.encode())
    except ValueError:
        return
    assert ours == json.loads(text, parse_float=Decimal, parse_constant=lambda name: 1 / 0)
