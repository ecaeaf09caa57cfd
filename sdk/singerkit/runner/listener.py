"""Who is shown a run."""

from __future__ import annotations

from typing import Protocol

from singerkit.runner.job import Job
from singerkit.runner.store.base import RunRecord, StoredState
from singerkit.runner.supervise.attempt import Ending, Progress


class Listener(Protocol):
    """Shows a run to somebody."""

    def started(self, job: Job, record: RunRecord) -> None:
        """Show that a run has begun."""

    def log(self, program: str, line: str) -> None:
        """Show a log line (from any thread)."""

    def progress(self, progress: Progress) -> None:
        """Show how far it has come; called several times a second."""

    def retrying(self, ending: Ending, seconds: float) -> None:
        """Show that an attempt has failed and the next one begins after so many seconds."""

    def ended(self, record: RunRecord, before: StoredState | None, after: StoredState | None) -> None:
        """Show how it ended, and the states that stood before and after it."""
