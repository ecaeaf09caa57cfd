"""Files that a run writes beside those that are there, each whole from the moment it can be seen.

A part is called ``orders-20240131T235959Z-5273840916-00001.parquet``: its stream, when the run began, which run it is,
and its number among the stream's. So names of a stream sort in the order in which they were written, and no run writes
over what another has written.

When the run overwrites, its parts are shown at its end, and then the stream's older ones go: whoever reads in between
sees both, and a run that dies leaves what was there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from secrets import randbelow
from threading import Lock
from typing import Any, NamedTuple, Protocol, TypeVar

from singerkit.files.storage import Draft, Storage

_MIB = 1024 * 1024


class PartLimits(NamedTuple):
    """When a part is complete.

    Units: rows (0: any number), bytes of the file, seconds since its first rows were added.
    """

    max_rows: int
    max_bytes: int
    max_seconds: float

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> PartLimits:
        """Read them from a config that has the settings of :func:`~singerkit.connectors.file_settings.part_limits`."""
        return cls(
            int(config.get("file_size") or 0),
            int(config.get("max_file_mb") or 512) * _MIB,
            float(config.get("max_file_seconds") or 20),
        )

    def are_reached(self, rows: int, written_bytes: int) -> bool:
        """Tell whether a part has so much that it is complete."""
        return 0 < self.max_rows <= rows or written_bytes >= self.max_bytes


class PartName(NamedTuple):
    """What the parts of a stream are called: how their names begin and end."""

    stem: str
    ending: str

    def of(self, run: str, number: int) -> str:
        """Give the name of one."""
        return f"{self.stem}-{run}-{number:05}{self.ending}"

    def is_one(self, name: str) -> bool:
        """Tell whether a file, in whatever folder, is a part of the stream, of any run."""
        pattern = f"{re.escape(self.stem)}-[0-9]{{8}}T[0-9]{{6}}Z-[0-9]{{10}}-[0-9]{{5,}}{re.escape(self.ending)}"
        return re.fullmatch(pattern, name.rpartition("/")[2]) is not None


class Part(Protocol):
    """A file under way.

    Errors: those of ``Draft``.
    """

    def complete(self) -> None:
        """Write what is left: nothing but its name keeps it from being a file."""

    def publish(self) -> None:
        """Let a complete one be a file; when this returns it is durable."""

    def discard(self) -> None:
        """Remove it."""


AnyPart = TypeVar("AnyPart", bound=Part)


class Parts:
    """All parts of a run. For any thread; a single part is one thread's at a time."""

    def __init__(self, open_storage: Callable[[], Storage], started: datetime, *, overwrites: bool) -> None:
        self._open_storage = open_storage
        self._overwrites = overwrites
        self._run = f"{started:%Y%m%dT%H%M%S}Z-{randbelow(10**10):010}"
        self._lock = Lock()
        self._numbers: Counter[str] = Counter()
        self._under_way: set[Part] = set()
        #: What is shown at the end, by stream.
        self._completed: dict[PartName, list[Part]] = {}

    @cached_property
    def _storage(self) -> Storage:
        return self._open_storage()

    @property
    def under_way(self) -> int:
        """How many are not shown yet."""
        return len(self._under_way)

    def begin(self, name: PartName, make: Callable[[Draft], AnyPart], *, folders: tuple[str, ...] = ()) -> AnyPart:
        """Begin a part of a stream, in these folders."""
        with self._lock:
            self._numbers[name.stem] += 1
            number = self._numbers[name.stem]
        draft = self._storage.draft("/".join([*folders, name.of(self._run, number)]))
        part = make(draft)
        with self._lock:
            self._under_way.add(part)
        return part

    def finish(self, name: PartName, part: Part) -> None:
        """Complete a part; when this returns it is durable, unless the run overwrites."""
        part.complete()
        if self._overwrites:
            with self._lock:
                self._completed.setdefault(name, []).append(part)
        else:
            self._show(part)

    def replace_later(self, name: PartName) -> None:
        """Note that a stream's older parts go when the run has succeeded, if it overwrites."""
        if self._overwrites:
            with self._lock:
                self._completed.setdefault(name, [])

    def lacks(self, name: PartName) -> bool:
        """Tell whether a stream without records still needs a part, as its older ones will go."""
        with self._lock:
            return self._overwrites and not self._completed[name]

    def publish(self) -> None:
        """Show the new parts, then remove the older ones."""
        if not self._completed:
            return
        there = list(self._storage.names())
        for parts in self._completed.values():
            for part in parts:
                self._show(part)
        for name in self._completed:
            for older in filter(name.is_one, there):
                self._storage.delete(older)

    def discard(self) -> None:
        """Remove what is not shown."""
        for part in self._under_way:
            part.discard()

    def _show(self, part: Part) -> None:
        part.publish()
        with self._lock:
            self._under_way.discard(part)
