"""The judgement as JSON, for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from singerkit_testing.judgement import topic_of

if TYPE_CHECKING:
    from singerkit_testing.judgement import Judgement
    from singerkit_testing.rules import Finding, Result

FORMAT = "singerkit-check/1"


def write(judgement: Judgement) -> str:
    """Give one JSON document.

    Shape: ``format`` changes when a member's meaning does; ``results`` stand in the order of the rules.
    """
    document = {
        "format": FORMAT,
        "connector": judgement.name,
        "kind": judgement.kind,
        "command": list(judgement.command),
        "started": judgement.started.isoformat(timespec="seconds"),
        "seconds": round(judgement.seconds, 3),
        "verdict": judgement.exit_code().name.lower(),
        "summary": {str(verdict): count for verdict, count in judgement.counts.items()},
        "hollow": list(judgement.hollow),
        "results": list(map(_result, judgement.results)),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _result(result: Result) -> dict[str, Any]:
    rule = result.rule
    return {
        "rule": rule.id,
        "topic": topic_of(rule),
        "title": rule.title,
        "severity": rule.severity,
        "verdict": result.verdict,
        "source": rule.source,
        "remedy": rule.remedy,
        "seconds": round(result.seconds, 3),
        "note": result.note,
        "findings": list(map(_finding, result.findings)),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    severity = {} if finding.severity is None else {"severity": finding.severity}
    return {"message": finding.message, "stream": finding.stream, "evidence": finding.evidence, **severity}
