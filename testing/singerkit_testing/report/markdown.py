"""The judgement as Markdown, for a pull request or a build's summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from singerkit_testing.judgement import same_notes, topics_of
from singerkit_testing.report.text import LABELS, MARKS, MOST_SHOWN, more, printable, said
from singerkit_testing.rules import Result, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singerkit_testing.judgement import Judgement

_SHOWN = (Verdict.FAIL, Verdict.WARN, Verdict.INFO)


def write(judgement: Judgement) -> str:
    """Give a headline, a table of topics, and a section for each rule that was not kept."""
    return "\n".join(_lines(judgement)) + "\n"


def _lines(judgement: Judgement) -> Iterator[str]:
    yield from (f"## {judgement.name}", "", f"{judgement.sentence()}.", "")
    counted = [verdict for verdict, count in judgement.counts.items() if count]
    yield f"| topic | {' | '.join(LABELS[verdict] for verdict in counted)} |"
    yield f"|---|{'--:|' * len(counted)}"
    for topic, results in topics_of(judgement.results).items():
        verdicts = [result.verdict for result in results]
        yield f"| {topic} | {' | '.join(str(verdicts.count(verdict) or '') for verdict in counted)} |"
    for note, unjudged in same_notes(judgement.with_verdict(Verdict.ERROR)).items():
        yield from ("", f"Not judged: {', '.join(result.rule.id for result in unjudged)}: {printable(note)}")
    for result in judgement.with_verdict(*_SHOWN):
        yield from _section(result)


def _section(result: Result) -> Iterator[str]:
    rule = result.rule
    yield from ("", f"### {MARKS[result.verdict]} {rule.id} {rule.title} ({LABELS[result.verdict]})", "")
    if result.note:
        yield f"- {printable(result.note)}"
    for finding in result.findings[:MOST_SHOWN]:
        yield f"- {printable(said(finding))}"
        if finding.evidence:
            yield f"  ```\n  {printable(finding.evidence).replace(chr(10), chr(10) + '  ')}\n  ```"
    if len(result.findings) > MOST_SHOWN:
        yield f"- {more(result)}"
    yield from ("", f"Source: {rule.source}. Remedy: {rule.remedy}")
