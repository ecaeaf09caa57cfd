"""Lines to values and back: exact, strict, fast where it can be.

Integers of any size and decimals keep every digit: a number with a fraction or an exponent is read as ``Decimal``
unless a schema says that a ``float`` will do (that is decided in ``records/``, per stream). msgspec does the work;
the standard library's json takes over where a text holds a lone surrogate, which msgspec refuses. NaN and Infinity are
not JSON (RFC 8259): they are refused when read and never written.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, NoReturn

import msgspec

_exact_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


def refuse_constant(name: str) -> NoReturn:
    """Refuse ``NaN``, ``Infinity`` and ``-Infinity``, which some writers take for JSON."""
    raise ValueError(f"{name} is not JSON")


def decode_exact(text: bytes) -> Any:
    """Read one JSON value with every digit kept.

    Errors: ``ValueError`` (msgspec's ``DecodeError`` is one) when it is not JSON; ``RecursionError`` when it is nested
    too deep.
    """
    try:
        return _decode(text)
    except ArithmeticError as error:
        raise ValueError("a number's exponent is out of range") from error


def _decode(text: bytes) -> Any:
    try:
        return _exact_decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if b"\\u" not in text:
            raise ValueError(str(error)) from error
    return json.loads(text.decode("utf-8"), parse_float=Decimal, parse_constant=refuse_constant)


def encode(value: Any) -> bytes:
    """Write one JSON value on one line, without a line end.

    Floats that are NaN or infinite become null; decimals keep every digit, and those that are not numbers are an error.

    Errors: ``ValueError`` or ``TypeError`` for what JSON can't say.
    """
    try:
        text = _encoder.encode(value)
    except UnicodeEncodeError:
        return encode_with_surrogates(value)
    return encode_with_surrogates(value) if b"NaN" in text or b"Infinity" in text else text


def encode_with_surrogates(value: Any) -> bytes:
    """Write a value that msgspec can't: one with a lone surrogate, or with a decimal that is no number (an error)."""
    return _text_of(msgspec.to_builtins(value, builtin_types=(Decimal,), str_keys=True)).encode("ascii")


def _text_of(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{_text_of(member)}" for name, member in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_text_of, value)) + "]"
    if isinstance(value, Decimal) and not value.is_finite():
        raise ValueError("a decimal that is not a number can't be written as JSON")
    return _encoder.encode(value).decode("ascii")
