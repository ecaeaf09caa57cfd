from __future__ import annotations

from datetime import UTC, datetime

import pytest

from singerkit_testing.judgement import ExitCode, Judgement, Kind, kind_of, name_of
from singerkit_testing.rules import Result, Rule, Severity, Verdict


def judged(*verdicts, hollow=()):
    results = tuple(
        Result(Rule(f"TAP-00{n}", "title", Severity.MUST, "s", "r", lambda lab: ()), verdict)
        for n, verdict in enumerate(verdicts)
    )
    return Judgement(Kind.TAP, ("tap-x",), results, datetime(2026, 1, 2, tzinfo=UTC), 1.0, hollow)


@pytest.mark.parametrize(
    ("verdicts", "code", "strict"),
    [
        ([Verdict.PASS, Verdict.INFO, Verdict.SKIPPED], ExitCode.CONFORMANT, ExitCode.CONFORMANT),
        ([Verdict.PASS, Verdict.WARN], ExitCode.CONFORMANT, ExitCode.BREACH),
        ([Verdict.ERROR, Verdict.FAIL], ExitCode.BREACH, ExitCode.BREACH),
        ([Verdict.ERROR, Verdict.PASS], ExitCode.HARNESS, ExitCode.HARNESS),
        ([Verdict.SKIPPED], ExitCode.NOTHING_JUDGED, ExitCode.NOTHING_JUDGED),
        ([], ExitCode.NOTHING_JUDGED, ExitCode.NOTHING_JUDGED),
    ],
)
def test_exit_codes(verdicts, code, strict):
    assert judged(*verdicts).exit_code() is code
    assert judged(*verdicts).exit_code(strict=True) is strict


def test_nothing_is_proven_by_a_hollow_judgement():
    assert judged(Verdict.PASS, hollow=("no reader",)).exit_code() is ExitCode.NOTHING_JUDGED
    assert judged(Verdict.FAIL, hollow=("no reader",)).exit_code() is ExitCode.BREACH


@pytest.mark.parametrize(
    ("judgement", "said"),
    [
        (judged(Verdict.PASS), "tap-x: conformant, no must and no should broken; 1 rule of 1 applied"),
        (
            judged(Verdict.FAIL, Verdict.FAIL, Verdict.WARN, Verdict.SKIPPED),
            "tap-x: not conformant, 2 musts and 1 should broken; 3 rules of 4 applied",
        ),
        (judged(Verdict.ERROR), "tap-x: not judged, as 1 rule could not be applied; 1 rule of 1 applied"),
        (judged(Verdict.PASS, hollow=("x",)), "tap-x: nothing proven, for x; 1 rule of 1 applied"),
    ],
)
def test_the_whole_in_a_sentence(judgement, said):
    assert judgement.sentence() == said


@pytest.mark.parametrize(
    ("command", "kind", "name"),
    [
        (["/usr/bin/tap-csv"], Kind.TAP, "tap-csv"),
        (["singerkit", "target-jsonl"], Kind.TARGET, "target-jsonl"),
        (["python", "/x/my_tap.py"], Kind.TAP, "my_tap"),
        (["python", "-m", "tapcsv.cli"], Kind.TAP, "tapcsv.cli"),
        (["node", "badtarget.js"], Kind.TARGET, "badtarget.js"),
        (["run", "tap-target"], None, "tap-target"),
        (["/usr/bin/mapper-custom"], Kind.MAPPER, "mapper-custom"),
        (["python", "/x/mapper_of_taps.py"], Kind.MAPPER, "mapper_of_taps"),
        (["tap-mapper-logs"], Kind.TAP, "tap-mapper-logs"),
        (["/home/tap/run.sh"], None, "run.sh"),
        (["/usr/bin/python3.11", "-S", "/x/flood.py"], None, "flood"),
    ],
)
def test_a_command_says_what_it_is(command, kind, name):
    assert kind_of(command) is kind
    assert name_of(command, kind or Kind.TAP) == name
