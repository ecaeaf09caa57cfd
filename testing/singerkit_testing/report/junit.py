"""The judgement as JUnit XML, for continuous integration."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

from singerkit_testing.judgement import topic_of
from singerkit_testing.report.text import explanation, printable
from singerkit_testing.rules import Verdict

if TYPE_CHECKING:
    from singerkit_testing.judgement import Judgement
    from singerkit_testing.rules import Result


def write(judgement: Judgement) -> str:
    """Give one test suite with a test case per rule; a broken should is no failure, its findings are its output."""
    counts = judgement.counts
    suite = ElementTree.Element(
        "testsuite",
        name=printable(judgement.name),
        tests=str(len(judgement.results)),
        failures=str(counts[Verdict.FAIL]),
        errors=str(counts[Verdict.ERROR]),
        skipped=str(counts[Verdict.SKIPPED]),
        time=f"{judgement.seconds:.3f}",
        timestamp=judgement.started.isoformat(timespec="seconds"),
    )
    for result in judgement.results:
        suite.append(_case(judgement, result))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(judgement: Judgement, result: Result) -> ElementTree.Element:
    rule = result.rule
    case = ElementTree.Element(
        "testcase",
        classname=printable(f"{judgement.name}.{topic_of(rule)}"),
        name=f"{rule.id} {rule.title}",
        time=f"{result.seconds:.3f}",
    )
    properties = ElementTree.SubElement(case, "properties")
    ElementTree.SubElement(properties, "property", name="severity", value=rule.severity)
    text = printable("\n".join(explanation(result)))
    if result.verdict in (Verdict.FAIL, Verdict.ERROR):
        tag = "failure" if result.verdict is Verdict.FAIL else "error"
        first = result.findings[0].message if result.findings else result.note
        ElementTree.SubElement(case, tag, message=printable(first)).text = text
    elif result.verdict is Verdict.SKIPPED:
        ElementTree.SubElement(case, "skipped", message=printable(result.note))
    elif result.findings:
        ElementTree.SubElement(case, "system-out").text = text
    return case
