"""The parts of one stream of texts: what takes the place of a growing file where nothing can be appended to one."""

from __future__ import annotations

from singerkit.connectors.parts import PartLimits, PartName, Parts
from singerkit.files.compressed_draft import CompressedDraft
from singerkit.files.compression import member_codec_of
from singerkit.files.storage import Draft


class StreamParts:
    """Takes batches of bytes, and puts them into one part after another. One thread at a time.

    Errors: those of ``Draft``.
    """

    def __init__(self, parts: Parts, name: PartName, limits: PartLimits, compression: str) -> None:
        self._parts = parts
        self._name = name
        self._limits = limits
        self._compression = compression
        self._part: CompressedDraft | None = None
        #: What every part begins with.
        self._head = b""
        parts.replace_later(name)

    @property
    def is_settled(self) -> bool:
        """Whether no part is under way."""
        return self._part is None

    def begin_with(self, head: bytes) -> None:
        """Let every part from now on begin with these bytes."""
        self.settle()
        self._head = head

    def append(self, data: bytes) -> None:
        """Add a batch to the part under way; it is durable when ``settle`` has returned."""
        part = self._part
        if part is None:
            part = self._part = self._parts.begin(self._name, self._made)
            data = self._head + data
        part.write(data)
        if self._limits.are_reached(0, part.written_bytes):
            self.settle()

    def settle(self) -> None:
        """Complete the part under way."""
        if self._part is not None:
            self._parts.finish(self._name, self._part)
            self._part = None

    def end(self) -> None:
        """Complete the part under way; where older parts will go, there is at least an empty new one."""
        if self._part is None and self._parts.lacks(self._name):
            self.append(b"")
        self.settle()

    def _made(self, draft: Draft) -> CompressedDraft:
        # Nothing is kept in memory between two batches, as there may be thousands of streams.
        return CompressedDraft(draft, member_codec_of(self._compression), buffer_bytes=0)
