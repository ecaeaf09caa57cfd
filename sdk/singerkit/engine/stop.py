"""Signals set a flag; the loops look at it between messages. A second signal ends the process at once.

No work is done in a signal handler: what a handler interrupts may hold a lock or be half way through a commit.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType


class StopSignal:
    """Whether somebody asked the run to stop (SIGTERM, SIGINT), and who."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._wake_reader: int | None = None

    def __bool__(self) -> bool:
        """Tell whether the run has to stop at the next message boundary."""
        return self._number is not None

    @property
    def exit_code(self) -> int:
        """128 plus the signal's number, as a shell reports it; 0 while nobody asked."""
        return 128 + self._number if self._number is not None else 0

    @property
    def name(self) -> str:
        """The signal's name, for the log."""
        return signal.Signals(self._number).name if self._number is not None else ""

    @property
    def wake_reader(self) -> int | None:
        """A file descriptor that becomes readable when a signal comes, for ``select``; ``None`` where not listening."""
        return self._wake_reader

    def listen(self) -> None:
        """Take SIGTERM and SIGINT from here on. Does nothing outside the main thread, where Python forbids it."""
        if threading.current_thread() is not threading.main_thread():
            return
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        self._wake_reader = reader
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._number is not None:
            os._exit(128 + number)
        self._number = number
