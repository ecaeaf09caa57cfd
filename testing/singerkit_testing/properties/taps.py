"""What must hold wherever runs of a tap are cut off, and however often: the runs together send every row."""

from __future__ import annotations

import shlex
import tempfile
import time
from collections import Counter
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import strategies as st

from singerkit_testing.folders import filled, write_document
from singerkit_testing.properties.shrinking import Failure, shrunk, smallest_failure
from singerkit_testing.resumption import killed_after
from singerkit_testing.rows import RowIdentity, by_stream, missing, sent, sent_before, show, unsteady
from singerkit_testing.rules import Finding, Severity, tap_rule
from singerkit_testing.settings import UNSET, Unset
from singerkit_testing.transcript import Transcript, parse_transcript
from singerkit_testing.wire import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from singerkit_testing.tap_lab import TapLab, TapRun
    from singerkit_testing.transcript import Message

_EXAMPLES = 80
_BUDGET_S = 60.0
_MOST_INTERRUPTIONS = 4
_REMEMBERED_BYTES = 2**16


class Cut(StrEnum):
    """How a run ends too early."""

    STATE = "one of its states is the last that was stored"
    KILL = "it is killed"


class Interruption(NamedTuple):
    """A run that ends too early.

    Units: `at` is a fraction, 0 the beginning and below 1: of the run's states, or of the bytes of its output.
    """

    cut: Cut
    at: float


class Leg(NamedTuple):
    """A run that was cut off: from which state, what counts of it, and where it was killed, in bytes, if it was."""

    state: Any
    transcript: Transcript
    last: Message | None
    killed_after: int | None


class Journey(NamedTuple):
    """Runs one after the other, each from the state that the one before left; the last one goes to its end."""

    legs: list[Leg]
    state: Any
    rest: TapRun
    lost: list[RowIdentity]

    @property
    def reason(self) -> str | None:
        """What is wrong in the end, in a sentence; None if nothing is."""
        if not self.rest.ok:
            return f"the state of an interrupted run is refused: {self.rest.ending()}"
        if not self.lost:
            return None
        streams = by_stream(self.lost)
        return "; ".join(f"{stream} lacks {len(rows)} rows: {show(rows)}" for stream, rows in streams.items())


@tap_rule(
    "TAP-P01",
    "runs may be cut off anywhere, and again and again: together they send every row",
    severity=Severity.MUST,
    source="CONFIG_AND_STATE.md, State: a run goes on where the last one ended; SPEC.md, State",
    remedy="Run the commands that the finding names: a state of theirs says more than had been sent before it.",
    needs=["state"],
    timeout_s=2 * _BUDGET_S,
)
def resume_anywhere(tap: TapLab) -> Iterator[Finding]:
    """Go on from every state; then cut chains of runs off, at states and by kills; shrink a chain that loses rows."""
    _ = tap.synced
    ends = time.monotonic() + _BUDGET_S
    reason_of = partial(_reason, tap)
    failure = _first_failure(_each_state(tap), reason_of, ends) or smallest_failure(
        _interruptions(),
        reason_of,
        _shorter,
        examples=_EXAMPLES,
        budget_s=max(ends - time.monotonic(), 0),
        number=tap.seed,
    )
    if failure is not None:
        yield _finding(tap, failure, _travel(tap, failure.input))


def _each_state(tap: TapLab) -> Iterator[tuple[Interruption, ...]]:
    number = len(tap.full.transcript.states)
    for index in range(number):
        yield (Interruption(Cut.STATE, (index + 0.5) / number),)


def _interruptions() -> st.SearchStrategy[tuple[Interruption, ...]]:
    # A run that goes on begins with what was interrupted: there the next interruption tells most.
    early, anywhere = st.integers(0, 150), st.integers(0, 999)  # whole numbers: of floats the simplest come too often
    one = st.builds(Interruption, st.sampled_from(Cut), (early | anywhere).map(lambda number: number / 1000))
    return st.lists(one, min_size=2, max_size=_MOST_INTERRUPTIONS).map(tuple)


def _first_failure(
    inputs: Iterator[tuple[Interruption, ...]], reason_of: Callable[[Sequence[Interruption]], str | None], ends: float
) -> Failure[tuple[Interruption, ...]] | None:
    """Try inputs until one fails or a third of the time is over; nothing about it can be made smaller but its place."""
    until = time.monotonic() + (ends - time.monotonic()) / 3
    for tried in inputs:
        if time.monotonic() > until:
            return None
        reason = reason_of(tried)
        if reason:
            return shrunk(Failure(tried, reason), reason_of, _shorter, ends)
    return None


def _shorter(plan: tuple[Interruption, ...]) -> Iterator[tuple[Interruption, ...]]:
    """Leave one interruption out; let a state do instead of a kill; interrupt earlier."""
    if len(plan) > 1:
        yield from (plan[:index] + plan[index + 1 :] for index in range(len(plan)))
    for index, (cut, at) in enumerate(plan):
        simpler = [Interruption(Cut.STATE, at)] if cut is Cut.KILL else []
        earlier = [Interruption(cut, at * share) for share in (0, 0.5, 0.8) if at > 0.02]
        yield from ((*plan[:index], each, *plan[index + 1 :]) for each in simpler + earlier)


def _reason(tap: TapLab, plan: Sequence[Interruption]) -> str | None:
    return _travel(tap, plan).reason


def _travel(tap: TapLab, plan: Sequence[Interruption]) -> Journey:
    """Run the tap along a plan, and compare what was sent, as far as it counts, with a full sync."""
    state: Any = UNSET
    legs: list[Leg] = []
    received: Counter[RowIdentity] = Counter()
    for interruption in plan:
        run = _run_from(tap, state)
        if not run.ok:
            return Journey(legs, state, run, [])
        leg = _leg(tap, state, run, interruption)
        legs.append(leg)
        if leg.last is not None:
            received += sent_before(tap, leg.transcript, leg.last.number)
            state = leg.last.state
    rest = _run_from(tap, state)
    lost = missing(tap, sent(tap, tap.full), received + sent(tap, rest)) if rest.ok else []
    shaky = unsteady(tap) if lost else frozenset()
    return Journey(legs, state, rest, [row for row in lost if row[0] not in shaky])


def _run_from(tap: TapLab, state: Any) -> TapRun:
    """Sync from a state; small runs are remembered, as chains that are made smaller go the same ways again."""
    if isinstance(state, Unset):
        return tap.full
    if len(tap.full.stdout) <= _REMEMBERED_BYTES:
        return tap.sync(state=state)
    return tap.run(catalog=tap.everything_selected, state=state)


def _leg(tap: TapLab, state: Any, run: TapRun, interruption: Interruption) -> Leg:
    if interruption.cut is Cut.STATE:
        states = run.transcript.states
        return Leg(state, run.transcript, states[int(interruption.at * len(states))] if states else None, None)
    offset = 1 + int(interruption.at * max(len(run.stdout) - 1, 0))
    transcript = parse_transcript(killed_after(tap, offset, state=state))
    return Leg(state, transcript, transcript.last_state, offset)


def _finding(tap: TapLab, failure: Failure[tuple[Interruption, ...]], journey: Journey) -> Finding:
    times = "once" if len(failure.input) == 1 else f"{len(failure.input)} times"
    folder = _written_down(tap, journey, failure.reason)
    text = f"interrupted {times}, and going on from the state in {folder / 'state.json'}, {failure.reason}"
    state = "no state" if isinstance(journey.state, Unset) else encode(journey.state)
    stream = next(iter(by_stream(journey.lost)), None)
    return Finding(f"{text}; sh {folder / 'replay.sh'} runs it all again", state, stream)


def _written_down(tap: TapLab, journey: Journey, reason: str) -> Path:
    """Write to a folder that stays, readable for its owner only, what it takes to run a journey again by hand."""
    folder = Path(tempfile.mkdtemp(prefix="singer-check-resume-"))
    write_document(folder / "config.json", filled(tap.config or {}, {"{workdir}": str(folder)}))
    if tap.everything_selected is not None:
        write_document(folder / "catalog.json", tap.everything_selected)
    if not isinstance(journey.state, Unset):
        write_document(folder / "state.json", journey.state)
    lines = ["#!/bin/sh", f"# {' '.join(reason.split())}", 'cd "$(dirname "$0")"']
    for number, leg in enumerate(journey.legs, 1):
        lines += _lines_of(tap, folder, number, leg)
    (folder / "replay.sh").write_text(
        "\n".join([*lines, _command(tap, journey.state, "state.json", "> rest.jsonl"), ""])
    )
    return folder


def _lines_of(tap: TapLab, folder: Path, number: int, leg: Leg) -> list[str]:
    """Give the lines that run a leg again, and say what of its output counts."""
    name = f"state-{number}.json"
    if not isinstance(leg.state, Unset):
        write_document(folder / name, leg.state)
    cut = "" if leg.killed_after is None else f"| head -c {leg.killed_after} "
    counts = (
        "nothing of it counts"
        if leg.last is None
        else f"what counts of it ends with its state in line {leg.last.number}"
    )
    return [f"# run {number}: {counts}", _command(tap, leg.state, name, f"{cut}> run-{number}.jsonl")]


def _command(tap: TapLab, state: Any, name: str, rest: str) -> str:
    catalog = [] if tap.everything_selected is None else [tap.catalog_option, "catalog.json"]
    options = ["--config", "config.json", *catalog, *([] if isinstance(state, Unset) else ["--state", name])]
    return f"{shlex.join([*tap.command, *options])} {rest}"
