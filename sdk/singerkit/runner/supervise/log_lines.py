"""What a program logs: drained always, shown line by line, its end kept, its metrics read."""

from __future__ import annotations

import json
import os
import re
from collections import deque
from collections.abc import Callable
from typing import IO, Any

from singerkit.clock import monotonic
from singerkit.telemetry.redact import Redactor, escape_controls

KEPT_LINES = 20
_LONGEST_LINE = 4_000
_READ_BYTES = 1 << 16
_METRIC = re.compile(r"METRIC:\s*(\{.*\})\s*$")


class LogLines:
    """Drains one stderr in a thread of its own (:meth:`run`); ``last`` holds the last lines but metrics, redacted."""

    def __init__(self, source: IO[bytes], redactor: Redactor, show: Callable[[str], None]) -> None:
        """``show`` is given each line, redacted, escaped, cut and without its end."""
        self._source = source
        self._redactor = redactor
        self._show = show
        self.last: deque[str] = deque(maxlen=KEPT_LINES)
        self.metrics: dict[str, float] = {}
        self.last_activity = monotonic()

    def run(self) -> None:
        """Read to the end."""
        unfinished = b""
        while data := os.read(self._source.fileno(), _READ_BYTES):
            self.last_activity = monotonic()
            *lines, unfinished = (unfinished + data).split(b"\n")
            for line in lines:
                self._take(line)
            if len(unfinished) > _READ_BYTES:
                self._take(unfinished)
                unfinished = b""
        if unfinished:
            self._take(unfinished)
        self._source.close()

    def _take(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip("\r")
        if not text.strip():
            return
        is_metric = self._note_metric(text)
        text = escape_controls(self._redactor.redact(_without_colors(text)))
        text = text if len(text) <= _LONGEST_LINE else f"{text[:_LONGEST_LINE]}... ({len(text)} characters)"
        if not is_metric:  # a target may write one for each stream at its end, behind the reason why it failed
            self.last.append(text)
        self._show(text)

    def _note_metric(self, text: str) -> bool:
        """Add up what a line counts; says whether it is a metric."""
        point = metric_in(text)
        if point is not None and point["type"] == "counter":
            stream = point["tags"].get("stream") or ""
            name = f"{point['metric']}/{stream}" if stream else point["metric"]
            self.metrics[name] = self.metrics.get(name, 0) + point["value"]
        return point is not None


_COLOR = re.compile(r"\x1b\[[0-9;]*m")


def _without_colors(text: str) -> str:
    return _COLOR.sub("", text) if "\x1b" in text else text


def metric_in(line: str) -> dict[str, Any] | None:
    """Give the metric that a log line carries, or ``None``.

    Known encodings: ``METRIC: {...}`` behind any prefix (singer-python, singer-sdk, singerkit), and JSON logs with a
    ``metric_info`` or ``point`` member (structured logs of the same).

    Shape: ``type`` ("counter" or "timer"), ``metric``, ``value`` (a number), ``tags`` (a dict).
    """
    if "METRIC" in line and (match := _METRIC.search(line)):
        return _point_of(match[1])
    if line.startswith("{") and ('"metric_info"' in line or '"point"' in line):
        try:
            fields = json.loads(line)
        except ValueError:
            return None
        return _checked(fields.get("metric_info") or fields.get("point"))
    return None


def _point_of(text: str) -> dict[str, Any] | None:
    try:
        return _checked(json.loads(text))
    except ValueError:
        return None


def _checked(point: Any) -> dict[str, Any] | None:
    if not isinstance(point, dict) or not isinstance(point.get("metric"), str):
        return None
    value, tags = point.get("value"), point.get("tags")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    kind = "timer" if point.get("metric_type", point.get("type")) == "timer" else "counter"
    return {"type": kind, "metric": point["metric"], "value": value, "tags": tags if isinstance(tags, dict) else {}}
