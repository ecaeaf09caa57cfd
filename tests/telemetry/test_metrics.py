import json
import logging
import threading

import pytest
import time_machine

from singerkit import clock
from singerkit.telemetry.metrics import (
    Counter,
    Metric,
    Tag,
    Timer,
    batch_counter,
    http_request_counter,
    record_counter,
    sync_timer,
)


@pytest.fixture
def points(caplog):
    """Give a function that gives the metrics logged so far, without the process id."""
    caplog.set_level(logging.INFO)

    def read():
        found = [json.loads(record.getMessage().removeprefix("METRIC: ")) for record in caplog.records]
        for point in found:
            assert point["tags"].pop("pid")
        return found

    return read


def test_a_counter_logs_its_sum_at_the_end(points):
    with record_counter("users", endpoint="/users?token=x", region="eu") as counter:
        counter.increment(500)
        counter.increment()
    assert points() == [
        {
            "type": "counter",
            "metric": "record_count",
            "value": 501,
            "tags": {"region": "eu", "stream": "users", "endpoint": "/users"},
        }
    ]


def test_a_counter_logs_what_is_new_every_minute(points, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    with record_counter("users") as counter:
        for now[0] in (10, 59, 61, 100, 122):
            counter.increment(10)
    assert [point["value"] for point in points()] == [30, 20, 0]


def test_a_counter_is_safe_for_threads(points):
    with Counter(Metric.RECORD_COUNT, {Tag.STREAM: "users"}) as counter:
        threads = [threading.Thread(target=lambda: [counter.increment() for _ in range(5000)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [point["value"] for point in points()] == [20_000]


def test_a_timer_logs_seconds_and_how_it_ended(points):
    with time_machine.travel(0, tick=True), sync_timer("users") as timer:
        assert timer.elapsed() >= 0
    with pytest.raises(ValueError, match="bad"), Timer("job_duration", {"job_type": "run"}):
        raise ValueError("bad")
    good, failed = points()
    assert good["metric"] == "sync_duration"
    assert 0 <= good["value"] < 5
    assert good["tags"] == {"stream": "users", "status": "succeeded"}
    assert failed["metric"] == "job_duration"
    assert failed["tags"] == {"job_type": "run", "status": "failed"}


def test_a_context_is_logged_by_its_names_only(points):
    with record_counter("users") as counter:
        counter.context = {"account_id": "private"}
        assert counter.context == {"account_id": "private"}
    with record_counter("users") as counter:
        counter.with_context({"a": 1})
        counter.with_context(None)
    assert [point["tags"] for point in points()] == [
        {"stream": "users", "context": ["account_id"]},
        {"stream": "users"},
    ]


def test_the_other_counters(points):
    with batch_counter("users"), http_request_counter("users", "/users"):
        pass
    assert [(point["metric"], point["tags"]) for point in points()] == [
        ("http_request_count", {"stream": "users", "endpoint": "/users"}),
        ("batch_count", {"stream": "users"}),
    ]
