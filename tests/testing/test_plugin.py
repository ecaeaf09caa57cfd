from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from importlib.metadata import entry_points

import pytest


@pytest.fixture
def session(tmp_path):
    """Give a function that runs pytest in an empty folder with this plugin alone, as others start slowly."""
    (tmp_path / "project").mkdir()
    (tmp_path / "c.json").write_text("{}")
    (tmp_path / "t.json").write_text('{"folder": "{workdir}"}')

    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "singerkit_testing.plugin", *words],
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            cwd=tmp_path / "project",
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


RULES = "--singer-rules=TAP-001,TAP-004,TAP-008,TGT-001,TGT-002"


def test_one_test_for_each_rule(session, tap, target):
    done = session(
        *("--tap", shlex.join(tap), "--tap-config", "../c.json", "--target", shlex.join(target)),
        *("--target-config", "../t.json", "--target-reader", "{workdir}", RULES, "-v"),
    )
    assert done.returncode == 0, done.stdout
    assert "singer:tap.py::TAP-001 PASSED" in done.stdout
    assert "singer:target.py::TGT-002 PASSED" in done.stdout
    assert "5 passed" in done.stdout


def test_a_mapper_has_a_test_for_each_rule_too(session, mapper, tmp_path):
    (tmp_path / "m.json").write_text('{"lose": true}')
    done = session(
        *("--mapper", shlex.join(mapper), "--mapper-config", "../m.json", "--singer-rules=TAP-001,EXT-012b"),
        *("--singer-report", "r.json", "-v"),
    )
    assert "singer:mapper_all.py::TAP-001 PASSED" in done.stdout
    assert "singer:mapper_all.py::EXT-012b FAILED" in done.stdout
    assert "records did not come out any more when their order was another" in done.stdout
    assert "1 failed, 1 passed" in done.stdout
    assert json.loads((tmp_path / "project/r.json").read_text())["kind"] == "mapper"


def test_a_breach_is_explained(session, script):
    tap = script("import sys; print('starting')", "tap.py")
    done = session("--tap", shlex.join(tap), RULES, "--singer-report", "r.json")
    assert done.returncode == 1
    assert "TAP-001 stdout carries only messages" in done.stdout
    assert "remedy: Write logs and prints to stderr" in done.stdout
    assert "FAILED singer:tap.py::TAP-001 - line 1 of stdout is no JSON" in done.stdout
    assert "Traceback" not in done.stdout


def test_what_is_only_worth_knowing_is_not_said_to_be_broken(session, tmp_path):
    (tmp_path / "project/test_remarks.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('severity', SEVERITIES)\n"
        "def test_rule(record_property, severity):\n"
        "    record_property('singer_findings', f'X-1 a rule ({severity})\\n  a finding')\n"
    )
    place = tmp_path / "project/test_remarks.py"
    text = place.read_text()
    place.write_text(text.replace("SEVERITIES", "['info']"))
    said = session().stdout
    assert "Singer: nothing is broken by it, but it is worth knowing" in said
    assert "shoulds that are broken" not in said
    place.write_text(text.replace("SEVERITIES", "['info', 'should']"))
    said = session().stdout
    assert said.index("shoulds that are broken") < said.index("(should)") < said.index("worth knowing")


def test_reports_are_written(session, tap, tmp_path):
    session("--tap", shlex.join(tap), "--tap-config", "../c.json", RULES, "--singer-report", "r.json")
    document = json.loads((tmp_path / "project/r.json").read_text())
    assert (document["verdict"], len(document["results"])) == ("conformant", 3)


def test_the_projects_own_tests_run_as_well(session, tap, tmp_path):
    (tmp_path / "project/test_own.py").write_text("def test_own(): pass\n")
    assert "4 passed" in session("--tap", shlex.join(tap), "--tap-config", "../c.json", RULES).stdout
    assert "1 passed" in session().stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tap", "no-such-tap"], "there is no command no-such-tap"),
        (["--tap", "cat", "--tap-config", "none.json"], "none.json can't be read"),
    ],
)
def test_mistakes_are_told_in_a_sentence(session, words, said):
    done = session(*words)
    assert done.returncode == 4
    assert said in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_without_its_options_the_plugin_imports_next_to_nothing(session, tmp_path):
    (tmp_path / "project/test_own.py").write_text(
        "import sys\ndef test_own(): assert [n for n in sys.modules if n.startswith('singerkit_testing.')]"
        " == ['singerkit_testing.plugin']\n"
    )
    done = session()
    assert "1 passed" in done.stdout, done.stdout


def test_pytest_finds_the_plugin():
    (found,) = entry_points(group="pytest11", name="singerkit")
    assert found.value == "singerkit_testing.plugin"
