"""Records on their way out: of one context, or of several small ones together.

Rendering, locking and writing are paid per block. A context that has three records would pay them for three; so
contexts that come quickly are read in groups, and what a group gives is written as one block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from singerkit import clock
from singerkit.engine.lineage import Advances, ContextRun
from singerkit.types import Context, Record

_ENOUGH_RECORDS = 256
_LONGEST_SECONDS = 0.02
_LARGEST_GROUP = 64


class Part:
    """Records of one context, ready: where its bookmark goes after them, and what is to be read below them."""

    __slots__ = ("bookmark", "contexts", "records", "run", "value")

    def __init__(
        self, run: ContextRun, records: Sequence[Record], contexts: list[Context], bookmark: Advances | None, value: Any
    ) -> None:
        self.run = run
        self.records = records
        self.contexts = contexts
        self.bookmark = bookmark
        self.value = value


class Gathering:
    """What one thread has read and not written yet; ``write(parts, ended)`` writes it and settles what ended."""

    def __init__(self, write: Callable[[list[Part], list[ContextRun]], None], *, at_once: bool) -> None:
        self._write = write
        self._at_once = at_once
        self._started = clock.monotonic()
        self._parts: list[Part] = []
        self._ended: list[ContextRun] = []
        self._records = 0

    def add(self, part: Part) -> None:
        """Take in a part; write when it is enough, or has waited long enough."""
        self._parts.append(part)
        self._records += len(part.records)
        if self._at_once or self._records >= _ENOUGH_RECORDS or self.seconds > _LONGEST_SECONDS:
            self.flush()

    def end(self, run: ContextRun) -> None:
        """Note that a context was read to its end: it is settled when its records are written."""
        self._ended.append(run)

    def flush(self) -> None:
        """Write everything."""
        parts, ended = self._parts, self._ended
        self._parts, self._ended, self._records = [], [], 0
        self._started = clock.monotonic()
        if parts or ended:
            self._write(parts, ended)

    @property
    def seconds(self) -> float:
        """How long it is since the last write, in seconds."""
        return clock.monotonic() - self._started


class GroupSize:
    """How many contexts of a stream are read as one task: one while they are slow, more while they come quickly."""

    __slots__ = ("contexts",)

    def __init__(self) -> None:
        self.contexts = 1

    def learn(self, seconds: float) -> None:
        """Note how long a group took."""
        quick = seconds < _LONGEST_SECONDS / 2
        self.contexts = min(self.contexts * 2, _LARGEST_GROUP) if quick else max(1, self.contexts // 2)

    @staticmethod
    def is_slow(seconds: float) -> bool:
        """Tell whether a group takes so long that the rest of it should go to other threads."""
        return seconds > _LONGEST_SECONDS
