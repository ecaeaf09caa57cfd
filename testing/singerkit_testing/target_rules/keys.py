"""Keys: which rows belong together, and which never do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singerkit_testing.messages import ID, INTEGER, TEXT, Message, Sent, record, schema
from singerkit_testing.outcomes import lost, taken_whole, unclear
from singerkit_testing.rules import Finding, NotApplicable, Severity, target_rule
from singerkit_testing.target_lab import case
from singerkit_testing.target_series import register_series, series_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singerkit_testing.target_lab import Load, TargetLab

_KEYS = "SPEC.md, SCHEMA: key_properties identify a record"


def _versions(stream: str, *names: str) -> list[Sent]:
    return [schema(stream, {"id": ID, "name": TEXT}, ["id"]), *(record(stream, id=1, name=name) for name in names)]


_UPDATES = (("one", "two", "three"), ("four", "five"))
register_series("updated", lambda: [_versions("updated", *names) for names in _UPDATES], watched=True)


@target_rule(
    "TGT-080",
    "of the records of one key the last one counts",
    severity=Severity.MUST,
    source=_KEYS,
    remedy="Keep the last record of each key in a batch, and let it replace the row of an earlier batch or run.",
    needs=["reader"],
)
def the_last_record_of_a_key_counts(target: TargetLab) -> Iterator[Finding]:
    """Send three records of a key in one batch, then two more in another run; for targets that update by key."""
    if target.load_method != "upsert":
        raise NotApplicable("the target does not update by key")
    done = series_of(target, "updated")
    if not done.ok:
        yield Finding(f"records of one key are refused: {done.failure}", stream="updated")
    for names, rows in zip(_UPDATES, done.rows_after, strict=False):
        found = [row.get("name") for row in rows]
        if found != [names[-1]]:
            yield Finding(
                f"of {', '.join(names)} with one key, the last must be there; there is {found}", stream="updated"
            )


@target_rule(
    "TGT-081",
    "a target that appends keeps all versions of a record",
    severity=Severity.MUST,
    source="not specified; a target that appends promises a history",
    remedy="Insert every record as a row of its own; make no unique key of the key_properties.",
    needs=["reader"],
)
def appending_keeps_all_versions(target: TargetLab) -> Iterator[Finding]:
    """Send three records of one key to a target that appends, or that can be told to."""
    settings = _append_settings(target)
    place = target.fresh()
    load = place.load(_versions("history", "one", "two", "one"), settings=settings)
    if not load.ok:
        yield Finding(f"records of one key are refused: {load.ending()}", stream="history")
        return
    found = sorted(str(row.get("name")) for row in load.rows("history"))
    if found != ["one", "one", "two"]:
        yield Finding(f"of one, two, one there is {found}", stream="history")


def _append_settings(target: TargetLab) -> dict[str, Any]:
    if target.load_method == "append":
        return {}
    declared = target.settings.get("load_method")
    offered = declared.get("enum") if isinstance(declared, dict) else None
    for method in ("append", "append-only"):
        if isinstance(offered, list) and method in offered:
            return {"load_method": method}
    raise NotApplicable("the target does not append")


_TUPLES = (  # alike once they are joined, or in one half
    ("x", "y,z"),
    ("x,y", "z"),
    ("x", "z"),
    ("a", "b-c"),
    ("a-b", "c"),
    ("p_", "q"),
    ("p", "_q"),
    ("1", "11"),
    ("11", "1"),
)


@case("composite keys")
def _composite_keys() -> Iterator[Message]:
    yield schema(
        "composite", {"street": {"type": "string"}, "city": {"type": "string"}, "house": ID}, ["street", "city"]
    )
    for number, (street, city) in enumerate(_TUPLES, 1):
        yield record("composite", street=street, city=city, house=number)


@target_rule(
    "TGT-082",
    "composite keys are compared value by value",
    severity=Severity.MUST,
    source=_KEYS,
    remedy="Compare keys as tuples; a text joined by any separator makes different keys equal.",
    needs=["reader"],
)
def composite_keys_are_tuples(target: TargetLab) -> Iterator[Finding]:
    """Send keys that are equal once they are joined, and some that share one of their values."""
    yield from taken_whole(target, "composite keys")


_FALSY: dict[str, tuple[dict[str, Any], Any]] = {
    "zero": ({"type": "integer"}, 0),
    "blank": ({"type": "string"}, ""),
    "false": ({"type": "boolean"}, False),
}
for _name, (_form, _value) in _FALSY.items():

    @case(f"falsy key: {_name}")
    def _falsy(stream: str = f"key_{_name}", form: Any = _form, value: Any = _value) -> Iterator[Message]:
        yield schema(stream, {"code": form, "name": TEXT}, ["code"])
        yield record(stream, code=value, name="one")


@target_rule(
    "TGT-083",
    'the keys 0, "" and false are keys',
    severity=Severity.MUST,
    source=_KEYS,
    remedy="Ask whether the key's value is null, not whether it is true.",
)
def falsy_keys_are_keys(target: TargetLab) -> Iterator[Finding]:
    """Send a record for each of them."""
    for name in _FALSY:
        yield from taken_whole(target, f"falsy key: {name}")


@target_rule(
    "TGT-084",
    "a record without a value for its key is refused in plain words",
    severity=Severity.MUST,
    source=_KEYS,
    remedy="Check the key properties of each record; name stream and property in the error.",
)
def a_record_needs_its_key(target: TargetLab) -> Iterator[Finding]:
    """Send two records whose key is null, then two that lack it."""
    for rows in ([{"id": None, "name": "one"}, {"id": None, "name": "two"}], [{"name": "one"}, {"name": "two"}]):
        first = schema("unkeyed", {"id": INTEGER, "name": TEXT}, ["id"])
        load = target.load([first, *(record("unkeyed", row) for row in rows)])
        if load.ok:
            yield from _without_key(target, load, rows)
        else:
            yield from unclear(load, ["unkeyed", "id"], record("unkeyed", rows[0]))


def _without_key(target: TargetLab, load: Load, rows: list[dict[str, Any]]) -> Iterator[Finding]:
    there = len(load.rows("unkeyed")) if target.reader is not None else len(rows)
    if there < len(rows):
        yield Finding(f"exit code 0, but of two records without a key {there} is there", rows, "unkeyed")
    elif target.load_method != "append":
        yield Finding("records without a value for their key are taken", rows, "unkeyed", Severity.SHOULD)


@case("partial update")
def _partial_update() -> Iterator[Message]:
    yield schema("partial", {"id": ID, "name": TEXT, "extra": TEXT}, ["id"])
    yield record("partial", id=1, name="one", extra="old")
    yield record("partial", id=1, name="two")


@target_rule(
    "TGT-085",
    "an update that lacks a property empties it",
    severity=Severity.INFO,
    source="not specified; all published targets do",
    remedy="Decide whether a record is the whole row (usual) or a change of it, and document that.",
    needs=["reader"],
)
def an_update_replaces_the_row(target: TargetLab) -> Iterator[Finding]:
    """Update a row with a record that lacks a property."""
    if target.load_method != "upsert":
        raise NotApplicable("the target does not update by key")
    shared = target.shared("partial update")
    if not shared.ok:
        yield Finding(f"refused: {shared.load.ending()}", stream="partial")
    else:
        yield from lost(target, shared.load.destination, shared.sent, "partial")
