"""What goes in: a mapper stands where a target would, so it takes lines as targets do."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from singerkit_testing.mapper_input import ORDERS, columns, rows
from singerkit_testing.mapper_lab import input_of
from singerkit_testing.mapper_rules.flow import contents, volatile
from singerkit_testing.messages import line_of, state
from singerkit_testing.outcomes import error_lines, is_readable_failure
from singerkit_testing.rules import Finding, Severity, mapper_rule
from singerkit_testing.values import identity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singerkit_testing.mapper_lab import MapperLab, MapperRun
    from singerkit_testing.messages import Message

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PLACES = (1, 17, 40, 41, 43, 79)


def few() -> list[Message]:
    """Make a small stream, with characters of several bytes, and a state."""
    return [columns(ORDERS), *rows(ORDERS, range(1, 5), text="ä😀" * 20), state({"n": 4})]


def _plain(mapper: MapperLab) -> MapperRun:
    _ = mapper.mapped
    return mapper.remember("few", lambda: mapper.map(few()))


def _otherwise(mapper: MapperLab, run: MapperRun, how: str, refusal: Severity | None) -> Iterator[Finding]:
    """Compare a run with the plain one; `refusal` is what refusing weighs, losing is always grave."""
    if not run.ok:
        yield Finding(f"{how}: refused: {run.ending()}", severity=refusal)
        return
    plain, ignored = _plain(mapper).transcript, volatile(mapper)
    if contents(run.transcript.records, ignored) != contents(plain.records, ignored):
        numbers = f"{len(run.transcript.records)} instead of {len(plain.records)}"
        yield Finding(f"{how}: other records come out, {numbers}", severity=Severity.MUST)
    if [identity(each.state) for each in run.transcript.states] != [identity(each.state) for each in plain.states]:
        yield Finding(f"{how}: other states come out", severity=Severity.MUST)


@mapper_rule(
    "EXT-012g",
    "it does not matter in which pieces the input arrives, nor whether its last line has a line feed",
    severity=Severity.MUST,
    source="TGT-003 and TGT-148: stdin is a pipe that knows no messages",
    remedy="Collect what a read gives until there is a line feed, and take what is left at the end as a line.",
)
def input_may_arrive_in_pieces(mapper: MapperLab) -> Iterator[Finding]:
    """Write pieces that end within lines and characters, each after the one before has been read."""
    _ = _plain(mapper)
    data = input_of(few())
    steps = range(0, len(data), max(1, len(data) // 4))
    cuts = sorted({0, len(data), *(min(len(data), at + place) for at in steps for place in _PLACES)})
    with mapper.start() as running:
        for begin, end in pairwise(cuts):
            running.write(data[begin:end])
            running.wait_drained()
        running.close_stdin()
        run = mapper.finish(running)
    yield from _otherwise(mapper, run, "input in pieces", None)
    yield from _otherwise(mapper, mapper.run(stdin=data.removesuffix(b"\n")), "without the last line feed", None)


@mapper_rule(
    "EXT-012h",
    "CRLF, a byte order mark and blank lines do no harm",
    severity=Severity.SHOULD,
    source="TGT-004 and TGT-005: files made on other systems",
    remedy="Strip the CR and the mark, skip blank lines; refusing is better than losing.",
)
def odd_lines_do_no_harm(mapper: MapperLab) -> Iterator[Finding]:
    """Each of them in a run of its own: taken whole, or refused, which is less good."""
    first, second, *rest = few()
    yield from _otherwise(mapper, mapper.run(stdin=input_of(few(), b"\r\n")), "CRLF", None)
    marked = mapper.run(stdin=_BYTE_ORDER_MARK + input_of(few()))
    yield from _otherwise(mapper, marked, "a byte order mark", Severity.INFO)
    blank = mapper.map([first, b"", second, b"  ", *rest])
    yield from _otherwise(mapper, blank, "blank lines", Severity.INFO)


_GARBAGE = (
    ("no JSON", b'{"type":"RECORD","stream":"check_orders","record":{"id":9,}}\n'),
    ("no object", b"[1]\n"),
    ("no type", b'{"stream":"check_orders","record":{"id":9}}\n'),
    ("no UTF-8", b'{"type":"RECORD","stream":"check_orders","record":{"id":9,"text":"\xff"}}\n'),
    ("cut off", b'{"type":"RECORD","stream":"check_orders","record":{"id":9'),
)


@mapper_rule(
    "EXT-012i",
    "what is no message ends the run with an error that a person can read, and no state after it comes out",
    severity=Severity.MUST,
    source="TGT-007, TGT-010 to TGT-012 and TGT-018: skipping is losing",
    remedy="Let the parser's error end the process with another exit code than 0, and log one line at level CRITICAL.",
)
def garbage_is_refused(mapper: MapperLab) -> Iterator[Finding]:
    """Lines that are no JSON, no object, no UTF-8, that have no type, or are cut off at the end of the input."""
    _ = mapper.mapped
    for what, line in _GARBAGE:
        after = input_of([state({"after": 1})]) if line.endswith(b"\n") else b""
        run = mapper.run(stdin=input_of(few()) + line + after)
        if run.ok:
            yield Finding(f"exit code 0 although a line was {what}", line)
        elif run.timed_out or run.exit_code < 0:
            yield Finding(f"a line that is {what}: {run.ending()}", line)
        elif not is_readable_failure(run):
            said = f"a line that is {what}: the log holds a bare traceback or nothing: {run.last_words()}"
            yield Finding(said, "\n".join(error_lines(run)), severity=Severity.SHOULD)
        if any(identity(each.state) == identity({"after": 1}) for each in run.transcript.states):
            yield Finding(f"a state after a line that is {what} came out", line)


@mapper_rule(
    "EXT-012j",
    "unknown types of messages pass or are skipped, and types may be in any letter case",
    severity=Severity.SHOULD,
    source="SPEC.md, Output: `type` is case insensitive, and may be another one",
    remedy="Compare types in upper case; let pass what you don't know.",
)
def types_may_be_odd(mapper: MapperLab) -> Iterator[Finding]:
    """Send a type from the future between two records, then all types in lower case."""
    _ = _plain(mapper)
    first, second, *rest = few()
    future = mapper.map([first, second, b'{"type":"FUTURE_THING","foo":1}', *rest])
    yield from _otherwise(mapper, future, "a type from the future", None)
    lower = [line_of({**message, "type": message["type"].lower()}) for message in few()]
    yield from _otherwise(mapper, mapper.map(lower), "types in lower case", None)


@mapper_rule(
    "EXT-012k",
    "empty input is no error",
    severity=Severity.MUST,
    source="TGT-002: a tap may have nothing to say",
    remedy="Treat the end of input as success even before the first message, and write nothing.",
)
def empty_input_is_no_error(mapper: MapperLab) -> Iterator[Finding]:
    """No message: exit code 0 and nothing on stdout."""
    run = mapper.run()
    if not run.ok:
        yield Finding(f"empty input fails: {run.ending()}")
    if run.stdout:
        yield Finding("empty input gives output", run.stdout)
