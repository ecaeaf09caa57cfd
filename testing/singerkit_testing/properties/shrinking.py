"""Looking for the smallest input that shows a failure, within a budget of time."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import HypothesisException

from singerkit_testing.messages import Message, Sent, line_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from hypothesis.strategies import SearchStrategy

_Input = TypeVar("_Input")
_MOST_RUNS = 150


@dataclass(frozen=True)
class Failure(Generic[_Input]):
    """An input that fails, and how."""

    input: _Input
    reason: str


class _Failed(Exception):
    """Tells hypothesis that an input fails."""


def smallest_failure(
    inputs: SearchStrategy[_Input],
    reason_of: Callable[[_Input], str | None],
    smaller_ones: Callable[[_Input], Iterable[_Input]],
    *,
    examples: int,
    budget_s: float,
    number: int = 0,
) -> Failure[_Input] | None:
    """Try generated inputs; give one that fails, made as small as the budget allows; None if none fails.

    Shape: `reason_of` says how an input fails, or None; `smaller_ones` gives inputs that have less of one, the boldest
    first; `number` is the seed. Units: half of `budget_s` is for the search, the other half for making the input
    smaller.
    """
    began = time.monotonic()
    found: list[Failure[_Input]] = []

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate,),  # an input is made smaller below, by parts that mean something
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        report_multiple_bugs=False,
    )
    @given(inputs)
    def attempt(tried: _Input) -> None:
        reason = None if time.monotonic() > began + budget_s / 2 else reason_of(tried)
        if reason:
            found.append(Failure(tried, reason))
            raise _Failed

    try:
        attempt()
    except (_Failed, HypothesisException):
        if not found:
            raise
    return shrunk(found[0], reason_of, smaller_ones, began + budget_s) if found else None


def shrunk(
    failure: Failure[_Input],
    reason_of: Callable[[_Input], str | None],
    smaller_ones: Callable[[_Input], Iterable[_Input]],
    ends: float,
) -> Failure[_Input]:
    """Take away what a failure does not need, until nothing more can go or the (monotonic) time is over."""
    runs = 0
    shrinks = True
    while shrinks:
        shrinks = False
        for smaller in smaller_ones(failure.input):
            runs += 1
            if runs > _MOST_RUNS or time.monotonic() > ends:
                return failure
            reason = reason_of(smaller)
            if reason:
                failure, shrinks = Failure(smaller, reason), True
                break
    return failure


def parts_of(messages: list[Message]) -> Iterator[list[Message]]:
    """Give what is left of messages without a stream, without a half, a quarter, ..., one message, or a property.

    The first SCHEMA of a stream stays as long as the stream has messages: what is left is valid.
    """
    streams = list(dict.fromkeys(message["stream"] for message in messages if "stream" in message))
    if len(streams) > 1:
        yield from ([each for each in messages if each.get("stream") != stream] for stream in streams)
    firsts = {next(index for index, each in enumerate(messages) if each.get("stream") == name) for name in streams}
    others = [index for index in range(len(messages)) if index not in firsts]
    size = len(others)
    while size:
        for begin in range(0, len(others), size):
            gone = set(others[begin : begin + size])
            yield [each for index, each in enumerate(messages) if index not in gone]
        size //= 2
    for stream in streams:
        yield from (_without_property(messages, stream, name) for name in _properties_of(messages, stream))


def _properties_of(messages: list[Message], stream: str) -> list[str]:
    schemas = [each for each in messages if each["type"] == "SCHEMA" and each["stream"] == stream]
    names = dict.fromkeys(name for each in schemas for name in each["schema"]["properties"])
    return [name for name in names if name not in schemas[0]["key_properties"]] if len(names) > 1 else []


def _without_property(messages: list[Message], stream: str, name: str) -> list[Message]:
    def without(message: Message) -> Message:
        if message.get("stream") != stream:
            return message
        if message["type"] == "RECORD":
            return {**message, "record": _less(message["record"], name)}
        form = message["schema"]
        return {**message, "schema": {**form, "properties": _less(form["properties"], name)}}

    return [without(message) for message in messages]


def _less(members: dict[str, Any], name: str) -> dict[str, Any]:
    return {each: value for each, value in members.items() if each != name}


def written_down(rule: str, messages: Sequence[Sent]) -> Path:
    """Write messages to a file that stays, for whoever has to reproduce a failure."""
    with tempfile.NamedTemporaryFile("wb", prefix=f"singer-check-{rule}-", suffix=".jsonl", delete=False) as file:
        file.writelines(line_of(message) + b"\n" for message in messages)
    return Path(file.name)
