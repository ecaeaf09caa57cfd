"""Reading some records of one stream, as they are before its schema has changed anything.

Nothing is written and no bookmark moves. One context after the other, in one thread: what is read is the same each time
if the source is.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence

from singerkit.engine.extract import BlockSize, take_in
from singerkit.engine.failures import attach
from singerkit.engine.plan import StreamPlan, TapPlan
from singerkit.errors import SkippableSyncError
from singerkit.types import Context, Record

logger = logging.getLogger(__name__)


def sample_records(plan: TapPlan, tap_stream_id: str) -> Iterator[Record]:
    """Give the records of a stream, one by one; its parents are read as far as their contexts are needed.

    Errors: what the stream's code gives, with stream and context attached.
    """
    lineage = _lineage(plan.roots, tap_stream_id)
    contexts: Iterable[Context | None] = [None]
    if lineage:
        contexts = list(lineage[0].spec.partitions() or ()) or [None]
    return _records(lineage, contexts)


def _lineage(plans: Sequence[StreamPlan], tap_stream_id: str) -> list[StreamPlan]:
    """Give the stream's plan, its ancestors' before it."""
    for plan in plans:
        if plan.spec.tap_stream_id == tap_stream_id:
            return [plan]
        if below := _lineage(plan.children, tap_stream_id):
            return [plan, *below]
    return []


def _records(lineage: Sequence[StreamPlan], contexts: Iterable[Context | None]) -> Iterator[Record]:
    if not lineage:
        return
    plan, *below = lineage
    for context in contexts:
        try:
            for part in _slices(plan, context):
                for records, children in take_in(plan, part, BlockSize()):
                    yield from _records(below, children) if below else records
        except SkippableSyncError as skipped:
            logger.warning("Stream '%s': left out a context: %s", plan.spec.name, skipped)
        except Exception as failure:
            attach(failure, plan.spec.name, context)
            raise


def _slices(plan: StreamPlan, context: Context | None) -> Iterable[Context | None]:
    """Give what the stream's hooks get for a context: one after the other where it is read in windows."""
    ranges = plan.spec.ranges
    return [context] if ranges is None else (part for part, _ in ranges.slices(context))
