"""Schemas that change while a stream goes on, within a run and from one run to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from singerkit_testing.messages import ID, INTEGER, NUMBER, TEXT, Message, Sent, record, schema
from singerkit_testing.model import expected_rows
from singerkit_testing.outcomes import holds, lost, taken_whole, unclear
from singerkit_testing.rules import Finding, Severity, target_rule
from singerkit_testing.target_lab import case, register_case
from singerkit_testing.target_series import register_series, series_of

if TYPE_CHECKING:
    from singerkit_testing.readers import Row
    from singerkit_testing.target_lab import TargetLab

_Parts = tuple[list[Sent], list[Sent]]
_NARROW = {"id": ID, "name": TEXT}
_WIDE = {"id": ID, "extra": TEXT, "name": TEXT}


def _repeated(stream: str) -> _Parts:
    first = schema(stream, _NARROW, ["id"])
    return (
        [first, record(stream, id=1, name="one"), record(stream, id=2, name="two")],
        [first, record(stream, id=3, name="three"), record(stream, id=4, name="four")],
    )


def _added(stream: str) -> _Parts:
    return (
        [schema(stream, _NARROW, ["id"]), record(stream, id=1, name="one"), record(stream, id=2, name="two")],
        [
            schema(stream, _WIDE, ["id"]),
            record(stream, id=3, extra="new", name="three"),
            record(stream, id=4, extra=None, name="four"),
        ],
    )


def _removed(stream: str) -> _Parts:
    return (
        [
            schema(stream, _WIDE, ["id"]),
            record(stream, id=1, extra="old", name="one"),
            record(stream, id=2, extra="older", name="two"),
        ],
        [schema(stream, _NARROW, ["id"]), record(stream, id=3, name="three"), record(stream, id=4, name="four")],
    )


_CHANGES: dict[str, Callable[[str], _Parts]] = {"repeated": _repeated, "added": _added, "removed": _removed}


def _within_a_run(change: str) -> Callable[[], list[Sent]]:
    return lambda: [message for part in _CHANGES[change](f"schema_{change}") for message in part]


for _change in _CHANGES:
    register_case(f"schema {_change}", _within_a_run(_change))


def _over_two_runs(change: str) -> Callable[[], _Parts]:
    return lambda: _CHANGES[change](f"runs_{change}")


for _change in _CHANGES:
    register_series(f"schema {_change}", _over_two_runs(_change))


def _across_runs(target: TargetLab, change: str) -> Iterator[Finding]:
    if target.load_method == "overwrite":
        return
    done = series_of(target, f"schema {change}")
    stream = f"runs_{change}"
    if not done.ok:
        yield Finding(f"the second run fails: {done.failure}", stream=stream)
        return
    for finding in lost(target, done.place, done.sent, stream):
        yield Finding(f"after two runs: {finding.message}", finding.evidence, stream)


@target_rule(
    "TGT-040",
    "the same schema once more changes nothing",
    severity=Severity.MUST,
    source="SPEC.md, SCHEMA: may come at any time",
    remedy="Compare a new SCHEMA with the one in force and do nothing if it is the same.",
)
def a_repeated_schema_changes_nothing(target: TargetLab) -> Iterator[Finding]:
    """Repeat a SCHEMA between records, then in a second run."""
    yield from taken_whole(target, "schema repeated")
    yield from _across_runs(target, "repeated")


@target_rule(
    "TGT-041",
    "a property may be added: old rows lack it, new rows have it",
    severity=Severity.MUST,
    source="SPEC.md, SCHEMA: may come at any time; DISCOVERY_MODE.md",
    remedy="Add the column before the first record of the new schema is written; never write beyond a header.",
)
def a_property_may_be_added(target: TargetLab) -> Iterator[Finding]:
    """Add a property between records, then from one run to the next."""
    yield from taken_whole(target, "schema added")
    yield from _across_runs(target, "added")


@target_rule(
    "TGT-042",
    "a property may go away: old rows keep it, new rows lack it",
    severity=Severity.MUST,
    source="SPEC.md, SCHEMA: may come at any time; no stored value may be lost",
    remedy="Keep the column, and leave it empty in new rows.",
)
def a_property_may_go_away(target: TargetLab) -> Iterator[Finding]:
    """Leave a property out of the schema between records, then from one run to the next."""
    yield from taken_whole(target, "schema removed")
    yield from _across_runs(target, "removed")


def _retyped(stream: str) -> list[list[Sent]]:
    parts: list[list[Sent]] = []
    for form, values in ((INTEGER, (1, 2)), (NUMBER, (2.5, 3.5)), (TEXT, ("four", "five"))):
        rows = [record(stream, id=10 * len(parts) + number, value=value) for number, value in enumerate(values)]
        parts.append([schema(stream, {"id": ID, "value": form}, ["id"]), *rows])
    return parts


register_case("retyped", lambda: [message for part in _retyped("retyped") for message in part], "retyped")
register_series("retyped", lambda: _retyped("runs_retyped"), watched=True)


@target_rule(
    "TGT-043",
    "a property may change its type: values are kept, or the change is refused",
    severity=Severity.MUST,
    source="SPEC.md, SCHEMA: may come at any time; no value may be lost",
    remedy="Widen the column, add a second one for the new type, or refuse the schema by stream and property.",
)
def a_type_may_change(target: TargetLab) -> Iterator[Finding]:
    """Change integer to number, then to text, within a run and over three."""
    shared = target.shared("retyped")
    if not shared.ok:
        yield from unclear(shared.load, ["retyped", "value"], stream="retyped")
    elif target.reader is not None:
        yield from _not_kept(target, shared.rows("retyped"), shared.sent, "retyped")
    if target.load_method == "overwrite":
        return
    done = series_of(target, "retyped")
    for number, rows in enumerate(done.rows_after, 1):
        sent = [message for part in done.parts[:number] for message in part]
        yield from _not_kept(target, rows, sent, "runs_retyped")
    if not done.ok:
        yield from unclear(done.loads[-1], ["retyped", "value"], stream="runs_retyped")


def _not_kept(target: TargetLab, found: list[Row], sent: Iterable[Sent], stream: str) -> Iterator[Finding]:
    rows = {str(row.get("id")): row for row in found}
    for row in expected_rows(sent, stream, target.load_method):
        there = rows.get(str(row["id"]))
        if there is None or not holds(there, row["value"]):
            what = f"exit code 0, but after a change of the type {row} is {there or 'not there'}"
            yield Finding(what, stream=stream)


@case("buffered under an older schema")
def _buffered() -> Iterator[Message]:
    yield schema("buffered", {"id": ID, "old": TEXT}, ["id"])
    yield record("buffered", id=1, old="kept")
    yield schema("buffered", {"id": ID, "new": TEXT}, ["id"])
    yield record("buffered", id=2, new="kept too")
    yield schema("buffered", {"id": ID, "old": TEXT, "new": TEXT}, ["id"])
    yield record("buffered", id=3, old="a", new="b")


@target_rule(
    "TGT-044",
    "records that wait when the schema changes are stored as they came",
    severity=Severity.MUST,
    source="SPEC.md, SCHEMA: describes the records that follow it",
    remedy="Store the batch before a new schema takes effect, or let each record keep the schema that it came under.",
)
def waiting_records_keep_their_schema(target: TargetLab) -> Iterator[Finding]:
    """Replace a property by another between two records of one batch."""
    yield from taken_whole(target, "buffered under an older schema")


register_case(
    "other keys",
    lambda: [
        schema("rekeyed", _NARROW, ["id"]),
        record("rekeyed", id=1, name="a"),
        record("rekeyed", id=2, name="b"),
        schema("rekeyed", _NARROW, ["id", "name"]),
        record("rekeyed", id=1, name="a"),
        record("rekeyed", id=1, name="c"),
    ],
    "other keys",
)


@target_rule(
    "TGT-045",
    "other keys are honoured or refused in plain words",
    severity=Severity.MUST,
    source="SPEC.md, SCHEMA: key_properties",
    remedy="Store what waits, then go by the new keys; or say in the error that the keys of the stream changed.",
    needs=["reader"],
)
def other_keys_are_honoured(target: TargetLab) -> Iterator[Finding]:
    """Add a property to the keys between records."""
    shared = target.shared("other keys")
    if not shared.ok:
        yield from unclear(shared.load, ["rekeyed"], stream="rekeyed")
        return
    found = [_pair(row) for row in shared.rows("rekeyed")]
    for pair in (("1", "a"), ("2", "b"), ("1", "c")):
        if pair not in found:
            yield Finding(f"exit code 0, but after a change of the keys {pair} is missing", found, "rekeyed")


def _pair(row: Row) -> tuple[str, str]:
    return str(row.get("id")), str(row.get("name"))
