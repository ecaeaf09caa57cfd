"""Which records of a slice go on: what a source could not leave out by itself, and what it gave before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from singerkit.engine.plan import StreamPlan
from singerkit.errors import DataError, InvalidStreamSortException
from singerkit.protocol.codec import encode
from singerkit.state.bounds import Bounds
from singerkit.types import Context, Record

#: Records at the end of a window that are remembered, at most; what comes beyond them may come twice.
_MOST_REMEMBERED = 10_000


class Boundary:
    """The records at the edge of two windows, which sources give in both: remembered by primary key, for one window.

    A record counts as seen before only if nothing of it has changed since.
    """

    __slots__ = ("_after", "_before", "_keys")

    def __init__(self, key_properties: tuple[str, ...]) -> None:
        self._keys = key_properties
        self._before: dict[bytes, int] = {}
        self._after: dict[bytes, int] = {}

    def turn(self) -> None:
        """Go on to the next window."""
        self._before, self._after = self._after, {}

    def is_new(self, record: Record, *, is_late: bool) -> bool:
        """Tell whether a record is not one of the window before; ``is_late``: the next window may give it again."""
        if not self._keys or not (is_late or self._before):
            return True
        try:
            identity = encode([record.get(name) for name in self._keys])
            if not is_late and identity not in self._before:
                return True
            content = hash(encode(record))
        except (TypeError, ValueError):  # what can't be written down can't be compared: better twice than not at all
            return True
        if is_late and len(self._after) < _MOST_REMEMBERED:
            self._after[identity] = content
        return self._before.get(identity) != content


class Sieve:
    """Judges the records of one slice, one by one, in order."""

    __slots__ = (
        "_boundary",
        "_check_order",
        "_end",
        "_key",
        "_key_type",
        "_previous",
        "_ranges",
        "_start",
        "_until",
        "finished",
        "left_out",
    )

    def __init__(self, plan: StreamPlan, bounds: Bounds, until: Any, boundary: Boundary | None) -> None:
        assert plan.spec.ranges is not None  # noqa: S101  # for the type checker: streams without ranges have no sieve
        self._ranges = plan.spec.ranges
        self._key = plan.replication_key or ""
        self._key_type = plan.key_type
        self._start = bounds.start
        self._end = bounds.end
        self._until = until
        self._boundary = boundary
        self._check_order = plan.spec.check_sorted
        self._previous: Any = None
        #: Whether what is left of the slice is not wanted.
        self.finished = False
        #: Records that were left out since they have no replication key.
        self.left_out = 0

    def keeps(self, record: Record) -> bool:
        """Tell whether a record goes on.

        Errors: ``InvalidStreamSortException`` when a source that gives the newest first does not.
        """
        value = record.get(self._key)
        if value is None:
            return self._keeps_missing()
        try:
            order = self._key_type.compare_key(value)
        except DataError:
            return True  # whoever follows the replication key says what is wrong with it
        if self._start is not None and order < self._start and self._ends_before_start(order):
            return False
        if self._ranges.newest_first:
            self._assert_not_newer(order)
        if self._until is not None and order >= self._until:
            return False
        if self._boundary is None:
            return True
        return self._boundary.is_new(record, is_late=self._end is not None and order >= self._end)

    def _keeps_missing(self) -> bool:
        if self._ranges.missing == "skip":
            self.left_out += 1
            return False
        return True

    def _ends_before_start(self, order: Any) -> bool:
        """Tell whether a record before the start is left out; if the newest come first, so is all that follows."""
        if self._ranges.newest_first:
            self._assert_not_newer(order)
            self.finished = True
        return self._ranges.newest_first or self._ranges.is_filtered

    def _assert_not_newer(self, order: Any) -> None:
        if self._check_order and self._previous is not None and order > self._previous:
            raise InvalidStreamSortException(
                f"the records do not come with the highest '{self._key}' first, though the stream says so; set "
                "newest_first = False, or sort at the source. The bookmark is left where this run began"
            )
        self._previous = order


def slices_of(plan: StreamPlan, context: Context | None) -> Iterator[tuple[Context | None, Sieve | None]]:
    """Give what to read of a context one after the other, each with what judges its records, if anything has to."""
    ranges = plan.spec.ranges
    if ranges is None:
        yield context, None
        return
    boundary = Boundary(plan.key_properties) if ranges.is_windowed else None
    until = ranges.until()
    judges = ranges.is_windowed or ranges.is_filtered or ranges.newest_first or ranges.missing == "skip"
    for slice_context, bounds in ranges.slices(context):
        needed = plan.replication_key is not None and (judges or until is not None)
        yield slice_context, Sieve(plan, bounds, until, boundary) if needed else None
        if boundary is not None:
            boundary.turn()
