"""Parents and children: whose records give whose contexts, and how far a parent's bookmark may go.

A parent's bookmark passes a block of records only when everything below those records has been read; else a crash would
skip their children for ever. Blocks finish in any order, so each run of a context keeps its blocks in a row and the
bookmark takes them from the front. All of it happens under one lock, the writer's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from singerkit.engine.progress import AnyBookmark
from singerkit.types import Context


class Advances(Protocol):
    """What is told how far records have come: a bookmark, or the end of a window."""

    def advance(self, value: Any) -> None:
        """Hear that records up to this value are written, and what is below them is read."""


class Block:
    """Records of one context: where its bookmark goes after them, and how many contexts below them are not settled."""

    __slots__ = ("bookmark", "run", "unsettled", "value")

    def __init__(self, run: ContextRun, unsettled: int, bookmark: Advances | None, value: Any) -> None:
        self.run = run
        self.unsettled = unsettled
        self.bookmark = bookmark
        self.value = value

    def advance(self) -> None:
        """Move the bookmark past these records."""
        if self.bookmark is not None and self.value is not None:
            self.bookmark.advance(self.value)


class ContextRun:
    """The reading of one context, with everything below it.

    It is settled when its own records are read and all its blocks are; it *succeeded* if nothing of that failed. Then
    its own bookmark is finished, ``settled`` is called, and the parent's block that it came from hears of it.
    """

    __slots__ = ("_blocks", "_parent", "_reading", "_settled", "_succeeded", "bookmark", "context")

    def __init__(
        self, context: Context | None, parent: Block | None, settled: Callable[[bool], None] | None = None
    ) -> None:
        self.context = context
        #: The bookmark that is this context's alone, if it has one.
        self.bookmark: AnyBookmark | None = None
        self._parent = parent
        self._settled = settled
        self._blocks: deque[Block] = deque()
        self._reading = True
        self._succeeded = True

    def open_block(self, contexts: int, bookmark: Advances | None, value: Any) -> Block:
        """Note a block whose records gave so many contexts to read."""
        block = Block(self, contexts, bookmark, value)
        self._blocks.append(block)
        return block

    def advance(self, bookmark: Advances, value: Any) -> None:
        """Advance at once, or behind the blocks that are still open."""
        if self._blocks:
            self._blocks.append(Block(self, 0, bookmark, value))
        elif self._succeeded:
            bookmark.advance(value)

    def fail(self) -> None:
        """Note that reading this context has failed: its bookmark stays where it is from here on."""
        self._succeeded = False

    def settle(self, succeeded: bool) -> None:
        """Note that this context's own records are read, or that reading them failed; the first word counts."""
        if not self._reading:
            return
        self._reading = False
        self._succeeded = self._succeeded and succeeded
        self._close()

    def settle_child(self, block: Block, succeeded: bool) -> None:
        """Note that a context below one of the blocks is settled."""
        block.unsettled -= 1
        # After a failure below, the bookmark stays where it is: the next run reads these parents again.
        self._succeeded = self._succeeded and succeeded
        while self._blocks and not self._blocks[0].unsettled:
            front = self._blocks.popleft()
            if self._succeeded:
                front.advance()
        self._close()

    def _close(self) -> None:
        if self._reading or self._blocks:
            return
        if self._succeeded and self.bookmark is not None:
            self.bookmark.finish()
        if self._settled is not None:
            self._settled(self._succeeded)
        if self._parent is not None:
            self._parent.run.settle_child(self._parent, self._succeeded)
