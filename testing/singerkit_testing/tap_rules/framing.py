"""Lines and JSON: what a program must be able to rely on before it looks at any content."""

from __future__ import annotations

from typing import TYPE_CHECKING

from singerkit_testing.rules import Finding, Severity, tap_rule
from singerkit_testing.wire import Flaw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singerkit_testing.tap_lab import TapLab, TapRun


@tap_rule(
    "TAP-001",
    "stdout carries only messages",
    severity=Severity.MUST,
    source="SPEC.md, Output: logs go to stderr, messages to stdout",
    remedy="Write logs and prints to stderr; nothing but messages may reach stdout.",
)
def stdout_carries_only_messages(tap: TapLab) -> Iterator[Finding]:
    """Every line that is not blank is JSON; a last line that breaks off is TAP-010's."""
    for line in tap.full.transcript.lines:
        problem = line.problem(Flaw.NOT_JSON)
        if problem and not (line.problem(Flaw.NO_LINE_FEED) and line.text.startswith(b"{")):
            yield Finding(f"line {line.number} of stdout is no JSON: {problem.text}", line)


@tap_rule(
    "TAP-002",
    "each message is one JSON object on one line",
    severity=Severity.MUST,
    source="SPEC.md, Output: each message on a line of its own",
    remedy="Write one compact JSON object per message and end it with one line feed.",
)
def each_message_is_one_object(tap: TapLab) -> Iterator[Finding]:
    """No lists, no scalars, no object spread over lines."""
    for line in tap.full.transcript.lines:
        if line.problem(Flaw.NOT_JSON) and line.text.strip() in (b"{", b"["):
            yield Finding(f"line {line.number} only opens a JSON document: messages are spread over lines", line)
        elif not isinstance(line.value, dict) and not line.problem(Flaw.NOT_JSON, Flaw.BLANK):
            yield Finding(f"line {line.number} is JSON, but no object", line)


@tap_rule(
    "TAP-003",
    "each message has a text as its type",
    severity=Severity.MUST,
    source="SPEC.md, Output: every message has a type",
    remedy='Give each message a member "type".',
)
def each_message_has_a_type(tap: TapLab) -> Iterator[Finding]:
    """`type` is there, and a text."""
    for line in tap.full.transcript.lines:
        if isinstance(line.value, dict) and not isinstance(line.value.get("type"), str):
            yield Finding(f"line {line.number} has no text as its type", line)


@tap_rule(
    "TAP-004",
    "messages are strict JSON in UTF-8",
    severity=Severity.MUST,
    source="SPEC.md, Output (JSON messages); RFC 8259",
    remedy="Encode with a strict JSON encoder: NaN and Infinity become null, text is UTF-8 without byte order mark.",
)
def messages_are_strict_json(tap: TapLab) -> Iterator[Finding]:
    """No NaN, no other encoding, no byte order mark, no half surrogate pairs."""
    for line in tap.full.transcript.lines:
        problem = line.problem(Flaw.NOT_UTF8, Flaw.NOT_A_NUMBER, Flaw.BYTE_ORDER_MARK, Flaw.LONE_SURROGATE)
        if problem:
            yield Finding(f"line {line.number}: {problem.flaw}: {problem.text}", line)


@tap_rule(
    "TAP-005",
    "only a line feed ends a message",
    severity=Severity.INFO,
    source="SPEC.md, Output; most readers forgive a carriage return before it",
    remedy="End lines with LF alone, on every system.",
)
def only_a_line_feed_ends_a_message(tap: TapLab) -> Iterator[Finding]:
    """Carriage returns at the ends of lines, counted. Other separators within texts are data, and fine."""
    found = [line for line in tap.full.transcript.lines if line.problem(Flaw.CARRIAGE_RETURN)]
    if found:
        yield Finding(f"{len(found)} lines end with CR LF", found[0])


@tap_rule(
    "TAP-006",
    "there are no blank lines",
    severity=Severity.SHOULD,
    source="custom: no target that was tried takes one",
    remedy="End each message with exactly one line feed.",
)
def no_blank_lines(tap: TapLab) -> Iterator[Finding]:
    """Blank lines, counted."""
    found = [line for line in tap.full.transcript.lines if line.problem(Flaw.BLANK)]
    if found:
        yield Finding(f"{len(found)} blank lines; the first is line {found[0].number}")


@tap_rule(
    "TAP-007",
    "no object has a member twice",
    severity=Severity.MUST,
    source="RFC 8259, section 4: the first value is lost in most parsers",
    remedy="Build messages as dictionaries and encode those; never put JSON together as text.",
)
def no_member_twice(tap: TapLab) -> Iterator[Finding]:
    """Duplicate keys at any depth."""
    for line in tap.full.transcript.lines:
        problem = line.problem(Flaw.DUPLICATE_KEY)
        if problem:
            yield Finding(f"line {line.number}: {problem.text}", line)


@tap_rule(
    "TAP-010",
    "stdout ends with a whole message, even after a failure",
    severity=Severity.MUST,
    source="SPEC.md, Output: each message on a line of its own",
    remedy="Write a message and its line feed in one piece, and flush before the process ends.",
)
def stdout_ends_with_a_whole_message(tap: TapLab) -> Iterator[Finding]:
    """Look at the full sync, and at syncs that fail."""
    broken = [(run, f"with the broken config {number}") for number, (_, run) in enumerate(tap.broken, start=1)]
    for run, when in [(tap.full, "in a full sync"), (tap.refused_state, "after a state that can't be read"), *broken]:
        if not run.timed_out and _is_cut(run):
            yield Finding(f"stdout ends within a line {when}", run.transcript.lines[-1])


def _is_cut(run: TapRun) -> bool:
    lines = run.transcript.lines
    return bool(lines) and not run.cut and lines[-1].problem(Flaw.NO_LINE_FEED) is not None
