"""What one run came to, on one screen: which side, why, the last lines, rows, bookmarks, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from singerkit.help_pages import page_on_run
from singerkit.runner.report.refused import refused_in
from singerkit.runner.report.spans import span
from singerkit.runner.state_changes import changes
from singerkit.runner.store.base import RunRecord, StoredState

_MAX_LINES = 20
_MAX_STREAMS = 12
_MAX_CHANGES = 12

_HEADLINES = {
    "unacknowledged": "FAILED: the target did not acknowledge the last state",
    "tap_failed": "FAILED: the tap",
    "target_failed": "FAILED: the target",
    "target_quit_early": "FAILED: the target stopped reading",
    "timed_out": "TIMED OUT",
    "cancelled": "CANCELLED",
    "config": "FAILED: its setup has to be mended",
    "after_failed": "LOADED, but a step that follows FAILED",
    "crashed": "CRASHED: the runner itself was ended",
    "running": "is running",
}
_RESUMES = (
    "it goes on from the bookmarks above. Records behind them are loaded again, and replace themselves where the "
    "stream has key properties; elsewhere they are there twice."
)
_BEGINS_ANEW = (
    "it begins from the start. What was loaded is loaded again, and replaces itself where the stream has key "
    "properties; elsewhere it is there twice."
)
_UNITS = "its units go on from where they came to."
_NEXT = {
    "unacknowledged": "See in the target's log why it printed no state for what it was given; then run again.",
    "config": "Mend what is named above, then run again; no bookmark has moved.",
    "after_failed": "The data are loaded and the bookmarks stand. Mend the step and run it by hand, or run again.",
}
_BESIDES = {
    "timed_out": " If it always takes so long, raise the timeout or load fewer streams at once.",
    "crashed": " The lease of a runner that was killed ends by itself within a minute.",
}


def summary(record: RunRecord, before: StoredState | None = None, after: StoredState | None = None) -> list[str]:
    """Give the lines; of a success only what it loaded."""
    lines = [headline(record)]
    if record.failure:
        lines += ["", f"  {record.failure}"]
    lines += [f"    {line}" for line in _last_lines(record)]
    lines += ["", *_rows(record), *_refused(record), *_bookmarks(before, after)] if _begun(record) else []
    if record.status not in ("success", "running"):
        lines += ["", f"  What to do: {_what_to_do(record, after)}"]
        lines += [f"  See it again: singerkit show {record.id}"]
        if not any(line.lstrip().startswith("help: ") for line in _last_lines(record, whose=False)):
            lines += [f"  help: {page_on_run(record.status)}"]
    return lines


def headline(record: RunRecord) -> str:
    """Give one line: the pipeline, how it ended, how long it took."""
    took = f"after {span((record.ended - record.started).total_seconds())}" if record.ended else ""
    how = f"{took}, in attempt {record.attempt}" if record.attempt > 1 else took
    if record.status == "success":
        return f"{record.pipeline} succeeded {how}"
    words = _HEADLINES.get(record.status, record.status)
    if record.status == "tap_failed" and (mapper := _failed_mapper(record)):
        words = f"FAILED: the mapper {mapper}"
    return f"{record.pipeline} {words}" + (f" ({how})" if how else "")


def _begun(record: RunRecord) -> bool:
    return record.facts.get("begun", True) is not False


def _failed_mapper(record: RunRecord) -> str | None:
    """Name the mapper that failed, where it was one: it stands between tap and target."""
    between = list(record.facts.get("codes") or {})[1:-1]
    culprit = record.facts.get("culprit")
    return str(culprit) if culprit in between else None


def _what_to_do(record: RunRecord, after: StoredState | None) -> str:
    """Say what to do next: what comes again for certain has to be mended first."""
    if not _begun(record):
        return "Mend what is named above, then run again. It did not begin: nothing was read, and the bookmarks stand."
    if record.status in _NEXT:
        return _NEXT[record.status]
    resumes = _UNITS if record.facts.get("units") else _RESUMES if after else _BEGINS_ANEW
    if record.facts.get("will_recur"):
        return (
            f"Mend what is named above first, or it fails the same way again. Then it is safe to run again: {resumes}"
        )
    return f"It is safe to run again: {resumes}{_BESIDES.get(record.status, '')}"


def _last_lines(record: RunRecord, *, whose: bool = True) -> Sequence[str]:
    """Give the end of the log of the program that failed; of all where none is to blame, as after a timeout."""
    if record.status in ("success", "running", "after_failed"):
        return ()
    culprit = record.facts.get("culprit")
    names = [str(culprit)] if culprit in record.last_lines else list(record.last_lines)
    lines = [(name, line) for name in names for line in record.last_lines[name]][-_MAX_LINES:]
    return [f"{name} | {line}" if whose else line for name, line in lines]


def _rows(record: RunRecord) -> list[str]:
    streams = record.streams
    total = sum(counts["records"] for counts in streams.values())
    attempts = f", in {record.attempt} attempts" if record.attempt > 1 else ""
    lines = [f"  Records sent to the target{attempts}: {total:,} in {len(streams)} stream{'s' * (len(streams) != 1)}"]
    largest = sorted(streams.items(), key=lambda item: -item[1]["records"])
    lines += [f"    {name}: {counts['records']:,}" for name, counts in largest[:_MAX_STREAMS]]
    if len(largest) > _MAX_STREAMS:
        lines.append(f"    ... and {len(largest) - _MAX_STREAMS} more")
    return lines


def _refused(record: RunRecord) -> list[str]:
    refused = refused_in(record)
    if not refused:
        return []
    lines = [f"  Of these the target refused, and left out: {sum(refused.values()):,} (see its log, or its quarantine)"]
    lines += [f"    {stream}: {count:,}" for stream, count in sorted(refused.items())[:_MAX_STREAMS]]
    return lines + ([f"    ... and {len(refused) - _MAX_STREAMS} more"] if len(refused) > _MAX_STREAMS else [])


def _bookmarks(before: StoredState | None, after: StoredState | None) -> list[str]:
    if after is None:
        return ["  Bookmarks: none yet"]
    if before is not None and before.revision == after.revision:
        return [f"  Bookmarks: unchanged (revision {after.revision})"]
    lines = changes(before.state if before else None, after.state)
    if not lines:
        return [f"  Bookmarks: none in the state (revision {after.revision})"]
    shown = [f"    {line}" for line in lines[:_MAX_CHANGES]]
    more = [f"    ... and {len(lines) - _MAX_CHANGES} more"] if len(lines) > _MAX_CHANGES else []
    return [f"  Bookmarks (revision {before.revision if before else 0} to {after.revision}):", *shown, *more]
