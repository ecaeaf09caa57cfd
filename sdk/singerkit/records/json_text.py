"""JSON text of any value that a record can hold: every digit, every character."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

_encoder = msgspec.json.Encoder(decimal_format="number")


def json_lines(values: Sequence[Any]) -> bytes:
    """Give a line for each value, ended by a line feed; characters beyond ASCII as UTF-8."""
    try:
        return _encoder.encode_lines(values)
    except UnicodeEncodeError:
        return b"".join(json_bytes(value) + b"\n" for value in values)


def json_bytes(value: Any) -> bytes:
    """Give a value's JSON text, on one line; one with a lone surrogate is written with escapes."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        return _escaped(value).encode("ascii")


def json_text(value: Any) -> str:
    """Give :func:`json_bytes` as text."""
    return json_bytes(value).decode()


def json_texts(values: Sequence[Any]) -> list[str]:
    """Give :func:`json_text` of each value, which for many is far cheaper than one by one."""
    try:
        # Within a value a line feed is escaped; what else str.splitlines would split at is not.
        return _encoder.encode_lines(values).decode().split("\n")[:-1]
    except UnicodeEncodeError:
        return list(map(json_text, values))


def _escaped(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{_escaped(member)}" for name, member in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_escaped, value)) + "]"
    return _encoder.encode(value).decode("ascii")


def is_json(text: bytes) -> bool:
    """Tell whether a text is one JSON value."""
    try:
        msgspec.json.Decoder(float_hook=Decimal).decode(text)
    except msgspec.DecodeError:
        return _is_json_with_surrogates(text)
    return True


def _is_json_with_surrogates(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
