"""A tap's run: every needed stream, its contexts in a bounded pool, and how it ends.

A stream that fails does not stop the others: their work is kept, and the run fails at the end. What the bookmarks say
is always covered by what is written: both change under the writer's lock.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from singerkit import clock
from singerkit.engine.ahead import WorkersAhead
from singerkit.engine.checkpoint import Checkpoints
from singerkit.engine.extract import take_in
from singerkit.engine.failures import attach, cause_of, describe
from singerkit.engine.gather import Gathering, GroupSize, Part
from singerkit.engine.lineage import Block, ContextRun
from singerkit.engine.plan import StreamPlan, TapPlan
from singerkit.engine.progress import AnyBookmark, AuthorsBookmark, Progress, WindowEnd, bookmark_of
from singerkit.engine.sieve import Sieve, slices_of
from singerkit.engine.stop import StopSignal
from singerkit.engine.stream_run import StreamRun, summaries_of
from singerkit.engine.summary import log_summary
from singerkit.engine.workers import Workers
from singerkit.errors import FatalSyncError, InvalidStreamSortException, SkippableSyncError
from singerkit.protocol.writer import MessageWriter
from singerkit.records.pipeline import Pipeline
from singerkit.records.reading import PLAIN_READING, PageReading
from singerkit.state.bookmarks import Bookmarks
from singerkit.state.partitions import identity_of
from singerkit.types import Context, Record

logger = logging.getLogger(__name__)

#: Contexts that may wait for a thread; beyond it the parent's thread reads them itself, which bounds the memory.
_MOST_WAITING = 1000
#: How long a stopped run waits for a reader that does not read, in seconds.
_STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class TapRun:
    """What a run is given.

    Units: ``record_limit`` records of each stream, then stop quietly (a trial run); ``None`` for all.
    """

    plan: TapPlan
    pipelines: Mapping[str, Pipeline]
    versions: Mapping[str, int]
    bookmarks: Bookmarks
    writer: MessageWriter
    stop: StopSignal
    max_concurrency: int
    state_frequency: int
    count_records: Callable[[str, int], None]
    record_limit: int | None = None


class Sync:
    """A run under way. :meth:`run` belongs to the main thread, everything else to the workers."""

    def __init__(self, given: TapRun) -> None:
        self._given = given
        self._writer = given.writer
        self._workers = Workers(given.max_concurrency)
        self._ahead = WorkersAhead(self._workers, given.max_concurrency) if given.max_concurrency > 1 else None
        # A lone thread reads children as they come: left for later, they would hold up their parent's bookmark.
        self._most_waiting = _MOST_WAITING if given.max_concurrency > 1 else 0
        self._checkpoints = Checkpoints(given.writer, given.bookmarks, given.state_frequency)
        self._finished = threading.Event()
        self._stamp = clock.Stamp()
        self._stopped = False
        self._unsettled_roots = 0
        self._output_failure: BaseException | None = None
        self._roots = [self._stream_run(plan) for plan in given.plan.roots]
        for root in self._roots:
            self._watch_partitions(root, reads_all=root.plan.reads_all)

    def run(self) -> None:
        """Read everything, write the last state, then raise the first failure if there was one.

        Errors: the first failed stream's, with stream and context attached; what the output gives, at once.
        """
        for stream in self._streams():
            write_schemas(self._writer, stream.plan, stream.pipeline)
        self._unsettled_roots = len(self._roots)
        for root in self._roots:
            self._workers.submit(self._read_root, root)
        if not self._roots:
            self._finished.set()
        self._workers.run_until(self._finished, self._tick)
        self._conclude()

    def _stream_run(self, plan: StreamPlan) -> StreamRun:
        children = [self._stream_run(child) for child in plan.children]
        name = plan.spec.tap_stream_id
        return StreamRun(plan, self._given.pipelines.get(name), self._given.versions.get(name), children)

    def _watch_partitions(self, stream: StreamRun, *, reads_all: bool) -> None:
        """Note which partitions the state has below a stream of which all is read: some may be of deleted parents.

        A parent that is read incrementally gives only what has changed: there nothing can be told.
        """
        for child in stream.children:
            if reads_all and child.plan.spec.forget_missing_parents and child.keeps_bookmark():
                child.unseen = self._given.bookmarks.contexts(child.plan.spec.tap_stream_id)
            self._watch_partitions(child, reads_all=reads_all and child.plan.reads_all)

    def _streams(self) -> list[StreamRun]:
        found = list(self._roots)
        for stream in found:
            found.extend(stream.children)
        return found

    def _tick(self) -> bool:
        # A worker that waits for the output holds the lock; waiting for it here would make the run deaf to signals.
        if self._writer.lock.acquire(blocking=False):
            try:
                self._writer.flush_if_due()
                self._checkpoints.emit_if_due()
            except Exception as failure:  # noqa: BLE001  # whatever writing gives ends the run
                self._output_failed(failure)
            finally:
                self._writer.lock.release()
        self._report_counts()
        self._stopped = self._stopped or bool(self._given.stop)
        return not self._stopped

    def _report_counts(self) -> None:
        for stream in self._streams():
            records = stream.records
            if records > stream.reported:
                self._given.count_records(stream.name, records - stream.reported)
                stream.reported = records

    # The end

    def _conclude(self) -> None:
        """Finish what is complete, write the last state, and tell of the first failure."""
        self._report_counts()
        if self._output_failure is not None:
            self._summarize()
            raise self._output_failure
        if not self._writer.lock.acquire(timeout=_STOP_SECONDS if self._given.stop else -1):
            logger.warning("Nobody reads the output, so the last state could not be written")
            self._summarize()
            return
        try:
            complete = not self._given.stop and self._given.record_limit is None
            for root in self._roots if complete else ():
                self._complete(root)
            self._checkpoints.emit()
        finally:
            self._writer.lock.release()
        self._summarize()
        failures = [stream.failure for stream in self._streams() if stream.failure is not None]
        if failures:
            raise failures[0]

    def _summarize(self) -> None:
        """Say what became of each stream."""
        if self._given.record_limit is None:
            ended_early = self._stopped or self._output_failure is not None
            log_summary([line for root in self._roots for line in summaries_of(root, "", ended_early=ended_early)])

    def _complete(self, stream: StreamRun) -> None:
        """Finish a stream that was read in full, and those below it: after a failure they may lack contexts."""
        if stream.failure is not None or stream.skipped:
            return
        for bookmark in stream.shared_bookmarks.values():
            bookmark.finish()
        if stream.records:  # a source that gives no parents at all is more likely to be ill than empty
            self._forget_missing_parents(stream.children)
        if stream.version is not None and stream.pipeline is not None:
            for output in stream.pipeline.outputs:
                self._writer.write_activate_version(output.name, stream.version)
        for child in stream.children:
            self._complete(child)

    def _forget_missing_parents(self, children: Sequence[StreamRun]) -> None:
        """Drop the bookmarks of contexts that no parent gave: they are of parents that are gone."""
        for child in children:
            if child.unseen and child.failure is None:
                self._given.bookmarks.forget_partitions(child.plan.spec.tap_stream_id, child.unseen)
                logger.info(
                    "Stream '%s': forgot the bookmarks of %d partitions, which its parent does not have any more",
                    child.name,
                    len(child.unseen),
                )

    # Contexts

    def _read_root(self, stream: StreamRun) -> None:
        """Read a stream that has no parent: its partitions, or the whole of it."""
        contexts: list[Context | None] = [None]
        try:
            contexts = list(stream.plan.spec.partitions() or ()) or contexts
        except BaseException as failure:  # noqa: BLE001  # an author's sys.exit() must not end this thread unnoticed
            self._stream_failed(stream, failure, None)
        with self._writer.lock:
            stream.unsettled = len(contexts)
            self._unsettled_roots += len(contexts)
        settle = partial(self._settle_root, stream)
        self._submit(stream, [ContextRun(context, None, settle) for context in contexts])
        self._end_root()

    def _settle_root(self, stream: StreamRun, succeeded: bool) -> None:
        """Note that a root's context is settled, with everything below it."""
        with self._writer.lock:
            stream.unsettled -= succeeded  # what did not succeed is never settled: the stream is not complete
            self._end_root()

    def _end_root(self) -> None:
        with self._writer.lock:
            self._unsettled_roots -= 1
            if not self._unsettled_roots:
                self._finished.set()

    def _submit(self, stream: StreamRun, runs: list[ContextRun]) -> None:
        """Have contexts read, in groups; in this thread if too many wait already."""
        size = stream.group_size.contexts
        for start in range(0, len(runs), size):
            group = (stream, runs[start : start + size])
            if self._workers.waiting < self._most_waiting:
                self._workers.submit(self._read_group, group)
            else:
                self._read_group(group)

    def _read_group(self, group: tuple[StreamRun, list[ContextRun]]) -> None:
        stream, runs = group
        gathering = Gathering(lambda parts, ended: self._write(stream, parts, ended), at_once=len(runs) == 1)
        started = clock.monotonic()
        for index, run in enumerate(runs):
            if index and GroupSize.is_slow(clock.monotonic() - started):
                stream.group_size.contexts = 1
                self._submit(stream, runs[index:])
                break
            self._read(stream, run, gathering)
        self._end_group(stream, gathering, runs)
        stream.group_size.learn(clock.monotonic() - started)

    def _end_group(self, stream: StreamRun, gathering: Gathering, runs: list[ContextRun]) -> None:
        try:
            gathering.flush()
        except BaseException as failure:  # noqa: BLE001  # as above
            self._stream_failed(stream, failure, runs[-1].context)

    def _read(self, stream: StreamRun, run: ContextRun, gathering: Gathering) -> None:
        if stream.failure is None and not self._stopped:
            try:
                self._read_context(stream, run, gathering)
            except SkippableSyncError as skipped:
                logger.warning("Left out: %s", describe(attach(skipped, stream.name, run.context)))
                self._skip(stream, run, gathering)
            except BaseException as failure:  # noqa: BLE001  # as above
                self._end_group(stream, gathering, [run])
                self._stream_failed(stream, failure, run.context)
        if stream.failure is None and not self._stopped:
            gathering.end(run)
        else:
            self._settle([run], succeeded=False)

    def _skip(self, stream: StreamRun, run: ContextRun, gathering: Gathering) -> None:
        """Go on without the rest of a context: it counts as read to its parent, but its bookmark is not finished."""
        self._end_group(stream, gathering, [run])
        with self._writer.lock:
            stream.skipped = True
            if run.bookmark is not None:
                run.bookmark.abandon()
            run.bookmark = None

    def _settle(self, runs: list[ContextRun], *, succeeded: bool) -> None:
        with self._writer.lock:
            for run in runs:
                run.settle(succeeded)

    def _read_context(self, stream: StreamRun, run: ContextRun, gathering: Gathering) -> None:
        plan = stream.plan
        stream.started = True
        bookmark = self._open_bookmark(stream, run)
        progress = self._progress(stream, bookmark)
        reading = self._page_reading(stream)
        try:
            for context, sieve in slices_of(plan, run.context):
                for records, contexts in take_in(plan, context, stream.block_size, sieve, reading):
                    if self._stopped:
                        return
                    value = None if progress is None else progress(records)
                    gathering.add(Part(run, records, contexts, bookmark, value))
                    if self._limit_reached(stream):
                        return
                self._end_slice(stream, run, gathering, sieve)
        except InvalidStreamSortException:
            if bookmark is not None:
                gathering.flush()
                self._go_back(run, bookmark)
            raise

    def _page_reading(self, stream: StreamRun) -> PageReading:
        """Give what is offered to who reads pages; who may stop early asks for no more than is needed."""
        ranges = stream.plan.spec.ranges
        if stream.plan.spec.read_pages is None:
            return PLAIN_READING
        takes_all = self._given.record_limit is None and not (ranges is not None and ranges.newest_first)
        # An author's hook that keeps the bookmark may look at properties that are not selected.
        pipeline = stream.pipeline if stream.plan.spec.increment is None else None
        row_type = pipeline.row_type if pipeline is not None else None
        return PageReading(self._ahead if takes_all else None, row_type)

    def _progress(self, stream: StreamRun, bookmark: AnyBookmark | None) -> Callable[[Sequence[Record]], Any] | None:
        """Give what says how far records bring a bookmark; an author's hook is given the records themselves."""
        if bookmark is None:
            return None
        if isinstance(bookmark, AuthorsBookmark):
            return lambda records: records
        return Progress(stream.plan, stream.note_naive).of

    def _end_slice(self, stream: StreamRun, run: ContextRun, gathering: Gathering, sieve: Sieve | None) -> None:
        """Note that a window was read to its end: a bookmark of the context's own may come so far."""
        ranges = stream.plan.spec.ranges
        if ranges is not None and ranges.is_windowed and run.bookmark is not None:
            gathering.add(Part(run, [], [], WindowEnd(run.bookmark), True))
        if sieve is not None and sieve.left_out:
            with self._writer.lock:
                stream.left_out += sieve.left_out

    def _write(self, stream: StreamRun, parts: list[Part], ended: list[ContextRun]) -> None:
        """Write lines, advance bookmarks, settle the contexts that ended; then have the children read."""
        try:
            records = parts[0].records if len(parts) == 1 else [r for part in parts for r in part.records]
            lines = stream.pipeline.render(records, self._stamp()) if stream.pipeline and records else b""
        except Exception:
            if len(parts) > 1:  # one context's record can't be written: the others' can
                self._write_apart(stream, parts, ended)
                return
            self._settle(ended, succeeded=False)
            raise
        opened: list[tuple[Block, list[Context]]] = []
        with self._writer.lock:
            if not self._stopped:
                self._count(stream, len(records), lines)
                opened = [(_note(part, len(stream.children)), part.contexts) for part in parts if part.contexts]
                for part in parts:
                    if not part.contexts and part.bookmark is not None and part.value is not None:
                        part.run.advance(part.bookmark, part.value)
            self._settle(ended, succeeded=not self._stopped)
            if self._checkpoints.count(len(records)):
                self._checkpoints.emit_if_due()
        for block, contexts in opened:
            for child in stream.children:
                child.note_contexts(contexts)
                self._submit(child, [ContextRun(context, block) for context in contexts])

    def _write_apart(self, stream: StreamRun, parts: list[Part], ended: list[ContextRun]) -> None:
        """Write part by part, so that what can be written is; then fail as the first part did that can't."""
        failure: Exception | None = None
        for part in parts:
            try:
                self._write(stream, [part], [])
            except Exception as error:  # noqa: BLE001  # raised below
                failure = failure or error
                self._settle([part.run], succeeded=False)
                ended = [run for run in ended if run is not part.run]
        self._settle(ended, succeeded=True)
        if failure is not None:
            raise failure

    def _count(self, stream: StreamRun, records: int, lines: bytes) -> None:
        if lines:
            self._writer.write_records(lines)
        stream.records += records
        stream.bytes += len(lines)
        stream.block_size.average_bytes = stream.bytes // (stream.records or 1)

    def _open_bookmark(self, stream: StreamRun, run: ContextRun) -> AnyBookmark | None:
        """Give the bookmark that a context advances; one of its own is finished with the context."""
        if not stream.keeps_bookmark():
            return None
        plan = stream.plan
        own = plan.state_context(run.context)
        with self._writer.lock:
            if own == run.context:
                run.bookmark = self._bookmark(stream, own, run.context, is_sorted=plan.spec.is_sorted)
                return run.bookmark
            shared = stream.shared_bookmarks.get(identity_of(own or {}))
            if shared is None:
                shared = self._bookmark(stream, own, run.context, is_sorted=False)
                stream.shared_bookmarks[identity_of(own or {})] = shared
            return shared

    def _bookmark(
        self, stream: StreamRun, own: Context | None, context: Context | None, *, is_sorted: bool
    ) -> AnyBookmark:
        plan = stream.plan
        entry = self._given.bookmarks.open(plan.spec.tap_stream_id, own)
        bookmark = bookmark_of(plan, entry, context, stream.began, is_sorted=is_sorted)
        if plan.spec.increment is None:
            return bookmark
        return AuthorsBookmark(bookmark, plan.spec.increment, context, partial(self._bookmark_failed, stream, context))

    def _bookmark_failed(self, stream: StreamRun, context: Context | None, failure: BaseException) -> None:
        self._stream_failed(stream, failure, context)

    def _go_back(self, run: ContextRun, bookmark: AnyBookmark) -> None:
        with self._writer.lock:
            run.fail()  # or a child that ends later would advance it again
            bookmark.revert()

    def _limit_reached(self, stream: StreamRun) -> bool:
        abort_at = stream.plan.spec.record_limit
        if abort_at is not None and stream.records > abort_at:
            raise FatalSyncError(f"the stream has more than {abort_at} records, where ABORT_AT_RECORD_COUNT stops it")
        return self._given.record_limit is not None and stream.records >= self._given.record_limit

    # Failures

    def _stream_failed(self, stream: StreamRun, failure: BaseException, context: Context | None) -> None:
        if failure is self._writer.failure:
            self._output_failed(failure)
            return
        logger.debug("Stream '%s' failed", stream.name, exc_info=failure)
        with self._writer.lock:
            is_first = stream.failure is None
            stream.failure = stream.failure or attach(failure, stream.name, context)
        if is_first and len(self._streams()) > 1:
            logger.error("Stream '%s' has failed, the others go on: %s", stream.name, cause_of(failure))

    def _output_failed(self, failure: BaseException) -> None:
        self._output_failure = self._output_failure or failure
        self._stopped = True
        self._finished.set()


def _note(part: Part, children: int) -> Block:
    return part.run.open_block(len(part.contexts) * children, part.bookmark, part.value)


def write_schemas(writer: MessageWriter, plan: StreamPlan, pipeline: Pipeline | None) -> None:
    """Write a SCHEMA for each output of a stream."""
    for output in pipeline.outputs if pipeline else ():
        key = plan.replication_key
        bookmark_properties = [key] if key and key in output.schema.get("properties", {}) else []
        writer.write_schema(output.name, output.schema, output.key_properties, bookmark_properties)
