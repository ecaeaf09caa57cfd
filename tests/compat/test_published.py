"""The page says what the results say, and every connector of the list was tried."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from published import CONNECTORS
from results_page import PAGE, RESULTS, page
from trial import compared_tests, is_same, outcomes, streams_of

RECORDED = sorted(path.stem for path in RESULTS.glob("*.json"))
LEAST_TESTED, LEAST_KEPT = 25, 20


def result_of(name: str) -> dict:
    return json.loads((RESULTS / f"{name}.json").read_text("utf-8"))


def test_the_page_says_what_the_results_say():
    assert PAGE.read_text("utf-8") == page(), "run `python tests/compat --page`"


def test_every_connector_has_a_result():
    assert sorted(CONNECTORS) == RECORDED


@pytest.mark.parametrize("name", RECORDED)
def test_a_result_is_of_the_version_that_is_listed_and_agrees_with_itself(name):
    result = result_of(name)
    assert result["version"] == CONNECTORS[name].version
    assert result["same"] == is_same(result)
    assert result["tests"]["before"] == result["tests"]["after"] + len(result["tests"]["lost"])


def test_most_connectors_that_have_tests_pass_them_all_as_before():
    tests = [result_of(name)["tests"] for name in RECORDED]
    tested = [each for each in tests if each["before"]]
    assert len(tested) >= LEAST_TESTED
    assert sum(not each["lost"] for each in tested) >= LEAST_KEPT


def test_tests_are_compared_by_what_passed_before(tmp_path):
    report = tmp_path / "report.xml"
    report.write_text(
        "<testsuites><testsuite>"
        '<testcase classname="a" name="passes"/>'
        '<testcase classname="a" name="fails"><failure message="no\n such thing"/></testcase>'
        '<testcase classname="a" name="skips"><skipped/></testcase>'
        "</testsuite></testsuites>"
    )
    before = outcomes(report)
    assert before == {"a::passes": "passed", "a::fails": "failure: no such thing", "a::skips": "skipped"}

    compared = compared_tests(before, {"a::fails": "passed"})
    assert compared == {"before": 1, "after": 0, "failed_before": 1, "lost": {"a::passes": "not found"}, "gained": 1}
    assert outcomes(tmp_path / "none.xml") == {}


def test_catalogs_are_compared_by_what_matters():
    stream = {"tap_stream_id": "a", "schema": {"properties": {"x": {"type": "string", "title": "X"}}}, "is_view": False}
    assert streams_of({"streams": [stream]}) == {
        "a": {
            "properties": {"x": [["string"], None]},
            "key_properties": [],
            "replication_key": None,
            "replication_method": None,
        }
    }
