"""Versions that a tap has announced and whose older rows may not go yet, as nothing says that all of them came.

An ACTIVATE_VERSION may come before its version's records as well as after them. Acting on the first kind at once could
delete what is not replaced yet.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

logger = logging.getLogger(__name__)


class Activations:
    """The announced versions of a run, by stream."""

    def __init__(self) -> None:
        self._announced: dict[str, int] = {}
        self._with_records: set[str] = set()
        self._confirmed: set[str] = set()

    def announce(self, stream: str, version: int) -> None:
        """Note a version whose records are still to come, or that has none."""
        self._announced[stream] = version
        self._with_records.discard(stream)
        self._confirmed.discard(stream)

    def settle(self, stream: str) -> None:
        """Forget what was announced: the version was activated."""
        self._announced.pop(stream, None)

    def note_records(self, stream: str) -> None:
        """Note that records of a stream came."""
        if stream in self._announced:
            self._with_records.add(stream)
            self._confirmed.discard(stream)

    def note_state(self, value: Any) -> None:
        """Note that a state came: the tap has come past the announced versions' records so far.

        For a version without records, bookmarks of other streams only say nothing.
        """
        bookmarks = value.get("bookmarks") if isinstance(value, dict) else None
        for stream in self._announced:
            if not bookmarks or stream in bookmarks or stream in self._with_records:
                self._confirmed.add(stream)

    def confirmed(self) -> Iterator[tuple[str, int]]:
        """Give, at the end, the versions of which all came; the log names the others.

        That is so if a state followed the version's last record, or, for a version without records, a state that may
        speak of the stream. Else the tap may have died on the way, and what it did not send again must not be deleted.
        """
        for stream, version in self._announced.items():
            if stream in self._confirmed:
                yield stream, version
            else:
                logger.warning(
                    "Stream '%s': version %d was announced, but nothing says that all of it came; older rows stay",
                    stream,
                    version,
                )
