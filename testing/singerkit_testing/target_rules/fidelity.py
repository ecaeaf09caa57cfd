"""What was sent is what is there: no row, no digit, no character less."""

from __future__ import annotations

import resource
import sys
from decimal import Decimal
from typing import TYPE_CHECKING

from singerkit_testing.messages import (
    DATE_TIME,
    ID,
    INTEGER,
    NUMBER,
    TEXT,
    Message,
    Sent,
    record,
    schema,
    state,
)
from singerkit_testing.outcomes import holds, lost, taken_whole, unclear
from singerkit_testing.rules import Finding, NotApplicable, Severity, target_rule
from singerkit_testing.target_lab import case, register_case
from singerkit_testing.values import column_of, equal, number_of, plain_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singerkit_testing.target_lab import Load, Shared, TargetLab

_BATCH = 5
_SIZES = (0, 1, 2, _BATCH - 1, _BATCH, _BATCH + 1, 2 * _BATCH)
_MANY = 12_000
_LOSSLESS = "RUNNING_AND_DEVELOPING.md, Targets: persist the records; a state means that all before it is stored"
_VALUES = "RUNNING_AND_DEVELOPING.md, Targets: persist the records; DISCOVERY_MODE.md: the schema types each value"


def _words(stream: str, rows: int) -> list[Sent]:
    """Make rows of nothing but texts: what a guesser of headers takes for a header."""
    keys = {"code": {"type": "string"}, "name": TEXT}
    return [schema(stream, keys, ["code"]), *(record(stream, code=f"c{n}", name=f"name {n}") for n in range(rows))]


@target_rule(
    "TGT-060",
    "every row arrives, however many there are",
    severity=Severity.MUST,
    source=_LOSSLESS,
    remedy="Count what goes into a batch and what comes out; mind the first row and the one that fills it.",
    needs=["reader"],
)
def every_row_arrives(target: TargetLab) -> Iterator[Finding]:
    """Load none, one, two, about one and two batches, and twelve thousand rows."""
    messages = [message for rows in _SIZES for message in _words(f"rows_{rows}", rows)]
    load = target.load([*messages, state({"n": 1})], settings=target.batches_of(_BATCH))
    many = _words("rows_many", _MANY)
    full = target.remember("many rows", lambda: target.load([*many, state({"n": 1})]))
    for run, streams, sent in ((load, [f"rows_{rows}" for rows in _SIZES], messages), (full, ["rows_many"], many)):
        if not run.ok:
            what = "are not loaded in time" if run.timed_out else "are refused"
            yield Finding(f"rows of two texts {what}: {run.ending()}")
            continue
        for stream in streams:
            yield from lost(target, run.destination, sent, stream)


@case("order of members")
def _order_of_members() -> Iterator[Message]:
    yield schema("ordered", {"id": ID, "first": TEXT, "second": TEXT, "third": INTEGER}, ["id"])
    yield record("ordered", id=1, first="a1", second="b1", third=11)
    yield record("ordered", third=12, second="b2", first="a2", id=2)
    yield record("ordered", second="b3", id=3)
    yield record("ordered", id=4, third=14)
    yield record("ordered", first="a5", third=15, id=5, second="b5")


@target_rule(
    "TGT-061",
    "a value lands under its name, whatever the order of a record's members",
    severity=Severity.MUST,
    source="RFC 8259: the members of an object have no order",
    remedy="Take values by name in the order of the columns, not in the order of the record.",
    needs=["reader"],
)
def values_land_under_their_names(target: TargetLab) -> Iterator[Finding]:
    """Send members in other orders, and leave optional ones out."""
    yield from taken_whole(target, "order of members")


@case("nothing and empty")
def _nothing_and_empty() -> Iterator[Message]:
    yield schema("blanks", {"id": ID, "name": TEXT}, ["id"])
    yield record("blanks", id=1, name="")
    yield record("blanks", id=2, name=None)
    yield record("blanks", id=3)
    yield record("blanks", id=4, name=" ")


@target_rule(
    "TGT-062",
    "an empty text is not null",
    severity=Severity.MUST,
    source=_VALUES,
    remedy="Keep '' apart from null wherever the destination can (quote it in COPY and CSV loads).",
    needs=["reader"],
)
def an_empty_text_is_not_null(target: TargetLab) -> Iterator[Finding]:
    """Send an empty text, null, nothing and a blank; not for files that know but texts."""
    shared = target.shared("nothing and empty")
    if shared.load.destination.reader.text_only:
        raise NotApplicable("the destination can't tell an empty text from null")
    yield from taken_whole(target, "nothing and empty")


@case("integers")
def _integers() -> Iterator[Message]:
    yield schema("integers", {"id": ID, "value": INTEGER}, ["id"])
    for number, value in enumerate((0, -1, 2**31, -(2**31) - 1, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)), 1):
        yield record("integers", id=number, value=value)


for _number, _value in enumerate((2**63, 2**64 + 1, 10**40 + 7)):
    register_case(
        f"huge integer {_number}",
        lambda stream=f"huge{_number}", value=_value: [  # type: ignore[misc] # defaults bind the loop's values
            schema(stream, {"id": ID, "value": INTEGER}, ["id"]),
            record(stream, id=1, value=value),
        ],
        "huge integers",
    )


@target_rule(
    "TGT-063",
    "integers keep every digit",
    severity=Severity.MUST,
    source=_VALUES,
    remedy="Use 64 bit integers; beyond them a decimal, a text or an error, never a float.",
    needs=["reader"],
)
def integers_keep_every_digit(target: TargetLab) -> Iterator[Finding]:
    """Send the limits of 32, 53 and 64 bits, then larger ones, which may be refused."""
    yield from taken_whole(target, "integers")
    for number in range(3):
        shared = target.shared(f"huge integer {number}")
        if shared.ok:
            yield from lost(target, shared.load.destination, shared.sent, f"huge{number}")
        else:
            yield from unclear(shared.load, [f"huge{number}", "value", "range", "large", "big"], shared.sent[-1])


_DECIMALS = ("0.1", "296.91", "-0.000001", "123456789.123456789012345678", "99999999999999999999.99")


@case("decimals")
def _decimals() -> Iterator[Message]:
    yield schema("decimals", {"id": ID, "value": NUMBER}, ["id"])
    for number, text in enumerate(_DECIMALS, 1):
        yield record("decimals", id=number, value=Decimal(text))


@target_rule(
    "TGT-064",
    "decimals keep every digit",
    severity=Severity.MUST,
    source="DISCOVERY_MODE.md: numbers; JSON numbers are decimal",
    remedy="Parse numbers as decimals and store them in a decimal or text column; if it must be a double, say so.",
    needs=["reader"],
)
def decimals_keep_every_digit(target: TargetLab) -> Iterator[Finding]:
    """Send decimals of up to 27 digits; a double in place of one is the lesser evil."""
    shared = target.shared("decimals")
    if not shared.ok:
        yield Finding(f"decimals are refused: {shared.load.ending()}", shared.sent[-1], "decimals")
        return
    rows = {str(row.get("id")): column_of(row, "value") for row in shared.rows("decimals")}
    for number, text in enumerate(_DECIMALS, 1):
        found = rows.get(str(number))
        if not equal(Decimal(text), found):
            is_double = number_of(found) is not None and float(number_of(found) or 0) == float(text)
            severity = Severity.SHOULD if is_double else Severity.MUST
            what = "only what a double holds" if is_double else "something else"
            yield Finding(f"of {text}, {what} is there: {found}", stream="decimals", severity=severity)


for _number, _unit in enumerate(("0.01", "1E-38")):

    @case(f"multiples of {_unit}")
    def _multiples(stream: str = f"multiples{_number}", unit: str = _unit) -> Iterator[Message]:
        yield schema(stream, {"id": ID, "value": {**NUMBER, "multipleOf": Decimal(unit)}}, ["id"])
        for number, text in enumerate(("296.91", "0.07", "19.99", "1.1", "-4.35"), 1):
            yield record(stream, id=number, value=Decimal(text))


@target_rule(
    "TGT-065",
    "multipleOf refuses no valid decimal",
    severity=Severity.MUST,
    source="JSON Schema: multipleOf; SQL taps say the scale of a column with it",
    remedy="Divide decimals or fractions of any precision, never floats; or leave multipleOf unchecked.",
)
def multiple_of_refuses_no_valid_decimal(target: TargetLab) -> Iterator[Finding]:
    """Send prices where multiples of 0.01 and of 1e-38 are asked for."""
    for unit in ("0.01", "1E-38"):
        shared = target.shared(f"multiples of {unit}")
        if not shared.ok:
            yield Finding(f"valid multiples of {unit} are refused: {shared.load.ending()}", shared.sent[-1])
        elif target.reader is not None and len(shared.rows(shared.streams[0])) != 5:
            yield Finding(f"exit code 0, but valid multiples of {unit} are missing", shared.sent[-1])


@target_rule(
    "TGT-066",
    "what is no number is refused, or null",
    severity=Severity.MUST,
    source="RFC 8259: NaN and Infinity are no JSON",
    remedy="Parse strictly; refuse a number that is too large for its column instead of storing infinity.",
)
def what_is_no_number_is_refused(target: TargetLab) -> Iterator[Finding]:
    """Send NaN, Infinity, and a number beyond all doubles."""
    for token in (b"NaN", b"-Infinity", b"1e400"):
        line = b'{"type":"RECORD","stream":"numbers","record":{"id":1,"value":' + token + b"}}"
        load = target.load([schema("numbers", {"id": ID, "value": NUMBER}, ["id"]), line])
        if load.ok and target.reader is not None:
            yield from _stored_instead(load, token.decode(), line)
        elif load.ok and token != b"1e400":
            yield Finding(f"exit code 0 although {token.decode()} is no JSON", line, "numbers", Severity.SHOULD)


def _stored_instead(load: Load, written: str, line: bytes) -> Iterator[Finding]:
    rows = load.rows("numbers")
    found = column_of(rows[0], "value") if rows else None
    if not rows:
        yield Finding(f"exit code 0, but the record with {written} is missing", line, "numbers")
    elif found is not None and not (written == "1e400" and equal(Decimal(written), found)):
        is_kept = written != "1e400" and str(found).lower().startswith(written.lower()[:4])
        severity = Severity.SHOULD if is_kept else None  # a column may hold it; the tap is to blame first
        yield Finding(f"exit code 0, and for {written} there is {found!r}", line, "numbers", severity)


_MOMENTS = (
    "2024-05-01T12:00:00Z",
    "2024-05-01T05:30:00+05:30",
    "2024-05-01T20:15:30.123456-03:00",
    "1969-12-31T23:59:59.5+00:00",
    "2024-12-31T23:30:00-11:00",
)


@case("moments")
def _moments() -> Iterator[Message]:
    yield schema("moments", {"id": ID, "at": DATE_TIME, "name": TEXT}, ["id"])
    for number, text in enumerate(_MOMENTS, 1):
        yield record("moments", id=number, at=text, name=text)


@target_rule(
    "TGT-067",
    "a date-time keeps its instant",
    severity=Severity.MUST,
    source="JSON Schema: date-time is RFC 3339, with an offset",
    remedy="Convert to UTC before the offset is dropped, or store it with its offset.",
    needs=["reader"],
)
def a_date_time_keeps_its_instant(target: TargetLab) -> Iterator[Finding]:
    """Send instants with offsets; one that is stored without offset counts as UTC."""
    yield from taken_whole(target, "moments")


_ODD_MOMENTS = {
    "naive": "2024-05-01T12:00:00",
    "with_space": "2024-05-01 12:00:00",
    "year_1": "0001-01-01T00:00:00Z",
    "year_9999": "9999-12-31T23:59:59.999999Z",
    "year_10000": "10000-01-01T00:00:00Z",
    "zero": "0000-00-00T00:00:00Z",
    "leap": "2016-12-31T23:59:60Z",
    "nano": "2024-05-01T12:00:00.123456789Z",
    "date_only": "2024-05-01",
    "blank": "",
    "words": "some day",
}
for _name, _text in _ODD_MOMENTS.items():

    @case(f"odd moment: {_name}", "odd moments")
    def _odd_moment(stream: str = f"odd_{_name}", text: str = _text) -> Iterator[Message]:
        yield schema(stream, {"id": ID, "moment": DATE_TIME}, ["id"])
        yield record(stream, id=1, moment=text)


@target_rule(
    "TGT-068",
    "a date-time that no calendar has does not take its row along",
    severity=Severity.MUST,
    source="JSON Schema: format is an annotation; real sources hold such values",
    remedy="Store it as it is, clamp it as documented, or name stream and property in the error.",
)
def odd_moments_do_not_lose_rows(target: TargetLab) -> Iterator[Finding]:
    """Send years 1, 9999 and 10000, a leap second, no offset, nine digits, a blank, plain words."""
    for name, text in _ODD_MOMENTS.items():
        shared = target.shared(f"odd moment: {name}")
        stream = f"odd_{name}"
        if not shared.ok:
            yield from unclear(shared.load, [stream, "moment"], shared.sent[-1], stream=stream)
        elif target.reader is not None and not any(str(row.get("id")) == "1" for row in shared.rows(stream)):
            yield Finding(f"exit code 0, but the row with the date-time {text!r} is missing", stream=stream)


_TEXTS = (
    "plain",
    'double " quote',
    "single ' quote",
    "comma, semicolon; pipe| colon:",
    "line\nfeed",
    "carriage\r\nreturn",
    "a\ttab",
    "back\\slash and \\n and \\N",
    "\\N",
    "NULL",
    "null",
    "None",
    "nan",
    " blanks at both ends ",
    "\n",
    "naïve 日本語 😀 e\u0301",
    "vertical\vtab and form\ffeed",
    "percent % and %s and {} and $1 and :name",
    "00123",
    "1e5",
    "true",
    "-- ; /* */",
)


@case("texts")
def _texts() -> Iterator[Message]:
    yield schema("texts", {"id": ID, "text": TEXT, "after": TEXT}, ["id"])
    for number, text in enumerate(_TEXTS, 1):
        yield record("texts", id=number, text=text, after="after")


@target_rule(
    "TGT-069",
    "texts keep every character",
    severity=Severity.MUST,
    source=_VALUES,
    remedy="Bind values as parameters, or escape exactly what the load format says; trim and replace nothing.",
    needs=["reader"],
)
def texts_keep_every_character(target: TargetLab) -> Iterator[Finding]:
    """Send quotes, separators, line ends, backslashes, words that look like null or numbers, and emoji."""
    shared = target.shared("texts")
    if not shared.ok:
        yield Finding(f"texts are refused: {shared.load.ending()}", shared.sent[-1], "texts")
        return
    rows = {str(row.get("id")): row.get("text") for row in shared.rows("texts")}
    for number, text in enumerate(_TEXTS, 1):
        if rows.get(str(number)) != text:
            yield Finding(f"sent {text!r}, found {rows.get(str(number))!r}", stream="texts")


_STRANGE = {"zero": b"before\\u0000after", "surrogate": b"before\\ud800after"}
for _name, _escaped in _STRANGE.items():

    @case(f"strange character: {_name}", "strange characters")
    def _strange(stream: str = f"strange_{_name}", escaped: bytes = _escaped) -> Iterator[Sent]:
        yield schema(stream, {"id": ID, "text": TEXT}, ["id"])
        yield b'{"type":"RECORD","stream":"%b","record":{"id":1,"text":"%b"}}' % (stream.encode(), escaped)


@target_rule(
    "TGT-070",
    "characters that a destination can't hold are refused or replaced, and the row stays",
    severity=Severity.MUST,
    source="RFC 8259: U+0000 and lone surrogates can be written; many databases can't store them",
    remedy="Refuse such a text by stream and property, or replace the character and say so in the log.",
)
def strange_characters(target: TargetLab) -> Iterator[Finding]:
    """Send U+0000 and half a surrogate pair."""
    for name, escaped in _STRANGE.items():
        shared = target.shared(f"strange character: {name}")
        stream = f"strange_{name}"
        if shared.load.exit_code < 0 or shared.load.timed_out:
            yield Finding(f"refused by a crash: {shared.load.ending()}", escaped, stream)
        elif shared.ok and target.reader is not None and not shared.rows(stream):
            yield Finding(f"exit code 0, but the row with {escaped.decode()} is missing", shared.sent[-1], stream)


_OBJECT = {"type": ["null", "object"], "properties": {"a": TEXT, "b": INTEGER}}
_LIST = {"type": ["null", "array"], "items": {"type": ["null", "string"]}}


@case("structures")
def _structures() -> Iterator[Message]:
    yield schema("structures", {"id": ID, "thing": _OBJECT, "list": _LIST}, ["id"])
    yield record("structures", id=1, thing={"a": 'it\'s "quoted"', "b": 1}, list=["x", "y, z", "it's"])
    yield record("structures", id=2, thing={"a": None, "b": 2}, list=["true"])
    yield record("structures", id=3, thing=None, list=None)


@target_rule(
    "TGT-071",
    "objects and lists are stored as JSON or in columns, not as a language prints them",
    severity=Severity.MUST,
    source="RUNNING_AND_DEVELOPING.md, Targets: nested data",
    remedy="Write them with a JSON encoder, never with str().",
    needs=["reader"],
)
def structures_are_json(target: TargetLab) -> Iterator[Finding]:
    """Send an object and a list with quotes in their texts."""
    _lists_are_columns(target, "structures", "list")
    yield from taken_whole(target, "structures")


@case("lists")
def _lists() -> Iterator[Message]:
    items = {"type": ["null", "array"], "items": {"type": ["null", "integer"]}}
    yield schema("lists", {"id": ID, "list": items}, ["id"])
    for number, value in enumerate(([], [1, None, 3], [None], None, [7]), 1):
        yield record("lists", id=number, list=value)


@case("lists of lists", "lists of lists")
def _lists_of_lists() -> Iterator[Message]:
    inner = {"type": ["null", "array"], "items": {"type": ["null", "integer"]}}
    yield schema("matrices", {"id": ID, "rows": {"type": ["null", "array"], "items": inner}}, ["id"])
    for number, value in enumerate(([[1, 2], [3]], [[]], [[], [None]], [None, [4]]), 1):
        yield record("matrices", id=number, rows=value)


@target_rule(
    "TGT-072",
    "empty lists, nulls in lists and lists of lists are kept",
    severity=Severity.MUST,
    source="RUNNING_AND_DEVELOPING.md, Targets: nested data",
    remedy="Store lists whole; an empty list is not null, and a null element counts.",
    needs=["reader"],
)
def lists_are_kept(target: TargetLab) -> Iterator[Finding]:
    """Send empty lists, null elements, then ragged lists of lists, which may be refused."""
    _lists_are_columns(target, "lists", "list")
    yield from taken_whole(target, "lists")
    shared = target.shared("lists of lists")
    if shared.ok:
        yield from lost(target, shared.load.destination, shared.sent, "matrices")
    else:
        what = f"lists of lists are refused: {shared.load.ending()}"
        yield Finding(what, stream="matrices", severity=Severity.SHOULD)


def _lists_are_columns(target: TargetLab, stream: str, name: str) -> None:
    """Give up where a list has a table of its own, ``stream__name``: what joins the two is nobody's standard."""
    shared = target.shared(stream)
    place = shared.load.destination
    own = plain_name(f"{place.prefix}{stream}__{name}")
    if shared.ok and target.reader is not None and own in map(plain_name, place.reader.tables()):
        raise NotApplicable("lists have tables of their own")


def _nested(stream: str, depth: int) -> list[Sent]:
    text = b'{"in":' * depth + b'"core"' + b"}" * depth
    line = b'{"type":"RECORD","stream":"%b","record":{"id":1,"deep":%b}}' % (stream.encode(), text)
    return [schema(stream, {"id": ID, "deep": {"type": ["null", "object"]}}, ["id"]), line]


register_case("depth 30", lambda: _nested("deep_30", 30))


@target_rule(
    "TGT-073",
    "deeply nested values are stored, or refused without a crash",
    severity=Severity.SHOULD,
    source="RFC 8259: nesting has no limit, an implementation may set one",
    remedy="Limit the depth, and say in the error that it was exceeded.",
)
def deep_nesting(target: TargetLab) -> Iterator[Finding]:
    """Send an object in an object, 30 and 900 deep."""
    yield from _deep(target, target.shared("depth 30"), "deep_30")
    place = target.fresh()
    load = place.load(_nested("deep_900", 900))
    if load.exit_code < 0 or load.timed_out:
        yield Finding(f"a record nested 900 deep: {load.ending()}", stream="deep_900", severity=Severity.MUST)
    elif load.ok and target.reader is not None and not place.rows("deep_900"):
        yield Finding("exit code 0, but the deeply nested record is missing", stream="deep_900", severity=Severity.MUST)


def _deep(target: TargetLab, shared: Shared, stream: str) -> Iterator[Finding]:
    if not shared.ok:
        yield Finding(f"a record nested 30 deep is refused: {shared.load.ending()}", stream=stream)
    elif target.reader is not None and "core" not in str(shared.rows(stream)):
        yield Finding("exit code 0, but a value nested 30 deep is missing", stream=stream, severity=Severity.MUST)


_FLATTENING = {"flattening_enabled": True, "flattening_max_depth": 1, "flatten": True}


@case("collision", "collisions")
def _collision() -> Iterator[Message]:
    inner = {"type": ["null", "object"], "properties": {"b": TEXT}}
    yield schema("collision", {"id": ID, "a": inner, "a__b": TEXT}, ["id"])
    yield record("collision", id=1, a={"b": "the inner one"}, a__b="the outer one")


@target_rule(
    "TGT-074",
    "two properties that flattening gives one name don't overwrite each other",
    severity=Severity.MUST,
    source="RUNNING_AND_DEVELOPING.md, Targets: nested data; no value may be lost",
    remedy="Detect that a flattened name exists already: number the second one, or refuse the schema.",
    needs=["reader"],
)
def flattened_names_do_not_collide(target: TargetLab) -> Iterator[Finding]:
    """Send `a.b` and `a__b`, also with flattening switched on where there is such a setting."""
    shared = target.shared("collision")
    settings = {name: value for name, value in _FLATTENING.items() if name in target.settings}
    loads = [shared.load, *([target.load(shared.sent, settings=settings)] if settings else [])]
    for load in loads:
        text = str(load.destination.everything(["collision"])) if load.ok else ""
        for word in ("the inner one", "the outer one"):
            if load.ok and word not in text:
                yield Finding(f"exit code 0, but of `a.b` and `a__b`, {word} is gone", load.rows("collision"))


_OWN_NAMES = ("_sdc_batched_at", "_sdc_extracted_at", "_sdc_sequence", "__loaded_at")


@case("names of the target's own", "own names")
def _own_names() -> Iterator[Message]:
    yield schema("own_names", {"id": ID, **dict.fromkeys(_OWN_NAMES, TEXT)}, ["id"])
    yield record("own_names", {name: f"from the source: {name}" for name in _OWN_NAMES}, id=1)


@target_rule(
    "TGT-076",
    "a property that is called like one of the target's own is not replaced in silence",
    severity=Severity.MUST,
    source=_VALUES,
    remedy="Refuse the schema, or give your own column another name; warn if the source's value can't be kept.",
    needs=["reader"],
)
def own_names_are_not_replaced(target: TargetLab) -> Iterator[Finding]:
    """Send properties named like the metadata that targets add."""
    shared = target.shared("names of the target's own")
    if not shared.ok:
        yield from unclear(shared.load, ["own_names", *_OWN_NAMES], shared.sent[-1])
        return
    rows = shared.load.destination.rows("own_names", metadata=True)
    for name in _OWN_NAMES:
        kept = any(holds(row, f"from the source: {name}") for row in rows)
        if not kept and not any(name in line for line in shared.load.errors.splitlines()):
            yield Finding(f"the source's {name} was replaced without a word", rows, "own_names")


@target_rule(
    "TGT-149",
    "memory does not grow with the input",
    severity=Severity.INFO,
    source="BEST_PRACTICES.md: taps and targets stream, they don't hold a source in memory",
    remedy="Limit a batch by bytes as well as by rows, and store it when it is full.",
)
def memory_is_bounded(target: TargetLab) -> Iterator[Finding]:
    """Compare the memory of a run over twelve thousand rows with that over three."""
    many = _words("rows_many", _MANY)
    load = target.remember("many rows", lambda: target.load([*many, state({"n": 1})]))
    # Linux counts what the harness itself held when it started the target; below that nothing can be said.
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    more = load.peak_memory_bytes - max(own, target.loaded.peak_memory_bytes)
    if load.ok and more > 400 * 2**20:
        yield Finding(f"{_MANY} small rows took {more // 2**20} MiB more than three")
