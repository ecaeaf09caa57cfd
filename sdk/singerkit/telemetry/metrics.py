"""Counts and durations as log lines: ``METRIC: {"type": "counter", "metric": "record_count", ...}``.

Runners find these lines in the log and draw from them. Count a block at a time (``increment(len(records))``): a call
takes a lock, so it does not belong into the path of a single record.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from singerkit import clock

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

DEFAULT_LOG_INTERVAL = 60.0

_logger = logging.getLogger(__name__)


class Status(StrEnum):
    """How what was timed ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Tag(StrEnum):
    """The names of common tags."""

    STREAM = "stream"
    CONTEXT = "context"
    ENDPOINT = "endpoint"
    JOB_TYPE = "job_type"
    HTTP_STATUS_CODE = "http_status_code"
    STATUS = "status"
    PID = "pid"


class Metric(StrEnum):
    """The names of common metrics."""

    RECORD_COUNT = "record_count"
    REFUSED_RECORD_COUNT = "refused_record_count"
    BATCH_COUNT = "batch_count"
    HTTP_REQUEST_DURATION = "http_request_duration"
    HTTP_REQUEST_COUNT = "http_request_count"
    JOB_DURATION = "job_duration"
    SYNC_DURATION = "sync_duration"
    BATCH_PROCESSING_TIME = "batch_processing_time"


class _Meter:
    """What counters and timers share: a metric's name and tags."""

    _kind = ""

    def __init__(self, metric: Metric | str, tags: Mapping[str, Any] | None = None) -> None:
        self.metric = metric
        self.tags: dict[str, Any] = {**(tags or {}), Tag.PID: os.getpid()}

    @property
    def context(self) -> Mapping[str, Any] | None:
        """The partition that is measured, if one is."""
        context: Mapping[str, Any] | None = self.tags.get(Tag.CONTEXT)
        return context

    @context.setter
    def context(self, value: Mapping[str, Any] | None) -> None:
        self.with_context(value)

    def with_context(self, value: Mapping[str, Any] | None) -> None:
        """Say which partition is measured. The log shows the names in the context only: values come from records."""
        if value is None:
            self.tags.pop(Tag.CONTEXT, None)
        else:
            self.tags[Tag.CONTEXT] = value

    def _log(self, value: float) -> None:
        tags = {name: _shown(name, tag) for name, tag in self.tags.items()}
        point = {"type": self._kind, "metric": self.metric, "value": value, "tags": tags}
        text = json.dumps(point, default=str, separators=(",", ":"))
        _logger.info("METRIC: %s", text, extra={"metric_info": json.loads(text)})


class Counter(_Meter):
    """Counts, and logs what was counted since the last line: every ``log_interval`` seconds and at the end.

    Use it as a context manager; safe for many threads.
    """

    _kind = "counter"

    def __init__(
        self,
        metric: Metric | str,
        tags: Mapping[str, Any] | None = None,
        log_interval: float = DEFAULT_LOG_INTERVAL,
    ) -> None:
        super().__init__(metric, tags)
        self.value = 0
        self.log_interval = log_interval
        self._lock = threading.Lock()
        self._last_logged = clock.monotonic()

    def increment(self, value: int = 1) -> None:
        """Add ``value``."""
        with self._lock:
            self.value += value
            if clock.monotonic() - self._last_logged > self.log_interval:
                self._log_and_reset()

    def exit(self) -> None:
        """Log what is left."""
        with self._lock:
            self._log_and_reset()

    def _log_and_reset(self) -> None:
        self._log(self.value)
        self.value = 0
        self._last_logged = clock.monotonic()

    def __enter__(self) -> Self:
        self._last_logged = clock.monotonic()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.exit()


class Timer(_Meter):
    """Logs how long its ``with`` block took, in seconds, and whether it succeeded."""

    _kind = "timer"

    def __init__(self, metric: Metric | str, tags: Mapping[str, Any] | None = None) -> None:
        super().__init__(metric, tags)
        self._started = clock.monotonic()

    def elapsed(self) -> float:
        """Give the seconds since the start."""
        return clock.monotonic() - self._started

    def __enter__(self) -> Self:
        self._started = clock.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.tags.setdefault(Tag.STATUS, Status.FAILED if kind else Status.SUCCEEDED)
        self._log(self.elapsed())


def record_counter(
    stream: str, endpoint: str | None = None, log_interval: float = DEFAULT_LOG_INTERVAL, **tags: Any
) -> Counter:
    """Give a counter of a stream's records."""
    named = {**tags, Tag.STREAM: stream}
    return Counter(Metric.RECORD_COUNT, {**named, Tag.ENDPOINT: endpoint} if endpoint else named, log_interval)


def refused_counter(stream: str) -> Counter:
    """Give a counter of a stream's records that a target refused and went on without."""
    return Counter(Metric.REFUSED_RECORD_COUNT, {Tag.STREAM: stream})


def batch_counter(stream: str, **tags: Any) -> Counter:
    """Give a counter of a stream's batches."""
    return Counter(Metric.BATCH_COUNT, {**tags, Tag.STREAM: stream})


def http_request_counter(
    stream: str, endpoint: str, log_interval: float = DEFAULT_LOG_INTERVAL, **tags: Any
) -> Counter:
    """Give a counter of the HTTP requests that a stream makes."""
    return Counter(Metric.HTTP_REQUEST_COUNT, {**tags, Tag.STREAM: stream, Tag.ENDPOINT: endpoint}, log_interval)


def sync_timer(stream: str, **tags: Any) -> Timer:
    """Give a timer of a stream's sync."""
    return Timer(Metric.SYNC_DURATION, {**tags, Tag.STREAM: stream})


def _shown(name: str, tag: Any) -> Any:
    """Give a tag as the log may show it: no values of a context, no query of a URL."""
    if name == Tag.CONTEXT and hasattr(tag, "keys"):
        return sorted(tag)
    return tag.partition("?")[0] if name == Tag.ENDPOINT and isinstance(tag, str) else tag
