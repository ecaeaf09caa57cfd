from __future__ import annotations

import threading
import time
from contextlib import closing

import pytest

from singerkit_testing import process, rules
from singerkit_testing.errors import HarnessError, Unreadable
from singerkit_testing.rules import Finding, Judging, NotApplicable, Result, Rule, Severity, Verdict, choose, judge


class Lab:
    abilities = frozenset({"reader"})


def rule(check, rule_id="TAP-900", severity=Severity.MUST, needs=(), timeout_s=5.0):
    return Rule(rule_id, "title", severity, "source", "remedy", check, frozenset(needs), timeout_s)


def finds(*findings):
    return lambda lab: iter(findings)


def verdict_of(check, **options):
    (result,) = judge([rule(check, **options)], Lab())
    return result


@pytest.mark.parametrize(
    ("severity", "verdict"),
    [(Severity.MUST, Verdict.FAIL), (Severity.SHOULD, Verdict.WARN), (Severity.INFO, Verdict.INFO)],
)
def test_a_finding_weighs_as_its_rule(severity, verdict):
    assert verdict_of(finds(Finding("wrong")), severity=severity).verdict is verdict
    assert verdict_of(finds(), severity=severity).verdict is Verdict.PASS


def test_a_finding_may_weigh_otherwise():
    lesser = Finding("odd", severity=Severity.INFO)
    assert verdict_of(finds(lesser)).verdict is Verdict.INFO
    assert verdict_of(finds(lesser, Finding("wrong"))).verdict is Verdict.FAIL
    assert verdict_of(finds(Finding("lost", severity=Severity.MUST)), severity=Severity.INFO).verdict is Verdict.FAIL


def test_a_rule_may_say_nothing_about_a_connector():
    def check(lab):
        raise NotApplicable("there is no state")
        yield

    result = verdict_of(check)
    assert (result.verdict, result.note) == (Verdict.SKIPPED, "there is no state")


def test_a_rule_is_not_applied_without_what_it_needs():
    assert verdict_of(finds(), needs=["reader"]).verdict is Verdict.PASS
    result = verdict_of(finds(), needs=["reader", "batch", "upsert"])
    assert (result.verdict, result.note) == (Verdict.SKIPPED, "needs batch, upsert")


def test_a_check_that_breaks_down_is_told_in_one_line():
    def check(lab):
        raise ValueError("first\nsecond")
        yield

    result = verdict_of(check)
    assert result.verdict is Verdict.ERROR
    assert result.note.startswith("the check broke down: ValueError: first second at check:")


def test_what_can_not_be_read_back_breaks_the_rule():
    def check(lab):
        raise Unreadable("people.jsonl holds what is no JSON")
        yield

    result = verdict_of(check)
    assert result.verdict is Verdict.FAIL
    assert result.findings[0].message == "people.jsonl holds what is no JSON"


def test_endless_findings_end():
    def check(lab):
        while True:
            yield Finding("again")

    result = verdict_of(check)
    assert len(result.findings) == rules.MOST_FINDINGS
    assert result.note


def test_evidence_is_cut_and_made_text():
    assert len(Finding("x", "y" * 600).evidence) == 500
    assert Finding("x", b"\xff\n").evidence == "�\n"
    assert Finding("x", {"a": [1]}).evidence == '{"a":[1]}'


def test_results_keep_the_order_of_the_rules_and_run_two_at_a_time():
    busy, most, lock = [0], [0], threading.Lock()
    pairs = threading.Barrier(2)  # broken, and so a failure, where one runs at a time

    def slow(lab):
        with lock:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
        pairs.wait(30)
        with lock:
            busy[0] -= 1
        return iter(())

    heard: list[Result] = []
    results = judge([rule(slow, f"TAP-90{n}") for n in range(4)], Lab(), workers=2, report=heard.append)
    assert [result.rule.id for result in results] == ["TAP-900", "TAP-901", "TAP-902", "TAP-903"]
    assert heard == results
    assert {result.verdict for result in results} == {Verdict.PASS}
    assert most[0] == 2


def test_rules_are_applied_ahead_of_whoever_asks():
    applied = []
    asked_for, ahead, other = (
        rule(lambda lab, name=name: applied.append(name) or iter(()), f"TAP-90{name}") for name in range(3)
    )
    with closing(Judging([asked_for, ahead], Lab(), workers=1)) as judging:
        assert judging.result(ahead).verdict is Verdict.PASS
        assert applied == [0, 1]
        assert judging.result(other).verdict is Verdict.PASS
        assert judging.result(asked_for).verdict is Verdict.PASS
    assert applied == [0, 1, 2]


def test_a_rule_that_changes_the_source_goes_last_and_alone():
    order = []

    def check(name, seconds):
        def look(lab):
            time.sleep(seconds)
            order.append(name)
            return iter(())

        return look

    class MutableLab:
        abilities = frozenset({"mutate_source"})

    chosen = [rule(check("changes", 0), "TAP-901", needs=["mutate_source"]), rule(check("looks", 0.1), "TAP-902")]
    results = judge(chosen, MutableLab())
    assert order == ["looks", "changes"]
    assert [result.rule.id for result in results] == ["TAP-901", "TAP-902"]


def test_the_commands_of_a_rule_share_its_time(script, tmp_path):
    command = script("import time; time.sleep(60)")

    def check(lab):
        process.run(command, folder=tmp_path)
        yield Finding("never")

    result = verdict_of(check, timeout_s=0.3)
    assert (result.verdict, result.note) == (Verdict.ERROR, "not judged within 0 s")


def test_an_interrupt_ends_all_commands(script, tmp_path):
    command = script("import time; time.sleep(60)")

    def stuck(lab):
        process.run(command, folder=tmp_path)
        return iter(())

    def interrupt(result):
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        judge([rule(finds()), rule(stuck, "TAP-901", timeout_s=60)], Lab(), report=interrupt)
    assert time.monotonic() - began < 10


def test_a_rule_can_be_bypassed_with_a_reason():
    (result,) = judge([rule(finds(Finding("x")))], Lab(), bypass={"TAP-900": "the source only appends"})
    assert (result.verdict, result.note) == (Verdict.SKIPPED, "the source only appends")


def test_ids_limit_what_is_judged():
    assert judge([rule(finds()), rule(finds(), "TAP-901")], Lab(), ids=["TAP-901"])[0].rule.id == "TAP-901"


@pytest.mark.parametrize(
    ("patterns", "ids"),
    [
        ([], ["TAP-001", "TAP-002", "TAP-010"]),
        (["TAP-00*"], ["TAP-001", "TAP-002"]),
        (["-TAP-001"], ["TAP-002", "TAP-010"]),
        (["TAP-00*", "-TAP-002", "TAP-010"], ["TAP-001", "TAP-010"]),
    ],
)
def test_rules_are_chosen_by_pattern(patterns, ids):
    known = [rule(finds(), name) for name in ("TAP-001", "TAP-002", "TAP-010")]
    assert [chosen.id for chosen in choose(known, patterns)] == ids


def test_a_pattern_that_names_nothing_is_a_mistake():
    known = [rule(finds())]
    with pytest.raises(HarnessError, match="no rule is called TGT-999"):
        choose(known, ["TGT-999"])
    assert choose(known, ["TGT-999", "TAP-9*"], lenient=True) == known


@pytest.mark.parametrize("known", [rules.tap_rules(), rules.target_rules()], ids=["tap", "target"])
def test_every_rule_says_what_a_person_needs(known):
    assert len({each.id for each in known}) == len(known) > 0
    assert [each.id for each in known] == sorted(each.id for each in known)
    for each in known:
        assert not each.title.endswith(".")
        assert len(each.source) > 5
        assert len(each.remedy) > 20
        assert each.check.__doc__
