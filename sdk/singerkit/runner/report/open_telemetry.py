"""A run as a trace and as metrics of OpenTelemetry, sent when its standard variables name where to.

Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from singerkit.errors import MissingExtraError
from singerkit.runner.store.base import RunRecord

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

_ENDPOINTS = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)
_TIMEOUT_MS = 10_000


def is_wanted(environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether runs are to be sent."""
    return any(map(environ.get, _ENDPOINTS)) and environ.get("OTEL_SDK_DISABLED", "").lower() != "true"


def export(record: RunRecord) -> None:
    """Send a run that has ended; what can't be sent is lost, and nothing else.

    Errors: ``MissingExtraError`` without the extra ``otel``.
    """
    try:
        from opentelemetry.sdk.resources import Resource
    except ImportError:
        raise MissingExtraError("OpenTelemetry needs its SDK: pip install 'singerkit[otel]'") from None
    resource = Resource.create({} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "singerkit"})
    _export_trace(record, resource)
    _export_metrics(record, resource)


def _export_trace(record: RunRecord, resource: Resource) -> None:
    """Send a span for the run, and one below it for each stream."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.trace import Status, StatusCode, set_span_in_context

    began, ended = _nanoseconds(record.started), _nanoseconds(record.ended or record.started)
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
    tracer = provider.get_tracer("singerkit")
    span = tracer.start_span(f"run {record.pipeline}", start_time=began, attributes=_attributes(record))
    is_success = record.status == "success"
    span.set_status(Status(StatusCode.OK) if is_success else Status(StatusCode.ERROR, record.failure or record.status))
    for stream, counts in record.streams.items():
        attributes = {f"singerkit.{name}": value for name, value in counts.items()}
        below = tracer.start_span(
            f"stream {stream}", set_span_in_context(span), attributes=attributes, start_time=began
        )
        below.end(ended)
    span.end(ended)
    provider.shutdown()


def _export_metrics(record: RunRecord, resource: Resource) -> None:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    provider = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())], resource)
    meter = provider.get_meter("singerkit")
    labels = {"pipeline": record.pipeline, "status": record.status}
    meter.create_counter("singerkit.runs", description="Runs that ended").add(1, labels)
    seconds = ((record.ended or record.started) - record.started).total_seconds()
    meter.create_histogram("singerkit.run.duration", "s", "How long runs took").record(seconds, labels)
    records = meter.create_counter("singerkit.records", description="Records sent to the target")
    for stream, counts in record.streams.items():
        records.add(counts["records"], {**labels, "stream": stream})
    provider.shutdown(_TIMEOUT_MS)


def _attributes(record: RunRecord) -> dict[str, str | int]:
    found: dict[str, str | int | None] = {
        "singerkit.run.id": record.id,
        "singerkit.pipeline": record.pipeline,
        "singerkit.status": record.status,
        "singerkit.attempt": record.attempt,
        "singerkit.exit_code": record.exit_code,
        "singerkit.state.revision": record.revision_after,
    }
    return {name: value for name, value in found.items() if value is not None}


def _nanoseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1_000_000) * 1_000
