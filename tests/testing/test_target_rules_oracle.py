"""What the rules for targets rest on: the model of a destination, the reading of errors, the search for culprits."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from singerkit_testing import outcomes
from singerkit_testing.messages import ID, TEXT, record, schema
from singerkit_testing.model import expected_rows, keys_of
from singerkit_testing.process import Outcome
from singerkit_testing.rules import Verdict, judge, target_rules
from singerkit_testing.target_lab import TargetLab
from singerkit_testing.values import differences

PROGRAMS = Path(__file__).parents[1] / "conformance" / "programs"
RULES = {rule.id: rule for rule in target_rules(properties=True)}


def failed_with(stderr: str, exit_code: int = 1) -> Outcome:
    return Outcome(("target",), exit_code, b"", stderr.encode(), 0.1)


def lab_of(program: str, *words: str) -> TargetLab:
    command = [sys.executable, "-S", str(PROGRAMS / f"{program}.py"), *words]
    return TargetLab(command, {"folder": "{workdir}"}, reader="{workdir}", load_method="upsert", seed=3)


MESSAGES = [
    schema("people", {"id": ID, "name": TEXT}, ["id"]),
    record("people", id=1, name="one"),
    record("facts", name="another stream"),
    record("people", id=2, name="two"),
    record("people", id=1, name="three"),
]


def test_the_last_record_of_a_key_is_expected():
    assert expected_rows(MESSAGES, "people", "upsert") == [{"id": 1, "name": "three"}, {"id": 2, "name": "two"}]
    assert keys_of(MESSAGES, "people") == ["id"]


def test_a_target_that_appends_is_expected_to_keep_all():
    assert len(expected_rows(MESSAGES, "people", "append")) == 3


def test_keys_are_told_apart_by_type():
    messages = [schema("s", {"id": TEXT}, ["id"]), record("s", id="1"), record("s", id=1), record("s", id=True)]

    assert len(expected_rows(messages, "s", "upsert")) == 3


@pytest.mark.parametrize(
    "stderr",
    [
        "CRITICAL stream 'people' has no schema",
        "target-x: error: no schema for people",
        '{"level": "error", "message": "people"}',
        "ValueError: people",
        "2024-01-01 ERROR while loading\nstream people was not announced",
    ],
)
def test_an_error_that_names_the_stream_explains(stderr):
    assert outcomes.explains(failed_with(stderr), ["people"])


@pytest.mark.parametrize(
    "stderr",
    [
        "KeyError: 'people'",
        "",
        "INFO loading people\nCRITICAL failed",
        'Traceback (most recent call last):\n  "people"',
    ],
)
def test_an_error_without_the_name_in_words_of_its_own_does_not_explain(stderr):
    assert not outcomes.explains(failed_with(stderr), ["people"])


def test_a_bare_traceback_is_not_readable():
    traceback = 'Traceback (most recent call last):\n  File "x.py", line 1\njson.JSONDecodeError: Expecting value'

    assert not outcomes.is_readable_failure(failed_with(traceback))
    assert outcomes.is_readable_failure(failed_with(f"{traceback}\nCRITICAL line 3 is no JSON"))


def test_rows_without_keys_are_compared_whatever_their_first_value():
    sent = [{"list": []}, {"list": None}, {"list": ""}]

    assert not differences(sent, [{"list": "[]"}, {"list": ""}, {"list": None}], blank_is_null=True)


def test_a_refused_case_is_found_among_those_that_are_taken():
    with lab_of("broken_targets", "falsy_key_refused") as lab:
        assert not lab.shared("falsy key: zero").ok
        assert lab.shared("integers").ok
        assert lab.shared("texts").rows("texts")


def test_generated_streams_show_a_value_that_is_changed_in_few_messages():
    with lab_of("broken_targets", "integers_through_float") as lab:
        (result,) = judge([RULES["TGT-P01"]], lab)

    assert result.verdict is Verdict.FAIL
    path = Path(result.findings[0].message.rpartition(" in ")[2])
    assert len(path.read_bytes().splitlines()) <= 4
    path.unlink()


def test_a_killed_target_shows_states_that_were_released_too_early():
    with lab_of("broken_targets", "state_at_once") as lab:
        (result,) = judge([RULES["TGT-P02"]], lab)

    assert result.verdict is Verdict.FAIL
    assert "a released state says id" in result.findings[0].message


LIMITED = """
import json, pathlib, sys
folder = pathlib.Path(json.load(open(sys.argv[sys.argv.index("--config") + 1]))["folder"])
state = None
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "SCHEMA" and len(message["schema"]["properties"]) > 1000:
        {refusal}
    if message["type"] == "RECORD":
        name = message["stream"].replace("/", "_")
        with open(folder / (str(abs(hash(name))) + "-" + name[:50] + ".jsonl"), "a") as file:
            file.write(json.dumps(message["record"]) + "\\n")
    state = message.get("value", state)
if state: print(json.dumps(state))
"""
CLEAR = "sys.exit('CRITICAL ' + message['stream'] + ': the database has at most 1,017 columns')"


@pytest.mark.parametrize(
    ("refusal", "verdict"),
    [
        (CLEAR, Verdict.INFO),
        ("sys.exit('CRITICAL ' + message['stream'] + ': too many columns')", Verdict.WARN),
        ("sys.exit('CRITICAL ' + message['stream'] + ': 1,501 columns are too many')", Verdict.WARN),
        ("sys.exit('CRITICAL at most 1,017 columns')", Verdict.WARN),
        (f"print(json.dumps({{'n': 1}}), flush=True); {CLEAR}", Verdict.FAIL),
        (f"(folder / 'many_properties.jsonl').write_text('{{{{}}}}'); {CLEAR}", Verdict.FAIL),
        ("continue", Verdict.PASS),
    ],
)
def test_a_limit_of_columns_may_be_told(script, refusal, verdict):
    command = script(LIMITED.replace("{refusal}", refusal.replace("{{", "{").replace("}}", "}")))
    with TargetLab(command, {"folder": "{workdir}"}, reader="{workdir}", load_method="append") as lab:
        (result,) = judge([RULES["TGT-088"]], lab)
    assert result.verdict is verdict, result
