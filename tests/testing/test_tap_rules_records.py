from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path

import pytest

from singerkit_testing.date_times import compile_date_times, date_time_flaw
from singerkit_testing.json_schemas import compile_check, schema_flaw
from singerkit_testing.messages import DATE_TIME, ID, TEXT, record, schema
from singerkit_testing.rules import Verdict

sys.path.append(str(Path(__file__).parent))
from recorded import catalog_of, judged

S = schema("s", {"id": ID, "name": TEXT}, ["id"])
FULL_TABLE = catalog_of("s", {"id": ID, "name": TEXT}, **{"forced-replication-method": "FULL_TABLE"})


@pytest.mark.parametrize(
    ("properties", "value"),
    [
        ({"a": {"type": "integer"}}, {"a": Decimal("2.0")}),  # all but the oldest draft
        ({"a": {"type": "number", "multipleOf": Decimal("0.01")}}, {"a": Decimal("123456789012345678901234567890.12")}),
        ({"a": {"$ref": "http://example.com/nowhere"}}, {"a": 1}),
        ({"a": {"type": "string", "pattern": "(?P<"}}, {"a": "x"}),
        ({"a": {"type": "number", "minimum": 0, "exclusiveMinimum": True}}, {"a": 1}),  # draft 4
        ({"a": {"type": ["null", "string"], "format": "singer.decimal"}}, {"a": "1.5"}),
    ],
)
def test_what_some_draft_allows_is_allowed(properties, value):
    assert compile_check({"type": "object", "properties": properties})(value) == []


def test_violations_have_a_path():
    check = compile_check({"properties": {"a": {"items": {"properties": {"b": {"type": "integer"}}}}}})
    (violation,) = check({"a": [{"b": 1}, {"b": "x"}]})
    assert violation.path == "a/[]/b"


def test_a_named_draft_is_the_only_one():
    draft = "http://json-schema.org/draft-04/schema#"
    check = compile_check({"$schema": draft, "properties": {"a": {"type": "integer"}}})
    assert check({"a": Decimal("2.0")})
    assert schema_flaw({"type": "objct"})
    assert schema_flaw({"type": "object"}) is None


@pytest.mark.parametrize(
    "text",
    ["2024-02-29T12:00:00Z", "2016-12-31T23:59:60Z", "0001-01-01T00:00:00+14:00", "2024-01-01t00:00:00.123456789z"],
)
def test_date_times(text):
    assert date_time_flaw(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-01",
        "2024-01-01T00:00:00",
        "2023-02-29T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "2024-01-01T25:00:00Z",
        "2024-13-01T00:00:00Z",
        "٢٠٢٤-01-01T00:00:00Z",
        "infinity",
        "",
    ],
)
def test_no_date_times(text):
    assert date_time_flaw(text)


def test_date_times_are_found_at_any_depth():
    at = {"type": "object", "properties": {"at": DATE_TIME}}
    values = compile_date_times({"properties": {"list": {"items": {"anyOf": [at, {"type": "null"}]}}, "id": ID}})
    assert values is not None
    assert [*values({"list": [{"at": "x"}, None], "id": 1})] == [("list/[]/at", "x")]
    assert compile_date_times({"properties": {"id": ID}}) is None


def test_a_union_with_plain_text_takes_any_text():
    assert compile_date_times({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string"}]}) is None


@pytest.mark.parametrize(
    ("rule_id", "messages"),
    [
        ("TAP-041", [S, record("s", id="1")]),
        ("TAP-042", [S, record("s", id=1, other=1)]),
        ("TAP-043", [S, record("s", id=None)]),
        ("TAP-043", [S, record("s", name="a")]),
        ("TAP-044", [S, record("s", id=1), record("s", id=1)]),
        ("TAP-045", [schema("s", {"at": DATE_TIME}), record("s", at="2024-01-01T00:00:00")]),
    ],
)
def test_bad_records_are_found(rule_id, messages, tmp_path):
    assert judged(tmp_path, rule_id, messages, catalog=FULL_TABLE).verdict in (Verdict.FAIL, Verdict.WARN)


def test_keys_are_compared_part_by_part(tmp_path):
    keyed = schema("s", {"a": TEXT, "b": TEXT}, ["a", "b"])
    messages = [keyed, record("s", a="x,y", b="z"), record("s", a="x", b="y,z"), record("s", a="", b="0")]
    for rule_id in ("TAP-043", "TAP-044"):
        assert judged(tmp_path, rule_id, messages, catalog=FULL_TABLE).verdict is Verdict.PASS


def test_the_same_breach_many_times_is_one_finding(tmp_path):
    result = judged(tmp_path, "TAP-041", [S, *(record("s", id=str(number)) for number in range(5))])
    assert len(result.findings) == 1
    assert "(5 records)" in result.findings[0].message


@pytest.mark.parametrize(
    ("sent", "breached"),
    [
        ({"id": 1, "n": Decimal("0.10")}, set()),
        ({"id": 1, "n": Decimal("0.1000000000000000055")}, {"TAP-047"}),
        ({"id": 1, "n": None}, {"TAP-051"}),
        ({"id": 2, "n": Decimal("0.1")}, {"TAP-050"}),
    ],
)
def test_records_are_compared_with_what_is_expected(sent, breached, tmp_path):
    messages = [schema("s", {"id": ID, "n": {"type": "number"}}, ["id"]), record("s", sent)]
    expect = {"records": {"s": [{"id": 1, "n": Decimal("0.1")}]}}
    for rule_id in ("TAP-047", "TAP-050", "TAP-051"):
        verdict = judged(tmp_path, rule_id, messages, expect=expect).verdict
        assert (verdict is Verdict.FAIL) is (rule_id in breached)
