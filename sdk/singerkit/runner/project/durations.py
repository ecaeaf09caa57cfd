"""Durations as people write them: seconds as a number, or ``30s``, ``15m``, ``2h``, ``1d``, ``1h30m``."""

from __future__ import annotations

import re

#: What a text has to look like, for the schema of the file.
PATTERN = r"^([0-9]+(\.[0-9]+)?d)?([0-9]+(\.[0-9]+)?h)?([0-9]+(\.[0-9]+)?m)?([0-9]+(\.[0-9]+)?s)?$"
#: The same in words, for who wrote another.
IN_WORDS = "has to be a number of seconds, or a duration as 90s, 15m, 2h, 1d or 1h30m"
_PART = re.compile(r"([0-9.]+)([dhms])")
_SECONDS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}


def seconds_of(duration: float | str) -> float:
    """Give a duration, a number of seconds or a text that fits ``PATTERN``, in seconds."""
    if isinstance(duration, str):
        return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(duration))
    return float(duration)
