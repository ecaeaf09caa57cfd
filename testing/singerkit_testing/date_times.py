"""Date-times by the letter of RFC 3339, and where a record has them."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from singerkit_testing.json_schemas import branches_of, types_of

_DATE_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)([Tt ])(\d\d):(\d\d):(\d\d)(?:\.\d+)?(Z|z|[+-]\d\d:\d\d)?", flags=re.ASCII
)
Values = Callable[[Any], Iterator[tuple[str, str]]]


def date_time_flaw(text: str) -> str | None:
    """Say what is wrong with a date-time; None if nothing is. A leap second is fine, the year 0 is not."""
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        return "no RFC 3339 date-time"
    year, month, day, hour, minute, second = map(int, match.group(1, 2, 3, 5, 6, 7))
    if match[8] is None:
        return "no offset from UTC"
    if not (year >= 1 and 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]):
        return "no such day"
    return None if hour <= 23 and minute <= 59 and second <= 60 and _is_offset(match[8]) else "no such time"


def _is_offset(zone: str) -> bool:
    return zone in "Zz" or (int(zone[1:3]) <= 23 and int(zone[4:6]) <= 59)


def compile_date_times(schema: Any) -> Values | None:
    """Give a function that lists the texts in a value that must be date-times, each with the way to it.

    Shape: None if the schema has no date-times: most have few, and only those are walked. A text that a union also
    allows in another form need not be one.
    """
    branches = list(branches_of(schema))
    parts = [_of_text(branches), *_of_members(branches), *_of_items(branches)]
    found = [part for part in parts if part is not None]
    return partial(_all, found) if found else None


def _all(parts: list[Values], value: Any) -> Iterator[tuple[str, str]]:
    for part in parts:
        yield from part(value)


def _of_text(branches: list[dict[str, Any]]) -> Values | None:
    is_date_time = [branch for branch in branches if branch.get("format") == "date-time"]
    plain = [branch for branch in branches[1:] if "string" in types_of(branch) and "format" not in branch]
    other = [branch for branch in branches if branch.get("format") not in (None, "date-time")]
    if not is_date_time or [branch for branch in plain if not list(branches_of(branch))[1:]] or other:
        return None
    return lambda value: iter([("", value)] if isinstance(value, str) else [])


def _of_members(branches: list[dict[str, Any]]) -> Iterator[Values]:
    for branch in branches:
        properties = branch.get("properties")
        for name, inner in (properties if isinstance(properties, dict) else {}).items():
            values = compile_date_times(inner)
            if values is not None:
                yield partial(_member, name, values)


def _member(name: str, values: Values, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and name in value:
        for path, text in values(value[name]):
            yield f"{name}/{path}".rstrip("/"), text


def _of_items(branches: list[dict[str, Any]]) -> Iterator[Values]:
    for branch in branches:
        values = compile_date_times(branch["items"]) if isinstance(branch.get("items"), dict) else None
        if values is not None:
            yield partial(_items, values)


def _items(values: Values, value: Any) -> Iterator[tuple[str, str]]:
    for item in value if isinstance(value, list) else []:
        for path, text in values(item):
            yield f"[]/{path}".rstrip("/"), text
