"""Lines and their bytes: how messages reach the target, and what must not disturb it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from singerkit_testing.messages import ID, TEXT, Message, Sent, line_of, record, schema, state
from singerkit_testing.outcomes import holds, lost, taken_whole
from singerkit_testing.rules import Finding, Severity, target_rule
from singerkit_testing.target_lab import case

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singerkit_testing.target_lab import Destination, Load, TargetLab

_SEPARATORS = "\u2028\u2029\u0085\v\f\x1c\x1d\x1e"
_MEBIBYTE = 2**20


def few(stream: str, *more: Sent, names: tuple[str, ...] = ("one", "two")) -> list[Sent]:
    """Make a small stream: a schema, a record for each name, and whatever comes after them."""
    rows = [record(stream, id=number, name=name) for number, name in enumerate(names, 1)]
    return [schema(stream, {"id": ID, "name": TEXT}, ["id"]), *rows, *more]


_WIDE = "ä😀" * 40
_ASCII_ONLY: dict[str, str | None] = {
    "LC_ALL": "C",
    "LANG": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONIOENCODING": None,
}


def lines_are_taken_in_any_form(target: TargetLab) -> bool:
    """Send at once what several rules look at: CRLF, blank lines, text beyond ASCII in the C locale, input in pieces.

    Only if something about it is wrong, each of the rules looks at its own alone.
    """
    return target.remember("lines in any form", lambda: _are_taken_in_any_form(target))


def _are_taken_in_any_form(target: TargetLab) -> bool:
    value = {"bookmark": "日本語 😀"}
    first, one, two, three = few("forms", names=("naïve", _WIDE, "emoji 😀"))
    sent: list[Sent] = [first, b"", one, b"  ", two, state(value), three]
    place = target.fresh()
    data = place.input_of(sent, line_end=b"\r\n", last_line_end=b"")
    load = _load_in_pieces(place, data, sent, environment=_ASCII_ONLY)
    messages = [first, one, two, three]
    return load.ok and load.states[-1:] == [value] and not any(lost(target, load.destination, messages, "forms"))


@target_rule(
    "TGT-004",
    "CRLF ends a line as well as LF",
    severity=Severity.SHOULD,
    source="robustness: files made on Windows; RFC 8259 allows blanks around a value",
    remedy="Let the JSON parser have the CR, or strip it; a byte order mark is either skipped or refused.",
)
def crlf_ends_a_line(target: TargetLab) -> Iterator[Finding]:
    """Load lines that end with CRLF, then one with a byte order mark, which may be refused but not lost."""
    if not lines_are_taken_in_any_form(target):
        messages = few("crlf", state({"n": 1}))
        load = target.load(messages, line_end=b"\r\n")
        if load.ok:
            yield from _as_must(lost(target, load.destination, messages, "crlf"))
        else:
            yield Finding(f"CRLF is refused: {load.ending()}")
    marked = few("marked")
    load = target.load([b"\xef\xbb\xbf" + line_of(marked[0]), *marked[1:]])
    if load.ok:
        yield from _as_must(lost(target, load.destination, marked, "marked"))


def _as_must(findings: Iterator[Finding]) -> Iterator[Finding]:
    for finding in findings:
        yield Finding(finding.message, finding.evidence, finding.stream, Severity.MUST)


@target_rule(
    "TGT-005",
    "blank lines are skipped",
    severity=Severity.INFO,
    source="not specified; no published target skips them",
    remedy="Skip lines that hold nothing but blanks; refusing them is as good.",
)
def blank_lines_are_skipped(target: TargetLab) -> Iterator[Finding]:
    """Put an empty line and a blank one between messages."""
    if lines_are_taken_in_any_form(target):
        return
    first, *rest = few("blank")
    load = target.load([first, b"", rest[0], b"  ", rest[1]])
    if not load.ok:
        yield Finding(f"a blank line ends the run: {load.ending()}")
    else:
        yield from _as_must(lost(target, load.destination, [first, *rest], "blank"))


@target_rule(
    "TGT-006",
    "messages are UTF-8 whatever the locale",
    severity=Severity.MUST,
    source="SPEC.md, Output: JSON; RFC 8259: UTF-8",
    remedy="Read stdin and write stdout as bytes or with encoding UTF-8, never in the encoding of the locale.",
)
def messages_are_utf8_whatever_the_locale(target: TargetLab) -> Iterator[Finding]:
    """Load and echo text beyond ASCII in the C locale."""
    if lines_are_taken_in_any_form(target):
        return
    names = ("naïve", "日本語", "emoji 😀")
    messages = few("locale", state({"bookmark": "日本語 😀"}), names=names)
    load = target.load(messages, environment=_ASCII_ONLY)
    if not load.ok:
        yield Finding(f"text beyond ASCII fails in the C locale: {load.ending()}")
        return
    yield from lost(target, load.destination, messages, "locale")
    if load.states and load.states[-1] != {"bookmark": "日本語 😀"}:
        yield Finding("the state came out changed", load.stdout)


@target_rule(
    "TGT-007",
    "bytes that are no UTF-8 are refused",
    severity=Severity.MUST,
    source="SPEC.md, Output: JSON; RFC 8259: UTF-8; no value may be changed in silence",
    remedy="Decode strictly, and let a wrong byte end the run with an error that names the line.",
)
def wrong_bytes_are_refused(target: TargetLab) -> Iterator[Finding]:
    """Send a byte 0xff within a text."""
    line = b'{"type":"RECORD","stream":"bytes","record":{"id":3,"name":"\xff"}}'
    load = target.load(few("bytes", line, state({"n": 3})))
    if load.ok:
        yield Finding("exit code 0 although a text was no UTF-8", line, stream="bytes")


@case("separators")
def _separators() -> Iterator[Message]:
    yield schema("separators", {"id": ID, "name": TEXT}, ["id"])
    for number, character in enumerate(_SEPARATORS, 1):
        yield record("separators", id=number, name=f"before{character}after")
    yield record("separators", id=99, name="the end")


@case("separators in names", "framing")
def _separators_in_names() -> Iterator[Message]:
    yield schema("separated", {"id": ID, "before\u2028after": TEXT}, ["id"])
    yield record("separated", {"before\u2028after": "here"}, id=1)


@target_rule(
    "TGT-008",
    "only LF ends a message",
    severity=Severity.MUST,
    source="SPEC.md, Output: one JSON object per line",
    remedy="Split the input on the byte 0x0A only; str.splitlines() also splits on U+2028, U+0085, VT and FF.",
)
def only_line_feeds_end_a_message(target: TargetLab) -> Iterator[Finding]:
    """Unicode's other line separators, raw, in values, and in a name."""
    yield from taken_whole(target, "separators")
    shared = target.shared("separators in names")
    if shared.ok and target.reader is not None and not any(holds(row, "here") for row in shared.rows("separated")):
        yield Finding("exit code 0, but a value whose name holds U+2028 is missing", shared.rows("separated"))


@target_rule(
    "TGT-009",
    "long lines are taken",
    severity=Severity.MUST,
    source="SPEC.md, Output: a message is one line, of any length; taps send documents of megabytes",
    remedy="Read lines without a limit, or with one of some hundred megabytes; refuse longer ones by number.",
)
def long_lines_are_taken(target: TargetLab) -> Iterator[Finding]:
    """Send lines of 1 and 5 MB, and one of 50 MB, which may be refused."""
    names = {1: "a" * _MEBIBYTE, 2: "b" * (5 * _MEBIBYTE), 3: "the end", 4: "c" * (50 * _MEBIBYTE)}
    longest = b'{"type":"RECORD","stream":"long","record":{"id":4,"name":"' + names[4].encode() + b'"}}'
    messages = few("long", names=(names[1], names[2], names[3]))
    load = target.load([*messages, longest])
    if not load.ok:
        yield Finding(f"a line of 50 MB is refused: {load.ending()}", stream="long", severity=Severity.SHOULD)
        names.pop(4)
        load = target.load(messages)
    if load.ok:
        yield from _long_texts(target, load, names)
    else:
        yield Finding(f"lines of 5 MB are refused: {load.ending()}", stream="long")


def _long_texts(target: TargetLab, load: Load, names: dict[int, str]) -> Iterator[Finding]:
    if target.reader is None:
        return
    rows = {str(row.get("id")): str(row.get("name")) for row in load.rows("long")}
    for number, name in names.items():
        found = rows.get(str(number), "")
        if found != name:
            yield Finding(f"of a text of {len(name)} characters, {len(found)} came back", stream="long")


@case("extra members")
def _extra_members() -> Iterator[Message]:
    yield schema("extras", {"id": ID, "name": TEXT}, ["id"], bookmark_properties=["id"], comment="from a person")
    yield {**record("extras", id=1, name="one"), "time_extracted": "2024-05-01T12:00:00.000000Z", "zz_unknown": [1]}
    yield record("extras", id=2, name="two")


@target_rule(
    "TGT-017",
    "members of a message that nobody defined are ignored",
    severity=Severity.MUST,
    source="RUNNING_AND_DEVELOPING.md: its first example has such a member",
    remedy="Read the members you know and leave the others alone.",
)
def extra_members_are_ignored(target: TargetLab) -> Iterator[Finding]:
    """Unknown members in a SCHEMA and in a RECORD."""
    yield from taken_whole(target, "extra members")


_NASTY_PLACES = (1, 17, 40, 41, 43, 79)


def _load_in_pieces(
    place: Destination, data: bytes, sent: list[Sent], *, environment: dict[str, str | None] | None = None
) -> Load:
    """Write an input in pieces that end within lines and characters, each after the one before has been read."""
    step = len(data) // 4
    cuts = sorted({0, len(data), *(start + at for at in range(0, len(data), step) for start in _NASTY_PLACES)})
    with place.start(environment=environment) as running:
        for begin, end in pairwise(cuts):
            running.write(data[begin:end])
            running.wait_drained()
        running.close_stdin()
        return place.finish(running, sent)


@target_rule(
    "TGT-148",
    "it does not matter in which pieces the input arrives",
    severity=Severity.MUST,
    source="RUNNING_AND_DEVELOPING.md, Targets read lines from stdin, a pipe that knows no messages",
    remedy="Collect what a read gives until there is a line feed; a read may end anywhere, even within a character.",
)
def input_may_arrive_in_pieces(target: TargetLab) -> Iterator[Finding]:
    """Write the input in pieces that end within lines and characters, each after the one before has been read."""
    if lines_are_taken_in_any_form(target):
        return
    messages = few("pieces", state({"n": 1}), names=(_WIDE, "zwei", "drei"))
    place = target.fresh()
    load = _load_in_pieces(place, place.input_of(messages), messages)
    if load.ok:
        yield from lost(target, place, messages, "pieces")
    else:
        yield Finding(f"input in pieces fails: {load.ending()}", stream="pieces")
