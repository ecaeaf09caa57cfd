"""Sources of dbt: what is in the file, and that dbt's own shape is kept."""

from __future__ import annotations

import subprocess
import sys

import yaml

TAP = """
import json
entry = lambda name, keys, **said: {
    "tap_stream_id": name, "stream": name, "key_properties": keys,
    "schema": {"type": "object", "properties": {
        "id": {"type": "integer"}, "line": {"type": "integer"}, "note": {"type": "string", "description": "A remark."},
        "at": {"type": "string", "format": "date-time"}}},
    "replication_key": "at", "metadata": [{"breadcrumb": [], "metadata": {"selected": True}}], **said}
print(json.dumps({"streams": [entry("orders", ["id"]), entry("lines", ["id", "line"]), entry("notes", [])]}))
"""
PROJECT = """
[taps.tap]
command = ["{python}", "tap.py"]
select = ["orders.*", "lines.*", "!*.note"]
[targets.target-postgres]
config = {{ default_target_schema = "raw", database = "shop", add_record_metadata = {metadata} }}
[pipelines.p]
tap = "tap"
target = "target-postgres"
stale_after = "3h"
"""


def sources(folder, metadata="true"):
    (folder / "tap.py").write_text(TAP)
    (folder / "singer.toml").write_text(PROJECT.format(python=sys.executable, metadata=metadata))
    command = [sys.executable, "-m", "singerkit", "dbt-sources", "p"]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return yaml.safe_load(answer.stdout)


def test_selected_streams_are_tables_with_keys_and_freshness(tmp_path):
    (source,) = sources(tmp_path)["sources"]
    assert (source["name"], source["database"], source["schema"]) == ("p", "shop", "raw")
    orders, lines = source["tables"]
    assert (orders["name"], lines["name"]) == ("orders", "lines")
    assert orders["loaded_at_field"] == "_sdc_batched_at"
    assert orders["freshness"] == {
        "warn_after": {"count": 2, "period": "hour"},
        "error_after": {"count": 3, "period": "hour"},
    }
    tests = {column["name"]: column.get("data_tests") for column in orders["columns"]}
    assert tests == {"id": ["not_null", "unique"], "line": None, "at": None}
    assert [column.get("data_tests") for column in lines["columns"]] == [["not_null"], ["not_null"], None]


def test_without_metadata_freshness_is_the_replication_key_s(tmp_path):
    (source,) = sources(tmp_path, metadata="false")["sources"]
    assert source["tables"][0]["loaded_at_field"] == "at"
