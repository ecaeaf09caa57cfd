"""What must hold for any input and any moment: what a target was given is there, also after it was killed."""

from __future__ import annotations

import time
from random import Random
from typing import TYPE_CHECKING

from singerkit_testing.generate import bookmarked_stream, message_streams
from singerkit_testing.messages import Message, Sent
from singerkit_testing.outcomes import lost
from singerkit_testing.properties.shrinking import parts_of, smallest_failure, written_down
from singerkit_testing.rules import Finding, NotApplicable, Severity, target_rule
from singerkit_testing.target_rules.states import unkept
from singerkit_testing.values import identity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singerkit_testing.process import Running
    from singerkit_testing.target_lab import Destination, Load, TargetLab

_EXAMPLES = 100
_BUDGET_S = 60.0
_ROUNDS = 6
_KILLS = 3
_RECORDS = 120


@target_rule(
    "TGT-P01",
    "whatever valid stream it is given, a target holds it exactly",
    severity=Severity.MUST,
    source="RUNNING_AND_DEVELOPING.md, Targets: persist the records, any valid ones",
    remedy="Load the file that the finding names; it is the smallest stream that shows the difference.",
    needs=["reader"],
    timeout_s=2 * _BUDGET_S,
)
def read_back(target: TargetLab) -> Iterator[Finding]:
    """Generate streams of messages, load each, and read it back; shrink one that differs."""
    _ = target.loaded  # a target that can't load the baseline need not be tried any further
    failure = smallest_failure(
        message_streams(),
        lambda messages: _difference(target, messages),
        parts_of,
        examples=_EXAMPLES,
        budget_s=_BUDGET_S,
        number=target.seed,
    )
    if failure is not None:
        path = written_down("read-back", failure.input)
        yield Finding(f"{failure.reason}; the {len(failure.input)} messages are in {path}", path.read_bytes())


def _difference(target: TargetLab, messages: list[Message]) -> str | None:
    """Load messages in small batches; say what is wrong afterwards, or nothing."""
    load = target.load(messages, settings=target.batches_of(1 + len(messages) % 7))
    if not load.ok:
        return f"a valid stream is refused: {load.ending()}"
    for stream in {str(message["stream"]): None for message in messages if "stream" in message}:
        for finding in lost(target, load.destination, messages, stream):
            return f"stream {stream}: {finding.message}"
    if load.sent_states and (not load.states or identity(load.states[-1]) != identity(load.sent_states[-1])):
        return "exit code 0, but the last state was not released last"
    return None


@target_rule(
    "TGT-P02",
    "a target may be killed at any moment: what its states promised is there, and nothing is lost in the end",
    severity=Severity.MUST,
    source="RUNNING_AND_DEVELOPING.md, Targets: write a state once all records before it are stored",
    remedy="Commit and sync all streams before a state is written; find what a cut-off run left, and go on from it.",
    needs=["reader"],
    timeout_s=2 * _BUDGET_S,
)
def kill_anywhere(target: TargetLab) -> Iterator[Finding]:
    """Kill a load at random moments, go on from the last released state, and look at the whole in the end."""
    if target.load_method == "overwrite":
        raise NotApplicable("the target overwrites in each run")
    random = Random(target.seed)  # noqa: S311 - no secret
    ends = time.monotonic() + _BUDGET_S
    for _ in range(_ROUNDS):
        if time.monotonic() > ends:
            return
        findings = list(_survives(target, random, target.loaded.seconds))
        yield from findings
        if findings:
            return


def _survives(target: TargetLab, random: Random, start_up_s: float) -> Iterator[Finding]:
    messages = bookmarked_stream(random, records=_RECORDS)
    place = target.fresh()
    settings = target.batches_of(random.choice((1, 3, 10, 50)))
    rest = messages
    for _ in range(_KILLS):
        with place.start(settings=settings) as running:
            data = place.input_of(rest)
            running.write(data[: random.randint(0, len(data))])
            _wait_somewhere(running, random, start_up_s)
            running.kill()
            load = place.finish(running, rest)
        yield from unkept(load, load.states)
        rest = _from_state(rest, load)
    load = place.load(rest, settings=settings)
    if not load.ok:
        yield Finding(f"after {_KILLS} kills the last run fails: {load.ending()}")
        return
    yield from _all_there(target, place, messages)


def _wait_somewhere(running: Running, random: Random, start_up_s: float) -> None:
    """Wait for a random moment, or for the first states."""
    if random.random() < 0.5:
        lines = random.randint(1, 5)
        running.wait_until(lambda: running.stdout.count(b"\n") >= lines, 2)
    time.sleep(random.uniform(0, start_up_s))


def _from_state(messages: list[Message], load: Load) -> list[Message]:
    """Give the schemas, and all that comes after the last released state; everything if there is none."""
    released = identity(load.states[-1]) if load.states else None
    places = [index for index, each in enumerate(messages) if "value" in each and identity(each["value"]) == released]
    if not places:
        return messages
    schemas = [message for message in messages[: places[-1]] if message["type"] == "SCHEMA"]
    return [*schemas, *messages[places[-1] + 1 :]]


def _all_there(target: TargetLab, place: Destination, messages: list[Message]) -> Iterator[Finding]:
    sent: list[Sent] = list(messages)
    for stream in ("one", "two", "three"):
        for finding in lost(target, place, sent, stream, at_least=target.load_method == "append"):
            yield Finding(f"after {_KILLS} kills: {finding.message}", finding.evidence, stream)
