"""The harness finds each seeded defect by its rule, and has nothing to say against what is only unusual."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import catalogue
import pytest
from catalogue import BROKEN, CORRECT, IN_SQLITE, OTHER_RECORDS, TOLERATED, Program

from singerkit_testing.mapper_lab import MapperLab
from singerkit_testing.rules import Result, Rule, Severity, Verdict, judge, mapper_rules, tap_rules, target_rules
from singerkit_testing.tap_lab import TapLab
from singerkit_testing.target_lab import TargetLab

RULES = {
    "tap": {rule.id: rule for rule in tap_rules(properties=True)},
    "target": {rule.id: rule for rule in target_rules(properties=True)},
    "mapper": {rule.id: rule for rule in mapper_rules(properties=True)},
}
GENERATING = {"TAP-P01", "TGT-P01", "TGT-P02"}
BREACHED = {Verdict.FAIL, Verdict.WARN}


@pytest.fixture
def lab(request, tmp_path, monkeypatch) -> Iterator[TapLab | TargetLab | MapperLab]:
    """The program under test, with a source or a destination of its own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # what findings leave for a person stays here
    program: Program = request.getfixturevalue("program")
    with LABS[program.kind](program, tmp_path) as opened:
        yield opened


def tap_lab(program: Program, folder) -> TapLab:
    records = (
        {} if program.name in OTHER_RECORDS else {n: catalogue.records_of(n) for n in ("orders", "people", "facts")}
    )
    return TapLab(
        program.command,
        {**catalogue.copy_source(folder), **program.config},
        timeout_s=10,
        expect={"non_empty": ["orders", "order_lines", *records], "records": records},
        broken_configs=catalogue.broken_configs(folder),
        mutate_source=catalogue.mutator(folder),
    )


def target_lab(program: Program, folder) -> TargetLab:
    return TargetLab(
        program.command,
        {"folder": "{workdir}", **program.config},
        reader="sqlite:///{workdir}/out.db" if program.name in IN_SQLITE else "{workdir}",
        timeout_s=20,
        load_method=program.config.get("load_method", "upsert"),
    )


def mapper_lab(program: Program, folder) -> MapperLab:
    return MapperLab(program.command, program.config, timeout_s=10)


LABS = {"tap": tap_lab, "target": target_lab, "mapper": mapper_lab}


def told(results: list[Result]) -> str:
    """What was found, for the message of a failed test."""
    lines = [f"{r.rule.id} {r.verdict}: {r.note} {[f.message for f in r.findings[:3]]}" for r in results]
    return "\n".join(lines)


@pytest.mark.parametrize("program", BROKEN, ids=str)
def test_a_defect_is_found_by_its_rule(program, lab):
    rule = RULES[program.kind].get(program.rule)
    assert rule is not None, f"there is no rule {program.rule}"

    (result,) = judge([rule], lab)

    assert result.verdict in BREACHED, f"{program.says}\n{told([result])}"


@pytest.mark.parametrize("program", CORRECT, ids=str)
def test_a_correct_program_passes_clean(program, lab):
    assert not objections(program, lab, [rule for rule in RULES[program.kind].values() if rule.id not in GENERATING])


@pytest.mark.parametrize("program", CORRECT, ids=str)
def test_a_correct_program_passes_generated_input(program, lab):
    assert not objections(program, lab, [rule for rule in RULES[program.kind].values() if rule.id in GENERATING])


def objections(program: Program, lab: TapLab | TargetLab | MapperLab, rules: list[Rule]) -> str:
    """What the rules have against a program, but for good custom that it may break."""
    tolerated = TOLERATED.get(program.name, set())
    results = [each for each in judge(rules, lab) if each.rule.id not in tolerated]
    bad = [each for each in results if each.verdict in BREACHED | {Verdict.ERROR}]
    return f"{program.says}\n{told(bad)}" if bad else ""


def test_the_rules_that_the_corpus_does_not_prove_are_few():
    proven = {program.rule for program in BROKEN}
    must = [rule.id for rules in RULES.values() for rule in rules.values() if rule.severity is Severity.MUST]
    unproven = sorted(set(must) - proven)
    assert len(unproven) <= len(must) / 3, unproven
