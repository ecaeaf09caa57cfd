"""What is no valid message must end the run with an error, not be skipped: skipping is losing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from singerkit_testing.messages import ID, Sent, line_of, record, schema, state
from singerkit_testing.outcomes import error_lines, explains, is_readable_failure, lost, unclear
from singerkit_testing.rules import Finding, Severity, target_rule
from singerkit_testing.target_rules.framing import few

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singerkit_testing.target_lab import Load, TargetLab

_BAD_LINE = b'{"type":"RECORD","stream":"bad","record":{"id":9,}}'


def _run_with_bad_line(target: TargetLab) -> Load:
    first, *rest = few("bad", record("bad", id=3, name="three"), state({"n": 3}))
    return target.remember("bad line", lambda: target.load([first, rest[0], _BAD_LINE, *rest[1:]]))


@target_rule(
    "TGT-010",
    "a line that is no JSON ends the run",
    severity=Severity.MUST,
    source="BEST_PRACTICES.md, Logging and exceptions; no record may be lost",
    remedy="Let the parser's error end the process with another exit code than 0, and name the number of the line.",
)
def a_bad_line_ends_the_run(target: TargetLab) -> Iterator[Finding]:
    """Spoil the third of six lines: an error must name it, and nothing after it counts."""
    load = _run_with_bad_line(target)
    if load.ok:
        yield Finding("exit code 0 although a line was no JSON", _BAD_LINE)
    elif not explains(load, ["line 3", "line: 3", "line=3", "line number 3", '"id":9']):
        yield Finding(f"the error names neither line 3 nor its text: {load.last_words()}", severity=Severity.SHOULD)
    if load.states:
        yield Finding("a state after the bad line was released", load.stdout)
    if target.reader is not None and not load.ok and len(load.rows("bad")) > 1:
        yield Finding("records after the bad line were loaded", load.rows("bad"))


@target_rule(
    "TGT-011",
    "a last line that is cut off ends the run with an error",
    severity=Severity.MUST,
    source="SPEC.md, Output: one whole JSON object per line; the tap may have been killed",
    remedy="Parse what is left at the end of input as a line, and fail if it is none.",
)
def a_cut_line_is_an_error(target: TargetLab) -> Iterator[Finding]:
    """Cut the last line after its first byte, in its middle, after a brace, and before its last byte."""
    last = record("cut", id=3, name="three")
    line = line_of(last)
    for length in (1, line.index(b"three") + 2, len(line) - 2, len(line) - 1):
        load = target.load([*few("cut", state({"n": 2})), line[:length]], last_line_end=b"")
        if load.ok:
            yield Finding(f"exit code 0 although the last line was cut after {length} bytes", line[:length])


_INCOMPLETE: tuple[tuple[bytes, tuple[str, ...]], ...] = (
    (b"[1]", ("object", "message", "array", "list")),
    (b'"RECORD"', ("object", "message", "string", "text", "str")),
    (b'{"stream":"gaps","record":{"id":9}}', ("type",)),
    (b'{"type":"RECORD","record":{"id":9}}', ("stream",)),
    (b'{"type":"RECORD","stream":"gaps"}', ("record",)),
    (b'{"type":"SCHEMA","stream":"gaps","key_properties":["id"]}', ("schema",)),
    (b'{"type":"SCHEMA","schema":{"type":"object"},"key_properties":[]}', ("stream",)),
    (b'{"type":"STATE"}', ("value",)),
)


@target_rule(
    "TGT-012",
    "a message that lacks a required member ends the run",
    severity=Severity.MUST,
    source="SPEC.md, Output: the members of each message",
    remedy="Check each message for its members, and say in the error which one is missing.",
)
def incomplete_messages_are_refused(target: TargetLab) -> Iterator[Finding]:
    """No object, no type, no stream, no record, no schema, no value."""
    for line, words in _INCOMPLETE:
        load = target.load([*few("gaps"), line])
        if load.ok:
            yield Finding("exit code 0 after a message that is none", line)
        else:
            yield from unclear(load, words, line)


@target_rule(
    "TGT-013",
    "a record that is no object ends the run",
    severity=Severity.MUST,
    source="SPEC.md, RECORD: `record` is a map",
    remedy="Check that `record` is an object; null, a list or a text is an error, not an empty record.",
)
def a_record_is_an_object(target: TargetLab) -> Iterator[Finding]:
    """Null, a list and a text for a record."""
    for value in (b"null", b"[1]", b'"text"'):
        line = b'{"type":"RECORD","stream":"shape","record":' + value + b"}"
        load = target.load([*few("shape"), line, state({"n": 3})])
        if load.ok:
            yield Finding("exit code 0 after a record that is no object", line, stream="shape")


@target_rule(
    "TGT-014",
    "a message of an unknown type is skipped with a warning",
    severity=Severity.SHOULD,
    source="SPEC.md, Output: `type` may be another one",
    remedy="Warn about messages of types you don't know and go on; but refuse BATCH, which carries records.",
)
def unknown_types_are_skipped(target: TargetLab) -> Iterator[Finding]:
    """Send a type from the future between two records."""
    first, one, two = few("future")
    load = target.load([first, one, b'{"type":"FUTURE_THING","foo":1}', two])
    if not load.ok:
        yield Finding(f"an unknown type ends the run: {load.ending()}")
        return
    yield from _silent_loss(target, load, [first, one, two], "future")


@target_rule(
    "TGT-015",
    "the type of a message may be in any letter case",
    severity=Severity.SHOULD,
    source="SPEC.md, Output: `type` is case insensitive",
    remedy="Compare types in upper case; a type you don't take must never be skipped if it carries records.",
)
def types_are_case_insensitive(target: TargetLab) -> Iterator[Finding]:
    """All types in lower case: loaded, or at least refused."""
    messages = few("lower", state({"n": 2}))
    load = target.load([line_of(message).replace(_type(message), _type(message).lower(), 1) for message in messages])
    if not load.ok:
        yield Finding(f"types in lower case are refused: {load.ending()}")
        return
    yield from _silent_loss(target, load, messages, "lower")
    if not load.states:
        yield Finding("a state whose type is in lower case was skipped, with exit code 0", severity=Severity.MUST)


def _type(message: Sent) -> bytes:
    return b"" if isinstance(message, bytes) else b'"' + message["type"].encode() + b'"'


@target_rule(
    "TGT-016",
    "records that come in a way the target does not take end the run",
    severity=Severity.MUST,
    source="RUNNING_AND_DEVELOPING.md, Targets: a state means that all before it is stored",
    remedy="Refuse BATCH messages if you can't load them, and fail if their files are missing.",
)
def a_batch_that_is_not_loaded_ends_the_run(target: TargetLab) -> Iterator[Finding]:
    """Name a file that does not exist: whoever ends with 0 has skipped it."""
    place = target.fresh()
    batch = {
        "type": "BATCH",
        "stream": "absent",
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "manifest": [f"file://{place.work}/absent.jsonl.gz"],
    }
    load = place.load([schema("absent", {"id": ID}, ["id"]), batch, state({"n": 1})])
    if load.ok:
        yield Finding("exit code 0 after a BATCH whose records can't have been loaded", line_of(batch))
    if load.states:
        yield Finding("a state after such a BATCH was released", load.stdout)


@target_rule(
    "TGT-018",
    "a fatal error is one line that a person can read",
    severity=Severity.SHOULD,
    source="BEST_PRACTICES.md, Logging and exceptions: CRITICAL or FATAL for the error that ends the run",
    remedy="Catch what is wrong with the input at the top, log one line at level CRITICAL, exit with another code.",
)
def a_fatal_error_is_readable(target: TargetLab) -> Iterator[Finding]:
    """Look at the log of a run over a line that is no JSON."""
    load = _run_with_bad_line(target)
    if not load.ok and not is_readable_failure(load):
        yield Finding(f"the log holds a bare traceback or nothing: {load.last_words()}", "\n".join(error_lines(load)))


@target_rule(
    "TGT-030",
    "a record without a schema is loaded or refused, never dropped",
    severity=Severity.MUST,
    source="SPEC.md, SCHEMA; DISCOVERY_MODE.md: schemas are required",
    remedy="Raise an error that names the stream when a RECORD comes before its SCHEMA.",
)
def a_record_without_schema_is_not_dropped(target: TargetLab) -> Iterator[Finding]:
    """Send a RECORD of a stream that had no SCHEMA."""
    messages = [*few("known"), record("schemaless", id=1, name="one"), state({"n": 1})]
    load = target.load(messages)
    if load.ok:
        yield from _silent_loss(target, load, messages, "schemaless")
    else:
        yield from unclear(load, ["schemaless"], messages[-2])


def _silent_loss(target: TargetLab, load: Load, messages: list[Sent], stream: str) -> Iterator[Finding]:
    for finding in lost(target, load.destination, messages, stream):
        yield Finding(finding.message, finding.evidence, stream, Severity.MUST)
