"""What the end of an attempt means: one table from how everything ended to a status and an exit code."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a run ended."""

    SUCCESS = "success"
    UNACKNOWLEDGED = "unacknowledged"
    TAP_FAILED = "tap_failed"
    TARGET_FAILED = "target_failed"
    TARGET_QUIT_EARLY = "target_quit_early"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    LOCKED = "locked"
    CONFIG = "config"
    AFTER_FAILED = "after_failed"
    CRASHED = "crashed"


_EXIT_CODES = {
    Status.SUCCESS: 0,
    Status.TIMED_OUT: 124,  # as `timeout` of coreutils
    Status.LOCKED: 75,  # EX_TEMPFAIL of sysexits.h
    Status.CONFIG: 2,
}
#: What may well go better at another time.
RETRYABLE = frozenset({Status.TAP_FAILED, Status.TARGET_FAILED, Status.TARGET_QUIT_EARLY, Status.UNACKNOWLEDGED})
_EXIT_CONFIG = 2
#: Exit codes of what ends the same way again: a wrong config, as everywhere; messages that can't be read, singerkit's.
_RECURRING = (_EXIT_CONFIG, 4)


def exit_code_of(status: Status, signal_number: int = signal.SIGTERM) -> int:
    """Give the runner's exit code for a status; ``signal_number`` is what cancelled it."""
    return 128 + signal_number if status is Status.CANCELLED else _EXIT_CODES.get(status, 1)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """How everything ended.

    Shape: ``writers_code`` is that of the tap, or of the mapper that failed; ``quit_early`` says that the target was
    gone before the end of its input; ``broken_input`` that a line was cut off or was no Singer message; ``sent`` that
    anything reached the target; ``printed`` that it printed a state; ``reversed_order`` that it was given nothing and
    wrote messages, as a tap does; ``target_follows`` that the target itself fails where its input breaks off.
    """

    cancelled: bool = False
    timed_out: bool = False
    writers_code: int = 0
    target_code: int = 0
    quit_early: bool = False
    broken_input: bool = False
    acknowledged: bool = True
    sent: bool = True
    printed: bool = False
    reversed_order: bool = False
    target_follows: bool = False


def status_of(facts: Facts) -> Status:
    """Judge an attempt; the first row that fits counts."""
    tap_broke_off = facts.writers_code != 0 or facts.broken_input
    table = (
        (facts.cancelled, Status.CANCELLED),
        (facts.timed_out, Status.TIMED_OUT),
        (facts.reversed_order, Status.CONFIG),
        (facts.target_code == _EXIT_CONFIG and not facts.printed, Status.CONFIG),
        (
            facts.target_follows and facts.target_code == 1 and not facts.quit_early and tap_broke_off,
            Status.TAP_FAILED,
        ),
        (facts.target_code != 0, Status.TARGET_FAILED),
        (facts.quit_early, Status.TARGET_QUIT_EARLY),
        (facts.writers_code == _EXIT_CONFIG and not facts.sent, Status.CONFIG),
        (tap_broke_off, Status.TAP_FAILED),
        (not facts.acknowledged, Status.UNACKNOWLEDGED),
    )
    return next((status for applies, status in table if applies), Status.SUCCESS)


def will_recur(status: Status, culprits_code: int, *, is_refused: bool) -> bool:
    """Tell whether the same failure comes again for certain; ``is_refused``: a line was no Singer message."""
    failed = status in (Status.TAP_FAILED, Status.TARGET_FAILED)
    return status is Status.CONFIG or (failed and (is_refused or culprits_code in _RECURRING))
