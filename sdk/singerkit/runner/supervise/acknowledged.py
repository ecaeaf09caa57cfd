"""The states that a target prints: what it vouches for. The tap's own word is never taken for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import IO, Any

from singerkit.clock import monotonic
from singerkit.protocol.codec import decode_exact

_READ_BYTES = 1 << 16
#: What only taps write.
_OF_TAPS = frozenset({"SCHEMA", "RECORD", "BATCH", "ACTIVATE_VERSION"})


class Acknowledged:
    """Reads a target's stdout in a thread of its own (:meth:`run`).

    ``latest`` is the newest state and ``count`` how many there were; ``noise`` counts lines that are no state.
    ``message`` is the type of the first message that only taps write: whoever writes one repeats its input, or is a
    tap, and vouches for nothing from then on.
    """

    def __init__(self, source: IO[bytes], on_noise: Callable[[str], None]) -> None:
        """``on_noise`` is given the first line that is no state."""
        self._source = source
        self._on_noise = on_noise
        self.latest: dict[str, Any] | None = None
        self.count = 0
        self.noise = 0
        self.message: str | None = None
        self.last_activity = monotonic()

    def run(self) -> None:
        """Read to the end; a last line without an end was cut off and counts for nothing unless it is whole."""
        unfinished = b""
        while data := os.read(self._source.fileno(), _READ_BYTES):
            self.last_activity = monotonic()
            *lines, unfinished = (unfinished + data).split(b"\n")
            for line in lines:
                self._take(line)
        self._take(unfinished)
        self._source.close()

    def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        value = _object_in(line)
        kind = (value or {}).get("type")
        if self.message is None and kind in _OF_TAPS:
            self.message = kind
        if value is None or self.message is not None:
            self.noise += 1
            if self.noise == 1:
                self._on_noise(line.decode("utf-8", "replace"))
            return
        # Some targets print a state within a message.
        within = value.get("value")
        self.latest = within if kind == "STATE" and isinstance(within, dict) else value
        self.count += 1


def _object_in(line: bytes) -> dict[str, Any] | None:
    """Give a line's JSON object, if it is one."""
    try:
        value = decode_exact(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
