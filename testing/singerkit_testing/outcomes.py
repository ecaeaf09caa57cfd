"""What the rules for targets ask of a load: was it taken whole, was it refused in plain words, was anything lost."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from singerkit_testing.messages import line_of
from singerkit_testing.model import expected_rows, keys_of
from singerkit_testing.rules import Finding, Severity
from singerkit_testing.values import differences, equal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from singerkit_testing.messages import Sent
    from singerkit_testing.process import Outcome
    from singerkit_testing.readers import Row
    from singerkit_testing.target_lab import Destination, TargetLab

# How programs mark the line that says why they end: log levels, `error:` of argument parsers, structured logs.
_MARKED = re.compile(
    r"\b(CRITICAL|FATAL|ERROR)\b|^(\S+: )?error:|\"level\": ?\"(critical|fatal|error)|level=error", re.I
)
_BARE = re.compile(r"^(Type|Key|Attribute|Assertion|Index|Name|UnboundLocal|Recursion|ZeroDivision)Error\b")
_TRACEBACK = "Traceback (most recent call last)"


def taken_whole(target: TargetLab, name: str) -> Iterator[Finding]:
    """Judge a registered case that every target must load: refused or changed, both are findings."""
    shared = target.shared(name)
    if shared.ok:
        for stream in shared.streams:
            yield from lost(target, shared.load.destination, shared.sent, stream)
    else:
        yield Finding(f"refused: {shared.load.ending()}", line_of(shared.sent[-1]), stream=shared.streams[0])


def taken_or_refused(target: TargetLab, name: str, *, refusal: Severity | None = Severity.SHOULD) -> Iterator[Finding]:
    """Judge a case that a target may refuse: nothing may be lost in silence; `refusal` is what refusing weighs.

    With `refusal` None refusing is as good as loading, if the words of the error say what it is about.
    """
    shared = target.shared(name)
    stream = shared.streams[0]
    if shared.ok:
        yield from lost(target, shared.load.destination, shared.sent, stream)
    elif refusal is None:
        yield from unclear(shared.load, [stream], shared.sent[-1])
    else:
        yield Finding(f"refused: {shared.load.ending()}", line_of(shared.sent[-1]), stream=stream, severity=refusal)


def lost(
    target: TargetLab, destination: Destination, messages: Iterable[Sent], stream: str, *, at_least: bool = False
) -> Iterator[Finding]:
    """Compare a stream of an accepted load with what must be there; nothing without a reader.

    Shape: `at_least` allows for rows that are there once more.
    """
    if target.reader is None:
        return
    sent = list(messages)
    rows = destination.rows(stream)
    expected = expected_rows(sent, stream, target.load_method)
    keys = keys_of(sent, stream)
    found = differences(expected, rows, keys=keys, blank_is_null=destination.reader.text_only)
    if at_least:
        found.surplus.clear()
    for sentence in found.sentences():
        yield Finding(f"exit code 0, but {sentence}", stream=stream)


def unclear(
    load: Outcome, words: Sequence[str], evidence: Sent | str = "", *, stream: str | None = None
) -> Iterator[Finding]:
    """Judge a refusal: a person must be able to tell from the error what is wrong (one of the words is in it)."""
    shown = line_of(evidence) if isinstance(evidence, dict) else evidence
    if load.timed_out:
        yield Finding(f"neither loaded nor refused: {load.how_it_ended()}", shown, stream=stream)
    elif load.exit_code < 0:
        yield Finding(f"refused by a crash: {load.ending()}", shown, stream=stream)
    elif not explains(load, words):
        named = " or ".join(words)
        yield Finding(
            f"refused, but the error does not name {named}: {load.last_words()}",
            shown,
            stream=stream,
            severity=Severity.SHOULD,
        )


def explains(load: Outcome, words: Sequence[str]) -> bool:
    """Whether one of the words stands in the error, outside of tracebacks and of exceptions of the language itself."""
    text = "\n".join(error_lines(load)).lower()
    return any(word.lower() in text for word in words)


def error_lines(load: Outcome) -> list[str]:
    """Give what a person reads as the error: from the first line that is marked as one, else the last line."""
    lines = [line for line in load.errors.splitlines() if line.strip()]
    marked = next((number for number, line in enumerate(lines) if _is_marked(line)), max(len(lines) - 1, 0))
    return [line for line in lines[marked:] if not line.startswith("  ") and not _is_bare(line)]


def is_readable_failure(load: Outcome) -> bool:
    """Whether the log marks the error as one, or at least says something else than a traceback."""
    lines = load.errors.splitlines()
    return any(map(_is_marked, lines)) or (bool(load.errors.strip()) and _TRACEBACK not in load.errors)


def _is_marked(line: str) -> bool:
    return not line.startswith("  ") and not _is_bare(line) and _MARKED.search(line) is not None


def _is_bare(line: str) -> bool:
    return line.startswith(_TRACEBACK) or _BARE.match(line) is not None


def holds(row: Row, value: Any) -> bool:
    """Whether a value stands in any column of a row, whatever its name."""
    return any(equal(value, each) for each in row.values())


def tables_with(tables: Iterable[list[Row]], marker: str) -> list[int]:
    """Give the numbers of the tables that hold a text anywhere."""
    return [number for number, rows in enumerate(tables) if any(marker in str(row) for row in rows)]
