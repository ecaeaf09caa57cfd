"""What was measured, as values: figures of repeated runs, the lines of the table, their verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from statistics import median

RATE = "records per CPU second"
ELAPSED_RATE = "records per second"
SMALLEST_COMPARED = 1.0
"""No ratio is made of a figure below one unit: two sides that both grow by next to nothing are alike."""


@dataclass(frozen=True)
class Figure:
    """The median of repeated runs, with the lowest and the highest."""

    median: float
    low: float
    high: float


def figure_of(values: Sequence[float]) -> Figure:
    """Give the figure of one or more values."""
    return Figure(median(values), min(values), max(values))


class Judged(Enum):
    """What a line's two bounds are compared with."""

    TIMES_MORE = "times more than the peer"
    TIMES_LESS = "times less than the peer"
    AT_MOST = "at most"


class Verdict(Enum):
    """How a line stands against its bounds."""

    AIM = "aim reached"
    REACHED = "reached"
    MISSED = "not reached"
    OPEN = "not measured"
    NONE = ""


@dataclass(frozen=True)
class Bounds:
    """What a line must reach: the least that is accepted and, where there is one, the aim."""

    least: float
    aim: float | None = None


@dataclass(frozen=True)
class Line:
    """One line of the table; `ours` and `theirs` are None where that side was not measured.

    `theirs` is singer-sdk's, or that of the peer the title names.
    """

    row: str
    title: str
    unit: str
    judged: Judged
    ours: Figure | None
    theirs: Figure | None = None
    bounds: Bounds | None = None

    @property
    def ratio(self) -> float | None:
        """How many times better singerkit is (2.0: twice the rate, or half the cost); None without a peer."""
        if self.ours is None or self.theirs is None or min(self.ours.median, self.theirs.median) < SMALLEST_COMPARED:
            return None
        ratio = self.ours.median / self.theirs.median
        return ratio if self.judged is Judged.TIMES_MORE else 1 / ratio

    @property
    def verdict(self) -> Verdict:
        """Compare the line with its bounds."""
        if self.bounds is None:
            return Verdict.NONE
        if self.judged is Judged.AT_MOST:
            return _judge(None if self.ours is None else -self.ours.median, self.bounds, sign=-1)
        return _judge(self.ratio, self.bounds, sign=1)


@dataclass(frozen=True)
class RowResult:
    """The lines of one row, and what a reader has to know about them."""

    lines: tuple[Line, ...] = ()
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = field(default=())


def _judge(value: float | None, bounds: Bounds, *, sign: int) -> Verdict:
    if value is None:
        return Verdict.OPEN
    if bounds.aim is not None and value >= sign * bounds.aim:
        return Verdict.AIM
    return Verdict.REACHED if value >= sign * bounds.least else Verdict.MISSED
