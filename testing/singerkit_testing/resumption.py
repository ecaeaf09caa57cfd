"""Going on from every state that a tap has emitted, and what is lost on the way: the core promise of a tap."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from singerkit_testing.rows import RowIdentity, missing, sent, sent_before
from singerkit_testing.settings import UNSET
from singerkit_testing.wire import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singerkit_testing.tap_lab import TapLab, TapRun
    from singerkit_testing.transcript import Message, Transcript

MOST_STATES = 20
# Slow taps are resumed from fewer states: the last one, the first, those in between that tell most, until time is up.
BUDGET_S = 45.0
FEWEST_STATES = 3


class Loss(NamedTuple):
    """Rows that neither came before a state nor in the run from it."""

    state: Message
    rows: list[RowIdentity]
    rest: TapRun


def chosen_states(tap: TapLab) -> list[Message]:
    """List the states worth resuming from: all, if they are few; the most telling ones first."""
    return tap.remember("chosen states", lambda: _chosen(tap))


def _chosen(tap: TapLab) -> list[Message]:
    distinct: dict[bytes, Message] = {}
    for message in tap.full.transcript.states:
        distinct.setdefault(encode(message.state), message)  # an equal state further on has more rows before it
    states = list(distinct.values())
    if not states:
        return []
    inner = states[1:-1]
    random.Random(tap.seed).shuffle(inner)  # noqa: S311 - a sample, not a secret
    switches = set(_at_switches(tap.full.transcript))
    inner.sort(key=lambda message: message.number not in switches)
    return [states[-1], states[0], *inner][: min(MOST_STATES, len(states))]


def _at_switches(transcript: Transcript) -> Iterator[int]:
    """List the line numbers of the states next to a change of stream."""
    last_stream, last_state = None, None
    pending = False
    for message in transcript.messages:
        if message.type == "STATE":
            last_state = message.number
            if pending:
                yield message.number
            pending = False
        elif message.type == "RECORD" and message.stream != last_stream:
            last_stream, pending = message.stream, True
            if last_state is not None:
                yield last_state


def resumptions(tap: TapLab) -> Iterator[tuple[Message, TapRun]]:
    """Go on from the chosen states, while the time lasts."""
    began = time.monotonic()
    for index, message in enumerate(chosen_states(tap)):
        if index >= FEWEST_STATES and time.monotonic() - began > BUDGET_S:
            break
        yield message, tap.resumed(message.state)


def losses(tap: TapLab) -> list[Loss]:
    """List what is lost when one goes on from the chosen states; a run that fails says nothing here (TAP-061 does)."""
    return tap.remember("losses", lambda: list(_losses(tap)))


def _losses(tap: TapLab) -> Iterator[Loss]:
    everything = sent(tap, tap.full)
    for message, rest in resumptions(tap):
        if rest.ok:
            before = sent_before(tap, tap.full.transcript, message.number)
            lost = missing(tap, everything, before + sent(tap, rest))
            if lost:
                yield Loss(message, lost, rest)


def kill_offsets(tap: TapLab, number: int) -> list[int]:
    """Choose after how many bytes of output to kill: half of them right behind a state, half anywhere."""
    chance = random.Random(tap.seed)  # noqa: S311 - a sample, not a secret
    output = tap.full.stdout
    ends = [message.line.offset + len(message.line.text) + 1 for message in tap.full.transcript.states[:-1]]
    behind = chance.sample(ends, min(number // 2, len(ends)))
    anywhere = [chance.randrange(1, len(output)) for _ in range(number - len(behind))] if len(output) > 1 else []
    return sorted({*behind, *anywhere})


def killed_after(tap: TapLab, offset: int, *, state: Any = UNSET) -> bytes:
    """Start a sync of everything, kill it once it has written so many bytes, and give these."""
    with tap.start_sync(state=state, pause_after_bytes=offset) as running:
        running.wait_until(lambda: len(running.stdout) >= offset, tap.timeout_s)
        running.kill()
        return running.stdout
