from __future__ import annotations

import json
import time

import pytest

from singerkit_testing import target_lab
from singerkit_testing.messages import ID, TEXT, record, schema, state
from singerkit_testing.rules import NotApplicable, Verdict, choose, judge, target_rules
from singerkit_testing.target_lab import TargetLab, case

CONFIG = {"folder": "{workdir}"}


@pytest.fixture
def lab(target):
    with TargetLab(target, CONFIG, reader="{workdir}") as opened:
        yield opened


def people(*ids):
    return [schema("people", {"id": ID, "name": TEXT}, ["id"]), *(record("people", id=n, name=f"n{n}") for n in ids)]


def test_a_load_and_what_came_of_it(lab):
    load = lab.load([*people(1, 2), state({"n": 2.5}), state(3)])
    assert load.ok
    assert load.states == [3]
    assert load.sent_states == [{"n": 2.5}, 3]
    assert load.rows("people") == load.sent_records("people") == [{"id": 1, "name": "n1"}, {"id": 2, "name": "n2"}]
    assert load.problems == []


def test_each_load_has_a_place_of_its_own_unless_one_says_so(lab):
    assert len(lab.load(people(1)).rows("people")) == 1
    place = lab.fresh()
    place.load(people(1))
    place.load(people(2))
    assert [row["id"] for row in place.rows("people")] == [1, 2]
    assert not place.difference("people", [{"id": 2}, {"id": 1}], keys=["id"])


def test_the_baseline_shows_the_load_method(lab):
    assert lab.loaded is lab.baseline
    assert lab.load_method == "append"
    assert lab.abilities >= {"reader", "append"}
    assert lab.hollow == ()


def test_without_a_reader_nothing_is_known(target):
    with TargetLab(target, CONFIG) as lab:
        assert lab.load_method is None
        assert lab.abilities == frozenset()
        assert lab.hollow
        with pytest.raises(NotApplicable, match="needs reader"):
            lab.baseline.rows("baseline")


def test_input_is_written_as_one_likes(lab):
    place = lab.fresh()
    assert place.input_of([{"a": "é"}, b"raw\n", b"\xff"], line_end=b"\r\n", last_line_end=b"") == (
        b'{"a":"\xc3\xa9"}\r\nraw\r\n\xff'
    )
    assert place.input_of([]) == b""
    assert len(lab.load(people(1, 2), chunk_bytes=3, line_end=b"\r\n", last_line_end=b"").rows("people")) == 2


def test_settings_change_the_config(lab):
    assert lab.load(people(1), settings={"lose": True}).rows("people") == []
    place = lab.fresh()
    assert place.config({"folder": None, "x": "{case}"}) == {"folder": None, "x": place.name}
    assert lab.load(people(1), config=None).last_words() == "no config"
    assert not lab.load(people(1), config=b"[").ok


def test_before_the_input_ends_one_can_look(lab):
    seen = []

    def look(running):
        running.wait_drained()
        running.wait_quiet(0.05)
        seen.append((running.is_running, running.stdout))

    assert lab.load([*people(1), state(1)], before_end=look).states == [1]
    assert seen == [(True, b"")]


def test_a_target_can_be_killed_in_between(lab):
    place = lab.fresh()
    with place.start() as running:
        running.write(place.input_of([*people(1), state(1)]))
        assert running.wait_drained()
        assert running.wait_until(lambda: place.rows("people") != [])
        running.kill()
        load = place.finish(running)
    assert (load.exit_code, load.states) == (-9, [])


def test_answers_that_are_no_json_are_problems(script):
    with TargetLab(script("print('loading'); print('{\"a\": 1.50}'); print('NaN')"), {}) as lab:
        load = lab.load([])
        assert [str(state) for state in load.states] == ["{'a': Decimal('1.50')}"]
        assert load.problems == ["not JSON: loading", "NaN or Infinity: NaN"]


def test_on_a_server_streams_get_a_prefix_of_their_own(target):
    with TargetLab(target, CONFIG, reader="postgresql://localhost/x") as lab:
        place = lab.fresh()
        place.load(people(1))
        (path,) = place.folder.iterdir()
        assert path.name == f"{place.prefix}people.jsonl"
        assert place.prefix
    with TargetLab(target, {**CONFIG, "schema": "{case}"}, reader="postgresql://localhost/x") as lab:
        assert lab.fresh().prefix == ""


@pytest.fixture
def cases(monkeypatch):
    monkeypatch.setattr(target_lab, "CASES", {})
    monkeypatch.setattr(target_lab, "_GROUPS", {})
    for name in ("one", "two", "three", "four"):
        case(name)(lambda name=name: [schema(name, {"id": ID}, ["id"]), record(name, id=name)])


def test_cases_are_loaded_in_one_run(cases, lab):
    loads = {id(lab.shared(name).load) for name in ("one", "two", "three", "four")}
    assert len(loads) == 1
    assert lab.shared("two").rows("two") == [{"id": "two"}]
    assert not lab.shared("two").difference("two")


def test_a_case_that_is_refused_is_found(cases, script):
    code = """
    import json, os, sys
    config = json.load(open(sys.argv[sys.argv.index("--config") + 1]))
    for line in sys.stdin:
        message = json.loads(line)
        if message["stream"] == "three": sys.exit("refused")
        if message["type"] == "RECORD":
            open(os.path.join(config["folder"], message["stream"] + ".jsonl"), "a").write(
                json.dumps(message["record"]) + "\\n")
    """
    with TargetLab(
        script(code.replace('message["stream"]', "message.get('stream')", 1)), CONFIG, reader="{workdir}"
    ) as lab:
        shared = lab.shared("three")
        assert (shared.alone, shared.load.last_words()) == (True, "refused")
        assert lab.shared("four").rows("four") == [{"id": "four"}]
        assert lab.shared("one").load.ok


def test_a_word_of_an_error_that_is_a_streams_name_too_convicts_nobody(cases, script):
    code = """
    import json, sys
    for line in sys.stdin:
        if json.loads(line).get("stream") == "three": sys.exit("error: one of the messages is refused")
    """
    with TargetLab(script(code), CONFIG, reader="{workdir}") as lab:
        assert lab.shared("one").ok
        assert not lab.shared("three").ok


def test_what_is_wrong_with_every_run_is_said_once(script):
    with TargetLab(script("import sys; sys.exit('no such module')"), CONFIG, reader="{workdir}") as lab:
        results = judge(choose(target_rules(), ["TGT-001", "TGT-002", "TGT-101"]), lab)
    assert [result.verdict for result in results] == [Verdict.FAIL, Verdict.SKIPPED, Verdict.SKIPPED]


def test_cases_say_nothing_about_a_target_that_loads_nothing(cases, script):
    with TargetLab(script("raise SystemExit(3)"), {}) as lab, pytest.raises(NotApplicable, match="exit code 3"):
        lab.shared("one")


def test_the_batch_size_setting_is_told_or_declared(script, target):
    about = {"name": "target-x", "settings": {"properties": {"batch_size_rows": {}}}, "capabilities": []}
    with TargetLab(script(f"print('''{json.dumps(about)}''')"), {}) as lab:
        assert lab.batches_of(5) == {"batch_size_rows": 5}
        assert "batch_size" in lab.abilities
    with TargetLab(target, CONFIG) as lab:
        assert lab.batches_of(5) == {}
    with TargetLab(target, CONFIG, batch_size_setting="rows") as lab:
        assert lab.batches_of(5) == {"rows": 5}


def test_a_target_that_hangs_is_ended(script):
    began = time.monotonic()
    with TargetLab(script("import time; time.sleep(60)"), {}, timeout_s=0.3) as lab:
        assert lab.load(people(1)).timed_out
    assert time.monotonic() - began < 5


REFUSING = """
import json, os, sys
config = json.load(open(sys.argv[sys.argv.index("--config") + 1]))
for line in sys.stdin:
    message = json.loads(line)
    if message.get("stream") == {refused!r}: sys.exit("refused")
    if message["type"] == "RECORD":
        path = os.path.join(config["folder"], message["stream"] + ".jsonl")
        open(path, "a").write(json.dumps(message["record"]) + "\\n")
"""


@pytest.mark.parametrize(("refused", "runs"), [("none", 1), ("three", 2)])
def test_groups_that_most_targets_take_are_loaded_in_one_run(cases, monkeypatch, script, refused, runs):
    monkeypatch.setattr(target_lab, "MOSTLY_TAKEN", ("first", "second"))
    monkeypatch.setattr(target_lab, "_GROUPS", {"first": ["one", "two"], "second": ["three", "four"], "other": []})
    with TargetLab(script(REFUSING.replace("{refused!r}", repr(refused))), CONFIG, reader="{workdir}") as lab:
        taken = [lab.shared(name) for name in ("one", "two", "four")]
        assert len({id(each.load) for each in taken}) == runs
        assert [each.rows(name) for each, name in zip(taken, ("one", "two", "four"), strict=True)] == [
            [{"id": "one"}], [{"id": "two"}], [{"id": "four"}]
        ]  # fmt: skip
        assert lab.shared("three").ok == (refused == "none")
