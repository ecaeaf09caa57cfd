"""Keeps secrets out of the log, and control characters that come from outside from forging lines of it.

This is the second line of defence: the first is that no message is built from a secret.
"""

from __future__ import annotations

import base64
import json
import threading
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MASK = "***"

#: Shorter values are left alone: they occur in ordinary words, so masking them would make the log unreadable, and the
#: places of the masks would tell what the secret is.
SHORTEST_SECRET = 4
#: A line of a secret of several lines (a private key) is masked by itself when it is at least so long.
_SHORTEST_LINE = 12

_BIDI_CONTROLS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_LINE_SEPARATORS = "\u2028\u2029"
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_ESCAPES = {
    **{code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))},
    **{ord(character): f"\\u{ord(character):04x}" for character in _BIDI_CONTROLS + _LINE_SEPARATORS},
    **{code: f"\\u{code:04x}" for code in range(0xD800, 0xE000)},
    **{ord(character): escape for character, escape in _NAMED.items()},
}


def escape_controls(text: str) -> str:
    """Give the text with C0, C1 and bidirectional controls, line separators and lone surrogates as escapes."""
    return text if text.isascii() and text.isprintable() else text.translate(_ESCAPES)


class Redactor:
    """Replaces secrets by ``***``, in the forms in which they turn up in messages; safe for many threads."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._forms: tuple[str, ...] = ()
        self.add(values)

    def add(self, values: Iterable[str]) -> None:
        """Mask these values too, from now on; those shorter than four characters are left alone."""
        with self._lock:
            known = set(self._forms)
            for value in values:
                known.update(form for form in forms_of(value) if len(form) >= SHORTEST_SECRET)
            self._forms = tuple(sorted(known, key=lambda form: (-len(form), form)))

    def redact(self, text: str) -> str:
        """Give the text with every secret masked."""
        found = [form for form in self._forms if form in text]
        return _masked(text, found) if found else text


def _masked(text: str, forms: Iterable[str]) -> str:
    """Mask all occurrences at once: replacing one by one leaves the rest of a secret that overlaps another."""
    spans = sorted(span for form in forms for span in _occurrences(text, form))
    parts: list[str] = []
    end = 0
    for start, stop in spans:
        if start > end or not parts:
            parts += [text[end:start], MASK]
        end = max(end, stop)
    return "".join([*parts, text[end:]])


def _occurrences(text: str, form: str) -> Iterator[tuple[int, int]]:
    start = text.find(form)
    while start >= 0:
        yield start, start + len(form)
        start = text.find(form, start + 1)


def forms_of(secret: str) -> set[str]:
    """Give the texts as which a secret can turn up: as it is, URL-encoded, base64, escaped; none for a short one."""
    forms: set[str] = set()
    for value in {secret, secret.strip(), *_long_lines(secret)}:
        if len(value) >= SHORTEST_SECRET:
            forms |= {value, *_url_forms(value), *_base64_forms(value), *_escaped_forms(value)}
    return forms


def _long_lines(secret: str) -> Iterator[str]:
    lines = secret.splitlines()
    return (line.strip() for line in lines if len(lines) > 1 and len(line.strip()) >= _SHORTEST_LINE)


def _url_forms(value: str) -> Iterator[str]:
    data = value.encode("utf-8", "surrogatepass")
    for encoded in (quote(data), quote(data, safe=""), quote_plus(data)):
        yield encoded
        yield _with_lower_case_escapes(encoded)


def _with_lower_case_escapes(encoded: str) -> str:
    head, *escapes = encoded.split("%")
    return "%".join([head, *(escape[:2].lower() + escape[2:] for escape in escapes)])


def _base64_forms(value: str) -> Iterator[str]:
    """Give the part of the base64 text that the secret alone decides, for each of the three places it can begin at.

    A secret inside a longer text (``user:password``) is encoded differently by where it stands, modulo three bytes.
    """
    data = value.encode("utf-8", "surrogatepass")
    for before in range(3):
        padded = b"\0" * before + data
        shared_at_end = len(padded) % 3
        encoded = base64.b64encode(padded).decode().rstrip("=")
        own = encoded[(0, 2, 3)[before] : len(encoded) - 1 if shared_at_end else None]
        yield own
        yield own.replace("+", "-").replace("/", "_")


def _escaped_forms(value: str) -> Iterator[str]:
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    yield escape_controls(value)


#: The redactor of this process. Logging is one for the whole process too, and so must be what is kept out of it.
redactor = Redactor()
