from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from werkzeug import Response

from singerkit.errors import RetryBudgetError
from singerkit.http.client import open_session, send
from singerkit.http.pauses import is_refused_for_now, limit_pause_s, pause_asked_s

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
EPOCH = int(NOW.timestamp())


def answer(status=429, **headers: str) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.headers["Date"] = format_datetime(NOW, usegmt=True)
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return response


@pytest.mark.parametrize(
    ("headers", "pause_s"),
    [
        ({"RateLimit": '"default";r=0;t=30'}, 30),
        ({"RateLimit": '"a";r=0;t=3, "b";r=0;t=60, "c";r=5;t=900'}, 60),
        ({"RateLimit": '"default";r=1;t=30'}, None),
        ({"RateLimit": "limit=100, remaining=0, reset=7"}, 7),
        ({"RateLimit": "limit=100, remaining=2, reset=7"}, None),
        ({"RateLimit_Remaining": "0", "RateLimit_Reset": "9"}, 9),
        ({"RateLimit_Remaining": "3", "RateLimit_Reset": "9"}, None),
        ({"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "12"}, 12),
        ({"X_RateLimit_Remaining": "0.0", "X_RateLimit_Reset": "12.5"}, 12.5),
        ({"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": str(EPOCH + 20)}, 20),
        ({"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": str(EPOCH - 20)}, 0),
        ({"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": str((EPOCH + 20) * 1000)}, 20),
        ({"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "2024-05-01T12:00:40Z"}, 40),
        ({"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "Wed, 01 May 2024 12:00:41 GMT"}, 41),
        ({"X_Rate_Limit_Remaining": "0", "X_Rate_Limit_Reset": str(EPOCH + 15)}, 15),
        ({"X_RateLimit_Remaining": "0"}, None),
        ({"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "soon"}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("status", [200, 429])
def test_no_requests_left_until(headers, pause_s, status):
    assert limit_pause_s(answer(status, **headers)) == pause_s
    assert pause_asked_s(answer(status, **headers)) == pause_s


def test_a_refusal_that_does_not_say_what_remains():
    assert limit_pause_s(answer(429, X_RateLimit_Reset="8")) == 8
    assert limit_pause_s(answer(429, RateLimit='"default";t=8')) == 8
    assert limit_pause_s(answer(200, X_RateLimit_Reset="8")) is None


def test_retry_after_comes_first():
    assert pause_asked_s(answer(Retry_After="2", X_RateLimit_Remaining="0", X_RateLimit_Reset="60")) == 2


def test_403_may_mean_too_many_requests():
    assert is_refused_for_now(answer(429))
    assert is_refused_for_now(answer(403, X_RateLimit_Remaining="0", X_RateLimit_Reset="5"))
    assert is_refused_for_now(answer(403, Retry_After="5"))
    assert not is_refused_for_now(answer(403, X_RateLimit_Remaining="9", X_RateLimit_Reset="5"))
    assert not is_refused_for_now(answer(403))


@given(delta_s=st.integers(0, 10**6), skew_s=st.integers(-(10**6), 10**6), unit=st.sampled_from([1, 1000]))
def test_a_moment_is_read_by_the_servers_clock(delta_s, skew_s, unit):
    server = NOW + timedelta(seconds=skew_s)
    reset = str(int((server + timedelta(seconds=delta_s)).timestamp()) * unit)
    headers = {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": reset}
    assert limit_pause_s(answer(200, Date=format_datetime(server, usegmt=True), **headers)) == delta_s


@given(
    name=st.sampled_from(["RateLimit", "RateLimit_Reset", "X_RateLimit_Reset"]),
    text=st.text(max_size=30) | st.text(alphabet='0123456789.-+;=",rt ', max_size=30),
    status=st.sampled_from([200, 429]),
)
def test_nonsense_is_no_pause(name, text, status):
    pause = pause_asked_s(answer(status, **{name: text, "X_RateLimit_Remaining": "0"}))
    assert pause is None or pause >= 0


@pytest.mark.parametrize("reset", ["1", "epoch"])
def test_nobody_asks_after_the_last_request_that_is_left(api, exchange_for, reset):
    """The answer is 200 and says that it was the last: all workers wait, so that there is no 429."""
    times: list[float] = []
    lock = threading.Lock()

    def handle(request):
        with lock:
            times.append(time.time())
            first = len(times) == 1
        last = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset if reset == "1" else str(int(times[0]) + 2)}
        return Response("[]", headers=last if first else {})

    api.expect_request("/x").respond_with_handler(handle)
    exchange = exchange_for(api.url_for("/"))

    def work():
        with open_session() as own:
            send(own, requests.Request("GET", api.url_for("/x")).prepare(), exchange, lambda prepared: prepared)

    work()
    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    opened = times[0] + 0.99 if reset == "1" else int(times[0]) + 2 - 0.01
    assert len(times) == 7
    assert min(times[1:]) >= opened


def test_a_limit_that_is_used_up_for_longer_than_the_budget(api, session, exchange_for):
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "3000"}
    api.expect_request("/x").respond_with_data("[]", headers=headers)
    exchange = exchange_for(api.url_for("/"), gate_s=60)
    request = requests.Request("GET", api.url_for("/x")).prepare()
    assert send(session, request, exchange, lambda prepared: prepared).content == b"[]"
    with pytest.raises(RetryBudgetError, match=r"asks for a pause of (3000|2999) s"):
        send(session, request, exchange, lambda prepared: prepared)


def test_a_pause_that_begins_while_a_token_is_got(api, session, exchange_for):
    """A request is ready but for its credentials when another worker is told to wait: it waits too, and signs anew."""
    times: list[float] = []
    signed: list[float] = []
    api.expect_request("/x").respond_with_handler(lambda request: times.append(time.monotonic()) or Response("[]"))
    exchange = exchange_for(api.url_for("/"))

    def authenticate(prepared):
        signed.append(time.monotonic())
        if len(signed) == 1:
            exchange.gates.hold(next(iter(exchange.origins)), 1.2)
        return prepared

    send(session, requests.Request("GET", api.url_for("/x")).prepare(), exchange, authenticate)
    assert times[0] - signed[0] >= 1.19
    assert len(signed) == 2
    assert signed[1] - signed[0] >= 1.19


def test_headers_that_count_something_else(api, session, exchange_for):
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "3000"}
    api.expect_request("/x").respond_with_data("[]", headers=headers)
    exchange = exchange_for(api.url_for("/"), gate_s=60, waits_at_limits=False)
    for _ in range(2):
        request = requests.Request("GET", api.url_for("/x")).prepare()
        assert send(session, request, exchange, lambda prepared: prepared).content == b"[]"
    api.clear()
    api.expect_request("/x").respond_with_data("", status=429, headers=headers)
    send(session, request, exchange, lambda prepared: prepared)
    with pytest.raises(RetryBudgetError):
        send(session, request, exchange, lambda prepared: prepared)
