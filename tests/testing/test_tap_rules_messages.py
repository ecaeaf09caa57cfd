from __future__ import annotations

import sys
from pathlib import Path

import pytest

from singerkit_testing.messages import ID, TEXT, activate_version, record, schema, state
from singerkit_testing.rules import Verdict

sys.path.append(str(Path(__file__).parent))
from recorded import catalog_of, judged

S = schema("s", {"id": ID, "name": TEXT}, ["id"])
R = record("s", id=1, name="a")
GOOD = [S, R, state({"bookmarks": {"s": {"after": 1}}})]
BREACHES = {
    "TAP-001": [[S, b"INFO starting", R]],
    "TAP-002": [[S, b"[1]"], [b"{", b'"type": "STATE"', b"}"]],
    "TAP-003": [[S, {"stream": "s"}], [{"type": 1}]],
    "TAP-004": [
        [S, b'{"type": "RECORD", "stream": "s", "record": {"id": NaN}}'],
        [b"\xef\xbb\xbf{}"],
        [b'{"a": "\xff"}'],
    ],
    "TAP-006": [[S, b"", R]],
    "TAP-007": [[b'{"type": "STATE", "value": {"a": 1, "a": 2}}']],
    "TAP-020": [[S, {"type": "RECORD", "stream": "s", "record": [1]}], [{"type": "RECORD", "stream": "s"}]],
    "TAP-021": [[S, {**R, "stream": ""}], [{**S, "stream": None}]],
    "TAP-022": [
        [S, {**R, "time_extracted": when}] for when in ("yesterday", "2024-01-01T00:00:00", "2999-01-01T00:00:00Z")
    ],
    "TAP-023": [[S, {**R, "version": version}] for version in ("1", True, 1.5)],
    "TAP-024": [[schema("s", {"id": {"type": "objct"}})], [{**S, "schema": []}]],
    "TAP-025": [[{**S, "key_properties": keys}] for keys in ("id", None, [1])] + [[schema("s", {"id": ID}, None)]],
    "TAP-026": [[schema("s", {"id": ID}, ["uuid"])]],
    "TAP-027": [[schema("s", {"id": ID}, ["id", "id"])], [S, {**S, "key_properties": ["name"]}]],
    "TAP-028": [[{**S, "bookmark_properties": names}] for names in (["modified"], "id")],
    "TAP-029": [[{"type": "STATE", "state": {}}]],
    "TAP-030": [[state([])], [state(1)]],
    "TAP-031": [[state({"s": 1})], [S, state({"bookmarks": {"other": {}}})], [S, state({"bookmarks": {"s": 1}})]],
    "TAP-032": [[{**S, "type": "schema"}]],
    "TAP-033": [[S, activate_version("s", "1")], [activate_version("s", 1)]],  # type: ignore[arg-type]
    "TAP-040": [[R, S]],
    "TAP-046": [[schema("s", {"id": {"$ref": "#/definitions/id"}})]],
    "TAP-048": [
        [S, schema("s", {"id": ID}, ["id"])],
        [S, schema("s", {"id": ID, "name": {"type": "string"}}, ["id"])],
        [S, record("s", id=1, more=1), schema("s", {"id": ID, "name": TEXT, "more": ID}, ["id"])],
    ],
}


@pytest.mark.parametrize("rule_id", [*BREACHES])
def test_good_messages_breach_nothing(rule_id, tmp_path):
    assert judged(tmp_path, rule_id, GOOD).verdict in (Verdict.PASS, Verdict.SKIPPED)


@pytest.mark.parametrize(
    ("rule_id", "messages"), [(rule_id, messages) for rule_id, cases in BREACHES.items() for messages in cases]
)
def test_bad_messages_are_found(rule_id, messages, tmp_path):
    result = judged(tmp_path, rule_id, messages)
    assert result.verdict in (Verdict.FAIL, Verdict.WARN), result


def test_a_schema_may_widen_and_repeat(tmp_path):
    wide = schema("s", {"id": {"type": ["null", "integer"]}, "name": TEXT, "more": ID}, ["id"])
    assert judged(tmp_path, "TAP-048", [S, S, R, wide, record("s", id=1, more=1)]).verdict is Verdict.PASS


def test_line_separators_within_texts_are_data(tmp_path):
    odd = [S, record("s", id=1, name="a\u2028b\u2029c\u0085d\x0be\x0cf")]
    for rule_id in ("TAP-001", "TAP-002", "TAP-005"):
        assert judged(tmp_path, rule_id, odd).verdict is Verdict.PASS


def test_a_final_act_of_activation(tmp_path):
    catalog = catalog_of("s", {"id": ID}, **{"forced-replication-method": "FULL_TABLE"})
    versioned = [S, {**R, "version": 7}]
    assert judged(tmp_path, "TAP-079", versioned, catalog=catalog).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    "catalog",
    [
        b"INFO\n{}",
        b'{"streams": []}{"streams": []}',
    ],
)
def test_discovery_is_one_document(catalog, tmp_path):
    assert judged(tmp_path, "CAT-001", GOOD, catalog=catalog).verdict is Verdict.FAIL


def test_breadcrumbs_lead_through_items_and_unions(tmp_path):
    inner = {"type": "object", "properties": {"b": ID}}
    catalog = catalog_of("s", {"a": {"type": "array", "items": inner}, "c": {"anyOf": [{"type": "null"}, inner]}})
    metadata = catalog["streams"][0]["metadata"]
    metadata.append({"breadcrumb": ["properties", "a", "items", "properties", "b"], "metadata": {}})
    metadata.append({"breadcrumb": ["properties", "c", "properties", "b"], "metadata": {}})
    assert judged(tmp_path, "CAT-007", GOOD, catalog=catalog).verdict is Verdict.PASS
    metadata.append({"breadcrumb": ["properties", "c", "properties", "z"], "metadata": {}})
    assert judged(tmp_path, "CAT-007", GOOD, catalog=catalog).verdict is Verdict.FAIL
