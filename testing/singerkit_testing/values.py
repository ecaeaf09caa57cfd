"""When two values mean the same: on the wire, and after a trip through a file or a database."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

Row = Mapping[str, Any]

_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?\s*(Z|z|[+-]\d\d(?::?\d\d)?)?(?: ?UTC)?"
)
_SEPARATORS = re.compile(r"[^0-9a-z]+")


def identity(value: Any) -> Hashable:
    """Give something to compare and count values by: numbers by their size, objects whatever the order of their keys.

    A boolean differs from the number it is in Python, and 1 equals 1.0.
    """
    if isinstance(value, dict):
        return ("object", frozenset((name, identity(part)) for name, part in value.items()))
    if isinstance(value, list | tuple):
        return ("array", tuple(map(identity, value)))
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, float) and not math.isfinite(value):
        return ("constant", str(value))
    return ("number", value) if isinstance(value, int | float | Decimal) else value


def equal(expected: Any, actual: Any) -> bool:
    """Whether what came back is what was sent, allowing for how files and databases write things.

    A number may come back as text, an object as JSON text, a boolean as 0 or 1, an instant in another time zone (one
    without a zone is taken as UTC). Nothing may be lost: no digit of a number, no fraction of a second.
    """
    if expected is None or actual is None:
        return expected is actual
    if isinstance(expected, bool):
        return _same_boolean(expected, actual)
    if isinstance(expected, int | float | Decimal):
        return _same_number(expected, actual)
    if isinstance(expected, Mapping | list | tuple):
        return _same_structure(expected, actual)
    return _same_text(str(expected), actual)


def _same_boolean(expected: bool, actual: Any) -> bool:
    if isinstance(actual, str):
        return actual.strip().lower() in (("true", "t", "1") if expected else ("false", "f", "0"))
    return isinstance(actual, bool | int | float | Decimal) and actual == expected


def _same_number(expected: int | float | Decimal, actual: Any) -> bool:
    found = number_of(actual)
    return found is not None and found == number_of(expected)


def number_of(value: Any) -> Decimal | None:
    """Give a number, or a text that is one, digit by digit; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        return None
    try:
        number = Decimal(value.strip() if isinstance(value, str) else repr(value) if type(value) is float else value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _same_structure(expected: Any, actual: Any) -> bool:
    if isinstance(actual, str | bytes):
        try:
            actual = json.loads(actual, parse_float=Decimal)
        except ValueError:
            return False
    if isinstance(expected, Mapping):
        return (
            isinstance(actual, Mapping)
            and expected.keys() == actual.keys()
            and all(equal(part, actual[name]) for name, part in expected.items())
        )
    is_list = isinstance(actual, Sequence) and not isinstance(actual, str | bytes)
    return is_list and len(actual) == len(expected) and all(map(equal, expected, actual))


def _same_text(expected: str, actual: Any) -> bool:
    if isinstance(actual, datetime | date | time):
        return _same_moment(expected, actual)
    if not isinstance(actual, str):
        return expected == _plain_text(actual)
    if expected == actual:
        return True
    instant = instant_of(expected)
    return instant is not None and instant == instant_of(actual)


def _plain_text(value: Any) -> str:
    return bytes(value).decode("utf-8", "replace") if isinstance(value, bytes | memoryview) else str(value)


def _same_moment(expected: str, actual: datetime | date | time) -> bool:
    if isinstance(actual, datetime):
        instant = instant_of(actual.isoformat(" "))
        return instant is not None and instant in (instant_of(expected), instant_of(f"{expected} 00:00:00"))
    return expected.startswith(actual.isoformat()) or actual.isoformat().startswith(expected.rstrip("Zz"))


class Instant(NamedTuple):
    """A moment: the second, in UTC, and what follows it, to nine digits."""

    second: datetime
    nanoseconds: int


def instant_of(text: str) -> Instant | None:
    """Read a date and time (without a zone: UTC); None if it is none, or one that no calendar has."""
    match = _INSTANT.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        local = datetime.fromisoformat(f"{year}-{month}-{day}T{hour}:{minute}:{second or '00'}{_zone(zone)}")
        return Instant(local.astimezone(UTC), int((fraction or "0").ljust(9, "0")))
    except (ValueError, OverflowError):
        return None


def _zone(zone: str | None) -> str:
    if zone is None or zone in "Zz":
        return "+00:00"
    return zone if ":" in zone else f"{zone}:00" if len(zone) == 3 else f"{zone[:3]}:{zone[3:]}"


def column_of(row: Row, name: str) -> Any:
    """Find a property's value in a row whose columns may be renamed by letter case or separators, or flattened.

    Shape: None if there is no such column; columns ``address__city`` give an object for ``address``.
    """
    if name in row:
        return row[name]
    folded = plain_name(name)
    for column, value in row.items():
        if plain_name(column) == folded:
            return value
    nested = {column[len(name) + 2 :]: value for column, value in row.items() if column.startswith(f"{name}__")}
    return _unflattened(nested) if nested else None


def plain_name(name: str) -> str:
    """Fold a name to what naming conventions leave of it: letters and digits in lower case."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return _SEPARATORS.sub("_", spaced.lower()).strip("_") or name


def _unflattened(columns: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in columns.items():
        *above, last = path.split("__")
        branch = tree
        for part in above:
            branch = branch.setdefault(part, {})
        branch[last] = value
    return tree


class Difference(NamedTuple):
    """How the rows of a target differ from those that were sent.

    Shape: `missing` are sent rows that are nowhere; `changed` pairs a sent row with the row that should be it;
    `surplus` are rows that nobody sent.
    """

    missing: list[Row]
    changed: list[tuple[Row, Row]]
    surplus: list[Row]

    def __bool__(self) -> bool:
        return bool(self.missing or self.changed or self.surplus)

    def sentences(self, most: int = 3) -> list[str]:
        """Say it in words, worst first, with a few examples."""
        changes = [f"{_cells(sent, found)}" for sent, found in self.changed]
        return [
            f"{len(rows)} {what}, for example {'; '.join(map(str, rows[:most]))}"
            for what, rows in (("sent but missing", self.missing), ("changed", changes), ("not sent", self.surplus))
            if rows
        ]


def _cells(sent: Row, found: Row) -> str:
    wrong = [name for name in sent if not equal(sent[name], column_of(found, name))]
    return ", ".join(f"{name}: sent {sent[name]!r}, found {column_of(found, name)!r}" for name in wrong)


def differences(
    expected: Iterable[Row], actual: Iterable[Row], *, keys: Sequence[str] = (), blank_is_null: bool = False
) -> Difference:
    """Compare rows as multisets, whatever their order; a sent row's properties must all be there, others are ignored.

    Shape: `keys` say which rows belong together; without them the first property of each row does.
    `blank_is_null` is for files that can't tell an empty text from nothing (CSV).
    """
    waiting: dict[Hashable, list[Row]] = {}
    sent = list(expected)
    by = list(keys) or list(sent[0])[:1] if sent else []
    for row in actual:
        waiting.setdefault(_bucket(row, by), []).append(row)
    unmatched = [row for row in sent if not _take(row, waiting.get(_bucket(row, by), []), blank_is_null)]
    missing: list[Row] = []
    changed: list[tuple[Row, Row]] = []
    for row in unmatched:
        rest = waiting.get(_bucket(row, by), [])
        if rest and by:
            changed.append((row, rest.pop(0)))
        else:
            missing.append(row)
    return Difference(missing, changed, [row for rows in waiting.values() for row in rows])


def _take(row: Row, candidates: list[Row], blank_is_null: bool) -> bool:
    for index, candidate in enumerate(candidates):
        if _matches(row, candidate, blank_is_null):
            del candidates[index]
            return True
    return False


def _matches(sent: Row, found: Row, blank_is_null: bool) -> bool:
    for name, value in sent.items():
        there = column_of(found, name)
        if not equal(value, there) and not (blank_is_null and value in (None, "") and there in (None, "")):
            return False
    return True


def _bucket(row: Row, names: Sequence[str]) -> Hashable:
    return tuple(_coarse(column_of(row, name)) for name in names)


def _coarse(value: Any) -> Hashable:
    """Fold a value so that whatever may be equal to it falls into the same bucket."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return Decimal(int(value))
    number = number_of(value)
    if number is not None:
        return number
    if isinstance(value, datetime):
        return instant_of(value.isoformat(" "))
    if isinstance(value, str):
        return "structure" if value.lstrip()[:1] in ("{", "[") else _coarse_text(value)
    return "structure" if isinstance(value, Mapping | list) else str(value)


def _coarse_text(text: str) -> Hashable:
    truth = {"true": Decimal(1), "false": Decimal(0)}.get(text.strip().lower())
    return instant_of(text) or (text if truth is None else truth)
