"""A run on the console: a live table on a terminal, JSON lines elsewhere; both on stderr."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

from singerkit.clock import monotonic, utc_now_text
from singerkit.runner.job import Job
from singerkit.runner.listener import Listener
from singerkit.runner.report.summary import summary
from singerkit.runner.store.base import RunRecord, StoredState
from singerkit.runner.supervise.attempt import Ending, Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

_LINE_EVERY_S = 10.0
_DRAW_EVERY_S = 0.25
_MAX_ROWS = 15


def display_for(stream: TextIO | None = None, *, json_lines: bool | None = None) -> Listener:
    """Give the display that fits: by itself a table where ``stream`` (stderr) is a terminal.

    What can't be shown, because a log's disk is full or its reader has gone, is lost: a run goes on without it.
    """
    shown = Unfailing(stream or sys.stderr)
    if json_lines or (json_lines is None and not shown.isatty()):
        return JSONLines(shown)
    return Terminal(shown)


class Unfailing:
    """A stream that swallows what can't be written; ``stream`` is ``None`` where it was closed from the start.

    Log lines come from threads that must not end: a program whose log nobody reads has to wait in the end.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.encoding = getattr(stream, "encoding", "utf-8")

    def write(self, text: str) -> int:
        """Write as much as can be."""
        if self._stream is not None:
            with suppress(OSError, ValueError):
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Send it on."""
        if self._stream is not None:
            with suppress(OSError, ValueError):
                self._stream.flush()

    def isatty(self) -> bool:
        """Tell whether somebody looks at it."""
        return self._stream is not None and self._stream.isatty()

    def fileno(self) -> int:
        """Give its descriptor.

        Errors: ``OSError`` where it has none.
        """
        if self._stream is None:
            raise OSError("it is closed")
        return self._stream.fileno()


class JSONLines:
    """One JSON object a line: ``event`` says what it is, ``time`` when (UTC)."""

    def __init__(self, stream: Unfailing) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._shown_at = monotonic()

    def started(self, job: Job, record: RunRecord) -> None:
        """Write ``started``."""
        names = [program.name for program in (job.tap, *job.mappers, job.target)]
        state = {"state_key": record.state_key, "revision": record.revision_before}
        self._write("started", run=record.id, pipeline=job.name, programs=names, **state)

    def log(self, program: str, line: str) -> None:
        """Write ``log``."""
        self._write("log", program=program, line=line)

    def progress(self, progress: Progress) -> None:
        """Write ``progress``, once in a while."""
        if monotonic() - self._shown_at >= _LINE_EVERY_S:
            self._shown_at = monotonic()
            self._write("progress", streams=progress.sent.by_stream(), states=progress.states, **_waits(progress))

    def retrying(self, ending: Ending, seconds: float) -> None:
        """Write ``retrying``."""
        self._write("retrying", status=str(ending.status), failure=ending.failure, wait_s=seconds)

    def ended(self, record: RunRecord, before: StoredState | None, after: StoredState | None) -> None:
        """Write ``ended``: status, exit code, counts, and the summary's lines."""
        self._write(
            "ended",
            run=record.id,
            pipeline=record.pipeline,
            status=record.status,
            exit_code=record.exit_code,
            failure=record.failure,
            streams={name: dict(counts) for name, counts in record.streams.items()},
            revision=record.revision_after,
            summary=[line for line in summary(record, before, after) if line],
        )

    def _write(self, event: str, **fields: Any) -> None:
        line = json.dumps({"time": utc_now_text(), "event": event, **fields})
        with self._lock:
            self._stream.write(line + "\n")
            self._stream.flush()


class Terminal:
    """A table that is drawn anew while it runs, with the log above it, and the summary at the end."""

    def __init__(self, stream: Unfailing) -> None:
        # Imported here: where there is no terminal, nothing is drawn.
        from rich.console import Console

        self._console: Console = Console(file=cast("TextIO", stream), highlight=False, soft_wrap=True)
        self._live: Live | None = None
        self._began = self._drawn_at = monotonic()
        self._title = ""
        self._before: Mapping[str, int] = {}
        self._rates: dict[str, float] = {}

    def started(self, job: Job, record: RunRecord) -> None:
        """Say what runs, from where it goes on, and begin to draw."""
        from rich.live import Live

        names = " | ".join(program.name for program in (job.tap, *job.mappers, job.target))
        revision = record.revision_before
        begins = f"from revision {revision} of state '{record.state_key}'" if revision else "from the beginning"
        self._print(f"{job.name}: {names}, {begins} (run {record.id})", style="bold")
        self._title = names
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._live.start()

    def log(self, program: str, line: str) -> None:
        """Print a line above the table; metrics are drawn instead."""
        if "METRIC: {" in line:
            return
        self._print(f"{program} | {line}", style="dim" if program != "singerkit" else None)

    def progress(self, progress: Progress) -> None:
        """Draw, a few times a second."""
        from rich.console import Group
        from rich.text import Text

        now = monotonic()
        if self._live is None or now - self._drawn_at < _DRAW_EVERY_S:
            return
        records = dict(progress.sent.records)
        seconds = now - self._drawn_at
        for stream, count in records.items():
            rate = (count - self._before.get(stream, 0)) / seconds
            self._rates[stream] = 0.7 * self._rates.get(stream, rate) + 0.3 * rate
        self._before, self._drawn_at = records, now
        waiting = Text(_waiting(progress, now - self._began), style="dim")
        self._live.update(Group(self._table(progress), waiting), refresh=True)

    def retrying(self, ending: Ending, seconds: float) -> None:
        """Say why, and when."""
        self._print(f"{ending.status}: {ending.failure} Trying again in {seconds:g} s.", style="yellow")

    def ended(self, record: RunRecord, before: StoredState | None, after: StoredState | None) -> None:
        """Clear the table and print the summary."""
        if self._live is not None:
            self._live.stop()
        first, *rest = summary(record, before, after)
        self._print(first, style="bold green" if record.status == "success" else "bold red")
        for line in rest:
            self._print(line)

    def _print(self, text: str, style: str | None = None) -> None:
        self._console.print(text, style=style, markup=False)

    def _table(self, progress: Progress) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(self._title), title_justify="left")
        table.add_column("stream")
        for name in ("records", "per second", "MB"):
            table.add_column(name, justify="right")
        rows = sorted(progress.sent.by_stream().items(), key=lambda item: -item[1]["records"])
        for stream, counts in rows[:_MAX_ROWS]:
            rate = f"{self._rates.get(stream, 0):,.0f}"
            table.add_row(Text(stream), f"{counts['records']:,}", rate, f"{counts['bytes'] / 1e6:,.1f}")
        if len(rows) > _MAX_ROWS:
            rest = sum(counts["records"] for _, counts in rows[_MAX_ROWS:])
            table.add_row(f"{len(rows) - _MAX_ROWS} more", f"{rest:,}", "", "")
        return table


def _waits(progress: Progress) -> dict[str, float]:
    return {
        "waited_for_tap_s": round(progress.sent.waited_for_writer_s, 1),
        "waited_for_target_s": round(progress.sent.waited_for_reader_s, 1),
    }


def _waiting(progress: Progress, seconds: float) -> str:
    """Say which side makes the other one wait."""
    tap, target = progress.sent.waited_for_writer_s, progress.sent.waited_for_reader_s
    slower = "tap" if tap >= target else "target"
    waits = f"waits: tap {tap:,.0f} s, target {target:,.0f} s"  # whole in 80 columns
    return f"{seconds:,.0f} s; {progress.states:,} states; the {slower} is slower ({waits})"
