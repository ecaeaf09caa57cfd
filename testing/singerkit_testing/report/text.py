"""Words that all reports share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from singerkit_testing.rules import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singerkit_testing.rules import Finding, Result

MOST_SHOWN = 3
LABELS = {
    Verdict.FAIL: "must broken",
    Verdict.ERROR: "not judged",
    Verdict.WARN: "should broken",
    Verdict.INFO: "worth knowing",
    Verdict.SKIPPED: "not applied",
    Verdict.PASS: "kept",
}
MARKS = {
    Verdict.FAIL: "✗",
    Verdict.ERROR: "?",
    Verdict.WARN: "!",
    Verdict.INFO: "i",
    Verdict.SKIPPED: "–",
    Verdict.PASS: "✓",
}


def explanation(result: Result) -> Iterator[str]:
    """Explain a result in lines of plain text: what was found and shown, where the rule is from, what to do."""
    for finding in result.findings[:MOST_SHOWN]:
        yield said(finding)
        if finding.evidence:
            yield f"  {finding.evidence}"
    if len(result.findings) > MOST_SHOWN:
        yield more(result)
    if result.note:
        yield result.note
    yield f"source: {result.rule.source}"
    yield f"remedy: {result.rule.remedy}"


def said(finding: Finding) -> str:
    """Give a finding's sentence, with its stream unless it names that already."""
    is_named = finding.stream is None or finding.stream in finding.message
    return finding.message if is_named else f"{finding.stream}: {finding.message}"


def more(result: Result) -> str:
    """Say how many findings are not shown."""
    return f"and {len(result.findings) - MOST_SHOWN} more of the kind"


def printable(text: str) -> str:
    """Show control characters instead of letting a terminal or an XML parser act on them."""
    return "".join(char if char.isprintable() or char in "\n " else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()
