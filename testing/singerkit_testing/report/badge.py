"""A badge: the JSON that the endpoint of shields.io reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from singerkit_testing.judgement import ExitCode
from singerkit_testing.rules import Verdict

if TYPE_CHECKING:
    from singerkit_testing.judgement import Judgement


def write(judgement: Judgement) -> str:
    """Give the document: how many of the applied rules are kept; green only if no must is broken."""
    kept = judgement.counts[Verdict.PASS] + judgement.counts[Verdict.INFO]
    code = judgement.exit_code()
    message = f"{kept}/{judgement.applied}" if code in (ExitCode.CONFORMANT, ExitCode.BREACH) else "not judged"
    badge = {"schemaVersion": 1, "label": "singer", "message": message, "color": _color(judgement, code)}
    return json.dumps(badge, indent=2) + "\n"


def _color(judgement: Judgement, code: ExitCode) -> str:
    if code is ExitCode.CONFORMANT:
        return "green" if judgement.counts[Verdict.WARN] else "brightgreen"
    return "red" if code is ExitCode.BREACH else "lightgrey"
