from __future__ import annotations

import json
import shlex
import subprocess
import sys

import pytest

from singerkit_testing.check import main


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "c.json").write_text("{}")
    (tmp_path / "t.json").write_text('{"folder": "{workdir}"}')
    (tmp_path / "broken.json").write_text('{"broken": true}')
    return tmp_path


FEW_TAP_RULES = ["--rules", "TAP-001,TAP-004,TAP-008"]
FEW_TARGET_RULES = ["--rules", "TGT-001,TGT-002"]


def test_a_good_tap(tap, capsys):
    words = [shlex.join(tap), "--config", "c.json", "--broken-config", "broken.json", *FEW_TAP_RULES]
    assert main([*words, "-v", "--report", "r.json", "--report", "r.html"]) == 0
    out = capsys.readouterr().out
    assert "tap: conformant, no must and no should broken; 3 rules of 3 applied" in out
    assert "✓  TAP-001  stdout carries only messages" in out


def test_reports_are_written(tap, folder):
    main([shlex.join(tap), "--config", "c.json", *FEW_TAP_RULES, "--report", "sub/r.json", "--report", "badge.json"])
    assert json.loads((folder / "sub/r.json").read_text())["verdict"] == "conformant"
    assert json.loads((folder / "badge.json").read_text())["message"] == "3/3"


def test_a_broken_tap(script, capsys):
    tap = script("print('starting')", "tap.py")
    assert main([shlex.join(tap), "--config", "c.json", *FEW_TAP_RULES]) == 1
    out = capsys.readouterr().out
    assert "✗ TAP-001" in out
    assert "line 1: starting" in out
    assert "remedy Write logs and prints to stderr" in out
    assert out.rstrip().endswith("again: --rules TAP-001")


def test_a_good_target(target, capsys):
    words = [shlex.join(target), "--config", "t.json", *FEW_TARGET_RULES]
    assert main([*words, "--reader", "{workdir}"]) == 0
    assert main(words) == 4
    assert "nothing proven, for nothing was read back" in capsys.readouterr().out
    assert main([*words, "--reader", "none"]) == 0


def test_a_target_that_loses_everything(target, folder, capsys):
    (folder / "t.json").write_text('{"folder": "{workdir}", "lose": true}')
    words = [shlex.join(target), "--config", "t.json", *FEW_TARGET_RULES]
    assert main([*words, "--reader", "{workdir}"]) == 1
    assert "exit code 0, but" in capsys.readouterr().out


def test_a_tap_that_gives_no_record_proves_nothing(script, capsys):
    tap = script("""print('{"type":"STATE","value":{}}')""", "tap.py")
    assert main([shlex.join(tap), "--config", "c.json", *FEW_TAP_RULES]) == 4
    assert "the full sync gave no record" in capsys.readouterr().out


def test_a_tap_that_hangs(script):
    tap = script("import time; time.sleep(60)", "tap.py")
    assert main([shlex.join(tap), "--config", "c.json", *FEW_TAP_RULES, "--timeout", "0.3"]) == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "name the command to check"),
        (["no-such-tap"], 3, "there is no command no-such-tap on the PATH"),
        (["cat"], 2, "Say --tap or --target"),
        (["cat", "--tap", "--config", "none.json"], 3, "the config none.json can't be read"),
        (["cat", "--tap", "--rules", "TAP-999"], 3, "no rule is called TAP-999"),
        (["cat", "--tap", "--report", "r.pdf"], 3, "no report format for r.pdf"),
        (["cat", "--tap", "--skip", "TAP-001"], 2, "needs its reason"),
        (["cat", "--tap", "--server", "no:where"], 3, "can't be imported"),
        (["cat", "--tap", "--expect", "broken.json"], 3, "may hold streams, non_empty and records"),
        (["cat", "--tap", "--profile", "none.toml"], 2, "can't be used"),
        (["cat", "--tap", "--bogus"], 2, "No such option"),
    ],
)
def test_mistakes_are_told_in_a_sentence(words, code, said, capsys):
    assert main(words) == code
    err = capsys.readouterr().err
    assert said in " ".join(err.replace("│", " ").split())
    assert "Traceback" not in err


def test_options_may_stand_in_a_profile(target, folder):
    (folder / "p.toml").write_text(
        'config = "t.json"\nreader = "{workdir}"\nrules = ["TGT-001"]\nreport = ["r.json"]\nbatch-size-setting = "n"\n'
    )
    assert main([shlex.join(target), "--profile", "p.toml"]) == 0
    assert [result["rule"] for result in json.loads((folder / "r.json").read_text())["results"]] == ["TGT-001"]


def test_a_rule_can_be_skipped_with_a_reason(tap, folder):
    words = [shlex.join(tap), "--config", "c.json", *FEW_TAP_RULES, "--report", "r.json"]
    assert main([*words, "--skip", "TAP-004=legacy encoding"]) == 0
    results = {result["rule"]: result for result in json.loads((folder / "r.json").read_text())["results"]}
    assert (results["TAP-004"]["verdict"], results["TAP-004"]["note"]) == ("skipped", "legacy encoding")


def test_an_api_tap_needs_no_api(script, folder):
    (folder / "c.json").write_text('{"url": "{server}/people"}')
    (folder / "answers.py").write_text(
        "def respond(request): return [{'id': 1}] if request.path == '/people' else None\n"
    )
    code = """
    import json, sys, urllib.request
    url = json.load(open(sys.argv[sys.argv.index("--config") + 1]))["url"]
    for row in json.load(urllib.request.urlopen(url)):
        print(json.dumps({"type": "RECORD", "stream": "people", "record": row}))
    """
    tap = script(code, "tap.py")
    assert main([shlex.join(tap), "--config", "c.json", "--server", "answers:respond", *FEW_TAP_RULES]) == 0


def test_rules_can_be_listed_and_explained(capsys):
    assert main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert "TAP-001   must    stdout carries only messages" in listed
    assert "TGT-001" in listed
    assert main(["--list", "--target"]) == 0
    assert "TAP-001" not in capsys.readouterr().out
    assert main(["--explain", "TGT-003"]) == 0
    assert "remedy    Process what is left in the buffer" in capsys.readouterr().out


def test_singerkit_hands_over(tap):
    words = [sys.executable, "-c", "from singerkit.cli.main import main; main()", "check", shlex.join(tap)]
    done = subprocess.run([*words, "--config", "c.json", *FEW_TAP_RULES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "tap: conformant" in done.stdout
