"""Schedules of cron as the platforms want them: five fields, or the calendar of systemd."""

from __future__ import annotations

import re
from collections.abc import Sequence

from singerkit.errors import ConfigurationError, MissingExtraError

_ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_NAMES = frozenset({*_MONTHS, *map(str.lower, _DAYS)})


def five_fields(schedule: str, where: str) -> str:
    """Give a schedule as five fields that all platforms read alike: no ``@daily``, and Sunday is 0.

    Errors: ``ConfigurationError`` for what is no schedule, or asks for what only some kinds of cron can do (seconds,
    ``L``, ``#``); ``MissingExtraError`` without the extra ``deploy``. ``where`` is the setting's path.
    """
    text = _ALIASES.get(schedule.strip().lower(), schedule)
    *others, weekday = fields = text.split()
    known = all(re.fullmatch(r"[0-9a-zA-Z*,/-]+", field) for field in fields)
    if len(fields) != 5 or not known or not {word.lower() for word in re.findall("[a-zA-Z]+", text)} <= _NAMES:
        raise ConfigurationError(
            f"{where}: '{schedule}' can't be deployed: write five fields, as in 30 6 * * 1-5, or {', '.join(_ALIASES)}"
        )
    _, _, days, _, weekdays = _values(text, where)
    if others[2] != "*" != weekday and (None in (days, weekdays) or "*" in others[2] + weekday):
        raise ConfigurationError(
            f"{where}: '{schedule}' restricts days of the month and of the week, which kinds of cron read differently "
            "where one of them has a step or means all days: list the days"
        )
    return " ".join([*others, _listed(weekdays) if "7" in weekday else weekday])


def on_calendar(fields: str, where: str) -> tuple[str, ...]:
    """Give five fields as the calendar events of systemd, whose times are UTC.

    Two of them where both days are restricted: cron runs on either, and systemd wants both.

    Source: crontab(5), systemd.time(7). Errors: as :func:`five_fields`.
    """
    minutes, hours, days, months, weekdays = _values(fields, where)
    clock = f"{_listed(hours)}:{_listed(minutes)}:00 UTC"
    month = _listed(months)
    by_day = f"*-{month}-{_listed(days)} {clock}"
    names = ",".join(_DAYS[day] for day in weekdays or ())
    by_weekday = f"{names} *-{month}-* {clock}"
    if weekdays is None:
        return (by_day,)
    return (by_weekday,) if days is None else (by_day, by_weekday)


def _listed(values: Sequence[int] | None) -> str:
    return "*" if values is None else ",".join(map(str, values))


def _values(fields: str, where: str) -> list[list[int] | None]:
    """Give the values of each field, sorted; ``None`` for a ``*``."""
    try:
        from croniter import croniter
        from croniter.croniter import CroniterError
    except ImportError:
        raise MissingExtraError("a schedule is read with croniter: pip install 'singerkit[deploy]'") from None
    try:
        expanded, _ = croniter.expand(fields)
    except (CroniterError, ValueError) as error:
        raise ConfigurationError(f"{where}: '{fields}' is no schedule of cron: {error}") from None
    return [
        None if "*" in values else sorted(int(value) % 7 if at == 4 else int(value) for value in values)
        for at, values in enumerate(expanded)
    ]
