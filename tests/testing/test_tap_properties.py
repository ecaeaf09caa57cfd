"""Chains of interrupted runs: what they find, and what they leave for a person to run again."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from singerkit_testing.rules import Result, Verdict, judge, tap_rules
from singerkit_testing.tap_lab import TapLab

CORPUS = Path(__file__).parents[1] / "conformance"
RULES = {rule.id: rule for rule in tap_rules(properties=True)}


@pytest.fixture
def resumed_anywhere(tmp_path, monkeypatch):
    """Give a function that judges a broken tap of the corpus by chains of interrupted runs, and by single ones."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    shutil.copytree(CORPUS / "programs" / "source", tmp_path / "source")

    def judged(name: str) -> dict[str, Result]:
        command = [sys.executable, "-S", str(CORPUS / "programs" / "broken_taps.py"), name]
        with TapLab(command, {"source": str(tmp_path / "source")}, seed=1) as lab:
            return {each.rule.id: each for each in judge(RULES.values(), lab, ["TAP-062", "TAP-076", "TAP-P01"])}

    return judged


def test_two_interruptions_show_what_one_does_not(resumed_anywhere):
    results = resumed_anywhere("counts_rows_twice")

    assert results["TAP-P01"].verdict is Verdict.FAIL
    assert results["TAP-P01"].findings[0].message.startswith("interrupted 2 times, ")
    assert {results["TAP-062"].verdict, results["TAP-076"].verdict} == {Verdict.PASS}


def test_a_person_can_run_it_again(resumed_anywhere):
    (finding,) = resumed_anywhere("bookmark_as_text")["TAP-P01"].findings
    script = Path(re.search(r"sh (\S+/replay\.sh) ", finding.message)[1])
    subprocess.run(["/bin/sh", script], capture_output=True, check=True, timeout=60)

    assert finding.message.startswith("interrupted once, ")
    state = json.loads((script.parent / "state.json").read_text())
    first = [json.loads(line) for line in (script.parent / "run-1.jsonl").read_text().split("\n") if line]
    rest = [json.loads(line) for line in (script.parent / "rest.jsonl").read_text().split("\n") if line]
    until = next(number for number, each in enumerate(first) if each.get("value") == state)
    assert f"its state in line {until + 1}\n" in script.read_text()
    assert ids(first) - ids(first[:until]) - ids(rest), "nothing is lost after all"


def ids(messages: list[dict]) -> set[int]:
    return {each["record"]["id"] for each in messages if each["type"] == "RECORD" and each["stream"] == "people"}
