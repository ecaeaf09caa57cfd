"""JSON as it stands on the wire: exact numbers out, exact numbers in, and every oddity of a text noted."""

from __future__ import annotations

import json
import re
import threading
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Flaw(StrEnum):
    """What can be wrong with a line before anyone asks what it means."""

    BLANK = "blank line"
    NOT_UTF8 = "not UTF-8"
    NOT_JSON = "not JSON"
    BYTE_ORDER_MARK = "byte order mark"
    CARRIAGE_RETURN = "carriage return at the end"
    DUPLICATE_KEY = "duplicate key"
    NOT_A_NUMBER = "NaN or Infinity"
    LONE_SURROGATE = "lone surrogate"
    NO_LINE_FEED = "no line feed at the end"


class Problem(NamedTuple):
    """One flaw and where it is, in words."""

    flaw: Flaw
    text: str


class Decoded(NamedTuple):
    """A text's value as far as it could be read (None if not at all), and its flaws.

    Shape: numbers are ``int`` or ``Decimal``; NaN and the infinities, which JSON lacks, are ``float``.
    """

    value: Any
    problems: tuple[Problem, ...]


_BYTE_ORDER_MARK = "\ufeff"
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def decode(text: bytes) -> Decoded:
    """Read one JSON document strictly, yet go on after what a lenient parser would forgive."""
    problems: list[Problem] = []
    document = _unicode(text, problems)
    if document.startswith(_BYTE_ORDER_MARK):
        problems.append(Problem(Flaw.BYTE_ORDER_MARK, "the text starts with U+FEFF"))
        document = document.removeprefix(_BYTE_ORDER_MARK)
    if document.endswith("\r"):
        problems.append(Problem(Flaw.CARRIAGE_RETURN, "CR before the line feed"))
    return Decoded(_parse(document, problems), tuple(problems))


def _unicode(text: bytes, problems: list[Problem]) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        problems.append(Problem(Flaw.NOT_UTF8, f"byte {error.start + 1}: {error.reason}"))
        return text.decode("utf-8", "replace")


def _parse(document: str, problems: list[Problem]) -> Any:
    if not document.strip(" \t\r\n"):
        problems.append(Problem(Flaw.BLANK, "nothing on the line"))
        return None
    try:
        value = _strict.decode(document, problems)
    except RecursionError:
        problems.append(Problem(Flaw.NOT_JSON, "nested too deeply to be read"))
        return None
    except ValueError as error:
        problems.append(Problem(Flaw.NOT_JSON, str(error)))
        return None
    if "\\u" in document and _has_lone_surrogate(value):
        problems.append(Problem(Flaw.LONE_SURROGATE, "an escape names half of a surrogate pair"))
    return value


def _exact_decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:  # an exponent beyond all reason
        raise ValueError(f"the number {text[:40]} is out of range") from error


def _exact_integer(text: str) -> int | Decimal:
    return int(text) if len(text) < 4000 else Decimal(text)  # Python refuses to read longer integers


class _Strict(threading.local):
    """A decoder for each thread, as making one for each line would take longer than decoding the line."""

    def __init__(self) -> None:
        self._problems: list[Problem] = []
        self._decoder = json.JSONDecoder(
            parse_float=_exact_decimal,
            parse_int=_exact_integer,
            parse_constant=self._constant,
            object_pairs_hook=self._members,
        )

    def decode(self, document: str, problems: list[Problem]) -> Any:
        self._problems = problems
        return self._decoder.decode(document)

    def _constant(self, text: str) -> float:
        self._problems.append(Problem(Flaw.NOT_A_NUMBER, f"{text} is no JSON"))
        return float(text.replace("Infinity", "inf"))

    def _members(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            names = [name for name, _ in pairs]
            twice = ", ".join(sorted({repr(name) for name in names if names.count(name) > 1}))
            self._problems.append(Problem(Flaw.DUPLICATE_KEY, f"the object has {twice} more than once"))
        return members


_strict = _Strict()


def _has_lone_surrogate(value: Any) -> bool:
    if isinstance(value, str):
        return _LONE_SURROGATE.search(value) is not None
    if isinstance(value, dict):
        return any(_has_lone_surrogate(part) for pair in value.items() for part in pair)
    return isinstance(value, list) and any(map(_has_lone_surrogate, value))


def encode(value: Any) -> bytes:
    """Write a value as one line of compact JSON, without the line feed.

    Shape: ``Decimal`` is written digit by digit, so that a test says exactly what it sends; characters beyond ASCII
    stay as they are, except lone surrogates, which UTF-8 can't carry.
    """
    return "".join(_pieces(value)).encode("utf-8", "backslashreplace")


def _pieces(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        yield from _enclosed("{", "}", (_member(name, part) for name, part in value.items()))
    elif isinstance(value, list | tuple):
        yield from _enclosed("[", "]", ("".join(_pieces(part)) for part in value))
    elif isinstance(value, Decimal):
        yield str(value)
    else:
        yield json.dumps(value, ensure_ascii=False)


def _member(name: str, value: Any) -> str:
    return f"{json.dumps(name, ensure_ascii=False)}:{''.join(_pieces(value))}"


def _enclosed(opening: str, closing: str, parts: Iterable[str]) -> Iterable[str]:
    yield opening
    yield ",".join(parts)
    yield closing
