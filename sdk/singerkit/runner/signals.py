"""Signals as values: handlers only put them into a queue, and the loop of a run decides."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from types import FrameType

_REST_S = 0.2


def rest(signals: SimpleQueue[int]) -> None:
    """Wait a moment, or until a signal comes, which stays in the queue."""
    with suppress(Empty):
        signals.put(signals.get(timeout=_REST_S))


@contextmanager
def signals_into(queue: SimpleQueue[int]) -> Iterator[None]:
    """Put SIGTERM, SIGINT and SIGHUP into a queue; outside the main thread they go where they went before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def take(number: int, _frame: FrameType | None) -> None:
        queue.put(number)

    kinds = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
    before = {kind: signal.signal(kind, take) for kind in kinds if signal.getsignal(kind) is not signal.SIG_IGN}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
