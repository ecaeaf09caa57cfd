"""When a tap says how far it has come.

Often enough that little is redone after a crash (every 10,000 records, and every five seconds while something moves),
and rarely enough that the state, which grows with the number of partitions, stays a small part of what is written.
"""

from __future__ import annotations

from singerkit import clock
from singerkit.protocol.writer import MessageWriter
from singerkit.state.bookmarks import Bookmarks

_SECONDS = 5.0
_LONGEST_SECONDS = 30.0
_LARGEST_SHARE = 0.03


class Checkpoints:
    """Writes STATE lines when they are due, if they say something new, and a last one after the last record."""

    def __init__(self, writer: MessageWriter, bookmarks: Bookmarks, every_records: int) -> None:
        self._writer = writer
        self._bookmarks = bookmarks
        self._every_records = every_records
        self._records = self._records_after_last = 0
        self._last_time = clock.monotonic()
        self._last: bytes | None = None
        self._size = 0

    def count(self, records: int) -> bool:
        """Note that so many more records are written; tell whether enough are. The caller holds the writer's lock."""
        self._records += records
        self._records_after_last += records
        return self._records >= self._every_records

    def emit_if_due(self) -> None:
        """Write the state if enough was written or enough time has passed since the last one. Needs the lock."""
        if not self._records:
            return
        age = clock.monotonic() - self._last_time
        if self._records < self._every_records and age < _SECONDS:
            return
        if age >= _LONGEST_SECONDS or self._is_small(self._size):
            self._write(self._bookmarks.snapshot(), forced=age >= _LONGEST_SECONDS)

    def emit(self) -> None:
        """Write the last state, unless it was written already and nothing came after it."""
        with self._writer.lock:
            state = self._bookmarks.snapshot()
            if self._records_after_last:
                self._last = None  # what came after the last state is followed by one, even if it says the same
            self._write(state, forced=True)

    def _write(self, state: bytes, *, forced: bool) -> None:
        self._size = len(state)
        self._records = 0
        if not forced and not self._is_small(self._size):
            return
        self._last_time = clock.monotonic()
        if state != self._last:
            self._last = state
            self._records_after_last = 0
            self._writer.write_state(state)
        else:
            self._writer.flush()

    def _is_small(self, size: int) -> bool:
        """Tell whether a state of this size would stay a small part of what is written."""
        return self._writer.state_bytes + size <= _LARGEST_SHARE * self._writer.record_bytes
