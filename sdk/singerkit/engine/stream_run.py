"""One stream's part of a run: what it is given, how far it has come, and what became of it."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterator, Sequence

from singerkit.engine.extract import BlockSize
from singerkit.engine.failures import cause_of
from singerkit.engine.gather import GroupSize
from singerkit.engine.plan import StreamPlan
from singerkit.engine.progress import AnyBookmark
from singerkit.engine.summary import Outcome, StreamSummary
from singerkit.records.pipeline import Pipeline
from singerkit.state.partitions import identity_of
from singerkit.types import Context

logger = logging.getLogger(__name__)


class StreamRun:
    """One stream's part of a run: its compiled path, its bookmarks, and what became of it."""

    def __init__(
        self, plan: StreamPlan, pipeline: Pipeline | None, version: int | None, children: list[StreamRun]
    ) -> None:
        self.plan = plan
        self.pipeline = pipeline
        self.version = version
        self.children = children
        self.failure: BaseException | None = None
        #: Whether a part of it was left out (``SkippableSyncError``).
        self.skipped = False
        #: Whether the reading of a context has begun.
        self.started = False
        #: Of a stream without a parent: contexts that are not read yet, with everything below them; -1 before.
        self.unsettled = -1
        #: Records that were left out since they have no replication key.
        self.left_out = 0
        #: Partitions of the state that no parent has given yet; ``None`` where that says nothing.
        self.unseen: dict[Hashable, Context] | None = None
        self._noted_naive = False
        #: The moment the run began, as a replication key value; no bookmark passes it. ``None`` where time is no bound.
        self.began = plan.key_type.now() if plan.replication_key and plan.key_type.now else None
        self.records = 0
        self.bytes = 0
        self.reported = 0
        self.block_size = BlockSize()
        self.group_size = GroupSize()
        #: Bookmarks that several contexts share: they are finished when the whole stream is.
        self.shared_bookmarks: dict[Hashable, AnyBookmark] = {}

    @property
    def name(self) -> str:
        """The stream's name."""
        return self.plan.spec.name

    def note_naive(self) -> None:
        """Say, once, that values of the replication key have no time zone."""
        if not self._noted_naive:
            self._noted_naive = True
            logger.warning(
                "Stream '%s': values of its replication key '%s' have no time zone; they are taken as UTC",
                self.name,
                self.plan.replication_key,
            )

    def note_contexts(self, contexts: Sequence[Context]) -> None:
        """Note contexts that parents gave: their bookmarks stay."""
        if self.unseen:
            for context in contexts:
                own = self.plan.state_context(context)
                self.unseen.pop(identity_of(own or {}), None)

    def keeps_bookmark(self) -> bool:
        """Tell whether its reading moves bookmarks.

        A stream that is read only for its children keeps none: who selects it later wants all of it.
        """
        return self.plan.selected and (self.plan.replication_key is not None or self.plan.spec.increment is not None)


def summaries_of(stream: StreamRun, above: str, *, ended_early: bool) -> Iterator[StreamSummary]:
    """Say how a stream and those below it ended; ``above`` says what has kept their parent from being complete."""
    cause = above or ("the run was stopped" if ended_early and stream.unsettled != 0 else "")
    if stream.failure is not None:
        outcome, shown = Outcome.FAILED, cause_of(stream.failure)
    elif cause:
        outcome, shown = Outcome.STOPPED if stream.started else Outcome.NOT_STARTED, cause
    else:
        outcome, shown = Outcome.COMPLETED, _left_out(stream)
    yield StreamSummary(stream.name, outcome, stream.records, shown)
    if stream.failure is not None:
        cause = f"its parent '{stream.name}' failed"
    for child in stream.children:
        yield from summaries_of(child, cause, ended_early=False)


def _left_out(stream: StreamRun) -> str:
    notes = ["parts of it were left out"] if stream.skipped else []
    if stream.left_out:
        notes.append(f"records without a value in '{stream.plan.replication_key}' were left out: {stream.left_out}")
    return "; ".join(notes)
