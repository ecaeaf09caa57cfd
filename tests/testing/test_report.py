from __future__ import annotations

import json
from datetime import UTC, datetime
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from rich.console import Console

from singerkit_testing.errors import HarnessError
from singerkit_testing.judgement import Judgement, Kind
from singerkit_testing.report import FORMATS, save, table, writer_for
from singerkit_testing.rules import Finding, Result, Rule, Severity, Verdict

NASTY = "<b>\x1b[31m & ]]> \ud800 |\n```"


def make(verdict, *findings, note="", rule_id="TGT-060"):
    rule = Rule(rule_id, f"title of {rule_id}", Severity.MUST, "SPEC.md, Output", "Do better.", lambda lab: ())
    return Result(rule, verdict, findings, 0.5, note)


JUDGEMENT = Judgement(
    Kind.TARGET,
    ("/usr/bin/target-shop", "a b"),
    (
        make(Verdict.FAIL, *[Finding(f"{n} rows lost", NASTY, "people") for n in range(5)]),
        make(Verdict.PASS, rule_id="TGT-061"),
        make(Verdict.WARN, Finding("slow"), rule_id="TGT-062"),
        make(Verdict.INFO, Finding("refuses a byte order mark"), rule_id="TGT-063"),
        make(Verdict.SKIPPED, note="needs reader", rule_id="TGT-064"),
        make(Verdict.ERROR, note="not judged within 120 s", rule_id="TGT-065"),
    ),
    datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
    12.34,
)
FINE = Judgement(Kind.TAP, ("tap-x",), (make(Verdict.PASS),), JUDGEMENT.started, 1.0)
ODD = Judgement(Kind.TAP, ("tap-x",), (make(Verdict.PASS), make(Verdict.WARN, Finding("x"))), JUDGEMENT.started, 1.0)


def text_of(name, judgement=JUDGEMENT):
    return writer_for(f"{name}:x")[0](judgement)


@pytest.mark.parametrize("name", [*FORMATS.values(), "badge"])
@pytest.mark.parametrize("judgement", [JUDGEMENT, FINE])
def test_nothing_in_a_report_acts_on_its_reader(name, judgement):
    text = text_of(name, judgement)
    assert "\x1b" not in text


def test_json():
    document = json.loads(text_of("json"))
    assert document["format"] == "singerkit-check/1"
    assert (document["connector"], document["kind"], document["verdict"]) == ("target-shop", "target", "breach")
    assert document["summary"] == {"fail": 1, "error": 1, "warn": 1, "info": 1, "skipped": 1, "pass": 1}
    first = document["results"][0]
    assert (first["rule"], first["severity"], first["verdict"]) == ("TGT-060", "must", "fail")
    assert first["findings"][0]["message"] == "0 rows lost"
    assert document["started"] == "2026-01-02T03:04:00+00:00"


def test_junit():
    suite = ElementTree.fromstring(text_of("junit").encode()).find("testsuite")
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "6", "failures": "1", "errors": "1", "skipped": "1"}
    cases = {case.get("name").split()[0]: case for case in suite.findall("testcase")}
    assert cases["TGT-060"].find("failure").get("message") == "0 rows lost"
    assert "remedy: Do better." in cases["TGT-060"].find("failure").text
    assert cases["TGT-064"].find("skipped").get("message") == "needs reader"
    assert "slow" in cases["TGT-062"].find("system-out").text
    assert len(cases["TGT-061"]) == 1


def test_html_is_one_closed_page():
    class Page(HTMLParser):
        void = frozenset({"meta", "input"})

        def __init__(self):
            super().__init__()
            self.open, self.ids, self.texts = [], [], []

        def handle_starttag(self, tag, attrs):
            self.ids += [value for name, value in attrs if name == "id"]
            assert not {"src", "href"} & {name for name, _ in attrs}
            if tag not in self.void:
                self.open.append(tag)

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

        def handle_data(self, data):
            self.texts.append(data)

    page = Page()
    page.feed(text_of("html"))
    assert page.open == []
    assert page.ids == [result.rule.id for result in JUDGEMENT.results]
    assert any("<b>\\x1b[31m & ]]>" in text for text in page.texts)


def test_markdown():
    text = text_of("markdown")
    assert "target-shop: not conformant, 1 must and 1 should broken; 5 rules of 6 applied." in text
    assert "| test report | 1 | 1 | 1 | 1 | 1 | 1 |" in text
    assert "and 2 more of the kind" in text
    assert "TGT-061" not in text


@pytest.mark.parametrize(
    ("judgement", "message", "color"),
    [(FINE, "1/1", "brightgreen"), (ODD, "1/2", "green"), (JUDGEMENT, "2/5", "red")],
)
def test_badge(judgement, message, color):
    expected = {"schemaVersion": 1, "label": "singer", "message": message, "color": color}
    assert json.loads(text_of("badge", judgement)) == expected


def test_a_badge_claims_nothing_that_was_not_judged():
    hollow = Judgement(Kind.TAP, ("x",), FINE.results, FINE.started, 1.0, ("no record",))
    assert json.loads(text_of("badge", hollow))["message"] == "not judged"


def test_the_table_explains_the_worst_last():
    lines = text_of("table").splitlines()
    order = [line.split()[1] for line in lines if line[:2] in ("✗ ", "! ", "i ", "? ")]
    assert order == ["not", "TGT-063", "TGT-062", "TGT-060"]
    assert lines[-1] == "again: --rules TGT-060,TGT-062"
    assert any("remedy Do better." in line for line in lines)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_table_fits_any_terminal(width, capsys):
    table.show(JUDGEMENT, Console(width=width), verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert any(line.startswith("✓ ") for line in lines)


def test_the_name_of_a_file_says_its_format(tmp_path):
    for name in ("r.html", "r.xml", "r.json", "r.md", "r.txt", "sub/badge.json"):
        save(JUDGEMENT, str(tmp_path / name))
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    assert json.loads((tmp_path / "sub/badge.json").read_text())["label"] == "singer"
    save(JUDGEMENT, f"junit:{tmp_path}/results")
    assert (tmp_path / "results").read_text().startswith("<?xml")
    with pytest.raises(HarnessError, match=r"no report format for report\.pdf"):
        writer_for("report.pdf")
    with pytest.raises(HarnessError, match="can't be written"):
        save(JUDGEMENT, str(tmp_path / "r.html" / "x.html"))


def test_one_reason_that_stops_many_rules_is_told_once():
    stopped = tuple(make(Verdict.ERROR, note="not run any more", rule_id=f"TGT-{n}") for n in range(100, 140))
    judgement = Judgement(Kind.TARGET, ("target-x",), stopped, FINE.started, 1.0)
    assert text_of("table", judgement).count("not run any more") == 1
    assert text_of("markdown", judgement).count("not run any more") == 1
