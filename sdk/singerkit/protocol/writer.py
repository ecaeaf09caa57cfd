"""The only code that writes to stdout.

Lines are gathered in memory and leave together: when a STATE is written, at 64 KiB, and when they have waited for a
second (:meth:`MessageWriter.flush_if_due`, which the run calls regularly). A line is always written whole. One lock
orders everything: what a thread does inside :meth:`write_records` happens before or after any STATE, never during one,
so a STATE covers no record that is not written yet.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from singerkit import clock
from singerkit.errors import ConfigurationError, OutputClosed, SyncError
from singerkit.protocol.codec import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

FLUSH_BYTES = 64 * 1024
FLUSH_SECONDS = 1.0


def claim_stdout() -> int:
    """Take file descriptor 1 for the protocol, once per process, and send every other print to stderr.

    Returns: the descriptor that reaches the old stdout. Even a C library that writes to descriptor 1 can't break the
    protocol after this.

    Errors: ``ConfigurationError`` when stdout is closed, maybe since before the process was started.
    """
    if not _has_stdout():
        raise ConfigurationError("stdout is closed, so the messages have nowhere to go: send it to a program or a file")
    sys.stdout.flush()
    descriptor = os.dup(1)
    os.dup2(2, 1)
    if sys.stdout is sys.__stdout__:
        sys.stdout = sys.stderr
    return descriptor


def _has_stdout() -> bool:
    try:
        os.fstat(1)
    except OSError:
        return False
    return sys.stdout is not None and not sys.stdout.closed


def write_to(descriptor: int) -> Callable[[bytes], None]:
    """Give a function that writes all of its bytes to a descriptor.

    Errors: ``OutputClosed`` when the reader is gone, ``SyncError`` for anything else (a full disk).
    """

    def write(data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(descriptor, view) :]
        except BrokenPipeError:
            raise OutputClosed("the program that read our output has ended") from None
        except OSError as error:
            raise SyncError(f"can't write the output: {error.strerror or error}") from error

    return write


class MessageWriter:
    """Gathers message lines and writes them, safe for many threads.

    Units: ``flush_bytes`` bytes, ``flush_seconds`` seconds.
    """

    #: What makes JSON texts the lines that ``write_records`` takes; None: RECORD lines.
    frame_of: Callable[[str, int | None], Callable[[bytes, str], bytes]] | None = None
    #: Records between two states, at least.
    records_per_state: int = 0

    def __init__(
        self,
        write: Callable[[bytes], None],
        *,
        flush_bytes: int = FLUSH_BYTES,
        flush_seconds: float = FLUSH_SECONDS,
    ) -> None:
        self._write = write
        self._flush_bytes = flush_bytes
        self._flush_seconds = flush_seconds
        #: Orders records, states and bookmarks; may be held around several calls.
        self.lock = threading.RLock()
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._pending_since = 0.0
        #: What the first failed write gave; nothing is written after it.
        self.failure: Exception | None = None
        #: Bytes of RECORD lines and of STATE lines so far.
        self.record_bytes = 0
        self.state_bytes = 0

    def write_schema(
        self,
        stream: str,
        schema: Mapping[str, Any],
        key_properties: Sequence[str],
        bookmark_properties: Sequence[str] = (),
    ) -> None:
        """Write a SCHEMA line."""
        message = {"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": list(key_properties)}
        if bookmark_properties:
            message["bookmark_properties"] = list(bookmark_properties)
        self.write_line(message)

    def write_records(self, block: bytes, then: Callable[[], None] | None = None) -> None:
        """Write whole RECORD lines; ``then`` runs under the same lock, after them and before any later STATE."""
        with self.lock:
            self._append(block)
            self.record_bytes += len(block)
            if then is not None:
                then()

    def write_activate_version(self, stream: str, version: int) -> None:
        """Write an ACTIVATE_VERSION line."""
        self.write_line({"type": "ACTIVATE_VERSION", "stream": stream, "version": version})

    def write_state(self, state: bytes) -> None:
        """Write a STATE line with this JSON text as its value, and flush. Hold the lock while the text is made."""
        with self.lock:
            line = b'{"type":"STATE","value":' + state + b"}\n"
            self._append(line)
            self.state_bytes += len(line)
            self.flush()

    def write_line(self, message: Mapping[str, Any]) -> None:
        """Write any message as a line of its own."""
        line = encode(message) + b"\n"
        with self.lock:
            self._append(line)

    def flush(self) -> None:
        """Write out what was gathered.

        Errors: what the write gives; after a failed write nothing is written any more and each further call fails so.
        """
        with self.lock:
            if self.failure is not None:
                raise self.failure
            data = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
            self._pending = []
            self._pending_bytes = 0
            if not data:
                return
            try:
                self._write(data)
            except Exception as failure:
                self.failure = failure
                raise

    def discard(self) -> None:
        """Drop what was begun and not completed, at the end of a run; here there is nothing of the kind."""

    def flush_if_due(self) -> None:
        """Flush when the oldest line has waited for its second. The caller holds the lock."""
        if self._pending and clock.monotonic() - self._pending_since >= self._flush_seconds:
            self.flush()

    def _append(self, data: bytes) -> None:
        if self.failure is not None:
            raise self.failure
        if not self._pending:
            self._pending_since = clock.monotonic()
        self._pending.append(data)
        self._pending_bytes += len(data)
        if self._pending_bytes >= self._flush_bytes:
            self.flush()
