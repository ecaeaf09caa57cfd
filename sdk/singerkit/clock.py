"""What time it is: the one place that asks, so that tests can hold the clock still."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

#: Seconds since an arbitrary point, never going back; for ages and deadlines.
monotonic = time.monotonic
_STAMP_SECONDS = 0.001

_lock = threading.Lock()
_blocks_without_waiting = 0


def waits() -> bool:
    """Say whether a server wants to be waited for: not where its recorded answers stand in for it."""
    return not _blocks_without_waiting


def sleep(seconds: float) -> None:
    """Wait for a server's sake; what asks over the network waits by this and by nothing else."""
    if waits():
        time.sleep(seconds)


@contextmanager
def without_waiting() -> Iterator[None]:
    """While this lasts nobody in this process waits for a server."""
    global _blocks_without_waiting  # one for the process, as the servers are
    with _lock:
        _blocks_without_waiting += 1
    try:
        yield
    finally:
        with _lock:
            _blocks_without_waiting -= 1


def utc_now() -> datetime:
    """Give the current instant, in UTC."""
    return datetime.now(tz=UTC)


class Stamp:
    """Gives the current instant as RFC 3339 text, as ``time_extracted`` carries it; made anew once a millisecond."""

    def __init__(self) -> None:
        self._made = 0.0
        self._text = ""

    def __call__(self) -> str:
        """Give the text."""
        now = monotonic()
        if now - self._made > _STAMP_SECONDS:
            self._made = now
            self._text = utc_now_text()
        return self._text


def utc_now_text() -> str:
    """Give the current instant as RFC 3339 text with microseconds."""
    return utc_text(datetime.now(tz=UTC))


def utc_text(instant: datetime) -> str:
    """Give an instant as RFC 3339 text with microseconds, in UTC: texts sort as their instants do."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def instant_of(text: str) -> datetime:
    """Read RFC 3339 text; without an offset it is UTC.

    Errors: ``ValueError`` when it is no instant.
    """
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
