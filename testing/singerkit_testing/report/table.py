"""The judgement for a person at a terminal: a table of topics, then every breach explained."""

from __future__ import annotations

import io
import shutil
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from singerkit_testing.judgement import same_notes, topics_of
from singerkit_testing.report.text import LABELS, MARKS, MOST_SHOWN, more, printable, said
from singerkit_testing.rules import Result, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singerkit_testing.judgement import Judgement
    from singerkit_testing.rules import Finding

STYLES = {
    Verdict.FAIL: "bold red",
    Verdict.ERROR: "bold magenta",
    Verdict.WARN: "yellow",
    Verdict.INFO: "cyan",
    Verdict.SKIPPED: "dim",
    Verdict.PASS: "green",
}
_EXPLAINED = (Verdict.INFO, Verdict.WARN, Verdict.FAIL)  # the worst comes last: nearest to the prompt


def write(judgement: Judgement) -> str:
    """Give it as plain text, as wide as the terminal."""
    text = io.StringIO()
    show(judgement, Console(file=text, width=shutil.get_terminal_size((100, 24)).columns, no_color=True))
    return text.getvalue()


def show(judgement: Judgement, console: Console, *, strict: bool = False, verbose: bool = False) -> None:
    """Print it; `verbose` explains what was not applied, and lists what was kept."""
    console.print()
    console.print(_topics(judgement))
    if verbose:
        console.print(_list(judgement))
    for note, results in same_notes(judgement.with_verdict(Verdict.ERROR)).items():
        console.print(_not_judged(note, results))
    for result in judgement.with_verdict(*_EXPLAINED):
        console.print(_explained(result))
    console.print()
    console.print(_headline(judgement, strict=strict))
    broken = judgement.with_verdict(Verdict.FAIL, Verdict.WARN) or judgement.with_verdict(Verdict.ERROR)
    if broken:
        console.print(Text(f"again: --rules {','.join(result.rule.id for result in broken)}", "dim"), soft_wrap=True)


def _topics(judgement: Judgement) -> Table:
    counted = [verdict for verdict, count in judgement.counts.items() if count]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=True)
    table.add_column("topic", footer="all")
    for verdict in counted:
        table.add_column(
            Text(LABELS[verdict], STYLES[verdict]),
            justify="right",
            footer=Text(str(judgement.counts[verdict]), STYLES[verdict]),
        )
    for topic, results in topics_of(judgement.results).items():
        verdicts = [result.verdict for result in results]
        cells = [(verdict, verdicts.count(verdict)) for verdict in counted]
        table.add_row(topic, *(Text(str(count) if count else "", STYLES[verdict]) for verdict, count in cells))
    return table


def _list(judgement: Judgement) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for result in judgement.results:
        style = STYLES[result.verdict]
        table.add_row(
            Text(MARKS[result.verdict], style),
            result.rule.id,
            Text(
                result.rule.title + (f" ({result.note})" if result.note else ""), style="" if style != "dim" else "dim"
            ),
            Text(f"{result.seconds:.1f} s", "dim"),
        )
    return table


def _not_judged(note: str, results: list[Result]) -> RenderableType:
    style = STYLES[Verdict.ERROR]
    ids = ", ".join(result.rule.id for result in results)
    head = Text.assemble((f"{MARKS[Verdict.ERROR]} {LABELS[Verdict.ERROR]}", style), f"  {ids}")
    return Group(Text(), head, Padding(Text(printable(note)), (0, 0, 0, 4)))


def _explained(result: Result) -> RenderableType:
    rule = result.rule
    style = STYLES[result.verdict]
    head = Text.assemble(
        (f"{MARKS[result.verdict]} {rule.id}", style), f"  {rule.title}  ", (f"{LABELS[result.verdict]}", style)
    )
    return Group(Text(), head, Padding(Group(*_body(result)), (0, 0, 0, 4)))


def _body(result: Result) -> Iterator[RenderableType]:
    for finding in result.findings[:MOST_SHOWN]:
        yield from _finding(finding)
    if len(result.findings) > MOST_SHOWN:
        yield Text(more(result), "dim")
    if result.note:
        yield Text(printable(result.note))
    if result.verdict is Verdict.INFO:
        return  # nothing to be done about it
    grid = Table.grid(padding=(0, 1))
    grid.add_row(Text("source", "dim"), Text(result.rule.source, "dim"))
    grid.add_row(Text("remedy", "dim"), Text(result.rule.remedy))
    yield grid


def _finding(finding: Finding) -> Iterator[RenderableType]:
    yield Text(printable(said(finding)))
    if finding.evidence:
        yield Padding(Text(printable(finding.evidence), "dim", overflow="fold"), (0, 0, 0, 2))


def _headline(judgement: Judgement, *, strict: bool) -> Text:
    worst = next((verdict for verdict, count in judgement.counts.items() if count), Verdict.SKIPPED)
    style = STYLES[worst] if judgement.exit_code(strict=strict) else STYLES[Verdict.PASS]
    return Text(f"{judgement.sentence(strict=strict)} ({judgement.seconds:.1f} s)", style)
