"""What came since the last state that was kept, where a state is stored together with the rows before it.

The rows of an epoch may be stored only with a state that covers all of them. So rows that come after a state are put
aside until that state is kept, or until a later one covers them too: an input that falls silent behind a record does
not hold up the state before it.
"""

from __future__ import annotations

from singerkit import clock
from singerkit.protocol.reader import RecordRun


class Epoch:
    """Rows and the state that covers them. Not thread-safe: one thread owns it."""

    def __init__(self) -> None:
        #: The newest state, which covers everything but what was put aside.
        self.state: bytes | None = None
        #: The state that was kept last.
        self.kept: bytes | None = None
        self.rows = 0
        self.rows_aside = 0
        self._aside: list[RecordRun] = []
        self._since: float | None = None

    def note(self, rows: int) -> None:
        """Note rows that the next state covers."""
        self.rows += rows
        self._begin()

    def put_aside(self, run: RecordRun) -> None:
        """Take rows that came after the state."""
        self._aside.append(run)
        self.rows_aside += run.rows

    def hold(self, state: bytes) -> None:
        """Take a state that covers everything so far."""
        self.state = state
        self._begin()

    def end(self) -> None:
        """Note that the state was kept."""
        self.kept, self.state = self.state, None
        self.rows, self._since = 0, None

    def take_aside(self) -> list[RecordRun]:
        """Give back what was put aside, for the next epoch or the next state."""
        runs, self._aside, self.rows_aside = self._aside, [], 0
        return runs

    @property
    def uncovered_rows(self) -> int:
        """Rows that no state covers."""
        return self.rows_aside + (self.rows if self.state is None else 0)

    def due_at(self, max_age_s: float) -> float | None:
        """When the state is to be kept (monotonic seconds); ``None`` if there is none."""
        return None if self.state is None or self._since is None else self._since + max_age_s

    def _begin(self) -> None:
        if self._since is None:
            self._since = clock.monotonic()
