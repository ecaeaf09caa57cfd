"""Doing costly things once, whichever thread asks first."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_Value = TypeVar("_Value")


class Once:
    """Remembers results by key; threads that ask for the same key at the same time share one computation.

    A computation that raises is not remembered.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[Hashable, threading.RLock] = {}
        self._results: dict[Hashable, Any] = {}

    def __call__(self, key: Hashable, compute: Callable[[], _Value]) -> _Value:
        """Give the remembered result, or compute it."""
        with self._guard:
            lock = self._locks.setdefault(key, threading.RLock())
        with lock:
            if key not in self._results:
                self._results[key] = compute()
            result: _Value = self._results[key]
            return result
