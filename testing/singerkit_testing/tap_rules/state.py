"""States as they stand in the output: shape, order, size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singerkit_testing.bookmarks import bookmarks_of, is_before, leaves_of, markers_in
from singerkit_testing.rows import identities, missing, rows_of, sent, show, unsteady
from singerkit_testing.rules import Finding, NotApplicable, Severity, tap_rule
from singerkit_testing.wire import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singerkit_testing.rows import RowIdentity
    from singerkit_testing.tap_lab import TapLab

MARKERS = frozenset({"progress_markers", "replication_key_signpost", "starting_replication_value", "currently_syncing"})
# A state grows with the streams; one that is larger than this and has a value for every few records grows with them.
LARGE_STATE_BYTES = 16_384
RECORDS_PER_VALUE = 10
LONG_GAP_RECORDS = 50_000


@tap_rule(
    "TAP-060",
    "an incremental tap emits states, and a last one after the last record",
    severity=Severity.SHOULD,
    source="SPEC.md, State; CONFIG_AND_STATE.md",
    remedy="Emit a state after each page or so, and one at the end of the run.",
)
def states_are_emitted(tap: TapLab) -> Iterator[Finding]:
    """Taps with a stream that is read incrementally."""
    transcript = tap.synced.transcript
    if not tap.incremental:
        raise NotApplicable("no stream is read incrementally")
    last = transcript.last_state
    if last is None:
        yield Finding("no STATE, though there are incremental streams")
    elif transcript.records and transcript.records[-1].number > last.number:
        yield Finding("no STATE after the last record", transcript.records[-1])


@tap_rule(
    "TAP-065",
    "rows without a replication key value are sent in the first sync, and leave the bookmark alone",
    severity=Severity.MUST,
    source="follows from CONFIG_AND_STATE.md: state is how far a tap has come",
    remedy="Send rows whose replication key is null in the first sync; move a bookmark only to a value.",
)
def null_replication_keys(tap: TapLab) -> Iterator[Finding]:
    """Compare with a full table, which has all rows; look for bookmarks that turn null."""
    if not tap.incremental:
        raise NotApplicable("no stream is read incrementally")
    for row in _not_in_first_sync(tap, with_value=False):
        yield Finding(f"not sent, as its replication key is null: {show([row])}", stream=row[0])
    for stream, key in tap.incremental.items():
        yield from _lost_values(tap, stream, key)


def _lost_values(tap: TapLab, stream: str, key: str) -> Iterator[Finding]:
    had: set[Any] = set()
    for message in tap.synced.transcript.states:
        for path, value in leaves_of(bookmarks_of(message.state).get(stream)):
            if not path or path[-1] not in ("replication_key_value", key):
                continue
            if value is None and path in had:
                yield Finding("the bookmark had a value, and is null now", message, stream)
                return
            if value is not None:
                had.add(path)


def _not_in_first_sync(tap: TapLab, *, with_value: bool) -> list[RowIdentity]:
    """List the rows of a full table that an incremental first sync leaves out: those with or without a key's value."""
    run = tap.as_full_table
    if run is None or not run.ok:
        return []
    rows = [row for row in rows_of(run.transcript) if row.stream in tap.incremental]
    start = (tap.config or {}).get("start_date")
    wanted = [
        row
        for row in rows
        if (row.record.get(tap.incremental[row.stream]) is not None) is with_value
        and not (start and (not with_value or is_before(row.record[tap.incremental[row.stream]], start)))
    ]
    return missing(tap, identities(tap, wanted), sent(tap, tap.synced))


@tap_rule(
    "TAP-072",
    "without a state everything is read, from the beginning or from start_date",
    severity=Severity.MUST,
    source="SPEC.md, State; CONFIG_AND_STATE.md, start_date",
    remedy="Take a missing state, and an empty one, as the beginning.",
)
def without_state_everything_is_read(tap: TapLab) -> Iterator[Finding]:
    """Compare the first sync with full tables, and with a sync from an empty state."""
    lost = _not_in_first_sync(tap, with_value=True) if tap.incremental else []
    if lost:
        yield Finding(f"a full table has {len(lost)} rows that the first sync lacks: {show(lost)}", stream=lost[0][0])
    yield from _remembered(tap)
    from_nothing = tap.resumed({})
    if not from_nothing.ok:
        yield Finding(f"an empty state is refused: {from_nothing.ending()}", "{}")
        return
    lost = missing(tap, sent(tap, tap.synced), sent(tap, from_nothing))
    steady = [row for row in lost if row[0] not in unsteady(tap)]
    if steady:
        yield Finding(f"from an empty state {len(steady)} rows are missing: {show(steady)}", "{}", steady[0][0])


def _remembered(tap: TapLab) -> Iterator[Finding]:
    """Look for a second run without a state that does what one with the last state does: it has kept the state."""
    last = tap.synced.transcript.last_state
    lost = missing(tap, sent(tap, tap.synced), sent(tap, tap.again)) if last is not None and tap.again.ok else []
    if last is not None and lost and sent(tap, tap.again) == sent(tap, tap.resumed(last.state)):
        text = f"a second run without a state sends only what is new since the first: {len(lost)} rows are missing"
        yield Finding(f"{text}: {show(lost)}", last, lost[0][0])


@tap_rule(
    "TAP-074",
    "the last state has no marks of work in progress",
    severity=Severity.MUST,
    source="Meltano SDK, state: markers are gone when a stream is done",
    remedy="Turn markers into bookmarks, and take them away, when a stream is complete; then emit the state.",
)
def last_state_is_final(tap: TapLab) -> Iterator[Finding]:
    """progress_markers, replication_key_signpost, starting_replication_value, currently_syncing."""
    last = tap.synced.transcript.last_state
    if last is None:
        raise NotApplicable("there is no state")
    for path in markers_in(last.state, MARKERS):
        yield Finding(f"the last state still has {'/'.join(path)}", last)


@tap_rule(
    "TAP-075",
    "a bookmark never moves backwards in a run",
    severity=Severity.INFO,
    source="follows from CONFIG_AND_STATE.md: state is how far a tap has come",
    remedy="Keep the newest value if the stream is sorted; otherwise move the bookmark at the end only.",
)
def bookmarks_move_forwards(tap: TapLab) -> Iterator[Finding]:
    """Replication key values, partition by partition; one finding for each stream."""
    moved: set[str] = set()
    values: dict[tuple[str, ...], Any] = {}
    for message in tap.full.transcript.states:
        for path, value in leaves_of(bookmarks_of(message.state)):
            if path and path[-1] in ("replication_key_value", tap.replication_key(path[0])):
                if is_before(value, values.get(path)) and path[0] not in moved:
                    moved.add(path[0])
                    yield Finding(f"the bookmark went from {values[path]} back to {value}", message, path[0])
                values[path] = value


@tap_rule(
    "TAP-080",
    "a state does not grow with the records",
    severity=Severity.SHOULD,
    source="BEST_PRACTICES.md: keep state small",
    remedy="Keep one bookmark per stream or partition; with many parents keep the oldest of their bookmarks.",
)
def states_stay_small(tap: TapLab) -> Iterator[Finding]:
    """Look for a last state that is large, and has a value for every few records."""
    transcript = tap.synced.transcript
    if transcript.last_state is None:
        raise NotApplicable("there is no state")
    size, values = len(encode(transcript.last_state.state)), len(list(leaves_of(transcript.last_state.state)))
    if size > LARGE_STATE_BYTES and values * RECORDS_PER_VALUE > len(transcript.records):
        text = f"the last state has {size:,} bytes and {values:,} values after {len(transcript.records):,} records"
        yield Finding(text, transcript.last_state)


@tap_rule(
    "TAP-081",
    "states come reasonably often",
    severity=Severity.INFO,
    source="CONFIG_AND_STATE.md: state is emitted periodically",
    remedy="Emit a state at least every few thousand records: what came after the last one is read again.",
)
def states_come_often(tap: TapLab) -> Iterator[Finding]:
    """Find the longest stretch of records without a state."""
    longest, current = 0, 0
    if not tap.synced.transcript.states:
        raise NotApplicable("there is no state")
    for message in tap.synced.transcript.messages:
        current = current + 1 if message.type == "RECORD" else 0 if message.type == "STATE" else current
        longest = max(longest, current)
    if longest > LONG_GAP_RECORDS:
        yield Finding(f"{longest:,} records in a row without a state")
