"""How far the records of one context bring its bookmark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from operator import lt
from typing import Any, TypeAlias

from singerkit.engine.plan import StreamPlan
from singerkit.errors import DataError, InvalidStreamSortException
from singerkit.records.rows import column_of
from singerkit.state.bookmarks import Bookmark
from singerkit.state.replication_key import Position, bookmark_refused, starting_value
from singerkit.types import Context, Record


class Progress:
    """Follows the replication key through the records of one context.

    Shape: :meth:`of` takes a block's records, in order, and gives where to advance the bookmark to, or ``None``;
    ``note_naive`` is called once, when there are values without a time zone.

    Errors: ``DataError`` when a record has no replication key or one of another type; ``InvalidStreamSortException``
    when a stream that says it is sorted is not.
    """

    __slots__ = ("_check", "_key", "_key_type", "_latest", "_missing", "_note_naive")

    def __init__(self, plan: StreamPlan, note_naive: Callable[[], None] | None = None) -> None:
        self._key = plan.replication_key or ""
        self._key_type = plan.key_type
        self._check = plan.spec.is_sorted and plan.spec.check_sorted
        self._latest: Any = None
        self._missing = None if plan.spec.ranges is None else plan.spec.ranges.missing
        self._note_naive = note_naive

    def of(self, records: Sequence[Record]) -> Position | None:
        """Give the highest replication key value of the block; a null says nothing, unless it is declared an error."""
        values = self._values_of(records)
        if not values:
            return None
        try:
            ordered = self._key_type.compare_keys(values, self._naive if self._note_naive is not None else None)
        except DataError as error:
            raise DataError(
                f"{error}: '{self._key}', the stream's replication key, is declared as one in its schema"
            ) from None
        if self._check:
            self._assert_sorted(ordered)
            return Position(values[-1], ordered[-1])
        highest = max(ordered)
        return Position(values[ordered.index(highest)], highest)

    def _values_of(self, records: Sequence[Record]) -> list[Any]:
        key = self._key
        try:
            values = [value for value in column_of(records, key) if value is not None]
        except KeyError:
            if self._missing in {None, "error"}:
                raise DataError(f"a record has no '{key}', which is the stream's replication key") from None
            return [value for record in records if (value := record.get(key)) is not None]
        if self._missing == "error" and len(values) != len(records):
            raise DataError(
                f"a record has null in '{key}', which is the stream's replication key; Incremental(missing=...) says "
                "what else to do with such records"
            )
        return values

    def _naive(self) -> None:
        if self._note_naive is not None:
            self._note_naive()
        self._note_naive = None

    def _assert_sorted(self, ordered: list[Any]) -> None:
        first_is_early = self._latest is not None and ordered[0] < self._latest
        if first_is_early or any(map(lt, islice(ordered, 1, None), ordered)):
            raise InvalidStreamSortException(
                f"the records are not sorted by '{self._key}', though the stream says so; set is_sorted = False, or "
                "sort at the source. The bookmark is left where this run began"
            )
        self._latest = ordered[-1]


def bookmark_of(
    plan: StreamPlan, entry: dict[str, Any], context: Context | None, now: Any, *, is_sorted: bool
) -> Bookmark:
    """Open the bookmark of a context in its state entry; ``now`` bounds it where the author gives no signpost.

    Errors: ``StateError`` when the bookmark of the state is not of the replication key's type.
    """
    known = starting_value(entry, plan.replication_key)
    try:
        _ = known is None or plan.key_type.compare_key(known)
    except DataError:
        raise bookmark_refused(plan.replication_key, plan.key_type) from None
    signpost = now if plan.spec.signpost is None else plan.spec.signpost(context)
    return Bookmark(entry, plan.replication_key or "", plan.key_type, signpost, is_sorted)


class AuthorsBookmark:
    """A bookmark that an author's hook keeps: it is given each record that is written, in order.

    A failure of the hook is told to ``failed``, since it comes where a record was written already; after it the hook is
    not called any more.
    """

    __slots__ = ("_bookmark", "_context", "_failed", "_increment", "_stopped")

    def __init__(
        self,
        bookmark: Bookmark,
        increment: Callable[..., None],
        context: Context | None,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._bookmark = bookmark
        self._increment = increment
        self._context = context
        self._failed = failed
        self._stopped = False

    def advance(self, records: Sequence[Record]) -> None:
        """Give the hook the records that were written."""
        if self._stopped:
            return
        try:
            for record in records:
                self._increment(record, context=self._context)
        except BaseException as failure:  # noqa: BLE001  # an author's sys.exit() too
            self._stopped = True
            if isinstance(failure, InvalidStreamSortException):
                self._bookmark.revert()
            self._failed(failure)

    def finish(self) -> None:
        """Make what is in progress the bookmark."""
        if not self._stopped:
            self._bookmark.finish()

    def revert(self) -> None:
        """Go back to where the run began."""
        self._bookmark.revert()

    def abandon(self) -> None:
        """Drop what is in progress."""
        self._bookmark.abandon()


#: What a context advances.
AnyBookmark: TypeAlias = Bookmark | AuthorsBookmark


class WindowEnd:
    """The end of a window: when everything before it is written and read, what is in progress becomes the bookmark."""

    __slots__ = ("_bookmark",)

    def __init__(self, bookmark: AnyBookmark) -> None:
        self._bookmark = bookmark

    def advance(self, value: Any) -> None:
        """Finish what is in progress; ``value`` says nothing."""
        self._bookmark.finish()
