"""Which state a target may let out: the newest one with nothing before it that is not durable.

Each STATE is held with the number of records that came before it, per stream. When a stream's batch is durable its
count goes up. A state is due when every stream has reached the count that the state was held with. Only the newest due
state is released; the ones before it are covered by it.

The class is small so that it can be proven: see ``tests/properties/test_gate.py``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping


class StateGate:
    """Holds states until their records are durable. Not thread-safe: one thread owns it."""

    def __init__(self) -> None:
        self._held: deque[tuple[bytes, dict[str, int]]] = deque()
        self._received: dict[str, int] = {}
        self._durable: dict[str, int] = {}

    def received(self, stream: str, count: int) -> None:
        """Note that ``count`` more records of a stream were read."""
        self._received[stream] = self._received.get(stream, 0) + count

    def hold(self, state: bytes) -> bytes | None:
        """Take in a state; give it back at once if nothing before it is waiting."""
        self._held.append((state, self._waiting()))
        return self._release()

    def durable(self, counts: Mapping[str, int]) -> bytes | None:
        """Note that so many more records of these streams are durable; give the state that may now leave, if any."""
        for stream, count in counts.items():
            self._durable[stream] = self._durable.get(stream, 0) + count
        return self._release()

    @property
    def holds(self) -> bool:
        """Whether a state is waiting."""
        return bool(self._held)

    def _waiting(self) -> dict[str, int]:
        return {s: count for s, count in self._received.items() if count > self._durable.get(s, 0)}

    def _release(self) -> bytes | None:
        released = None
        while self._held and all(self._durable.get(s, 0) >= count for s, count in self._held[0][1].items()):
            released = self._held.popleft()[0]
        return released
