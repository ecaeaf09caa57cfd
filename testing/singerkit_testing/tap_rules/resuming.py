"""Going on from a state: nothing is lost, whatever state, however the last run ended."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from singerkit_testing import catalogs
from singerkit_testing.bookmarks import CURRENT, bookmarks_of, is_before, leaves_of, with_bookmarks
from singerkit_testing.resumption import Loss, chosen_states, kill_offsets, killed_after, losses
from singerkit_testing.rows import by_stream, identities, missing, rows_of, sent, sent_before, show, unsteady, volatile
from singerkit_testing.rules import Finding, NotApplicable, Severity, tap_rule
from singerkit_testing.transcript import parse_transcript
from singerkit_testing.values import identity, instant_of
from singerkit_testing.wire import encode

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterator

    from singerkit_testing.rows import RowIdentity
    from singerkit_testing.tap_lab import TapLab, TapRun
    from singerkit_testing.transcript import Message, Transcript

FUTURE = "2999-12-31T00:00:00Z"
KILLS = 4
MOST_STREAMS = 3


def _last_state(tap: TapLab) -> dict[str, Any]:
    last = tap.synced.transcript.last_state
    if last is None or not isinstance(last.state, dict):
        raise NotApplicable("there is no state that is an object")
    return last.state


@tap_rule(
    "TAP-061",
    "every state that is emitted is accepted",
    severity=Severity.MUST,
    source="SPEC.md, State: a state is the beginning of the next run",
    remedy="Read a state as tolerantly as it was written: streams not begun, streams half done, streams done.",
    needs=["state"],
)
def states_are_accepted(tap: TapLab) -> Iterator[Finding]:
    """Go on from it: the run succeeds, and its states have the same form."""
    for message in reversed(chosen_states(tap)):  # the other rules begin at the other end: the work is shared
        run = tap.resumed(message.state)
        last = run.transcript.last_state
        if not run.ok:
            yield Finding(f"refused was the state of line {message.number}: {run.ending()}", message)
        elif last is not None and type(last.state) is not type(message.state):
            yield Finding(f"from the state of line {message.number} came a state of another form", last)


@tap_rule(
    "TAP-062",
    "from every state the tap goes on without losing a row",
    severity=Severity.MUST,
    source="CONFIG_AND_STATE.md, State; SPEC.md, State",
    remedy="Emit a state after the records that it covers; select rows not older than the bookmark, ties included.",
    needs=["state"],
    timeout_s=180.0,
)
def resume_anywhere(tap: TapLab) -> Iterator[Finding]:
    """Rows before a state and rows of the run from it cover a full sync: by key, or by value without one."""
    _ = tap.synced
    for loss in losses(tap):
        yield from _lost(tap, loss)


@tap_rule(
    "TAP-066",
    "in a stream that is not sorted no state passes rows not sent yet",
    severity=Severity.MUST,
    source="CONFIG_AND_STATE.md, State: everything up to the state has been sent",
    remedy="Sort by the replication key, or move the bookmark only when the stream is complete.",
    needs=["state"],
    timeout_s=180.0,
)
def unsorted_streams_are_resumed(tap: TapLab) -> Iterator[Finding]:
    """TAP-062 for streams whose replication key goes up and down in the output."""
    streams = [stream for stream, key in tap.incremental.items() if _goes_down(tap.synced.transcript, stream, key)]
    if not streams:
        raise NotApplicable("no incremental stream comes unsorted")
    for loss in losses(tap):
        yield from _lost(tap, loss, streams)


@tap_rule(
    "TAP-078",
    "a full table that was interrupted is read again, or continued where it broke off",
    severity=Severity.MUST,
    source="CONFIG_AND_STATE.md, State: a run goes on where the last one ended",
    remedy="Begin a full table anew, or keep in the state exactly which rows have been sent.",
    needs=["state", "catalog"],
    timeout_s=180.0,
)
def full_tables_are_resumed(tap: TapLab) -> Iterator[Finding]:
    """TAP-062 for streams that are read as a full table."""
    streams = [stream for stream in tap.synced.transcript.streams if tap.method(stream) == "FULL_TABLE"]
    if not streams:
        raise NotApplicable("no stream is read as a full table")
    for loss in losses(tap):
        yield from _lost(tap, loss, streams)


def _goes_down(transcript: Transcript, stream: str, key: str) -> bool:
    values = [message.record.get(key) for message in transcript.records_of(stream)]
    known = [value for value in values if value is not None]
    return any(is_before(second, first) for first, second in pairwise(known))


def _lost(tap: TapLab, loss: Loss, streams: Collection[str] | None = None) -> Iterator[Finding]:
    grouped = by_stream(loss.rows)
    for stream in [stream for stream in grouped if streams is None or stream in streams]:
        yield _loss(tap, stream, grouped[stream], f"the state of line {loss.state.number}", loss.state)


def _loss(tap: TapLab, stream: str, rows: list[RowIdentity], where: str, evidence: Any) -> Finding:
    keys = ", ".join(tap.key_properties(stream)) or "whole records"
    text = f"going on from {where} loses {len(rows)} rows ({keys}): {show(rows)}"
    if stream in unsteady(tap):
        note = f"{text}; but two equal runs differ in this stream anyway"
        return Finding(note, evidence, stream, Severity.INFO)
    return Finding(text, evidence, stream)


def _changed(tap: TapLab, action: str, *, whole: bool) -> Iterator[Finding]:
    """Sync, change the source, go on from the last state: rows that a new full sync has more must come."""
    ignored, restless = volatile(tap), unsteady(tap)
    before = tap.run(catalog=tap.everything_selected)
    if not before.ok or before.transcript.last_state is None:
        raise NotApplicable("there is no sync with a state to go on from")
    if tap.mutate_source is not None:
        tap.mutate_source(action)
    after = tap.run(catalog=tap.everything_selected)
    rest = tap.run(catalog=tap.everything_selected, state=before.transcript.last_state.state)
    known = _row_set(tap, before, ignored, whole=whole)
    new = {row for row in _row_set(tap, after, ignored, whole=whole) - known if row[0] not in restless}
    if not new:
        raise NotApplicable(f"{action} changed nothing that a full sync shows")
    for row in sorted(new - _row_set(tap, rest, ignored, whole=whole), key=repr):
        text = f"after {action} the next run from the last state lacks: {show([row])}"
        yield Finding(text, before.transcript.last_state, row[0])


def _row_set(
    tap: TapLab, run: TapRun, ignored: frozenset[tuple[str, str]], *, whole: bool
) -> set[tuple[str, Hashable]]:
    if not whole:
        return set(sent(tap, run))
    return {
        (row.stream, identity({name: part for name, part in row.record.items() if (row.stream, name) not in ignored}))
        for row in rows_of(run.transcript)
    }


@tap_rule(
    "TAP-063",
    "a row that appears later with the bookmark's very replication key value is sent",
    severity=Severity.MUST,
    source="follows from CONFIG_AND_STATE.md, State: nothing is lost between two runs",
    remedy="Ask for rows with a replication key equal to or greater than the bookmark.",
    needs=["mutate_source"],
)
def late_ties_are_sent(tap: TapLab) -> Iterator[Finding]:
    """`mutate_source("insert_tie")` adds a row with the newest replication key value."""
    yield from _changed(tap, "insert_tie", whole=False)


@tap_rule(
    "TAP-064",
    "an old row that is changed later is sent again",
    severity=Severity.MUST,
    source="CONFIG_AND_STATE.md, State; SYNC_MODE.md, INCREMENTAL",
    remedy="Use as replication key what changes with every update, and compare with it alone.",
    needs=["mutate_source"],
)
def late_updates_are_sent(tap: TapLab) -> Iterator[Finding]:
    """`mutate_source("update_old")` changes an old row and gives it a new replication key value."""
    yield from _changed(tap, "update_old", whole=True)


@tap_rule(
    "TAP-067",
    "a second run from the last state sends less than the first",
    severity=Severity.SHOULD,
    source="SYNC_MODE.md, INCREMENTAL",
    remedy="Use the bookmark to select rows, at the source if it can.",
    needs=["state"],
)
def second_run_sends_less(tap: TapLab) -> Iterator[Finding]:
    """For each incremental stream in which rows have different replication key values."""
    rest = tap.resumed(_last_state(tap))
    if not tap.incremental or not rest.ok:
        raise NotApplicable("no stream is read incrementally" if rest.ok else "the run from the last state failed")
    for stream, key in tap.incremental.items():
        first, second = tap.synced.transcript.records_of(stream), rest.transcript.records_of(stream)
        values = {identity(message.record.get(key)) for message in first}
        if len(values) > 1 and len(second) >= len(first):
            text = f"from the last state come {len(second)} records, in the first run it were {len(first)}"
            yield Finding(text, tap.synced.transcript.last_state, stream)
    yield from _from_the_future(tap)


def _from_the_future(tap: TapLab) -> Iterator[Finding]:
    """All date-times in the last state's bookmarks are set to the year 2999."""
    state = _last_state(tap)
    future = with_bookmarks(state, _in_future(bookmarks_of(state)))
    if future == state or not tap.incremental:
        return
    run = tap.resumed(future)
    for stream in tap.incremental if run.ok else ():
        records = run.transcript.records_of(stream)
        if records and any(instant_of(str(value)) for _, value in leaves_of(bookmarks_of(state).get(stream))):
            text = f"{len(records)} records from a bookmark in {FUTURE[:4]}"
            yield Finding(text, records[0], stream, Severity.INFO)


def _in_future(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: inner if name == "context" else _in_future(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_in_future(item) for item in value]
    return FUTURE if isinstance(value, str) and instant_of(value) else value


@tap_rule(
    "TAP-068",
    "a state is the same however its JSON is written",
    severity=Severity.MUST,
    source="SPEC.md, STATE: the value is JSON, and targets write it anew",
    remedy="Parse the state with a JSON parser, and rely neither on order nor on spelling.",
    needs=["state"],
)
def states_survive_rewriting(tap: TapLab) -> Iterator[Finding]:
    """Members in reverse order, all in escapes, with spaces."""
    for message in chosen_states(tap)[:2]:
        plain = tap.resumed(message.state)
        rewritten = tap.run(catalog=tap.everything_selected, state=_rewritten(message.state))
        if not plain.ok:
            continue
        if not rewritten.ok:
            yield Finding(f"refused was a state that is only written differently: {rewritten.ending()}", message)
        elif not unsteady(tap) and sent(tap, plain) != sent(tap, rewritten):
            yield Finding("a state that is only written differently gives other rows", message)


def _rewritten(state: Any) -> bytes:
    text = encode(_reversed(state)).decode("utf-8", "replace")
    escaped = "".join(char if ord(char) < 128 else _escape(char) for char in text)
    return f"\n {escaped} \n".encode("ascii")


def _escape(char: str) -> str:
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[index]:02x}{units[index + 1]:02x}" for index in range(0, len(units), 2))


def _reversed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _reversed(inner) for name, inner in reversed(value.items())}
    return list(map(_reversed, value)) if isinstance(value, list) else value


@tap_rule(
    "TAP-069",
    "currently_syncing changes only the order: all selected streams are synced",
    severity=Severity.MUST,
    source="singer-python, get_selected_streams: the interrupted stream comes first",
    remedy="Begin with the interrupted stream, then sync all the others too.",
    needs=["state"],
)
def current_stream_changes_only_the_order(tap: TapLab) -> Iterator[Finding]:
    """Set it to the first, a middle and the last stream."""
    states = [message.state for message in tap.synced.transcript.states if isinstance(message.state, dict)]
    if not any(CURRENT in state for state in states):
        raise NotApplicable("the tap's states have no currently_syncing")
    expected = tap.resumed(_last_state(tap)).transcript.streams
    for stream in _few(tap.streams):
        run = tap.resumed({**_last_state(tap), CURRENT: stream})
        skipped = [name for name in expected if name not in run.transcript.streams]
        if skipped or not run.ok:
            text = f"with currently_syncing {stream!r} these streams are not synced: {', '.join(skipped)}"
            yield Finding(text if run.ok else run.ending(), stream=skipped[0] if skipped else stream)


def _few(streams: list[str]) -> list[str]:
    return streams if len(streams) <= MOST_STREAMS else [streams[0], streams[len(streams) // 2], streams[-1]]


@tap_rule(
    "TAP-070",
    "bookmarks of streams that are not selected stay in every state",
    severity=Severity.MUST,
    source="follows from CONFIG_AND_STATE.md: the last state is all that the next run is given",
    remedy="Begin with the whole state that was given, and change only what this run moves.",
    needs=["state", "catalog"],
)
def other_bookmarks_stay(tap: TapLab) -> Iterator[Finding]:
    """Give a state with all bookmarks, and select a single stream."""
    state = _last_state(tap)
    kept = {name: mark for name, mark in bookmarks_of(state).items() if list(leaves_of(mark)) and name in tap.streams}
    chosen = [*(name for name in tap.streams if name not in kept), *reversed(kept)][:2]
    if not kept or len(tap.streams) < 2:
        raise NotApplicable("the state has no bookmarks, or there is only one stream")
    for stream in chosen:
        run = tap.sync(catalogs.with_only(tap.discovered, [stream]), state=state)
        found = _first_forgotten(run, {name: mark for name, mark in kept.items() if name != stream})
        if found is not None:
            message, name = found
            yield Finding(f"with only {stream!r} selected the bookmark of {name!r} is gone", message, name)


def _first_forgotten(run: TapRun, kept: dict[str, Any]) -> tuple[Message, str] | None:
    for message in run.transcript.states:
        for name, bookmark in kept.items():
            now = dict(leaves_of(bookmarks_of(message.state).get(name)))
            if any(identity(now.get(path)) != identity(value) for path, value in leaves_of(bookmark)):
                return message, name
    return None


@tap_rule(
    "TAP-071",
    "a state may have more in it: unknown streams, unknown members",
    severity=Severity.MUST,
    source="SPEC.md, STATE: its form is the tap's own; streams come and go",
    remedy="Look up what is needed in the state, and leave the rest as it is.",
)
def unknown_bookmarks_are_tolerated(tap: TapLab) -> Iterator[Finding]:
    """Add a bookmark of a stream that does not exist, and another member beside the bookmarks."""
    last = tap.synced.transcript.last_state
    state = last.state if last is not None and isinstance(last.state, dict) else {}
    unknown = {"replication_key": "zz_key", "replication_key_value": "2020-01-01T00:00:00Z"}
    more = with_bookmarks(state, {**bookmarks_of(state), "zz_unknown_stream": unknown})
    run = tap.resumed({**more, "zz_note": "x"} if "bookmarks" in more else more)
    if not run.ok:
        yield Finding(f"a state with an unknown stream is refused: {run.ending()}", encode(more))


@tap_rule(
    "TAP-073",
    "no record is older than start_date, and the one that is just as old is there",
    severity=Severity.SHOULD,
    source="CONFIG_AND_STATE.md, start_date",
    remedy="Use start_date as the bookmark of streams that have none; rows equal to it belong to them.",
)
def start_date_is_a_lower_bound(tap: TapLab) -> Iterator[Finding]:
    """start_date is set to a value in the middle of what the first sync has."""
    start = middle_of_replication_keys(tap)
    run = tap.with_start_date(start)
    if not run.ok:
        yield Finding(f"a sync with start_date {start} failed: {run.ending()}")
        return
    for stream, key in tap.incremental.items():
        old = [message for message in run.transcript.records_of(stream) if is_before(message.record.get(key), start)]
        if old:
            yield Finding(f"{len(old)} records are older than start_date {start}", old[0], stream)
    lost = [row for row in _lost_since(tap, run, start) if row[0] not in unsteady(tap)]
    if lost:
        text = f"{len(lost)} rows that are not older than start_date {start} are missing: {show(lost)}"
        yield Finding(text, stream=lost[0][0])


def _lost_since(tap: TapLab, run: TapRun, start: str) -> list[RowIdentity]:
    recent = [
        row
        for row in rows_of(tap.synced.transcript)
        if (key := tap.incremental.get(row.stream))
        and instant_of(str(row.record.get(key)))
        and not is_before(row.record[key], start)
    ]
    return missing(tap, identities(tap, recent), sent(tap, run))


def middle_of_replication_keys(tap: TapLab) -> str:
    """Give a date-time that about half of the replication key values come before.

    Errors: ``NotApplicable`` if the tap knows no start_date, or has no such values.
    """
    if "start_date" not in tap.settings and "start_date" not in (tap.config or {}):
        raise NotApplicable("the tap has no setting start_date")
    values = [
        message.record.get(key)
        for stream, key in tap.incremental.items()
        for message in tap.synced.transcript.records_of(stream)
    ]
    moments = sorted({instant for value in values if isinstance(value, str) and (instant := instant_of(value))})
    if len(moments) < 2:
        raise NotApplicable("the replication keys have no different date-times")
    middle = moments[len(moments) // 2]
    return middle.second.isoformat().replace("+00:00", "Z")


@tap_rule(
    "TAP-076",
    "a run that is killed loses nothing: the next goes on from the last whole state",
    severity=Severity.MUST,
    source="CONFIG_AND_STATE.md, State: a run goes on where the last one ended",
    remedy="Emit a state after the records that it covers, and keep nothing but the state from run to run.",
    needs=["state"],
    timeout_s=180.0,
)
def kill_anywhere(tap: TapLab) -> Iterator[Finding]:
    """Killed after some bytes, behind a state and anywhere; what came before the state and the rest cover all."""
    everything = sent(tap, tap.synced)
    for offset in kill_offsets(tap, KILLS):
        killed = parse_transcript(killed_after(tap, offset))
        state = killed.last_state
        rest = tap.full if state is None else tap.resumed(state.state)
        if not rest.ok:
            continue  # TAP-061 says so
        before = sent_before(tap, killed, state.number if state is not None else 0)
        for stream, rows in by_stream(missing(tap, everything, before + sent(tap, rest))).items():
            yield _loss(tap, stream, rows, f"the last state of a run killed after {offset} bytes", state)


@tap_rule(
    "TAP-077",
    "a state that can't be read ends the run, before anything is sent",
    severity=Severity.MUST,
    source="follows from SPEC.md, State: a full sync instead would not be noticed",
    remedy="Let the error out: name the file, exit non-zero, send nothing.",
)
def unreadable_states_are_refused(tap: TapLab) -> Iterator[Finding]:
    """Give a file that is no JSON, and one that does not exist."""
    absent = tap.run("--state", "/nonexistent/state.json", catalog=tap.everything_selected)
    for what, run in (("that is no JSON", tap.refused_state), ("that does not exist", absent)):
        if run.exit_code == 0:
            yield Finding(f"exit code 0 with a state file {what}", _first_line(run))
        elif run.stdout.strip():
            severity = None if run.transcript.records else Severity.SHOULD
            yield Finding(f"messages in spite of a state file {what}", _first_line(run), severity=severity)


def _first_line(run: TapRun) -> str:
    return str(run.transcript.lines[0]) if run.transcript.lines else ""
