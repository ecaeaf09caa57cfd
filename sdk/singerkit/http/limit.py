"""Declared rate limits: ``"10/s, 1000/h"`` holds where the server counts, whatever the network does on the way.

Counting requests as they are sent is not enough: one that is held up on its way and the ones sent after it arrive
together, and the server sees more of them in a second than were sent in one. So a request's place is taken until a
whole window after its *answer* began: it arrived before that, and whoever takes the place next arrives after it.
(pyrate-limiter counts when it lets go: with delays of 0 to 0.2 s, a server saw 26 requests in a second of the 20
allowed.) The price: at an answering time of ``a`` seconds, ``n/s`` gives at most ``n / (1 + a)`` requests a second.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from singerkit.clock import monotonic
from singerkit.errors import ConfigurationError

_UNITS_S = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86400),
}
_RATE = re.compile(r"(?P<requests>\d+)\s*(?:/|per)\s*(?P<units>\d*)\s*(?P<unit>[a-z]+)", re.IGNORECASE)
#: Answers that came within this share of a window are counted as one moment, the last of them: a day's limit of a
#: million requests then takes no million numbers.
_GRAIN = 1 / 2048


class Rate(NamedTuple):
    """So many requests in any window of ``per_s`` seconds."""

    requests: int
    per_s: float


def parse_rates(text: str) -> tuple[Rate, ...]:
    """Read ``"10/s, 1000/h"``; the units are s, min, h and day, and ``"100/10s"`` has a window of ten seconds.

    Errors: ``ConfigurationError`` for what is no rate.
    """
    rates = []
    for part in text.split(","):
        match = _RATE.fullmatch(part.strip())
        unit_s = _UNITS_S.get(match["unit"].lower()) if match else None
        if match is None or unit_s is None or not int(match["requests"]) or match["units"] == "0":
            raise ConfigurationError(f"rate_limit: '{part.strip()}' is no rate; write for instance '10/s' or '1000/h'")
        rates.append(Rate(int(match["requests"]), float(unit_s * int(match["units"] or 1))))
    return tuple(rates)


class _Window:
    """The requests that still count for one rate. Its owner holds the lock."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._answered = 0
        #: First and last moment of an answer, and how many there were in between.
        self._moments: deque[tuple[float, float, int]] = deque()

    def wait_s(self, waiting: int) -> float | None:
        """Give 0 when there is a place; the seconds until there may be; ``None``: not before an answer comes."""
        now = monotonic()
        while self._moments and self._moments[0][1] + self._rate.per_s <= now:
            self._answered -= self._moments.popleft()[2]
        if waiting + self._answered < self._rate.requests:
            return 0.0
        return self._moments[0][1] + self._rate.per_s - now if self._moments else None

    def answered(self) -> None:
        now = monotonic()
        self._answered += 1
        if self._moments and now - self._moments[-1][0] < self._rate.per_s * _GRAIN:
            first, _, count = self._moments.pop()
            self._moments.append((first, now, count + 1))
        else:
            self._moments.append((now, now, 1))


class RateLimit:
    """One declared limit, of one or more rates; all requests that it limits take a place in it."""

    def __init__(self, rates: Sequence[Rate]) -> None:
        """Begin with every place free."""
        self._windows = [_Window(rate) for rate in rates]
        self._waiting = 0
        self._changed = threading.Condition()

    def enter(self) -> float:
        """Take a place, when there is one; gives the seconds that took."""
        entered = monotonic()
        with self._changed:
            while waits := [wait for window in self._windows if (wait := window.wait_s(self._waiting)) != 0]:
                self._changed.wait(max((wait for wait in waits if wait is not None), default=None))
            self._waiting += 1
        return monotonic() - entered

    def answered(self) -> None:
        """Say that the server has counted a request, as its answer shows: its place is free a window from now."""
        with self._changed:
            self._waiting -= 1
            for window in self._windows:
                window.answered()
            self._changed.notify_all()


class RateLimits:
    """All limits of a tap: the same words for the same origin are the same limit, whichever stream says them."""

    def __init__(self) -> None:
        """Begin without any."""
        self._limits: dict[tuple[str, str], RateLimit] = {}
        self._lock = threading.Lock()

    def of(self, origin: str, declared: Sequence[str]) -> list[RateLimit]:
        """Give the limits for an origin."""
        with self._lock:
            return [self._limit(origin, words) for words in sorted(set(declared))]

    def _limit(self, origin: str, words: str) -> RateLimit:
        limit = self._limits.get((origin, words))
        if limit is None:
            limit = self._limits[origin, words] = RateLimit(parse_rates(words))
        return limit
