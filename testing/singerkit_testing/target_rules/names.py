"""Names of streams and properties: any text is one, none is a path or a statement, and no two are one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from singerkit_testing.messages import ID, TEXT, Message, Sent, record, schema, state
from singerkit_testing.outcomes import error_lines, explains, tables_with, taken_whole
from singerkit_testing.rules import Finding, Severity, target_rule
from singerkit_testing.target_lab import case, register_case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from singerkit_testing.readers import Row
    from singerkit_testing.target_lab import Destination, Load, Shared, TargetLab

_NAMES = "SPEC.md: stream names and property names are texts, and tell streams and values apart"

_TWINS = {
    "case": ("People", "people"),
    "prefix": ("east-folk", "west-folk"),
    "dot": ("north.folk", "south.folk"),
    "blank": ("two words", "two_words"),
    "dash": ("three-words", "three_words"),
    "length": ("l" * 70 + "_a", "l" * 70 + "_b"),
}


def _twin_streams(pair: tuple[str, str]) -> Callable[[], list[Sent]]:
    form = {"id": ID, "name": TEXT}
    return lambda: [
        message
        for number, stream in enumerate(pair)
        for message in (schema(stream, form, ["id"]), record(stream, id=1, name=_marker(pair, number)))
    ]


def _marker(pair: tuple[str, str], number: int) -> str:
    return f"marker {pair[number][-12:]!r} {number}"


for _name, _pair in _TWINS.items():
    register_case(f"twin streams: {_name}", _twin_streams(_pair), "twin streams")


@target_rule(
    "TGT-086",
    "two streams never share a table",
    severity=Severity.MUST,
    source=_NAMES,
    remedy="Keep a map from table to stream: number the second one, or refuse it by name.",
    needs=["reader"],
)
def streams_do_not_share_tables(target: TargetLab) -> Iterator[Finding]:
    """Load pairs of streams whose names differ by case, before a dash, by a blank or at their very end."""
    for name, pair in _TWINS.items():
        shared = target.shared(f"twin streams: {name}")
        if not shared.ok:
            continue
        tables = _tables(target, shared)
        places = [tables_with(tables, _marker(pair, number)) for number in (0, 1)]
        gone = [stream for stream, found in zip(pair, places, strict=True) if not found]
        if gone:
            yield Finding(f"exit code 0, but the record of {gone[0]!r} is gone: {' and '.join(map(repr, pair))}")
        elif set(places[0]) & set(places[1]):
            yield Finding(f"the streams {pair[0]!r} and {pair[1]!r} are in one table")


_TWIN_PROPERTIES = (
    ("Name", "name"),
    ("a b", "a_b"),
    ("c-d", "c.d"),
    ("l" * 70 + "1", "l" * 70 + "2"),
    ("é", "e\u0301"),
)


def _twin_properties(stream: str, pair: tuple[str, str]) -> Callable[[], list[Sent]]:
    values = {name: f"value {number}" for number, name in enumerate(pair)}
    return lambda: [schema(stream, {"id": ID, **dict.fromkeys(pair, TEXT)}, ["id"]), record(stream, values, id=1)]


for _number, _pair in enumerate(_TWIN_PROPERTIES):
    register_case(f"twin properties: {_number}", _twin_properties(f"twins_{_number}", _pair), "twin properties")


@target_rule(
    "TGT-087",
    "two properties never share a column",
    severity=Severity.MUST,
    source=_NAMES,
    remedy="Keep a map from column to property: number the second one, or refuse the schema by stream and property.",
    needs=["reader"],
)
def properties_do_not_share_columns(target: TargetLab) -> Iterator[Finding]:
    """Load pairs of properties whose names differ by case, by a blank, a dash, at their very end, by composition."""
    for number, pair in enumerate(_TWIN_PROPERTIES):
        shared = target.shared(f"twin properties: {number}")
        if not shared.ok:
            continue
        text = str(shared.rows(f"twins_{number}"))
        for which, name in enumerate(pair):
            if f"value {which}" not in text:
                yield Finding(f"exit code 0, but of {pair[0]!r} and {pair[1]!r}, the value of {name!r} is gone", text)


_ODD_STREAMS = (
    "select", "1st", "two  words", 'quo"te', "semi;colon", "per%cent", "co:lon", "smile 😀", "CamelCase", "x" * 200,
)  # fmt: skip
_ODD_PROPERTIES = (
    "select", "order", "1st", "two words", 'quo"te', "apo'strophe", "semi;colon", "per%cent", "co:lon", "dot.ted",
    "smile 😀", "CamelCase", "back\\slash", "x" * 200,
)  # fmt: skip
_MANY = 1500
# Where a text says how many there may be: "at most 1,017 columns".
_LIMIT = re.compile(r"(\d[\d,]*) (?:columns|properties|fields)\b")


def _odd_stream(number: int, name: str) -> Callable[[], list[Sent]]:
    return lambda: [schema(name, {"id": ID, "name": TEXT}, ["id"]), record(name, id=1, name=f"odd stream {number}.")]


def _odd_property(number: int, name: str) -> Callable[[], list[Sent]]:
    stream = f"odd_property_{number}"
    return lambda: [schema(stream, {"id": ID, name: TEXT}, ["id"]), record(stream, {name: f"odd {number}."}, id=1)]


for _number, _name in enumerate(_ODD_STREAMS):
    register_case(f"odd stream: {_number}", _odd_stream(_number, _name), "odd names")
for _number, _name in enumerate(_ODD_PROPERTIES):
    register_case(f"odd property: {_number}", _odd_property(_number, _name), "odd names")


@case("many properties", "odd names")
def _many_properties() -> Iterator[Message]:
    names = [f"property_{number}" for number in range(_MANY)]
    yield schema("many_properties", {"id": ID, **dict.fromkeys(names, TEXT)}, ["id"])
    yield record("many_properties", dict.fromkeys(names[-2:], f"odd {_MANY}."), id=1)


@target_rule(
    "TGT-088",
    "any text may be a name",
    severity=Severity.MUST,
    source=_NAMES,
    remedy="Quote identifiers, escape what a file name can't hold, shorten what is too long, always the same way.",
)
def any_text_may_be_a_name(target: TargetLab) -> Iterator[Finding]:
    """Load reserved words, digits first, blanks, quotes, emoji, long names, and 1500 properties.

    A target may refuse that many properties, if its error names the stream and how many the destination can hold.
    """
    for number, name in enumerate(_ODD_STREAMS):
        yield from _odd(target, f"odd stream: {number}", f"odd stream {number}.", name)
    for number, name in enumerate(_ODD_PROPERTIES):
        yield from _odd(target, f"odd property: {number}", f"odd {number}.", name)
    yield from _many(target)


def _many(target: TargetLab) -> Iterator[Finding]:
    """Judge the stream with many properties: a database that can't hold so many may refuse it by saying how many."""
    shared = target.shared("many properties")
    limit = None if shared.ok else _limit_named(shared.load)
    if limit is None or not explains(shared.load, shared.streams):
        yield from _odd(target, "many properties", f"odd {_MANY}.", f"{_MANY} properties")
        return
    load = target.load([*shared.sent, state({"n": 1})])
    if load.ok or load.states or (target.reader is not None and load.rows(shared.streams[0])):
        yield Finding(f"{_MANY} properties are refused, but something of them was stored or confirmed", load.stdout)
    else:
        yield Finding(f"{_MANY} properties are refused, the limit is {limit}", severity=Severity.INFO)


def _limit_named(load: Load) -> int | None:
    """Find the number of columns in an error of a target that ended itself; None if it gives none that explains it."""
    said = _LIMIT.findall("\n".join(error_lines(load))) if load.exit_code > 0 and not load.timed_out else []
    return next((number for number in (int(text.replace(",", "")) for text in said) if 0 < number <= _MANY), None)


def _odd(target: TargetLab, name: str, marker: str, shown: str) -> Iterator[Finding]:
    shared = target.shared(name)
    what = f"{name.partition(':')[0]} {shown[:40]!r}"
    if not shared.ok:
        named = explains(shared.load, [shown, shared.streams[0], repr(shown), "column"])
        severity = Severity.SHOULD if named and shared.load.exit_code > 0 else Severity.MUST
        yield Finding(f"{what} is refused: {shared.load.ending()}", severity=severity)
    elif target.reader is not None and not tables_with(_tables(target, shared), marker):
        yield Finding(f"exit code 0, but the record of {what} is gone")


def _tables(target: TargetLab, shared: Shared) -> list[list[Row]]:
    """Read a whole destination once for all rules that look at it; if tables can't be listed, the case's streams."""
    place = shared.load.destination
    return target.remember(f"tables of {place.name}", place.reader.everything) or place.everything(shared.streams)


@case("short names")
def _short_names() -> Iterator[Message]:
    for stream in ("s", "t", "a", "target", "source", "excluded", "tmp"):
        yield schema(stream, {"id": ID, "name": TEXT}, ["id"])
        yield record(stream, id=1, name="one")
        yield record(stream, id=1, name="two")


@target_rule(
    "TGT-089",
    "a stream may be called s, t, or what a statement calls a table",
    severity=Severity.MUST,
    source=_NAMES,
    remedy="Qualify every column by a quoted table name, or choose aliases that no stream can have.",
)
def a_stream_may_have_a_short_name(target: TargetLab) -> Iterator[Finding]:
    """Load streams called like the aliases in a MERGE, with an update each."""
    yield from taken_whole(target, "short names")


_PATHS = ("../{}", "../../{}", "{root}/{}", "in/../../{}", "zero\0/../../{}")


@target_rule(
    "TGT-090",
    "no name leads out of the destination",
    severity=Severity.MUST,
    source="security: names come from the source; SPEC.md: stream is a text",
    remedy="Escape path separators and dots in names before they become part of a path.",
)
def no_name_leads_out(target: TargetLab) -> Iterator[Finding]:
    """Load streams called like paths upwards, absolute paths, and with a zero byte, and look around afterwards."""
    everything = _lead_out(target, _PATHS)
    if everything.load_ok:
        yield from everything.findings()
    else:  # one refusal must not hide what the others do
        for form in _PATHS:
            yield from _lead_out(target, [form]).findings()


class _Escape(NamedTuple):
    """An attempt to write outside of a destination."""

    place: Destination
    names: dict[str, str]
    load_ok: bool

    def findings(self) -> Iterator[Finding]:
        for token, name in self.names.items():
            for path in _outside(self.place, token):
                shown = name.replace(token, "x").replace(str(self.place.folder.parent), "/root")
                yield Finding(f"a stream called {shown!r} was written outside: {path}", name)


def _lead_out(target: TargetLab, forms: Iterable[str]) -> _Escape:
    place = target.fresh()
    tokens = {f"escaped-{place.name}-{number}": form for number, form in enumerate(forms)}
    names = {token: form.format(token, root=place.folder.parent) for token, form in tokens.items()}
    messages: list[Sent] = []
    for name in names.values():
        messages += [schema(name, {"id": ID, name: TEXT}, ["id"]), record(name, {name: "x"}, id=1)]
    return _Escape(place, names, place.load(messages).ok)


def _outside(place: Destination, token: str) -> list[str]:
    root = place.folder.parent
    found = [*root.rglob(f"*{token}*"), *root.parent.glob(f"*{token}*")]
    return [str(path.relative_to(root.parent)) for path in found if not _is_inside(place, path.parts)]


def _is_inside(place: Destination, parts: tuple[str, ...]) -> bool:
    return any(parts[: len(folder.parts)] == folder.parts for folder in (place.folder, place.work))


_INJECTION = 'x"; DROP TABLE canary; --'
_INJECTION_TEXT = "x'; DROP TABLE canary; --"
_ATTACKS = ((_INJECTION, "plain"), ("plain", _INJECTION_TEXT), (_INJECTION_TEXT, _INJECTION))


@target_rule(
    "TGT-091",
    "no name and no value is executed",
    severity=Severity.MUST,
    source="security: names and values come from the source",
    remedy="Quote identifiers with a function that doubles quotes; bind values as parameters.",
    needs=["reader"],
)
def nothing_is_executed(target: TargetLab) -> Iterator[Finding]:
    """Load names and values that end a statement and drop a table, then look for that table."""
    place = target.fresh()
    canary = [schema("canary", {"id": ID}, ["id"]), record("canary", id=1)]
    place.load(canary)
    if not place.rows("canary"):
        return
    together = place.load([message for attack in _ATTACKS for message in _attack(*attack)])
    if together.ok and place.rows("canary"):
        return
    place.load(canary)
    for name, value in _ATTACKS:
        place.load(_attack(name, value))
        if not place.rows("canary"):
            yield Finding(f"a table disappeared when {name!r} and {value!r} were loaded")
            place.load(canary)


def _attack(name: str, value: str) -> list[Sent]:
    return [schema(name, {"id": ID, name: TEXT}, ["id"]), record(name, {name: value}, id=1)]
