"""Bring a record's values to their JSON form and drop what its schema does not name.

One converter per property is chosen from the declared types when the stream is compiled. What JSON can say already
(text, integers, booleans, null) is passed through. A value that JSON can't say becomes what the established taps write:
bytes are hexadecimal, an instant without an offset is UTC, a duration counts from 1970-01-01. NaN and infinite numbers,
which JSON does not have, become null; that and every dropped property is counted and reported once, at the end of the
stream.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Any, TypeAlias
from uuid import UUID

from singerkit.schema.walk import rebuild
from singerkit.types import Breadcrumb, Record, Schema

Converter: TypeAlias = Callable[[Any], Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN = frozenset({str, int, bool, type(None)})


class Changes:
    """Counts what conforming had to change or drop, by property; values are not kept."""

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()
        self.not_a_number = 0

    def messages(self) -> list[str]:
        """Give one sentence for each kind of change."""
        messages = []
        if self.dropped:
            names = ", ".join(sorted(self.dropped)[:20])
            messages.append(f"left out properties that the schema does not have: {names}")
        if self.not_a_number:
            messages.append(f"{self.not_a_number} values were NaN or infinite, which JSON can't say, and became null")
        return messages


def compile_conform(schema: Schema, changes: Changes) -> Callable[[Mapping[str, Any]], Record]:
    """Give the function that conforms a record to ``schema``; the record itself is left as it is."""
    return _object_converter(schema, changes, _free_converter(changes), "")


def is_open(schema: Schema) -> bool:
    """Tell whether an object may have properties that its schema does not name."""
    return "properties" not in schema or bool(schema.get("additionalProperties") or schema.get("patternProperties"))


def with_open_members(schema: Schema) -> Schema:
    """Give a schema whose nested objects may have properties that it does not name; those that are closed stay so.

    Selecting closes an object that it takes a property from, so what was deselected stays out.
    """

    def open_member(breadcrumb: Breadcrumb, part: Schema) -> Schema:
        is_nested_object = bool(breadcrumb) and "properties" in part
        return {"additionalProperties": True} | part if is_nested_object else part

    return rebuild(schema, open_member)


def _object_converter(
    schema: Schema, changes: Changes, free: Converter, path: str
) -> Callable[[Mapping[str, Any]], Record]:
    properties = schema.get("properties", {})
    converters = {name: _converter(member, changes, free, f"{path}{name}.") for name, member in properties.items()}

    def conform_open(record: Mapping[str, Any]) -> Record:
        return {name: converters.get(name, free)(value) for name, value in record.items()}

    def conform_closed(record: Mapping[str, Any]) -> Record:
        conformed = {}
        for name, value in record.items():
            converter = converters.get(name)
            if converter is None:
                changes.dropped[path + name] += 1
            else:
                conformed[name] = value if value.__class__ in _PLAIN and converter is free else converter(value)
        return conformed

    return conform_open if path and is_open(schema) else conform_closed


def _converter(schema: Schema, changes: Changes, free: Converter, path: str) -> Converter:
    """Choose by the declared types: booleans and text have rules of their own, objects and arrays recurse."""
    declared = schema.get("type", ())
    types = frozenset({declared} if isinstance(declared, str) else declared) - {"null"}
    if "object" in types and "properties" in schema:
        convert = _object_converter(schema, changes, free, path)
        return lambda value: convert(value) if isinstance(value, Mapping) else free(value)
    if "array" in types and isinstance(schema.get("items"), dict):
        convert_item = _converter(schema["items"], changes, free, path)
        return lambda value: [convert_item(i) for i in value] if isinstance(value, list | tuple | set) else free(value)
    if types == {"boolean"}:
        return _boolean_converter(free)
    if "string" in types:
        return _date_time_converter(free) if schema.get("format") == "date-time" else _text_converter(free, types)
    return free


def _boolean_converter(free: Converter) -> Converter:
    """Numbers and bits of databases count as booleans: zero is false."""

    def convert(value: Any) -> Any:
        if isinstance(value, bytes):
            return any(value)
        plain = free(value)
        return plain != 0 if isinstance(plain, int | float | Decimal) else plain

    return convert


def _date_time_converter(free: Converter) -> Converter:
    def convert(value: Any) -> Any:
        if isinstance(value, date) and not isinstance(value, datetime):
            return f"{value.isoformat()}T00:00:00Z"
        return free(value)

    return convert


def _text_converter(free: Converter, types: frozenset[str]) -> Converter:
    """Give the converter of text: a decimal becomes text only where the schema takes no numbers."""
    if types & {"number", "integer"}:
        return free
    return lambda value: str(value) if isinstance(value, Decimal) else free(value)


def _free_converter(changes: Changes) -> Converter:
    """Give the converter for any value, whatever the schema says."""

    def convert(value: Any) -> Any:
        if value.__class__ in _PLAIN:
            return value
        for kind, rule in rules:
            if isinstance(value, kind):
                return rule(value)
        return str(value)

    def number(value: Any) -> Any:
        if (value.is_finite() if isinstance(value, Decimal) else isfinite(value)) or isinstance(value, int):
            return value
        changes.not_a_number += 1
        return None

    rules: tuple[tuple[Any, Converter], ...] = (
        (Enum, lambda value: convert(value.value)),
        ((str, int), lambda value: value),
        ((float, Decimal), number),
        (Mapping, lambda value: {str(name): convert(member) for name, member in value.items()}),
        ((list, tuple, set, frozenset), lambda value: [convert(member) for member in value]),
        *_TEXT_FORMS,
    )
    return convert


def _instant(value: datetime) -> str:
    """Give RFC 3339 text, UTC as ``Z``: the very text that the fast way of ``encode`` writes."""
    text = (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).isoformat()
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


_TEXT_FORMS: tuple[tuple[Any, Converter], ...] = (
    (datetime, _instant),
    ((date, time), lambda value: value.isoformat()),
    (timedelta, lambda value: _instant(_EPOCH + value)),
    ((bytes, bytearray, memoryview), lambda value: bytes(value).hex()),
    (UUID, str),
)
