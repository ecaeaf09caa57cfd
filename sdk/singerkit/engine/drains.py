"""Drains under way: batches that are stored in a bounded pool, one at a time per stream.

The main thread starts them, waits for them together with everything else that may happen, and takes note of their ends.
"""

from __future__ import annotations

import logging
import os
import select
from collections import deque
from collections.abc import Iterator

from singerkit import clock
from singerkit.engine.freed_memory import keep_freed_memory
from singerkit.engine.slot import Batch, Slot
from singerkit.engine.workers import Workers

logger = logging.getLogger(__name__)

#: How long a failed run waits for the sinks that are still storing, in seconds.
_PATIENCE_SECONDS = 10
#: Bytes of lines from which on a batch leaves enough behind to be kept.
_LARGE_BATCH = 1024 * 1024

#: A slot, the batch of it that was drained, and what its sinks raised.
Ended = tuple[Slot, Batch, BaseException | None]


class Drains:
    """Stores batches on at most ``bound`` threads. All but the storing happens in the main thread."""

    def __init__(self, bound: int) -> None:
        self._workers = Workers(bound)
        self._ended: deque[Ended] = deque()
        self._started = 0
        #: Can be read when a drain has ended: for ``select``.
        self.wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_writer, False)

    def start(self, slot: Slot, batch: Batch) -> None:
        """Start storing a batch."""
        if batch.line_bytes > _LARGE_BATCH:
            keep_freed_memory()
        self._started += 1
        self._workers.submit(self._store, (slot, batch))
        self._workers.ensure(self._started)

    def ended(self) -> Iterator[Ended]:
        """Give the drains that have ended, each once."""
        while self._ended:
            self._started -= 1
            yield self._ended.popleft()

    def wait(self) -> None:
        """Wait until one has ended that was not given yet."""
        if not self._ended:
            select.select([self.wake_reader], [], [])
            self.woken()

    def woken(self) -> None:
        """Take note that ``wake_reader`` can be read."""
        os.read(self.wake_reader, 4096)

    def close(self) -> None:
        """Let the drains under way end, so that no commit is cut off; they release nothing.

        A sink that hangs must not hide a failure for ever, so there is an end to the patience.
        """
        deadline = clock.monotonic() + _PATIENCE_SECONDS
        while self._started > len(self._ended) and clock.monotonic() < deadline:
            if select.select([self.wake_reader], [], [], max(0.0, deadline - clock.monotonic()))[0]:
                self.woken()
        if self._started > len(self._ended):
            logger.error("A sink did not end within %d seconds and is left behind", _PATIENCE_SECONDS)
        self._workers.close(max(0.0, deadline - clock.monotonic()))

    def _store(self, item: tuple[Slot, Batch]) -> None:
        """Store a batch, in a worker."""
        slot, batch = item
        failure: BaseException | None = None
        try:
            slot.store(batch)
        except BaseException as error:  # noqa: BLE001  # whatever a sink raises, sys.exit() too, ends the run: in run()
            failure = error
        self._ended.append((slot, batch, failure))
        os.write(self._wake_writer, b"\0")
