"""Metrics in the log."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from singerkit_testing.rules import Finding, NotApplicable, Severity, tap_rule

if TYPE_CHECKING:
    from singerkit_testing.tap_lab import TapLab

_METRIC = re.compile(r"METRIC: (\{.*\})")


def _metrics(tap: TapLab) -> list[tuple[str, Any]]:
    texts = _METRIC.findall(tap.synced.errors)
    if not texts:
        raise NotApplicable("the log has no metrics")
    return [(text, _read(text)) for text in texts]


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


@tap_rule(
    "TAP-090",
    "a metric is an object with type, metric, value and tags",
    severity=Severity.INFO,
    source="SYNC_MODE.md, Metric messages",
    remedy='Log METRIC: {"type": "counter", "metric": "record_count", "value": 10, "tags": {...}}.',
)
def metrics_are_well_formed(tap: TapLab) -> Iterator[Finding]:
    """Expect counter or timer as the type, and a number as the value."""
    for text, metric in _metrics(tap):
        if not isinstance(metric, dict):
            yield Finding("a metric is no JSON object", text)
        elif metric.get("type") not in ("counter", "timer", "gauge") or not isinstance(metric.get("metric"), str):
            yield Finding("a metric has no type counter or timer, or no name", text)
        elif not isinstance(metric.get("value"), int | float) or not isinstance(metric.get("tags", {}), dict):
            yield Finding("a metric has no number as its value, or tags that are no object", text)


@tap_rule(
    "TAP-091",
    "the record counts in the log are those of the output",
    severity=Severity.INFO,
    source="SYNC_MODE.md, Metric messages",
    remedy="Count each record once, where it is written.",
)
def record_counts_are_true(tap: TapLab) -> Iterator[Finding]:
    """Compare the sum of record_count of each stream."""
    counted: Counter[str] = Counter()
    for _, metric in _metrics(tap):
        if isinstance(metric, dict) and metric.get("metric") == "record_count":
            tags = metric.get("tags") or {}
            counted[str(tags.get("stream") or tags.get("endpoint"))] += int(metric.get("value") or 0)
    for stream in tap.synced.transcript.streams:
        number = len(tap.synced.transcript.records_of(stream))
        if stream in counted and counted[stream] != number:
            yield Finding(f"the log counts {counted[stream]} records, {number} were sent", stream=stream)
