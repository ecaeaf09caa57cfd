from __future__ import annotations

import json
import random
import threading
import time

import pytest
import requests
from werkzeug import Response

from singerkit import RESTStream, Tap
from singerkit import typing as th
from singerkit.errors import ConfigurationError
from singerkit.http.client import open_session, send
from singerkit.http.limit import Rate, RateLimit, RateLimits, parse_rates
from singerkit.http.paginate import PageNumberPaginator


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("10/s", [Rate(10, 1)]),
        ("10/s, 1000/h", [Rate(10, 1), Rate(1000, 3600)]),
        ("5 per minute", [Rate(5, 60)]),
        ("100/10s", [Rate(100, 10)]),
        ("60/min,1/d", [Rate(60, 60), Rate(1, 86400)]),
        ("7 / 2 hours", [Rate(7, 7200)]),
        ("1/sec", [Rate(1, 1)]),
    ],
)
def test_reads_rates(text, rates):
    assert parse_rates(text) == tuple(rates)


@pytest.mark.parametrize(
    "text", ["", "10", "10/", "/s", "0/s", "10/0s", "10/week", "ten/s", "10/s,", "-1/s", "1.5/s", "8/500ms"]
)
def test_what_is_no_rate(text):
    with pytest.raises(ConfigurationError, match="is no rate; write for instance '10/s'"):
        parse_rates(text)


def most_in_a_window(times: list[float], window_s: float) -> int:
    """Give the largest number of moments in any half-open window that begins with one."""
    times = sorted(times)
    return max(sum(begin <= moment < begin + window_s for moment in times) for begin in times)


class CountingServer:
    """Notes when each request came, and answers after a random time."""

    def __init__(self, api) -> None:
        self.times: list[float] = []
        self.random = random.Random(7)
        api.expect_request("/x").respond_with_handler(self.handle)

    def handle(self, request):
        self.times.append(time.monotonic())
        time.sleep(self.random.choice([0, 0, 0.02, 0.1]))
        return Response("[]")


@pytest.mark.parametrize(("rates", "most"), [("12/s", {1: 12}), ("15/s, 24/2s", {1: 15, 2: 24})])
def test_a_limit_holds_at_the_server_with_16_workers(api, exchange_for, rates, most):
    """Requests are held up on their way by random times, so that they come in bunches."""
    server = CountingServer(api)
    exchange = exchange_for(api.url_for("/"), rates=[rates])
    delays = random.Random(11)
    left = iter(range(36))
    lock = threading.Lock()

    def hold_up(prepared):
        time.sleep(delays.choice([0, 0, 0, 0.15]))
        return prepared

    class SlowNetwork(requests.adapters.HTTPAdapter):
        def send(self, request, *args, **kwargs):
            return super().send(hold_up(request), *args, **kwargs)

    def work():
        with open_session() as own:
            own.mount("http://", SlowNetwork())
            while True:
                with lock:
                    if next(left, None) is None:
                        return
                send(own, requests.Request("GET", api.url_for("/x")).prepare(), exchange, lambda prepared: prepared)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.times) == 36
    for window_s, count in most.items():
        assert most_in_a_window(server.times, window_s) <= count


def test_a_request_that_is_under_way_has_a_place():
    limit = RateLimit([Rate(2, 0.2)])
    limit.enter()
    limit.enter()
    entered = threading.Event()
    threading.Thread(target=lambda: (limit.enter(), entered.set()), daemon=True).start()
    assert not entered.wait(0.5)  # longer than the window: but nothing was answered yet
    limit.answered()
    answered = time.monotonic()
    assert entered.wait(5)
    assert time.monotonic() - answered >= 0.19


def test_a_large_limit_takes_little_memory():
    limit = RateLimit([Rate(1_000_000, 86400)])
    for _ in range(50_000):
        limit.enter()
        limit.answered()
    assert len(limit._windows[0]._moments) < 50


def test_same_words_for_the_same_origin_are_the_same_limit():
    limits = RateLimits()
    one, other = limits.of("https://a:443", ["10/s", "9/s"])
    assert limits.of("https://a:443", ["9/s"]) == [other]
    assert limits.of("https://b:443", ["9/s"]) != [other]
    assert limits.of("https://a:443", ["9/s", "9/s"]) == [other]
    assert one is not other


class TapLimited(Tap):
    """Three streams, many partitions, 16 workers; the limits are declared."""

    name = "tap-limited"
    max_concurrency = 16
    rate_limit = "20/s"
    config_jsonschema = th.PropertiesList(th.Property("port", th.IntegerType)).to_dict()

    def discover_streams(self):
        class Things(RESTStream):
            url_base = f"http://127.0.0.1:{self.config['port']}"
            primary_keys = ("id",)
            partitions = [{"part": number} for number in range(6)]  # noqa: RUF012
            schema = th.PropertiesList(th.Property("id", th.IntegerType)).to_dict()
            paginator = PageNumberPaginator(1, param="page")
            path = "/things/{part}"

        class Search(Things):
            name = "search"
            rate_limit = "5/s"

        class Find(Things):
            name = "find"
            rate_limit = "5/s"

        return [Things(self, name="things"), Search(self, path="/search/{part}"), Find(self, path="/search/{part}")]


def test_declared_limits_hold_for_all_streams_and_workers_of_a_tap(api, capfd):
    times: list[tuple[float, str]] = []

    def handle(request):
        times.append((time.monotonic(), request.path))
        last = int(request.args["page"]) >= (3 if "things" in request.path else 1)
        return Response(json.dumps([] if last else [{"id": 1}]))

    api.expect_request(__import__("re").compile("/.*")).respond_with_handler(handle)
    TapLimited(config={"port": api.port}).sync_all()
    searches = [moment for moment, path in times if "search" in path]
    assert (len(times), len(searches)) == (30, 12)
    assert most_in_a_window([moment for moment, _ in times], 1.0) <= 20
    assert most_in_a_window(searches, 1.0) <= 5


@pytest.mark.parametrize("wrong", ["tap", "stream"])
def test_a_limit_that_is_none_is_said_before_anything_is_read(wrong):
    class TapWrong(TapLimited):
        rate_limit = "often" if wrong == "tap" else None

        def discover_streams(self):
            [things, *_] = super().discover_streams()
            things.rate_limit = "often" if wrong == "stream" else None
            return [things]

    with pytest.raises(ConfigurationError, match="rate_limit: 'often' is no rate"):
        TapWrong(config={"port": 1}).sync_all()
