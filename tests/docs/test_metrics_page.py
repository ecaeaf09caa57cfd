"""The page of metrics: what is in logs, what Prometheus is given, what OpenTelemetry is sent, all of it seen.

``SINGERKIT_WRITE_DOCS=1`` writes it anew.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pytest_httpserver import HTTPServer

from singerkit.runner.report.freshness import Standing
from singerkit.runner.report.prometheus import exposition
from singerkit.runner.store.base import RunRecord
from singerkit.telemetry.metrics import Metric, Tag

PAGE = Path(__file__).parents[2] / "docs/reference/metrics.md"
MESSAGES = (
    '{"type": "SCHEMA", "stream": "orders", "key_properties": ["id"], '
    '"schema": {"type": "object", "properties": {"id": {"type": "integer"}}}}\n'
    '{"type": "RECORD", "stream": "orders", "record": {"id": 1}}\n'
    '{"type": "STATE", "value": {"bookmarks": {"orders": {"replication_key": "at", '
    '"replication_key_value": "2026-01-01T00:00:00Z"}}}}\n'
)

HEAD = """# Metrics

## In the log

Taps and targets write counts and durations as lines of their log, as other toolkits do: `METRIC: ` and a JSON object.

```text
{line}
```

With `--log-format=json` (or `SINGERKIT_LOG_FORMAT=json`) the object is the member `metric_info` of the line:

```json
{structured}
```

| member | meaning |
|---|---|
| `type` | `counter`: what was counted since the line before; `timer`: seconds |
| `metric` | the name |
| `value` | a number |
| `tags` | what it belongs to: {tags}. Of `context` the names only, of `endpoint` nothing behind the `?` |

singerkit itself writes `record_count`, with the tag `stream`: records that a tap wrote, or a target stored, every
60 seconds and at the end; and `refused_record_count`, likewise: records that a target
[refused and left out](../how-to/refused-records.md), which `singerkit show` and `status` show. Code of a connector
writes others by `singerkit.telemetry.metrics`: `Counter`, `Timer`, `record_counter`, `batch_counter`,
`http_request_counter`, `sync_timer`. The names that runners know are
{names}.

`singerkit run` adds up the counters of the programs that it runs, in either form, and keeps them with the run:
`singerkit show RUN --json`.

## For Prometheus

`singerkit status --prometheus FILE` writes gauges for a textfile collector (see
[command line](command-line.md#singerkit-status)):

| metric | labels | meaning |
|---|---|---|
"""

OPEN_TELEMETRY = """
## To OpenTelemetry

`singerkit run` sends each run that ended, as a trace and as metrics, where `OTEL_EXPORTER_OTLP_ENDPOINT` (or
`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`) says where to; the other standard variables
hold too, and `OTEL_SDK_DISABLED=true` sends nothing. It needs the extra `otel`.

| metric | kind | unit | attributes | meaning |
|---|---|---|---|---|
"""


def open_telemetry_rows(requests):
    for request in requests:
        for metric in ExportMetricsServiceRequest.FromString(request.data).resource_metrics[0].scope_metrics[0].metrics:
            kind = metric.WhichOneof("data")
            point = getattr(metric, kind).data_points[0]
            labels = ", ".join(f"`{each.key}`" for each in point.attributes)
            kind = {"sum": "counter"}.get(kind, kind)
            yield f"| `{metric.name}` | {kind} | {metric.unit} | {labels} | {metric.description} |"


def span_rows(requests):
    """Give a row for each span: the run's, and one of a stream."""
    seen = {}
    for request in requests:
        for group in ExportTraceServiceRequest.FromString(request.data).resource_spans:
            for span in (span for scope in group.scope_spans for span in scope.spans):
                name = span.name.replace("orders-to-file", "PIPELINE").replace("orders", "STREAM")
                seen[name] = ", ".join(f"`{each.key}`" for each in span.attributes)
    yield from ("", "| span | attributes |", "|---|---|")
    yield from (f"| `{name}` | {attributes} |" for name, attributes in sorted(seen.items()))


def prometheus_rows():
    now = datetime.now(tz=UTC)
    streams = {"orders": {"records": 1, "bytes": 1}}
    success = RunRecord(
        id="1",
        pipeline="p",
        state_key="p",
        started=now,
        ended=now + timedelta(1),
        status="success",
        streams=streams,
        facts={"refused": {"orders": 1}},
    )
    standing = Standing(
        pipeline="p",
        state_key="p",
        last_run=success,
        last_success=success,
        age_s=1.0,
        stale_after_s=2.0,
        failures=0,
        lags={"orders": 1.0},
    )
    text = exposition([standing])
    for name, sentence in re.findall(r"^# HELP (\S+) (.*)$", text, re.M):
        labels = re.findall(r'(\w+)="', re.search(rf"^{name}\{{(.*)\}}", text, re.M)[1])
        yield f"| `{name}` | {', '.join(f'`{label}`' for label in labels)} | {sentence} |"


def log_line(*options):
    command = [sys.executable, "-m", "singerkit", "target-jsonl", *options]
    done = subprocess.run(command, input=MESSAGES, capture_output=True, text=True, timeout=60, check=True)
    return next(line for line in done.stderr.splitlines() if "METRIC" in line)


def without_chance(text):
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", "2026-01-01T00:00:00Z", text)
    text = re.sub(r'"ts": [\d.]+', '"ts": 1767225600.0', text)
    return re.sub(r'("pid"|\\"pid\\"):( ?)\d+', r"\1:\g<2>4711", text)


@pytest.fixture
def sent(tmp_path):
    """Give what a run sends: metrics and traces."""
    (tmp_path / "messages.jsonl").write_text(MESSAGES)
    (tmp_path / "singer.toml").write_text(
        '[taps.tap-file]\ncommand = "cat messages.jsonl"\n[targets.target-jsonl]\n'
        '[pipelines.orders-to-file]\ntap = "tap-file"\ntarget = "target-jsonl"\n'
    )
    with HTTPServer() as server:
        for path in ("/v1/traces", "/v1/metrics"):
            server.expect_request(path).respond_with_data("")
        environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": server.url_for("/").rstrip("/")}
        command = [sys.executable, "-m", "singerkit", "run", "orders-to-file"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, env=environment)
        assert done.returncode == 0, done.stderr
        requests = [request for request, _ in server.log]
    return (
        [request for request in requests if request.path == "/v1/metrics"],
        [request for request in requests if request.path == "/v1/traces"],
    )


def test_the_page_shows_what_is_written_and_sent(tmp_path, monkeypatch, sent):
    monkeypatch.chdir(tmp_path)
    head = HEAD.replace("{line}", without_chance(log_line()))
    structured = json.loads(without_chance(log_line("--log-format=json")))
    head = head.replace("{structured}", json.dumps(structured, indent=2))
    head = head.replace("{tags}", ", ".join(f"`{tag}`" for tag in Tag))
    head = head.replace("{names}", ", ".join(f"`{metric}`" for metric in Metric))
    metrics, traces = sent
    rows = [*prometheus_rows(), OPEN_TELEMETRY.rstrip(), *open_telemetry_rows(metrics), *span_rows(traces)]
    expected = head + "\n".join(rows) + "\n"
    if os.environ.get("SINGERKIT_WRITE_DOCS"):
        PAGE.write_text(expected, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == expected, "SINGERKIT_WRITE_DOCS=1 writes the page"
