"""What became of each stream of a run, told at its end."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

logger = logging.getLogger(__name__)


class Outcome(StrEnum):
    """How the reading of a stream ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    #: The run ended before it, or a stream above it failed: what it has is right, but it may not be all.
    STOPPED = "stopped"
    NOT_STARTED = "not started"


@dataclass(frozen=True, slots=True)
class StreamSummary:
    """One stream's end: how, after how many records, and why; ``cause`` is empty where there is nothing to say."""

    stream: str
    outcome: Outcome
    records: int
    cause: str = ""

    def __str__(self) -> str:
        """Give the line that a person reads."""
        count = f"{self.records} record" + ("" if self.records == 1 else "s")
        text = f"Stream '{self.stream}': {self.outcome}"
        text += "" if self.outcome is Outcome.NOT_STARTED else f", {count}"
        return f"{text}: {self.cause}" if self.cause else text


def log_summary(summaries: Sequence[StreamSummary]) -> None:
    """Say it: one line a stream, then how many ended how."""
    for summary in summaries:
        failed = summary.outcome is Outcome.FAILED
        level = logging.ERROR if failed else logging.WARNING if summary.cause else logging.INFO
        logger.log(level, "%s", summary, extra={"stream_name": summary.stream})
    counts = [(outcome, sum(summary.outcome is outcome for summary in summaries)) for outcome in Outcome]
    said = ", ".join(f"{count} {outcome}" for outcome, count in counts if count)
    logger.info("Summary: %s", said or "no streams were read")
