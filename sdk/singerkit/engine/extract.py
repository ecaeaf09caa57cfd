"""From what an author's code gives to blocks of records that are ready, with what is to be read below them.

A record is made ready the moment it comes: post_process, the context's members, the children's contexts, and a copy of
its own. An author may use one dict for all records, or keep on ``self`` what the hooks read: when the next record is
asked for, both have changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

from singerkit import clock
from singerkit.engine.plan import StreamPlan
from singerkit.engine.sieve import Sieve
from singerkit.errors import DataError
from singerkit.records.reading import PLAIN_READING, PageReading
from singerkit.types import Context, Record

_MOST_RECORDS = 256
_MOST_BYTES = 1024 * 1024
_QUICK_SECONDS = 0.02


class Intake(NamedTuple):
    """A block: records in order, and the contexts that they give to the children."""

    records: Sequence[Record]
    contexts: list[Context]


class BlockSize:
    """How many records of a stream make a block: more while they come quickly, never more than a bounded memory."""

    __slots__ = ("_records", "average_bytes")

    def __init__(self) -> None:
        self._records = 1
        #: The size of an average record's line, in bytes; 0 while it is not known.
        self.average_bytes = 0

    def next(self) -> int:
        """Give the number of records for the next block."""
        return max(1, min(self._records, _MOST_BYTES // (self.average_bytes or 1)))

    def learn(self, seconds: float) -> None:
        """Note how long a full block took to come."""
        self._records = min(self._records * 2, _MOST_RECORDS) if seconds < _QUICK_SECONDS else self._records // 2 or 1


def take_in(
    plan: StreamPlan,
    context: Context | None,
    block_size: BlockSize,
    sieve: Sieve | None = None,
    reading: PageReading = PLAIN_READING,
) -> Iterator[Intake]:
    """Read one context, block by block; a stream that gives pages gives them as blocks.

    ``sieve`` judges each record when it is ready otherwise; when it has finished, nothing more is asked for.

    Errors: whatever the author's code raises, after the records that came before it; ``DataError`` for a record that
    is no dict.
    """
    contexts: list[Context] = []
    for records in _blocks(plan, context, contexts, block_size, sieve, reading):
        yield Intake(records, contexts[:])
        contexts.clear()
        if sieve is not None and sieve.finished:
            return


def _blocks(
    plan: StreamPlan,
    context: Context | None,
    contexts: list[Context],
    block_size: BlockSize,
    sieve: Sieve | None,
    reading: PageReading,
) -> Iterator[Sequence[Record]]:
    shared = plan.shared_members(context)
    looks_at_each = bool(sieve is not None or plan.spec.post_process is not None or plan.children or shared)
    if plan.spec.read_pages is not None:
        if not looks_at_each:
            return iter(plan.spec.read_pages(context, reading))
        pages = plan.spec.read_pages(context, replace(reading, row_type=None))  # hooks want dicts
        return (list(_taken(plan, context, page, shared, contexts, sieve)) for page in pages)
    if looks_at_each:
        return blocks_of(_taken(plan, context, plan.spec.read(context), shared, contexts, sieve), block_size)
    return blocks_of(map(own_copy, plan.spec.read(context)), block_size)


def blocks_of(records: Iterable[Record], block_size: BlockSize) -> Iterator[list[Record]]:
    """Cut records into blocks.

    Errors: whatever reading them raises, after the records that came before it.
    """
    iterator = iter(records)
    while True:
        size = block_size.next()
        block: list[Record] = []
        started = clock.monotonic()
        try:
            block.extend(islice(iterator, size))
        except BaseException:
            if block:
                yield block
            raise
        block_size.learn(clock.monotonic() - started)
        if block:
            yield block
        if len(block) < size:
            return


def own_copy(item: Any) -> Record:
    """Give a record that nobody else changes; of a ``(record, child context)`` pair, the record.

    Errors: ``DataError`` when it is no record.
    """
    if item.__class__ is dict:
        copy: Record = item.copy()
        return copy
    if isinstance(item, tuple) and len(item) == 2:
        return own_copy(item[0])
    if isinstance(item, Mapping):
        return dict(item)
    raise DataError(f"get_records has to give dicts, and gave a value of type {type(item).__name__}")


def _taken(
    plan: StreamPlan,
    context: Context | None,
    items: Iterable[Any],
    shared: Mapping[str, Any],
    contexts: list[Context],
    sieve: Sieve | None,
) -> Iterator[Record]:
    """Make records ready one by one; a record's own value wins over the context's."""
    post_process = plan.spec.post_process
    child_contexts = plan.spec.child_contexts if plan.children else None
    for item in items:
        record = own_copy(item)
        if post_process is not None:
            changed = post_process(record, context)
            if changed is None:
                continue
            record = changed
        if shared:
            record = {**shared, **record}
        if sieve is not None and not sieve.keeps(record):
            if sieve.finished:
                return
            continue
        if child_contexts is not None:
            given = item[1] if isinstance(item, tuple) else None
            found = child_contexts(record, context) if given is None else [given]
            contexts.extend(child for child in found if child is not None)
        yield record
