"""Order and completeness: nothing overtakes, and nothing is lost that the mapper was not told to leave out.

A mapper may leave records out, change and double them. It decides that by what is in a record, so it decides the same
wherever the record stands: what differs by position is lost. And it has no reason to hold anything back for good: what
comes out of an input that ends at a state must come out before that state when the input goes on.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from singerkit_testing.mapper_input import ORDERS, VERSIONED, columns, everything, rows, versioned
from singerkit_testing.messages import Message, state
from singerkit_testing.rules import Finding, NotApplicable, Severity, mapper_rule
from singerkit_testing.values import identity

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

    from singerkit_testing.mapper_lab import MapperLab, MapperRun
    from singerkit_testing.transcript import Message as Written

_SOURCE = "Meltano SDK, inline mappers (an extension); RUNNING_AND_DEVELOPING.md: a state stands for all before it"
_MANY = 1204
_TURN = 7
# Odd, so that a state stands before even numbers as well as odd ones: a mapper may leave some out.
_EVERY = 97


def volatile(mapper: MapperLab) -> set[str]:
    """Name the properties that differ between two runs over one input, such as a time that the mapper adds."""
    pairs = zip(mapper.full.transcript.records, mapper.again.transcript.records, strict=False)
    return {
        name
        for first, second in pairs
        for name in first.record.keys() | second.record.keys()
        if identity(first.record.get(name)) != identity(second.record.get(name))
    }


def contents(records: Iterable[Written], ignored: Iterable[str]) -> Counter[Hashable]:
    """Count records by stream and value, some properties aside."""
    without = set(ignored)
    return Counter(
        (record.stream, identity({name: value for name, value in record.record.items() if name not in without}))
        for record in records
    )


@mapper_rule(
    "EXT-012b",
    "what becomes of a record does not depend on where it stands",
    severity=Severity.MUST,
    source="follows from what a mapper is: no record is lost in silence",
    remedy="Write what is held back at each state and at the end; decide by what a record holds, not by its position.",
)
def position_does_not_matter(mapper: MapperLab) -> Iterator[Finding]:
    """Send many records with states between them, then the same in another order, and count what comes out."""
    _ = mapper.mapped
    numbers = list(range(1, _MANY + 1))
    runs = [
        mapper.map(_with_states(order)) for order in (numbers, [*numbers[:_TURN][::-1], *numbers[: _TURN - 1 : -1]])
    ]
    for run in runs:
        if not run.ok:
            yield Finding(f"{_MANY} records were not taken: {run.ending()}")
            return
    ignored = volatile(mapper)
    first, second = (contents(run.transcript.records, ignored) for run in runs)
    counts = [first.total(), second.total()]
    if counts[0] != counts[1]:
        yield Finding(f"{counts[0]} records came out of {_MANY}, and {counts[1]} when their order was another")
    elif lost := _ids(runs[0]) - _ids(runs[1]):
        yield Finding(f"{len(lost)} of {_MANY} records did not come out any more when their order was another")
    elif first != second:
        what = f"{(first - second).total()} of {counts[0]} records came out otherwise when their order was another"
        yield Finding(what, str(next(iter(first - second))), severity=Severity.SHOULD)


def _ids(run: MapperRun) -> set[Hashable]:
    return {identity(record.record.get("id")) for record in run.transcript.records}


def _with_states(numbers: Iterable[int]) -> Iterator[Message]:
    yield columns(ORDERS)
    for place, message in enumerate(rows(ORDERS, numbers), start=1):
        yield message
        if place % _EVERY == 0:
            yield state({"place": place})


@mapper_rule(
    "EXT-012c",
    "states come out as they went in, in their order, the last one always",
    severity=Severity.MUST,
    source=_SOURCE,
    remedy="Write each STATE as it is when it is its turn; it belongs to the tap and is not the mapper's to change.",
)
def states_pass_unchanged(mapper: MapperLab) -> Iterator[Finding]:
    """States with text beyond ASCII, numbers beyond a double, and one that is empty; some may be left out."""
    sent = [message["value"] for message in everything() if message["type"] == "STATE"]
    left = iter([identity(value) for value in sent])
    known = {identity(value) for value in sent}
    for message in mapper.mapped.transcript.states:
        value = identity(message.state)
        if value not in known:
            yield Finding(f"line {message.number}: a state that nobody sent", message)
        elif value not in left:  # this consumes all up to it
            yield Finding(f"line {message.number}: a state out of its order, or twice", message)
            return
    last = mapper.mapped.transcript.last_state
    if last is None or identity(last.state) != identity(sent[-1]):
        yield Finding("the last state did not come out last", last or "no state")


@mapper_rule(
    "EXT-012d",
    "no state overtakes the records before it",
    severity=Severity.MUST,
    source=_SOURCE,
    remedy="Write all records that came before a STATE before it.",
)
def states_overtake_no_records(mapper: MapperLab) -> Iterator[Finding]:
    """End the input after each state: what comes out then must be out before that state in the whole run, too."""
    whole = mapper.mapped.transcript
    ignored = volatile(mapper)
    sent = everything()
    for place, message in enumerate(sent, start=1):
        written = _written(message, whole.states)
        if written is None:
            continue
        ended = mapper.map(sent[:place]) if place < len(sent) else mapper.mapped
        if not ended.ok:
            yield Finding(f"an input that ends with a state was not taken: {ended.ending()}")
            continue
        late = contents(ended.transcript.records, ignored) - contents(whole.records_before(written), ignored)
        if late:
            what = f"line {written.number}: {late.total()} records that came in before a state come out after it"
            yield Finding(what, written)


def _written(sent: Message, states: Iterable[Written]) -> Written | None:
    if sent["type"] != "STATE":
        return None
    value = identity(sent["value"])
    return next((each for each in states if identity(each.state) == value), None)


@mapper_rule(
    "EXT-012e",
    "ACTIVATE_VERSION passes, after the records of its version",
    severity=Severity.MUST,
    source="singer-python, ActivateVersionMessage (an extension): a target deletes the rows of other versions",
    remedy="Let ACTIVATE_VERSION pass in its place, and keep the version of each RECORD.",
)
def activations_pass(mapper: MapperLab) -> Iterator[Finding]:
    """Send a stream whose records and activation have the version 2."""
    _ = mapper.mapped
    run = mapper.remember("versioned", lambda: mapper.map([*versioned(), state({"done": 1})]))
    if not run.ok:
        yield Finding(f"a stream with versions was not taken: {run.ending()}", stream=VERSIONED)
        return
    records, activations = run.transcript.records, run.transcript.activations
    if not records:
        raise NotApplicable("the mapper leaves the records with versions out")
    if not activations:
        yield Finding("ACTIVATE_VERSION does not come out", stream=VERSIONED, severity=Severity.SHOULD)
    for message in activations:
        if _version(message.value) != 2:
            yield Finding(f"line {message.number}: the version was 2", message, VERSIONED)
        late = len(records) - len(run.transcript.records_before(message))
        if late:
            yield Finding(f"line {message.number}: {late} records of the version come after it", message, VERSIONED)
    changed = [record for record in records if activations and _version(record.value) != 2]
    if changed:
        what = f"{len(changed)} records lost the version 2, which is activated: a target deletes them"
        yield Finding(what, changed[0], VERSIONED)


def _version(value: dict[str, Any]) -> Any:
    return value.get("version")
