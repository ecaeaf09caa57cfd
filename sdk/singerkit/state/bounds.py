"""From where to where a source is asked, and how the bounds are written in a request.

A format that is coarser than the values (a day, a second) rounds outwards: the lower bound down and the upper one up.
So a request may ask for too much, and never for too little.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, TypeAlias

from singerkit.state.replication_key import DATE, INSTANT, TEXT, ReplicationKeyType, instant_of

#: ``"rfc3339"``, ``"date"``, ``"epoch"`` (seconds), ``"epoch_ms"``, a strftime pattern, or a function of the bound.
BoundFormat: TypeAlias = "str | Callable[[Any], Any]"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_EXACT = timedelta(microseconds=1)
#: What strftime's directives tell apart, finest first; a pattern is as fine as the finest of them.
_DIRECTIVES = (
    (_EXACT, "f"),
    (_SECOND, "STXcsr"),
    (timedelta(minutes=1), "MR"),
    (timedelta(hours=1), "HI"),
    (_DAY, "djFDxe"),
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """A part of a replication key's range: from ``start``, and before ``end``; ``None`` is no bound.

    Shape: aware datetimes (UTC unless the source says otherwise) for instants, dates for days, else numbers or text.
    """

    start: Any = None
    end: Any = None


@dataclass(frozen=True, slots=True)
class BoundWriter:
    """Writes bounds as a request carries them.

    Units: ``resolution`` is the smallest difference that the format can tell.
    """

    write: Callable[[Any], Any]
    resolution: timedelta = _EXACT

    def floor(self, value: Any) -> Any:
        """Give the last value not after this one that the format can write exactly."""
        if not isinstance(value, datetime) or self.resolution <= _EXACT:
            return value
        return value - (value - _EPOCH) % self.resolution

    def lower(self, value: Any) -> Any:
        """Write a bound that values are at or after."""
        return self.write(self.floor(value))

    def upper(self, value: Any, *, inclusive: bool = False) -> Any:
        """Write a bound that values are before; ``inclusive``: the source includes the whole day that it is given.

        What is finer than a day is written as it is, also where the source includes it: what comes twice by that is
        noticed, what is missed would not be.
        """
        floor = self.floor(value)
        if floor != value:
            floor += self.resolution
        return self.write(floor - _DAY if inclusive and self.resolution >= _DAY else floor)


def bound_writer(bound_format: BoundFormat | None, key_type: ReplicationKeyType) -> BoundWriter:
    """Choose how bounds are written; ``None``: as the replication key's type is usually written.

    Errors: ``ValueError`` for a format that is none.
    """
    if callable(bound_format):
        return BoundWriter(bound_format)
    if bound_format is None:
        bound_format = {INSTANT.name: "rfc3339", DATE.name: "date"}.get(key_type.name)
    if bound_format is None:
        return BoundWriter(lambda value: value)
    write, resolution = _FORMATS.get(bound_format) or _pattern(bound_format)
    if key_type is INSTANT or key_type is DATE:
        return BoundWriter(write, resolution)
    if key_type is TEXT:  # an instant, though its schema does not say so
        return BoundWriter(lambda value: write(instant_of(value)))
    return BoundWriter(lambda value: value)  # a number is a number in any format


def check_format(bound_format: BoundFormat | None) -> None:
    """Refuse a format that is none.

    Errors: ``ValueError`` with what there is.
    """
    bound_writer(bound_format, INSTANT)


def _instant(value: Any) -> datetime:
    if not isinstance(value, datetime):
        value = datetime.combine(value, time())
    instant: datetime = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return instant.astimezone(UTC)


def _rfc3339(value: Any) -> str:
    return _instant(value).isoformat().replace("+00:00", "Z")


def _day(value: Any) -> str:
    return _instant(value).date().isoformat()


def _epoch(value: Any) -> int:
    return (_instant(value) - _EPOCH) // _SECOND


def _epoch_ms(value: Any) -> int:
    return (_instant(value) - _EPOCH) // timedelta(milliseconds=1)


_FORMATS: dict[str, tuple[Callable[[Any], Any], timedelta]] = {
    "rfc3339": (_rfc3339, _EXACT),
    "date": (_day, _DAY),
    "epoch": (_epoch, _SECOND),
    "epoch_ms": (_epoch_ms, timedelta(milliseconds=1)),
}


def _pattern(pattern: str) -> tuple[Callable[[Any], Any], timedelta]:
    letters = set(re.findall(r"%[-#]?([A-Za-z])", pattern.replace("%%", "")))
    if not letters:
        raise ValueError(f"{pattern!r} is none of {', '.join(_FORMATS)}, and no strftime pattern")
    for resolution, directives in _DIRECTIVES:
        if letters.intersection(directives):
            return lambda value: _instant(value).strftime(pattern), resolution
    raise ValueError(f"{pattern!r} can't tell one day from the next")
