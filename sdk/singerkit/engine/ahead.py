"""Reading ahead within one context: pages that are known beforehand are asked for at the same time.

Each page is a ticket that whoever comes first takes: a worker that is free, or the thread that wants the page. So a
thread never waits for a page that nobody fetches, and all threads may read ahead at once without waiting for each other
in a circle. Only workers send, so what is in flight never exceeds their number.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from singerkit.engine.workers import Workers

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

#: What all streams together may hold of pages that were read ahead and not used yet, in bytes.
_MOST_BYTES = 32 * 1024 * 1024
#: And in pages, for each worker: one to be read, one to be used next.
_PAGES_A_WORKER = 2


class WorkersAhead:
    """Runs a function on items on the workers, and gives the results in order (:class:`~singerkit.types.ReadAhead`)."""

    def __init__(self, workers: Workers, bound: int) -> None:
        self._workers = workers
        self._lock = threading.Lock()
        self._free_bytes = _MOST_BYTES
        self._smallest_share = _MOST_BYTES // (_PAGES_A_WORKER * bound)

    def __call__(
        self, function: Callable[[_Item], _Result], items: Iterable[_Item], *, result_bytes: int
    ) -> Iterator[_Result]:
        """Give the results one after the other."""
        share = max(result_bytes, self._smallest_share)
        waiting = iter(items)
        ahead: deque[_Ticket] = deque()
        try:
            while True:
                while self._take(share):
                    try:
                        ahead.append(_Ticket(function, next(waiting)))
                    except StopIteration:
                        self._give_back(share)
                        break
                    self._workers.submit(_Ticket.work, ahead[-1])
                # Whoever reads ahead waits for a server: the pool need not find that out by itself.
                self._workers.ensure(1 + len(ahead))
                if not ahead:  # there is no room for reading ahead, or nothing is left
                    try:
                        item = next(waiting)
                    except StopIteration:
                        return
                    yield function(item)
                    continue
                ticket = ahead[0]
                _complete(ticket, ahead)
                ahead.popleft()
                self._give_back(share)
                yield ticket.result()
        finally:
            for ticket in ahead:
                ticket.drop()
                self._give_back(share)

    def _take(self, share: int) -> bool:
        with self._lock:
            if self._free_bytes < share:
                return False
            self._free_bytes -= share
            return True

    def _give_back(self, share: int) -> None:
        with self._lock:
            self._free_bytes += share


def _complete(ticket: _Ticket, others: Iterable[_Ticket]) -> None:
    """Have a ticket done: here, if nobody has taken it; else do others until it is."""
    if ticket.run():
        return
    for other in others:
        if ticket.is_done:
            return
        other.run()
    ticket.wait()


class _Ticket:
    """A function to be run on an item, once, by the thread that takes it first."""

    __slots__ = ("_done", "_failure", "_function", "_item", "_taken", "_value")

    def __init__(self, function: Callable[[Any], Any], item: Any) -> None:
        self._function: Callable[[Any], Any] | None = function
        self._item = item
        self._taken = threading.Lock()
        self._done = threading.Event()
        self._value: Any = None
        self._failure: BaseException | None = None

    def work(self) -> None:
        """Run it, as a task of a worker."""
        self.run()

    def run(self) -> bool:
        """Run it, unless another thread has taken it; tell whether it was run here."""
        if not self._taken.acquire(blocking=False):
            return False
        function = self._function
        try:
            if function is not None:
                self._value = function(self._item)
        except BaseException as failure:  # noqa: BLE001  # it is raised where the result is wanted
            self._failure = failure
        finally:
            self._function = None
            self._done.set()
        return True

    def drop(self) -> None:
        """Nobody wants it any more."""
        self._taken.acquire(blocking=False)
        self._function = None

    @property
    def is_done(self) -> bool:
        """Whether it was run."""
        return self._done.is_set()

    def wait(self) -> None:
        """Wait until it was run."""
        self._done.wait()

    def result(self) -> Any:
        """Give what it gave, or raise what it raised."""
        if self._failure is not None:
            raise self._failure
        return self._value
