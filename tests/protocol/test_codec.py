from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from singerkit.protocol.codec import decode_exact, encode


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"1", 1),
        (b"-0", 0),
        (b"18446744073709551616", 2**64),
        (b"-170141183460469231731687303715884105729", -(2**127) - 1),
        (b"9" * 4300, int("9" * 4300)),
        (b"1.0", Decimal("1.0")),
        (b"1.50", Decimal("1.50")),
        (b"1e21", Decimal("1e21")),
        (b"1E-400", Decimal("1e-400")),
        (b"0." + b"1" * 60, Decimal("0." + "1" * 60)),
        ('"\u2028 é 😀"'.encode(), "\u2028 é 😀"),
        (rb'"\u2028 \u00e9 \ud83d\ude00 \/ \b"', "\u2028 é 😀 / \b"),
        (rb'"\ud800"', "\ud800"),
        (rb'{"a": "\udfff", "n": 1.10}', {"a": "\udfff", "n": Decimal("1.10")}),
        (b' { "a" : [ null , true ] } ', {"a": [None, True]}),
        (b'{"a":1,"a":2}', {"a": 2}),
    ],
)
def test_every_digit_and_character_is_kept(text: bytes, value: object) -> None:
    found = decode_exact(text)
    assert found == value
    assert type(found) is type(value)
    assert repr(found) == repr(value)


@pytest.mark.parametrize(
    "text",
    [
        b"NaN",
        b"[Infinity]",
        b'{"a":-Infinity}',
        rb'["\ud800", NaN]',
        b"01",
        b"1.",
        b".5",
        b"+1",
        b"'a'",
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"a\nb"',
        b"[1,]",
        b'{"a":1,}',
        b"{1:2}",
        b"",
        b" ",
        b"nul",
        b'{"a":1} {}',
        b"9" * 4301,
        b"-" + b"9" * 5000,
        rb'["\ud800", ' + b"9" * 5000 + b"]",
        b"1e999999999999999999999",
        b"1e-999999999999999999999",
        rb'["\ud800", 1e999999999999999999999]',
    ],
)
def test_what_is_not_json_or_beyond_reason_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        decode_exact(text)


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b"[" * 50_000 + b"]" * 50_000, b'{"a":' * 50_000 + b"1" + b"}" * 50_000]
)
def test_bottomless_nesting_is_refused(text: bytes) -> None:
    with pytest.raises((RecursionError, ValueError)):
        decode_exact(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [None, True, "x"]}, b'{"b":1,"a":[null,true,"x"]}'),
        (2**200, str(2**200).encode()),
        (-(2**63) - 1, str(-(2**63) - 1).encode()),
        (1.5, b"1.5"),
        (Decimal("1.10"), b"1.10"),
        (Decimal("1E+30"), b"1E+30"),
        (float("nan"), b"null"),
        ([float("inf"), {"x": -float("inf")}], b'[null,{"x":null}]'),
        ("line\nend\r\t\x00\u2028", '"line\\nend\\r\\t\\u0000\u2028"'.encode()),
        ("\ud800", b'"\\ud800"'),
        (
            {"\udfff": Decimal("2.50"), "n": float("nan"), "i": 2**70},
            b'{"\\udfff":2.50,"n":null,"i":1180591620717411303424}',
        ),
        ("NaN and Infinity are words", b'"NaN and Infinity are words"'),
        (datetime(2024, 1, 1, tzinfo=UTC), b'"2024-01-01T00:00:00Z"'),
        (date(2024, 1, 1), b'"2024-01-01"'),
        (UUID(int=1), b'"00000000-0000-0000-0000-000000000001"'),
        ((1, {2}), b"[1,[2]]"),
    ],
)
def test_a_value_is_written_on_one_line(value: object, text: bytes) -> None:
    assert encode(value) == text
    assert b"\n" not in encode(value)
    json.loads(encode(value), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@pytest.mark.parametrize("value", [Decimal("NaN"), [Decimal("sNaN")], {"a": Decimal("-Infinity")}, object()])
def test_what_json_can_not_say_is_an_error(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        encode(value)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", 'say "NaN"'])
def test_words_that_look_like_numbers_stay_text_beside_decimals(text: str) -> None:
    assert decode_exact(encode({"t": text, "d": Decimal("0.10")})) == {"t": text, "d": Decimal("0.10")}
