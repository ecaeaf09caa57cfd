"""The harness finds each defect that is put into singerkit itself, and nothing in singerkit as it is.

By default a few; ``SINGERKIT_MUTANTS=all`` tries all of them, and has the unchanged connectors judged by every rule.
"""

from __future__ import annotations

import json
import os
from typing import Any

import catalogue
import mutants
import pytest
from mutants import MUTANTS, Mutant

from singerkit_testing.mapper_lab import MapperLab
from singerkit_testing.rules import Result, Verdict, judge, mapper_rules, tap_rules, target_rules
from singerkit_testing.tap_lab import TapLab
from singerkit_testing.target_lab import TargetLab

ALL = os.environ.get("SINGERKIT_MUTANTS") == "all"
FEW = {
    "tap-drops_a_record",
    "tap-emits_state_early",
    "tap-ignores_a_deselected_property",
    "target-forgets_the_last_batch",
    "target-releases_the_state_before_the_drain",
    "target-appends_instead_of_upserting",
    "mapper-writes_a_state_one_message_early",
}
RULES = {"tap": tap_rules(), "target": target_rules(), "mapper": mapper_rules()}
BROKEN = {Verdict.FAIL, Verdict.WARN}


def lab_of(name: str, kind: str, folder) -> TapLab | TargetLab | MapperLab:
    """The lab for a connector with a defect."""
    command = mutants.command_of(name, kind)
    if kind == "mapper":
        return MapperLab(command, timeout_s=20)
    if kind == "target":
        return TargetLab(
            command,
            {"path_to_database": "{workdir}/out.db"},
            reader="sqlite:///{workdir}/out.db",
            timeout_s=30,
            load_method="upsert",
        )
    records = {stream: catalogue.records_of(stream) for stream in ("orders", "people", "facts")}
    records["order_lines"] = lines_of_orders()
    return TapLab(
        command,
        catalogue.copy_source(folder),
        timeout_s=20,
        expect={"non_empty": list(records), "records": records},
        broken_configs=catalogue.broken_configs(folder),
        mutate_source=catalogue.mutator(folder),
    )


def lines_of_orders() -> list[dict[str, Any]]:
    """What a correct tap sends of the orders' lines."""
    orders = json.loads((catalogue.SOURCE / "orders.json").read_text())
    return [{"shop": row["shop"], "number": row["number"], **line} for row in orders for line in row["lines"]]


def broken(results: list[Result]) -> list[Result]:
    """The results that tell of a breach."""
    return [each for each in results if each.verdict in BROKEN]


def judged(name: str, kind: str, folder, ids=None) -> list[Result]:
    """What the rules say of a connector with a defect."""
    with lab_of(name, kind, folder) as lab:
        assert lab.help.ok, f"the defect can't be put in: {lab.help.how_it_ended()}"
        return judge(RULES[kind], lab, ids)


def told(results) -> str:
    return "\n".join(f"{r.rule.id} {r.verdict}: {r.note} {[f.message for f in r.findings[:2]]}" for r in results)


@pytest.mark.parametrize("mutant", [each for name, each in MUTANTS.items() if ALL or name in FEW], ids=str)
def test_a_defect_in_singerkit_is_found(mutant: Mutant, tmp_path):
    results = judged(str(mutant), mutant.kind, tmp_path, mutant.rules)

    assert [each.rule.id for each in results] == sorted(mutant.rules), "a rule has gone"
    assert broken(results), f"{mutant.apply.__doc__}\n{told(results)}"


@pytest.mark.parametrize("kind", mutants.KINDS)
def test_singerkit_as_it_is_breaks_none_of_their_rules(kind, tmp_path):
    tried = {
        rule for name, each in MUTANTS.items() if each.kind == kind and (ALL or name in FEW) for rule in each.rules
    }

    results = judged("none", kind, tmp_path, None if ALL else tried)

    bad = broken(results) + [each for each in results if each.verdict is Verdict.ERROR]
    skipped = [each for each in results if each.rule.id in tried and each.verdict is Verdict.SKIPPED]
    assert not bad, told(bad)
    assert not skipped, told(skipped)


def test_the_few_are_among_them_and_they_are_many():
    assert set(MUTANTS) >= FEW
    assert len(MUTANTS) >= 15
