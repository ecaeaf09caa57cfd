"""Schedules as cron writes them."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

from singerkit.errors import ConfigurationError, MissingExtraError

_LOOKED_AT = 60


def longest_gap_s(schedule: str, now: datetime) -> float:
    """Give the longest time (seconds) between two of the runs to come, of which some sixty are looked at.

    Errors: ``ConfigurationError`` for what is no schedule; ``MissingExtraError`` without the extra ``schedule``.
    """
    try:
        from croniter import croniter
        from croniter.croniter import CroniterError
    except ImportError as error:
        raise MissingExtraError("a schedule is read with croniter: pip install 'singerkit[schedule]'") from error
    try:
        times = croniter(schedule, now)
        moments = [times.get_next(float) for _ in range(_LOOKED_AT)]
    except (CroniterError, ValueError) as error:
        raise ConfigurationError(f"'{schedule}' is no schedule of cron: {error}") from None
    return max(after - before for before, after in pairwise(moments))
