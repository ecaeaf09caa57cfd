from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singerkit_testing.wire import Flaw, decode, encode

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_what_is_written_is_read_again(value):
    assert decode(encode(value)) == (value, ())


@given(VALUES)
def test_what_is_written_is_json_on_one_line(value):
    line = encode(value)
    json.loads(line)
    assert b"\n" not in line


def test_numbers_keep_every_digit():
    assert decode(b"[0.1234567890123456789012345, 9007199254740993, 1e-30]").value == [
        Decimal("0.1234567890123456789012345"),
        9007199254740993,
        Decimal("1e-30"),
    ]
    assert encode({"n": Decimal("0.1234567890123456789012345")}) == b'{"n":0.1234567890123456789012345}'


def test_a_lone_surrogate_is_written_as_an_escape():
    assert encode("\ud800") == b'"\\ud800"'


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        (b"", Flaw.BLANK),
        (b" \t", Flaw.BLANK),
        (b"starting", Flaw.NOT_JSON),
        (b"{} {}", Flaw.NOT_JSON),
        (b"\xef\xbb\xbf{}", Flaw.BYTE_ORDER_MARK),
        (b"{}\r", Flaw.CARRIAGE_RETURN),
        (b'{"a":1,"a":2}', Flaw.DUPLICATE_KEY),
        (b'[{"x":{"a":1,"a":1}}]', Flaw.DUPLICATE_KEY),
        (b'{"a":NaN}', Flaw.NOT_A_NUMBER),
        (b"[-Infinity]", Flaw.NOT_A_NUMBER),
        (b'"\xff"', Flaw.NOT_UTF8),
        (rb'{"\ud800":1}', Flaw.LONE_SURROGATE),
        (b'"raw\x01control"', Flaw.NOT_JSON),
        (b"1e999999999999999999999", Flaw.NOT_JSON),
        (b"[" * 100_000, Flaw.NOT_JSON),
    ],
)
def test_each_flaw_is_noted(text, flaw):
    assert [problem.flaw for problem in decode(text).problems] == [flaw]


@pytest.mark.parametrize("text", [rb'"\ud83d\ude00"', b'"\xe2\x80\xa8"', b"-0.0", b"9" * 5000, b' {"a": 1} '])
def test_what_is_legal_has_no_flaw(text):
    assert decode(text).problems == ()


def test_a_flawed_value_is_read_as_far_as_possible():
    assert decode(b'{"a":1,"a":2}').value == {"a": 2}
    assert decode(b'"\xff"').value == "�"
