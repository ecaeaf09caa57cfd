"""How long a server wants to be left alone, and the gates that keep every worker of a tap away from it for so long.

What is read, in this order: ``Retry-After`` (RFC 9110, section 10.2.3); ``RateLimit``, the structured field of the IETF
draft "RateLimit header fields for HTTP"; the ``RateLimit-Remaining`` and ``RateLimit-Reset`` that it had before; and
the ``X-RateLimit-*`` headers that it came from.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from singerkit import clock
from singerkit.clock import monotonic, utc_now
from singerkit.errors import RetryBudgetError

if TYPE_CHECKING:
    import requests

TOO_MANY_REQUESTS = 429
FORBIDDEN = 403
_PREFIXES = ("RateLimit", "X-RateLimit", "X-Rate-Limit")
#: A reset that is larger is no number of seconds to wait (31 years), but a moment: seconds since 1970.
_FIRST_EPOCH_S = 1e9
#: And one that is larger still counts milliseconds.
_FIRST_EPOCH_MS = 1e11


class Gates:
    """When each origin may be asked again; shared by all workers of a tap."""

    def __init__(self, pause: Callable[[float], None] = clock.sleep) -> None:
        """Begin with every gate open; ``pause(seconds)`` waits."""
        self._open_at: dict[str, float] = {}
        self._lock = threading.Lock()
        self._pause = pause

    def hold(self, origin: str, seconds: float) -> None:
        """Keep everyone from an origin for so many seconds; a longer hold stands."""
        with self._lock:
            self._open_at[origin] = max(self._open_at.get(origin, 0.0), monotonic() + seconds)

    def wait(self, origin: str, *, at_most_s: float) -> float:
        """Return when the origin may be asked; gives the seconds that took.

        Errors: ``RetryBudgetError`` at once, when that is more than ``at_most_s`` seconds away.
        """
        entered = monotonic()
        if not clock.waits():
            return 0.0
        while (remaining := self._open_at.get(origin, 0.0) - monotonic()) > 0:
            if remaining > at_most_s:
                raise RetryBudgetError(
                    f"{origin} asks for a pause of {remaining:.0f} s, which is more than the {at_most_s:.0f} s that a "
                    "request may take (RetryPolicy.total_s); run again later"
                )
            self._pause(remaining)
        return monotonic() - entered


def pause_asked_s(response: requests.Response) -> float | None:
    """Give the pause that an answer asks for: in ``Retry-After``, a number of seconds or a date, else as a limit.

    Units: seconds from now, never negative. A date is compared with the server's own ``Date``, whose clock it is from.
    """
    text = response.headers.get("Retry-After", "").strip()
    seconds = _number(text)
    if seconds is not None:
        return seconds
    until = _instant_of_date(text)
    if until is not None:
        return max(0.0, until - _server_time(response))
    return limit_pause_s(response)


def limit_pause_s(response: requests.Response) -> float | None:
    """Give the seconds until there are requests left again, where an answer says that none are left now.

    An answer 429 that says when the count begins anew, but not what remains, says that nothing does.
    """
    pauses = [
        pause_s
        for remaining, reset in _counts(response.headers)
        if (remaining == 0 or (remaining is None and response.status_code == TOO_MANY_REQUESTS))
        and (pause_s := _until_reset_s(reset, response)) is not None
    ]
    return max(pauses, default=None)


def is_refused_for_now(response: requests.Response) -> bool:
    """Say whether an answer means "too many requests": some APIs say so by 403 and a pause."""
    status = response.status_code
    return status == TOO_MANY_REQUESTS or (status == FORBIDDEN and bool(pause_asked_s(response)))


def _counts(headers: Mapping[str, str]) -> Iterator[tuple[float | None, str]]:
    """Give what remains (``None``: not said) and the reset, as text, of each limit that the headers tell of."""
    yield from _structured_counts(headers.get("RateLimit", ""))
    for prefix in _PREFIXES:
        reset = headers.get(f"{prefix}-Reset")
        if reset is not None:
            yield _number(headers.get(f"{prefix}-Remaining", "")), reset


def _structured_counts(text: str) -> Iterator[tuple[float | None, str]]:
    """Read ``"hourly";r=0;t=30, "daily";r=9;t=600`` and its older form ``limit=10, remaining=0, reset=5``."""
    limits = [_parameters(limit.split(";")) for limit in text.split(",")]
    if any("r" in limit or "t" in limit for limit in limits):
        yield from ((_number(limit.get("r", "")), limit["t"]) for limit in limits if "t" in limit)
        return
    older = {name: value for limit in limits for name, value in limit.items()}
    if "reset" in older:
        yield _number(older.get("remaining", "")), older["reset"]


def _parameters(words: list[str]) -> dict[str, str]:
    return {name.strip().lower(): value.strip() for name, equals, value in (w.partition("=") for w in words) if equals}


def _until_reset_s(text: str, response: requests.Response) -> float | None:
    """Give the seconds until a reset: some servers count them, some name the moment (GitHub, GitLab, Slack differ)."""
    number = _number(text)
    if number is not None and number < _FIRST_EPOCH_S:
        return number
    if number is None:
        until = _instant_of_date(text) or _instant_of_timestamp(text)
    else:
        until = number / 1000 if number >= _FIRST_EPOCH_MS else number
    return None if until is None else max(0.0, until - _server_time(response))


def _number(text: str) -> float | None:
    text = text.strip()
    return float(text) if text.isascii() and text.replace(".", "", 1).isdigit() else None


def _server_time(response: requests.Response) -> float:
    return _instant_of_date(response.headers.get("Date", "")) or utc_now().timestamp()


def _instant_of_date(http_date: str) -> float | None:
    # The email package takes 20 ms to import; most runs meet no Retry-After date (requests brings it in anyway).
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(http_date).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _instant_of_timestamp(text: str) -> float | None:
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
