"""A draft that is filled with compressed bytes."""

from __future__ import annotations

from singerkit.files.compression import Codec
from singerkit.files.storage import Draft


class CompressedDraft:
    """A file under way whose bytes go through a codec. One thread at a time.

    Units: ``buffer_bytes``: compressed bytes that wait to be written together.

    Errors: those of ``Draft``.
    """

    def __init__(self, draft: Draft, codec: Codec, *, buffer_bytes: int = 256 * 1024) -> None:
        #: Compressed bytes so far.
        self.written_bytes = 0
        self._draft = draft
        self._codec = codec
        self._buffer_bytes = buffer_bytes
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    def write(self, data: bytes) -> None:
        """Add bytes at the end."""
        self._keep(self._codec.compress(data))
        if self._waiting_bytes >= self._buffer_bytes:
            self._pass_on()

    def complete(self) -> None:
        """Write what is left: nothing but its name keeps it from being a file."""
        self._keep(self._codec.flush())
        self._pass_on()

    def publish(self) -> None:
        """Let a complete one be a file; when this returns it is durable."""
        self._draft.publish()

    def discard(self) -> None:
        """Remove it."""
        self._draft.discard()

    def _keep(self, data: bytes) -> None:
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self.written_bytes += len(data)

    def _pass_on(self) -> None:
        self._draft.write(b"".join(self._waiting))
        self._waiting, self._waiting_bytes = [], 0
