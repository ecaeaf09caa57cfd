"""Valid streams are taken in whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from singerkit_testing.messages import BOOLEAN, ID, TEXT, Message, record, schema, state
from singerkit_testing.rules import Finding, Severity, target_rule
from singerkit_testing.target_lab import case
from singerkit_testing.target_rules.framing import lines_are_taken_in_any_form

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singerkit_testing.target_lab import TargetLab


@target_rule(
    "TGT-001",
    "a plain stream is loaded, and exit code 0 says so",
    severity=Severity.MUST,
    source="RUNNING_AND_DEVELOPING.md, Targets: read messages from stdin and persist them",
    remedy="Write every record before the process ends with exit code 0; flush the last batch at the end of input.",
)
def a_plain_stream_is_loaded(target: TargetLab) -> Iterator[Finding]:
    """Three records with a key: accepted, and there afterwards if there is a reader."""
    load = target.baseline
    if not load.ok:
        yield Finding(f"three plain records were not loaded: {load.ending()}")
    elif target.reader is not None:
        rows = load.rows("baseline")
        if {str(row.get("name")) for row in rows} < {"two", "eve"}:
            yield Finding(f"exit code 0, but of three records {len(rows)} are there", rows, stream="baseline")


@target_rule(
    "TGT-002",
    "empty input is no error",
    severity=Severity.MUST,
    source="RUNNING_AND_DEVELOPING.md, Targets; follows from reading messages until the end of input",
    remedy="Treat the end of input as success even before the first message.",
)
def empty_input_is_no_error(target: TargetLab) -> Iterator[Finding]:
    """No message: exit code 0 and nothing on stdout."""
    load = target.load([])
    if not load.ok:
        yield Finding(f"empty input fails: {load.ending()}")
    if load.stdout:
        yield Finding("empty input gives output", load.stdout)


@target_rule(
    "TGT-003",
    "the last line counts without its line feed",
    severity=Severity.MUST,
    source="RUNNING_AND_DEVELOPING.md, Targets; no record may be lost",
    remedy="Process what is left in the buffer at the end of input.",
)
def last_line_without_line_feed(target: TargetLab) -> Iterator[Finding]:
    """Leave the LF after the last record out."""
    if lines_are_taken_in_any_form(target):
        return
    rows = [record("tail", id=number, name=f"row {number}") for number in (1, 2)]
    messages = [schema("tail", {"id": ID, "name": TEXT}, ["id"]), rows[0], state({"n": 1}), rows[1]]
    load = target.load(messages, last_line_end=b"")
    if not load.ok:
        yield Finding(f"input without a final line feed fails: {load.ending()}")
    elif target.reader is not None and len(load.rows("tail")) != 2:
        yield Finding("the record on the last line is missing", messages[-1], stream="tail")


@case("booleans")
def _booleans() -> Iterator[Message]:
    yield schema("booleans", {"id": ID, "yes": BOOLEAN, "word": TEXT}, ["id"])
    yield record("booleans", id=1, yes=True, word="false")
    yield record("booleans", id=2, yes=False, word="true")
    yield record("booleans", id=3, yes=None, word=None)


@target_rule(
    "TGT-075",
    "booleans stay booleans",
    severity=Severity.MUST,
    source="RUNNING_AND_DEVELOPING.md, Targets; JSON Schema type boolean",
    remedy="Map boolean to the destination's boolean (or 0 and 1), and keep the word 'false' a text.",
    needs=["reader"],
)
def booleans_stay_booleans(target: TargetLab) -> Iterator[Finding]:
    """Load true, false and null, and the words for them."""
    shared = target.shared("booleans")
    for sentence in shared.difference("booleans", keys=["id"]).sentences():
        yield Finding(sentence, stream="booleans")
