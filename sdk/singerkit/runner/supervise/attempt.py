"""One attempt: starts the programs, watches them in one loop, ends what has to end, and says how it went.

Threads only move bytes; every decision is made here, in the loop. Signals, timeouts and lines that are no Singer
messages stop the *tap*: the target then sees the end of its input, stores what it was given and acknowledges it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

from singerkit.clock import monotonic
from singerkit.runner.job import Limits
from singerkit.runner.supervise.children import Child, Command, describe_code
from singerkit.runner.supervise.counting import Counts
from singerkit.runner.supervise.guard import Guard
from singerkit.runner.supervise.outcome import Facts, Status, status_of, will_recur
from singerkit.runner.supervise.plumbing import Plumbing
from singerkit.telemetry.redact import Redactor

_TICK_S = 0.2
#: How long what a program left behind may hold its pipe.
_STRAGGLER_S = 2.0
#: When within the grace writers are ended by force, and the target is asked to end.
_WRITERS_SHARE, _TARGET_SHARE = 1 / 3, 2 / 3


class Watcher(Protocol):
    """Is told what happens: from the loop, but for log lines, which come from threads.

    Errors: what :meth:`tick` or :meth:`acknowledge` raises ends all programs at once, and the attempt.
    """

    def log(self, program: str, line: str) -> None:
        """Show a line that a program has logged (redacted)."""

    def tick(self, progress: Progress) -> None:
        """Show progress, keep the lease; called several times a second."""

    def acknowledge(self, state: dict[str, Any]) -> None:
        """Persist a state that the target has printed."""


@dataclass(frozen=True)
class Progress:
    """How far an attempt has come.

    Shape: ``read`` is what came from the tap, ``sent`` what went to the target (mappers may change it).
    """

    read: Counts = field(default_factory=Counts)
    sent: Counts = field(default_factory=Counts)
    states: int = 0

    def __add__(self, other: Progress) -> Progress:
        """Give how far both have come, as it stands now."""
        return Progress(self.read + other.read, self.sent + other.sent, self.states + other.states)


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How an attempt ended.

    Shape: ``failure`` is a sentence or two; ``culprit`` names the program that failed, where it was one; ``codes``,
    ``last_lines`` and ``metrics`` are by program; ``will_recur`` says that it ends so again unless somebody mends it.
    """

    status: Status
    culprit: str | None = None
    failure: str | None = None
    will_recur: bool = False
    signal: int | None = None
    progress: Progress = field(default_factory=Progress)
    codes: Mapping[str, int] = field(default_factory=dict)
    last_lines: Mapping[str, Sequence[str]] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def after(self, earlier: Ending | None) -> Ending:
        """Give how a run ended whose earlier attempts ended so: what they all moved, and why the last one ended."""
        if earlier is None:
            return self
        return replace(self, progress=earlier.progress + self.progress, metrics=_sums(earlier.metrics, self.metrics))


def _sums(*all_metrics: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Add counters up, by program and name."""
    sums: dict[str, dict[str, float]] = {}
    for program, name, value in (
        (program, name, value)
        for metrics in all_metrics
        for program, counters in metrics.items()
        for name, value in counters.items()
    ):
        counters = sums.setdefault(program, {})
        counters[name] = counters.get(name, 0) + value
    return sums


def attempt(
    commands: Sequence[Command],
    *,
    limits: Limits,
    groups: Path,
    redactor: Redactor,
    watcher: Watcher,
    signals: SimpleQueue[int],
    target_follows: bool = False,
) -> Ending:
    """Run the tap, any mappers and the target (in this order) once, to the end.

    ``groups`` is a private file for the guard; ``signals`` is where the process's signal handlers put what comes;
    ``target_follows`` says that the target fails, too, where its input breaks off, so that it is not to blame then.

    Errors: ``ConfigurationError`` when a program is not there; what ``watcher`` raises.
    """
    for command in commands:
        command.check()
    guard = Guard(groups)
    try:
        plumbing = Plumbing(commands, guard, redactor, watcher.log)
        try:
            supervision = _Supervision(plumbing, limits, watcher, signals)
            supervision.loop()
        finally:
            plumbing.close()
        supervision.take_state()
    finally:
        guard.close()
    return supervision.ending(target_follows)


class _Supervision:
    """The loop over a started pipe."""

    def __init__(self, plumbing: Plumbing, limits: Limits, watcher: Watcher, signals: SimpleQueue[int]) -> None:
        self._plumbing = plumbing
        self._limits = limits
        self._watcher = watcher
        self._signals = signals
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._signal: int | None = None
        self._timed_out: str | None = None
        self._quit_early: set[str] = set()
        self._stopping = False
        #: Programs that had not ended by themselves when they were asked to.
        self._stopped: set[str] = set()
        self._ended: set[str] = set()
        self._abandoned = False
        self._states_seen = 0

    def loop(self) -> None:
        """Go on until every program has ended."""
        if (limit := self._limits.timeout_s) is not None:
            self._after(limit, lambda: self._time_out(f"it took longer than {limit:g} s"))
        while self._plumbing.is_running and not self._abandoned:
            self._plumbing.wait(_TICK_S)
            self._do_what_is_due()
            self._take_signals()
            self.take_state()
            self._watch_ends()
            self._watch_lines()
            self._watch_idleness()
            self._watcher.tick(self.progress)
        self._watch_ends()  # all may have ended since it was looked at

    @property
    def progress(self) -> Progress:
        """How far it has come."""
        forwarders = self._plumbing.forwarders
        return Progress(forwarders[0].counts, forwarders[-1].counts, self._plumbing.states.count)

    def take_state(self) -> None:
        """Pass on the newest state, if there is a newer one."""
        states = self._plumbing.states
        if states.count != self._states_seen and states.latest is not None:
            self._states_seen = states.count
            self._watcher.acknowledge(states.latest)

    # What can happen ------------------------------------------------------------------------------------------------

    def _do_what_is_due(self) -> None:
        now = monotonic()
        due = [action for at, action in self._later if at <= now]
        self._later = [(at, action) for at, action in self._later if at > now]
        for action in due:
            action()

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        self._later.append((monotonic() + seconds, action))

    def _take_signals(self) -> None:
        while not self._signals.empty():
            number = self._signals.get()
            if self._signal is None:
                self._signal = number
                self._stop(self._limits.grace_s)
            else:  # the second one: at once
                self._end_all()

    def _watch_ends(self) -> None:
        """See to it that nobody waits for a program that has ended."""
        for index, child in enumerate(self._plumbing.children):
            fed_by = self._plumbing.forwarders[index - 1] if index else None
            is_gone = child.code is not None
            if fed_by and (fed_by.reader_gone or (is_gone and not fed_by.finished)) and not self._stopping:
                self._quit_early.add(child.name)
                self._stop_writers(self._limits.grace_s)
            if is_gone and child.name not in self._ended:
                self._ended.add(child.name)
                self._after(_STRAGGLER_S, child.end)
                self._after(2 * _STRAGGLER_S, lambda index=index: self._abandon(index))  # type: ignore[misc]

    def _abandon(self, index: int) -> None:
        """Wait no longer for what somebody else may still write into the pipe of a program that has ended."""
        if index < len(self._plumbing.forwarders):
            self._plumbing.forwarders[index].abandoned = True
        self._abandoned = all(child.code is not None for child in self._plumbing.children)

    def _watch_lines(self) -> None:
        if not self._stopping and self._is_refused:
            self._stop_writers(self._limits.grace_s)

    def _watch_idleness(self) -> None:
        limit = self._limits.idle_timeout_s
        if limit is not None and monotonic() - self._plumbing.last_activity > limit:
            self._time_out(f"nothing moved for {limit:g} s")

    # What is done about it ------------------------------------------------------------------------------------------

    def _time_out(self, why: str) -> None:
        if self._timed_out is None and self._signal is None:
            self._timed_out = why
            self._stop(self._limits.drain_s)

    def _stop(self, grace_s: float) -> None:
        """Stop the tap; the target then drains. Whoever does not end within the grace is ended."""
        self._stop_writers(min(grace_s, self._limits.grace_s))
        self._after(grace_s * _TARGET_SHARE, self._plumbing.target.ask_to_end)
        self._after(grace_s, self._end_all)

    def _stop_writers(self, grace_s: float) -> None:
        """Stop the tap; mappers see the end of their input."""
        self._stopping = True
        self._stopped |= {child.name for child in self._plumbing.children[:-1] if child.code is None}
        self._plumbing.tap.ask_to_end()
        self._after(grace_s * _WRITERS_SHARE, self._end_writers)

    def _end_writers(self) -> None:
        for child in self._plumbing.children[:-1]:
            child.end()

    def _end_all(self) -> None:
        self._stopped |= {child.name for child in self._plumbing.children if child.code is None}
        for child in self._plumbing.children:
            child.end()

    # What came of it ------------------------------------------------------------------------------------------------

    def ending(self, target_follows: bool) -> Ending:
        """Say how it ended; every program has."""
        children, logs = self._plumbing.children, self._plumbing.logs
        status = status_of(self._facts(target_follows))
        culprit = self._culprit(status)
        codes = {child.name: child.wait() for child in children}
        return Ending(
            status=status,
            culprit=culprit,
            failure=None if status is Status.SUCCESS else " ".join(self._sentences(status)),
            will_recur=will_recur(status, codes.get(culprit or "", 0), is_refused=self._is_refused),
            signal=self._signal,
            progress=self.progress,
            codes=codes,
            last_lines={child.name: list(log.last) for child, log in zip(children, logs, strict=True)},
            metrics={child.name: log.metrics for child, log in zip(children, logs, strict=True)},
        )

    @property
    def _is_refused(self) -> bool:
        """Whether a line was no Singer message."""
        return any(forwarder.refused for forwarder in self._plumbing.forwarders)

    @property
    def _is_reversed(self) -> bool:
        """Whether a tap seems to stand where the target belongs."""
        return self._plumbing.states.message is not None and self._plumbing.forwarders[-1].counts.is_empty

    def _facts(self, target_follows: bool) -> Facts:
        plumbing = self._plumbing
        *writers, target = plumbing.children
        into_target = plumbing.forwarders[-1]
        return Facts(
            cancelled=self._signal is not None,
            timed_out=self._timed_out is not None,
            writers_code=next((writer.wait() for writer in writers if writer.wait()), 0),
            target_code=target.wait(),
            quit_early=target.name in self._quit_early,
            broken_input=bool(self._quit_early) or self._is_refused,
            acknowledged=not into_target.has_state or into_target.last_state == plumbing.states.latest,
            sent=not into_target.counts.is_empty,
            printed=plumbing.states.count > 0,
            reversed_order=self._is_reversed,
            target_follows=target_follows,
        )

    def _culprit(self, status: Status) -> str | None:
        """Name the program that failed by itself; the target where it and others did."""
        failed = [child.name for child in self._blamed(status) if child.code and child.name not in self._stopped]
        if status is Status.SUCCESS or status is Status.CANCELLED:
            return None
        if self._quit_early and not failed:
            return next(iter(self._quit_early))
        refused = [
            writer.name
            for writer, forwarder in zip(self._plumbing.children, self._plumbing.forwarders, strict=False)
            if forwarder.refused
        ]
        return next(reversed(failed), next(iter(refused), None))

    def _blamed(self, status: Status) -> list[Child]:
        """Give who may be to blame: not a target that only followed its tap."""
        return self._plumbing.children[:-1] if status is Status.TAP_FAILED else self._plumbing.children

    def _sentences(self, status: Status) -> Iterator[str]:
        """Say what went wrong, the reason of the status first."""
        if self._timed_out:
            yield f"It was stopped: {self._timed_out}."
        if self._signal is not None:
            yield f"It was stopped by signal {self._signal}."
        if self._is_reversed:
            wrote = f"{self._plumbing.target.name} wrote a {self._plumbing.states.message} message"
            yield f"{wrote}, as taps do, and was given none: the tap comes first, the target last."
        for name in self._quit_early:
            yield f"{name} stopped before the end of its input."
        for writer, forwarder in zip(self._plumbing.children, self._plumbing.forwarders, strict=False):
            if forwarder.refused is not None:
                yield f"{writer.name} wrote a line that is no Singer message: {forwarder.refused.describe()}."
            if forwarder.withheld:
                yield f"{writer.name}'s last line was cut off ({forwarder.withheld:,} bytes); it was not passed on."
        for child in reversed(self._blamed(status)):
            if child.code and child.name not in self._stopped:
                yield f"{child.name} ended with {describe_code(child.code)}."
        if status is Status.UNACKNOWLEDGED:
            noise = self._plumbing.states.noise
            lines = f"; {noise:,} of the lines it printed are no states" if noise else ""
            yield f"{self._plumbing.target.name} succeeded, but did not print the last state it was given{lines}."
