from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

from singerkit_testing import check
from singerkit_testing.errors import HarnessError
from singerkit_testing.mapper_input import everything
from singerkit_testing.mapper_lab import MapperLab, input_of
from singerkit_testing.process import Outcome
from singerkit_testing.rules import NotApplicable, Severity, Verdict, judge, mapper_rules
from singerkit_testing.structured_logs import structured_logging, unstructured
from singerkit_testing.transcript import parse_transcript


def verdicts(lab, *ids):
    return {result.rule.id: result.verdict for result in judge(mapper_rules(), lab, ids)}


def test_what_goes_in_is_itself_a_good_output():
    with MapperLab(
        [sys.executable, "-S", "-c", "import shutil, sys; shutil.copyfileobj(sys.stdin, sys.stdout)"]
    ) as lab:
        assert lab.full.transcript == parse_transcript(input_of(everything()))
        results = judge(mapper_rules(), lab)
    # It copies garbage as well, and says nothing about itself.
    assert {each.rule.id for each in results if each.verdict in (Verdict.FAIL, Verdict.ERROR)} == {"EXT-012i"}
    assert {each.rule.id for each in results if each.verdict is Verdict.SKIPPED} == {
        *("EXT-001", "EXT-002", "EXT-005", "EXT-011")
    }


def test_a_loss_that_depends_on_the_position_is_found(mapper):
    with MapperLab(mapper, {"lose": True}) as lab:
        assert verdicts(lab, "EXT-012a", "EXT-012b") == {"EXT-012a": Verdict.PASS, "EXT-012b": Verdict.FAIL}
    with MapperLab(mapper, {"lose": False}) as lab:
        assert verdicts(lab, "EXT-012a", "EXT-012b") == {"EXT-012a": Verdict.PASS, "EXT-012b": Verdict.PASS}


@pytest.mark.parametrize("code", ["import time; time.sleep(60)", "print('starting')", "raise SystemExit(3)", ""])
def test_what_is_no_mapper_is_a_finding_and_never_a_breakdown(script, code):
    with MapperLab(script(code, "mapper.py"), timeout_s=0.4) as lab:
        results = judge(mapper_rules(), lab)
        assert lab.hollow == ("no record came out of a valid input",)
    assert all("broke down" not in result.note for result in results)
    assert any(result.verdict is not Verdict.PASS for result in results)


def test_a_command_that_is_not_there():
    with pytest.raises(HarnessError, match="there is no command mapper-nowhere"):
        MapperLab("mapper-nowhere")


def test_the_command_line_checks_mappers(mapper, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.json").write_text('{"lose": true}')
    words = [shlex.join(mapper), "--rules", "TAP-001,EXT-012b"]
    assert check.main([*words, "--report", "r.json"]) == 0  # the name says that it is a mapper
    assert "mapper_all: conformant" in capsys.readouterr().out
    assert json.loads((tmp_path / "r.json").read_text())["kind"] == "mapper"
    assert check.main([*words, "--mapper", "--config", "c.json"]) == 1
    assert "when their order was another" in " ".join(capsys.readouterr().out.split())


def test_the_rules_for_mappers_are_listed_once(capsys):
    assert check.main(["--list", "--mapper"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert {"TAP-041", "EXT-012d"} <= set(listed)
    assert "TAP-060" not in listed
    assert check.main(["--explain", "TAP-001"]) == 0
    assert capsys.readouterr().out.count("TAP-001") == 1


def log(text):
    return Outcome(("x",), 0, b"", text.encode(), 0.1)


GOOD = '{"level": "info", "message": "done", "ts": 1700000000.5}\n'


@pytest.mark.parametrize(
    ("line", "flaw"),
    [
        ("INFO done", "no JSON object"),
        ("[1]", "no JSON object"),
        ('{"message": "done", "ts": 1}', "no level"),
        ('{"level": "loud", "message": "done", "ts": 1}', "no level"),
        ('{"level": "info", "ts": 1}', "no message"),
        ('{"level": "INFO", "message": "done"}', "no time"),
    ],
)
def test_lines_that_are_not_structured(line, flaw):
    (finding,) = unstructured(log(f"{GOOD}{line}\n{GOOD}"), log(GOOD))
    assert "1 of 3 lines" in finding.message
    assert flaw in finding.message
    (lesser,) = unstructured(log(GOOD), log(line))
    assert lesser.severity is Severity.INFO


def test_logs_that_are_structured():
    assert not list(unstructured(log(GOOD * 3), log('{"level":"CRITICAL","message":"","asctime":"2026-01-01"}')))
    with pytest.raises(NotApplicable):
        list(unstructured(log(""), log("\n")))


def test_structured_logging_is_asked_for_with_a_file_that_lasts_as_long_as_the_run():
    with structured_logging() as environment:
        path = Path(environment["SINGER_SDK_LOG_CONFIG"])
        assert json.loads(path.read_text())["version"] == 1
    assert not path.exists()
