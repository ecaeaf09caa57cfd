"""Records that are refused, where the run goes on without them: counted, kept aside, and too many are an error.

A refused record counts as done: the state after it may leave. So it is on the disk, in the quarantine, before its batch
is; the log has how many there were, by stream: as a metric, which runners show, and in words at the end.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from singerkit.errors import DataError, FatalSyncError
from singerkit.files.names import file_stem
from singerkit.records.json_text import json_bytes
from singerkit.telemetry.metrics import Counter, refused_counter

logger = logging.getLogger(__name__)

#: Records from which on a share says something, before the end of the input.
_ENOUGH_RECORDS = 100
#: Refused records of a stream that are told of one by one.
_MOST_TOLD = 10


class Rejects:
    """Takes the refused records of all streams; from any thread.

    ``folder``: where they are kept, a file of JSON lines for each stream; ``None``: nowhere. ``most``: the share of all
    records that may be refused, 0 to 1.
    """

    def __init__(self, folder: Path | None, most: float) -> None:
        self._folder = folder
        self._most = most
        self._lock = Lock()
        self._files: dict[str, BinaryIO] = {}
        self._refused: dict[str, int] = {}
        self._counters: dict[str, Counter] = {}
        self._records = 0

    def take_line(self, stream: str, line: bytes, error: DataError) -> None:
        """Take the message line of a refused record."""
        self._take(stream, error, b'"message":' + line.strip())

    def take_record(self, stream: str, record: dict[str, Any], error: DataError) -> None:
        """Take a record that a sink refused."""
        self._take(stream, error, b'"record":' + json_bytes(record))

    def _take(self, stream: str, error: DataError, content: bytes) -> None:
        with self._lock:
            self._count(stream)
            if self._refused[stream] <= _MOST_TOLD:
                logger.warning("A record is left out: %s", error.describe())
            if self._folder is None:
                return
            facts = {
                "stream": stream,
                "line": getattr(error, "line_number", None),
                "error": str(error),
                "violations": list(getattr(error, "violations", ())),
            }
            try:
                self._file(self._folder, stream).write(json_bytes(facts)[:-1] + b"," + content + b"}\n")
            except OSError as problem:
                raise self._not_written(problem) from problem

    def _count(self, stream: str) -> None:
        if stream not in self._refused:
            self._refused[stream] = 0
            self._counters[stream] = refused_counter(stream)
        self._refused[stream] += 1
        self._counters[stream].increment()

    def settle(self, records: int) -> None:
        """Note that a batch of so many records was dealt with, and have its refused ones on the disk.

        Errors: ``FatalSyncError`` when the quarantine can't be written.
        """
        with self._lock:
            self._records += records
            try:
                for file in self._files.values():
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as problem:
                raise self._not_written(problem) from problem

    def judge(self, *, at_end: bool) -> None:
        """Refuse to go on where too many records were refused.

        Errors: ``DataError``.
        """
        refused = sum(self._refused.values())
        if refused <= self._most * self._records or not (at_end or self._records >= _ENOUGH_RECORDS):
            return
        raise DataError(
            f"{refused} of {self._records} records were refused, more than max_invalid_ratio ({self._most:g}) allows"
        )

    def close(self) -> None:
        """Close the files, and say how many were refused."""
        for file in self._files.values():
            file.close()
        where = "left out" if self._folder is None else f"put into quarantine in {self._folder}"
        for stream, count in sorted(self._refused.items()):
            self._counters[stream].exit()
            refused = "1 record was" if count == 1 else f"{count} records were"
            logger.warning("Stream '%s': %s refused and %s", stream, refused, where)

    def _file(self, folder: Path, stream: str) -> BinaryIO:
        if stream not in self._files:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{file_stem(stream)}.jsonl"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
            self._files[stream] = os.fdopen(descriptor, "wb")
        return self._files[stream]

    def _not_written(self, problem: OSError) -> FatalSyncError:
        return FatalSyncError(f"the quarantine '{self._folder}' can't be written: {problem.strerror}")
