"""The page says what the results say, each failed must was looked at, and the recorder works."""

from __future__ import annotations

import json
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import recording
from listed import CONNECTORS
from page import CONFIRMED, PAGE, RESULTS, page

RECORDED = sorted(path.stem for path in RESULTS.glob("*.json"))


def test_the_page_says_what_the_results_say():
    assert PAGE.read_text("utf-8") == page(), "run `python tests/world --page`"


def test_every_connector_has_a_result():
    assert sorted(CONNECTORS) == RECORDED


@pytest.mark.parametrize("name", RECORDED)
def test_every_failed_must_was_replayed_by_hand(name):
    rules = json.loads((RESULTS / f"{name}.json").read_text("utf-8"))["rules"]
    failed = {rule for rule, outcome in rules.items() if outcome["verdict"] == "fail"}

    assert failed == set(tomllib.loads(CONFIRMED.read_text("utf-8")).get(name, {}))


def test_a_connector_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "environment", lambda *_, **__: Path(sys.executable).parent)
    connector = replace(CONNECTORS["singerkit-tap-csv"], options=["--rules", "TAP-00*,TAP-050,TAP-063"])

    recording.record(connector, tmp_path / "world", tmp_path / "results")

    text = (tmp_path / "results" / "singerkit-tap-csv.json").read_text("utf-8")
    result = json.loads(text)
    assert (result["kind"], result["counts"]["fail"], result["rules"]["TAP-050"]) == ("tap", 0, {"verdict": "pass"})
    assert result["rules"]["TAP-063"]["verdict"] == "skipped"
    assert str(tmp_path) not in text


def test_what_only_this_run_had_is_left_out():
    said = "2026-11-22 10:00:00,123 /tmp/singer-check-x1/0007/out/c0123456789_a.csv in /tmp/here/lib/x.py"
    assert recording.anonymous(said, [Path("/tmp/here")]) == "{time} {folder}/out/{case}_a.csv in lib/x.py"
