"""Webhooks, commands and OpenTelemetry: who is told how runs end, and what."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from werkzeug import Response

PROJECT = """
[taps.tap]
command = ["{python}", "{folder}/tap.py"]
[targets.target-jsonl]
config = {{ destination_path = "{folder}/out" }}
[pipelines.p]
tap = "tap"
target = "target-jsonl"
[notify.hook]
url = "${{HOOK}}"
on = ["failure", "recovery"]
headers = {{ Authorization = "Bearer ${{HOOK_TOKEN}}" }}
[notify.log]
command = "sh -c 'cat > {folder}/told-$SINGERKIT_EVENT.json'"
on = ["failure", "success"]
"""
TAP = """
import json, os, sys
schema = {"properties": {"id": {"type": "integer"}}}
print(json.dumps({"type": "SCHEMA", "stream": "s", "schema": schema, "key_properties": []}))
for n in range(3):
    print(json.dumps({"type": "RECORD", "stream": "s", "record": {"id": n}}))
sys.exit(int(os.environ.get("TAP_CODE", "0")))
"""


@pytest.fixture
def place(tmp_path, httpserver):
    (tmp_path / "tap.py").write_text(TAP)
    (tmp_path / "singer.toml").write_text(PROJECT.format(python=sys.executable, folder=tmp_path))
    httpserver.expect_request("/hook").respond_with_data("")
    return tmp_path


def run(folder: Path, httpserver, **variables: str):
    said = {"HOOK": httpserver.url_for("/hook"), "HOOK_TOKEN": "t0ken-of-hook", **variables}
    command = [sys.executable, "-m", "singerkit", "run", "p"]
    return subprocess.run(command, cwd=folder, env={**os.environ, **said}, capture_output=True, text=True)


def told(httpserver, path="/hook"):
    return [request for request, _ in httpserver.log if request.path == path]


def test_failures_and_recoveries_are_told_and_what_just_goes_on_is_not(place, httpserver):
    assert run(place, httpserver).returncode == 0
    assert run(place, httpserver, TAP_CODE="1").returncode == 1
    assert run(place, httpserver).returncode == 0
    assert run(place, httpserver).returncode == 0
    messages = [request.json for request in told(httpserver)]
    assert [message["event"] for message in messages] == ["failure", "recovery"]
    assert messages[0]["text"].startswith("p failed (tap_failed): tap ended with exit code 1")
    assert messages[0]["run"]["streams"] == {"s": {"records": 3, "bytes": messages[0]["run"]["streams"]["s"]["bytes"]}}
    assert told(httpserver)[0].headers["Authorization"] == "Bearer t0ken-of-hook"
    assert json.loads((place / "told-failure.json").read_text())["event"] == "failure"
    assert json.loads((place / "told-success.json").read_text())["event"] == "success"


def test_who_can_t_be_told_is_warned_of_without_a_secret(place, httpserver):
    ended = run(place, httpserver, HOOK="http://127.0.0.1:1/hunter2-in-url", TAP_CODE="1")
    assert ended.returncode == 1
    assert "notify.hook could not be told" in ended.stderr
    assert "hunter2" not in ended.stderr
    assert "t0ken" not in ended.stderr


def test_runs_are_sent_to_opentelemetry(place, httpserver):
    for path in ("/v1/traces", "/v1/metrics"):
        httpserver.expect_request(path).respond_with_response(Response(status=200))
    endpoint = httpserver.url_for("/")
    run(place, httpserver, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, TAP_CODE="1")
    traces = ExportTraceServiceRequest.FromString(told(httpserver, "/v1/traces")[-1].data)
    names = set()
    for request in told(httpserver, "/v1/traces"):
        for group in ExportTraceServiceRequest.FromString(request.data).resource_spans:
            names |= {span.name for scope in group.scope_spans for span in scope.spans}
    assert names == {"run p", "stream s"}
    resource = {item.key: item.value.string_value for item in traces.resource_spans[0].resource.attributes}
    assert resource["service.name"] == "singerkit"
    metrics = ExportMetricsServiceRequest.FromString(told(httpserver, "/v1/metrics")[0].data)
    found = {metric.name for scope in metrics.resource_metrics[0].scope_metrics for metric in scope.metrics}
    assert found == {"singerkit.runs", "singerkit.run.duration", "singerkit.records"}
