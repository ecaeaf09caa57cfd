import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from singerkit.telemetry.redact import MASK, Redactor, escape_controls

SECRET = "p@ss/w\u00f6rd +\"quoted'\\x"


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower().replace("w%c3%b6rd", "w%c3%b6rd"),
        quote_plus(SECRET),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        repr(SECRET)[1:-1],
    ],
)
def test_a_secret_is_masked_in_every_form(form):
    assert Redactor([SECRET]).redact(f"before {form} after") == f"before {MASK} after"


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)


@given(st.text("abcXYZ019-_~", min_size=8, max_size=30), TEXTS, TEXTS, st.booleans())
@example("password", "user:", "", False)
def test_base64_of_a_text_with_the_secret_in_it_is_masked_at_every_alignment(secret, before, after, url_safe):
    encode = base64.urlsafe_b64encode if url_safe else base64.b64encode
    encoded = encode(f"{before}{secret}{after}".encode()).decode()
    shown = Redactor([secret]).redact(encoded)
    assert MASK in shown
    # What is left beside the mask can't tell more than the edges: one group of four characters on each side.
    assert len(shown) - len(MASK) <= len(encoded) - (len(secret) * 4 // 3 - 3)


@given(st.lists(st.text("abc", min_size=4, max_size=8), min_size=1, max_size=4), st.text("abcd", max_size=40))
@example(["abca", "bcabcab"], "abcabcab")
@example(["abcabc", "cabcca"], "abcabcca")
def test_overlapping_secrets_leave_nothing(secrets, text):
    shown = Redactor(secrets).redact(text)
    covered = {place for secret in secrets for place in _covered(text, secret)}
    kept = "".join(character for place, character in enumerate(text) if place not in covered)
    assert shown.replace(MASK, "") == kept


def _covered(text, secret):
    for start in range(len(text)):
        if text.startswith(secret, start):
            yield from range(start, start + len(secret))


@pytest.mark.parametrize("short", ["", "a", "abc"])
def test_a_very_short_value_is_left_since_masking_it_would_hide_the_log(short):
    assert Redactor([short]).redact("an abc of a tap") == "an abc of a tap"


def test_each_line_of_a_private_key_is_masked():
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\nshort\n-----END KEY-----\n"
    shown = Redactor([key]).redact("cause: MIIEvQIBADANBgkqhkiG, whole: " + key.strip() + " escaped: " + repr(key))
    assert "MIIE" not in shown


def test_values_can_be_added_later():
    redactor = Redactor()
    assert redactor.redact("token-1") == "token-1"
    redactor.add(["token-1"])
    redactor.add(["token-2"])
    assert redactor.redact("token-1 token-2") == f"{MASK} {MASK}"


@given(st.text())
def test_no_control_character_is_left(text):
    shown = escape_controls(text)
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 for c in shown)
    assert not set(shown) & set("\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


def test_ordinary_text_stays():
    assert escape_controls("Zürich 東京 \\ ok") == "Zürich 東京 \\ ok"
    assert escape_controls("a\nb\x1b[31m\u202ec") == "a\\nb\\x1b[31m\\u202ec"
