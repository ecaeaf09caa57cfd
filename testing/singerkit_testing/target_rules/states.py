"""States: a target releases what it was given, unchanged and in order, and never before the data is safe."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from singerkit_testing.messages import ID, TEXT, Sent, record, schema, state
from singerkit_testing.rules import Finding, Severity, target_rule
from singerkit_testing.values import identity
from singerkit_testing.wire import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from singerkit_testing.target_lab import Load, TargetLab

_PROMISE = "RUNNING_AND_DEVELOPING.md, Targets: write a state once all records before it are stored"
_ECHO = "RUNNING_AND_DEVELOPING.md, Targets: write the values of STATE messages to stdout; SPEC.md: any JSON"
BATCH = 5
_LARGE_BATCH = 10_001
_PATIENCE_S = 3.0
_LONG_FRACTION = {"n": Decimal("0.1000000000000000055511151231257827")}
# No tap is known to need these: null says that there is no state, and RFC 8259 (6) promises the digits of a double.
_RARE = (None, _LONG_FRACTION)


def bookmarks(**ids: int) -> dict[str, Any]:
    """Make a state that says up to which id each stream is sent; it always names the same streams."""
    return {"bookmarks": {stream: {"id": number} for stream, number in ids.items()}}


def unkept(load: Load, states: Iterable[Any]) -> Iterator[Finding]:
    """Compare what states promise with what is stored: all ids up to those in their bookmarks."""
    promised: dict[str, int] = {}
    for value in states:
        marks = value.get("bookmarks") if isinstance(value, dict) else None
        for stream, mark in (marks or {}).items():
            promised[stream] = max(promised.get(stream, 0), int(mark["id"]))
    for stream, last in promised.items():
        there = {str(row.get("id")) for row in load.rows(stream)} if last else set()
        missing = [number for number in range(1, last + 1) if str(number) not in there]
        if missing:
            released = encode(list(states)[-1])
            what = f"a released state says id {last}, but {len(missing)} records are missing, the first is {missing[0]}"
            yield Finding(what, released, stream)


def _rows(stream: str, numbers: Iterable[int]) -> list[Sent]:
    return [record(stream, id=number, name=f"{stream} {number}") for number in numbers]


def _two_streams(batch: int) -> list[Sent]:
    """One record of a stream, a state, then as many of another as fill a batch: the first still waits."""
    form = {"id": ID, "name": TEXT}
    return [
        schema("filling", form, ["id"]),
        schema("waiting", form, ["id"]),
        *_rows("waiting", [1]),
        state(bookmarks(filling=0, waiting=1)),
        *_rows("filling", range(1, batch + 2)),
        state(bookmarks(filling=batch + 1, waiting=1)),
        *_rows("filling", range(batch + 2, 2 * batch + 4)),
        *_rows("waiting", [2]),
        state(bookmarks(filling=2 * batch + 3, waiting=2)),
        *_rows("waiting", [3]),
        state(bookmarks(filling=2 * batch + 3, waiting=3)),
    ]


def _killed(target: TargetLab) -> Load:
    """Send two batches of two streams, then end the target at once, its input still open."""
    has_setting = target.batch_size_setting is not None
    messages = _two_streams(BATCH if has_setting else _LARGE_BATCH)
    place = target.fresh()
    with place.start(settings=target.batches_of(BATCH)) as running:
        running.write(place.input_of(messages))
        running.wait_drained()
        running.wait_quiet(0.7)
        running.kill()
        return place.finish(running, messages)


@target_rule(
    "TGT-100",
    "a state is released only when everything before it is stored",
    severity=Severity.MUST,
    source=_PROMISE,
    remedy="Hold each state until all streams have stored what came before it, not only the stream that was full.",
    needs=["reader"],
)
def a_released_state_is_kept(target: TargetLab) -> Iterator[Finding]:
    """End the target with SIGKILL after it took some batches, and compare its states with what is there."""
    load = target.remember("killed", lambda: _killed(target))
    yield from unkept(load, load.states)
    if load.states:
        return
    # Nothing was released before the end: kill as soon as something is.
    place = target.fresh()
    messages = _two_streams(BATCH)
    with place.start(settings=target.batches_of(BATCH)) as running:
        running.feed([place.input_of(messages)])
        running.wait_until(lambda: b"\n" in running.stdout, 10)
        running.kill()
        load = place.finish(running, messages)
    yield from unkept(load, load.states)


def _in_order(target: TargetLab) -> Load:
    """Send records and states of two streams in turns, every state naming both, and a record after the last."""
    form = {"id": ID, "name": TEXT}
    messages: list[Sent] = [schema("uphill", form, ["id"]), schema("downhill", form, ["id"])]
    for number in range(1, 8):
        messages += _rows("uphill", [number])
        messages.append(state(bookmarks(uphill=number, downhill=number - 1)))
        messages += _rows("downhill", [number])
        messages.append(state(bookmarks(uphill=number, downhill=number)))
    return target.load([*messages, *_rows("uphill", [8])])


@target_rule(
    "TGT-101",
    "stdout carries the states that came in, in their order, and nothing else",
    severity=Severity.MUST,
    source=_ECHO,
    remedy="Write the value of a STATE as one line of JSON, as it came; logs go to stderr.",
)
def stdout_carries_the_states(target: TargetLab) -> Iterator[Finding]:
    """Send fourteen states between records."""
    load = target.remember("states in order", lambda: _in_order(target))
    if not load.ok:
        yield Finding(f"records and states in turns fail: {load.ending()}")
    for problem in load.problems:
        yield Finding(f"a line of stdout is no JSON: {problem}")
    sent = [identity(value) for value in load.sent_states]
    last = -1
    for value in load.states:
        if identity(value) not in sent:
            merged = isinstance(value, dict) and "bookmarks" in value
            what = "a state was released that never came in"
            yield Finding(what, encode(value), severity=Severity.SHOULD if merged else Severity.MUST)
        elif sent.index(identity(value)) < last:
            yield Finding("a state was released after a later one", load.stdout)
        else:
            last = sent.index(identity(value))


@target_rule(
    "TGT-102",
    "after success, the last state that came in is the last that was released",
    severity=Severity.MUST,
    source=_PROMISE,
    remedy="At the end of input store everything, then release the last state, also if records came after it.",
)
def the_last_state_is_released(target: TargetLab) -> Iterator[Finding]:
    """Send records after the last state, and look at the baseline too."""
    for run in (target.remember("states in order", lambda: _in_order(target)), target.loaded):
        wanted = run.sent_states[-1]
        if run.ok and (not run.states or identity(run.states[-1]) != identity(wanted)):
            released = encode(run.states[-1]) if run.states else "nothing"
            yield Finding("exit code 0, but the last state was not released last", released)


def _not_last(
    target: TargetLab, values: Sequence[Any], why: str, severity: Severity | None = None
) -> Iterator[Finding]:
    load = target.load([state(value) for value in values])
    if not load.ok:
        yield Finding(f"{why}: refused, {load.ending()}", encode(values[-1]), severity=severity)
    elif not load.states or identity(load.states[-1]) != identity(values[-1]):
        yield Finding(f"{why}: not released", load.stdout or encode(values[-1]), severity=severity)


@target_rule(
    "TGT-103",
    "a state without records is released",
    severity=Severity.MUST,
    source=_PROMISE,
    remedy="Release states also when there is nothing to store: at the latest at the end of input.",
)
def a_state_without_records_is_released(target: TargetLab) -> Iterator[Finding]:
    """Send a state alone, then states around a schema."""
    yield from _not_last(target, [{"n": 1}], "a state alone")
    load = target.load([state({"n": 1}), schema("silent", {"id": ID}, ["id"]), state({"n": 2})])
    if not load.ok:
        yield Finding(f"states without records fail: {load.ending()}")
    elif not load.states or identity(load.states[-1]) != identity({"n": 2}):
        yield Finding("a state after a SCHEMA without records was not released", load.stdout)


_ANY_VALUES: tuple[Any, ...] = ({}, [], 0, "", False, None, "text", 42, [{"a": 1}])
_NUMBERS = (Decimal("1.5"), _LONG_FRACTION["n"], Decimal("1E+21"), 2**70, Decimal("1.0"))
_TEXTS = ("naïve 日本語 😀", "a\u2028b\u2029c\u0085d", 'quote " backslash \\ slash /', "tab\tfeed\nzero\0")
_EXACT = (*({"n": number} for number in _NUMBERS), *({"text": text} for text in _TEXTS))


def _echoed(target: TargetLab, values: Sequence[Any]) -> Iterator[Finding]:
    """Send states of all kinds in one run; those that don't come out, each by itself."""
    load = target.remember(
        "states of all kinds", lambda: target.load([state(value) for value in (*_ANY_VALUES, *_EXACT)])
    )
    out = {identity(value) for value in load.states} if load.ok else set()
    for value in values:
        if identity(value) not in out:
            severity = Severity.SHOULD if value in _RARE else None
            yield from _not_last(target, [value], f"the state {encode(value).decode()[:40]}", severity)


@target_rule(
    "TGT-104",
    "any JSON value is a state, also an empty one",
    severity=Severity.MUST,
    source=_ECHO,
    remedy="Ask whether there is a state to release, not whether its value is true; {} is a deliberate reset.",
)
def any_value_is_a_state(target: TargetLab) -> Iterator[Finding]:
    """Send {}, [], 0, "", false, null, a text, a number and a list."""
    yield from _echoed(target, _ANY_VALUES)


@target_rule(
    "TGT-105",
    "numbers and texts in a state come out as they came in",
    severity=Severity.MUST,
    source=_ECHO,
    remedy="Write a state with the bytes it came in, or with an encoder that takes every number you can parse.",
)
def state_values_are_unchanged(target: TargetLab) -> Iterator[Finding]:
    """Send fractions, huge numbers, and texts with all kinds of characters."""
    yield from _echoed(target, _EXACT)


@target_rule(
    "TGT-106",
    "after an error, no state promises more than is stored",
    severity=Severity.MUST,
    source=_PROMISE,
    remedy="When the run fails, release no state whose records are not stored; store them first, or keep it.",
)
def no_state_after_an_error(target: TargetLab) -> Iterator[Finding]:
    """End a stream with a line that is no JSON."""
    form = {"id": ID, "name": TEXT}
    messages: list[Sent] = [
        schema("failing", form, ["id"]),
        *_rows("failing", [1]),
        state(bookmarks(failing=1)),
        *_rows("failing", [2]),
        state(bookmarks(failing=2)),
        b'{"type": "RECORD", "stream": "failing", "rec',
    ]
    load = target.load(messages)
    if load.ok:
        yield Finding("exit code 0 although the last line is no JSON", messages[-1])
    if target.reader is not None:
        yield from unkept(load, load.states)


@target_rule(
    "TGT-107",
    "states are released during a long run",
    severity=Severity.INFO,
    source="RUNNING_AND_DEVELOPING.md, Targets; a run that is cut off should not start anew",
    remedy="Release the states that are covered whenever a batch is stored, not only at the end.",
    needs=["batch_size"],
)
def states_are_released_on_the_way(target: TargetLab) -> Iterator[Finding]:
    """Send three batches of one stream and leave the input open."""
    if not released_on_the_way(target):
        yield Finding(f"three batches were taken, but no state was released within {_PATIENCE_S:.0f} s")


def released_on_the_way(target: TargetLab) -> bool:
    """Whether a state comes out when three batches of one stream were sent and the input is left open."""
    return target.remember("three batches", lambda: _released_on_the_way(target))


def _released_on_the_way(target: TargetLab) -> bool:
    messages: list[Sent] = [schema("long_run", {"id": ID, "name": TEXT}, ["id"])]
    for number in range(1, 3 * BATCH + 2):
        messages += [*_rows("long_run", [number]), state(bookmarks(long_run=number))]
    place = target.fresh()
    with place.start(settings=target.batches_of(BATCH)) as running:
        running.write(place.input_of(messages))
        running.wait_drained()
        return running.wait_until(lambda: b"\n" in running.stdout, _PATIENCE_S)


@target_rule(
    "TGT-108",
    "a state that comes again or goes back is released like any other",
    severity=Severity.MUST,
    source=_ECHO,
    remedy="Never compare states: the tap may rewind on purpose.",
)
def states_may_go_back(target: TargetLab) -> Iterator[Finding]:
    """Send a state twice, then a lower one, then a higher one and the first again; if need be in two runs."""
    if not list(_not_last(target, [{"n": number} for number in (5, 5, 3, 5, 7, 5)], "a state that goes back")):
        return
    yield from _not_last(target, [{"n": 5}, {"n": 5}, {"n": 3}], "a state that goes back")
    yield from _not_last(target, [{"n": 5}, {"n": 7}, {"n": 5}], "a state that comes again")
