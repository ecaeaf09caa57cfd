"""Steps of time, as people write them (``"2h"``, ``"1 month"``), and the windows that they cut a range into."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

_Moment = TypeVar("_Moment", date, datetime)

_DAY = timedelta(days=1)
_PART = re.compile(r"(\d*)\s*([a-z]+)", re.IGNORECASE)
_UNITS: dict[str, timedelta | int] = {
    **dict.fromkeys(("s", "sec", "second"), timedelta(seconds=1)),
    **dict.fromkeys(("m", "min", "minute"), timedelta(minutes=1)),
    **dict.fromkeys(("h", "hour"), timedelta(hours=1)),
    **dict.fromkeys(("d", "day"), _DAY),
    **dict.fromkeys(("w", "week"), timedelta(weeks=1)),
    "month": 1,
    **dict.fromkeys(("y", "year"), 12),
}
_HINT = "write a number and a unit, as in '2h', '3 days', '1 week' or '1 month'"


@dataclass(frozen=True, slots=True)
class TimeStep:
    """A length of time: calendar months, and what has a fixed length."""

    months: int = 0
    length: timedelta = timedelta()

    def __bool__(self) -> bool:
        """Tell whether it moves anything."""
        return bool(self.months or self.length)

    def after(self, moment: _Moment, count: int = 1) -> _Moment:
        """Give the moment so many steps later; the last day of a month where the month has no such day.

        A calendar day moves by whole days: a part of a day counts as one.
        """
        moved = _add_months(moment, self.months * count)
        return moved + self._length_for(moved) * count

    def before(self, moment: _Moment) -> _Moment:
        """Give the moment one step earlier; the earliest there is, where that would be before the year 1."""
        try:
            moved = _add_months(moment, -self.months)
            return moved - self._length_for(moved)
        except (OverflowError, ValueError):
            return moment.replace(year=1, month=1, day=1)

    def _length_for(self, moment: date) -> timedelta:
        return self.length if isinstance(moment, datetime) else timedelta(days=-(-self.length // _DAY))


def time_step_of(value: Any) -> TimeStep:
    """Read a step: a ``TimeStep``, a ``timedelta``, or text such as ``"1 day 12 hours"`` or ``"month"``.

    Errors: ``ValueError`` (with what to write) for anything else, and for what goes backwards.
    """
    if isinstance(value, TimeStep):
        return value
    if isinstance(value, timedelta):
        if value < timedelta():
            raise ValueError("it must not be negative")
        return TimeStep(length=value)
    if not isinstance(value, str) or not value.strip() or _PART.sub("", value).strip():
        raise ValueError(_HINT)
    months, length = 0, timedelta()
    for number, name in _PART.findall(value):
        unit = _UNITS.get(name.lower()) or _UNITS.get(name.lower().removesuffix("s"))
        if unit is None:
            raise ValueError(_HINT)
        count = int(number or 1)
        if isinstance(unit, int):
            months += unit * count
        else:
            length += unit * count
    return TimeStep(months, length)


def windows_of(start: _Moment, end: _Moment, step: TimeStep) -> Iterator[tuple[_Moment, _Moment]]:
    """Cut ``[start, end)`` into windows of one step each; the last one may be shorter.

    Edges are counted from ``start``, so that months keep their day: after 31 January come 29 February and 31 March.
    """
    count, edge = 0, start
    while edge < end:
        count += 1
        try:
            following = step.after(start, count)
        except (OverflowError, ValueError):
            following = end
        yield edge, min(following, end)
        edge = following


def _add_months(moment: _Moment, months: int) -> _Moment:
    if not months:
        return moment
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    return moment.replace(year=year, month=month + 1, day=min(moment.day, monthrange(year, month + 1)[1]))
