"""The only place that starts threads.

A bounded pool that grows on demand: work starts on one thread, and another is added only while tasks wait and the
processor does not have much to do, which is so when tasks wait for a source or a destination. Tasks that only compute
stay on one thread, where they are fastest. The main thread does not work; it ticks (flushes, timers, signals), so that
a thread that is stuck holds up nobody else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from time import process_time
from typing import Any, TypeAlias

from singerkit import clock

#: A function and its only argument: lighter than a closure, and there may be many.
Task: TypeAlias = tuple[Callable[[Any], None], Any]

TICK_SECONDS = 0.25
_GROW_SECONDS = 0.005
#: Threads that use so much of a processor's time compute, and more of them would only get in each other's way.
_BUSY_SHARE = 0.7


class Workers:
    """Runs tasks on at most ``bound`` threads. A task must not raise: it deals with its own failure."""

    def __init__(self, bound: int) -> None:
        self._bound = max(1, bound)
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._growing = threading.Lock()

    @property
    def waiting(self) -> int:
        """How many tasks wait for a thread."""
        return self._tasks.qsize()

    def submit(self, function: Callable[[Any], None], argument: Any) -> None:
        """Queue a task; from any thread."""
        self._tasks.put((function, argument))

    def run_until(self, finished: threading.Event, tick: Callable[[], bool]) -> None:
        """Work until ``finished`` is set or ``tick``, called here several times a second, gives ``False``."""
        self.ensure(1)
        pause, computed = _GROW_SECONDS, process_time()
        while not finished.wait(pause) and tick():
            busy = process_time() - computed > _BUSY_SHARE * pause
            if self.waiting and not busy and len(self._threads) < self._bound:
                self.ensure(len(self._threads) + 1)
                pause = _GROW_SECONDS
            else:
                pause = min(pause * 2, TICK_SECONDS)
            computed = process_time()
        self.close(TICK_SECONDS if finished.is_set() else 0.0)

    def ensure(self, threads: int) -> None:
        """Have at least so many threads, within the bound; from any thread."""
        with self._growing:
            while len(self._threads) < min(threads, self._bound):
                self._add_thread()

    def close(self, patience_s: float = 0.0) -> None:
        """Let the threads end when they have nothing more to do, and wait at most so long for it; no more are started.

        A thread that has done its last task may still hold what it worked on, such as a connection, and a process that
        ends meanwhile never releases that: drivers complain about it.
        """
        with self._growing:
            self._bound = 0
        for _ in self._threads:
            self._tasks.put(None)
        deadline = clock.monotonic() + patience_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - clock.monotonic()))

    def _add_thread(self) -> None:
        # Daemons: a thread that is stuck in a source's answer must not keep a stopped process alive.
        thread = threading.Thread(target=self._work, name=f"worker-{len(self._threads) + 1}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            function, argument = task
            function(argument)
