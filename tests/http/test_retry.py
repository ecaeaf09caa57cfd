from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import requests
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from singerkit.errors import FatalAPIError, RetriableAPIError, RetryBudgetError, SkippableSyncError
from singerkit.http.client import NeverSent
from singerkit.http.pauses import Gates, pause_asked_s
from singerkit.http.retry import Action, Decision, RetryPolicy, Schedule, decide, retrying


def answer(status=200, **headers: str) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return response


def request(method="GET") -> requests.PreparedRequest:
    return requests.Request(method, "http://127.0.0.1/").prepare()


@pytest.mark.parametrize(
    ("error", "method", "action"),
    [
        (RetriableAPIError("", answer(500)), "GET", Action.RETRY),
        (RetriableAPIError("", answer(500)), "POST", Action.FAIL),
        (RetriableAPIError("", answer(429)), "POST", Action.RETRY),
        (requests.ConnectionError(), "GET", Action.RETRY),
        (requests.ConnectionError(), "POST", Action.FAIL),
        (NeverSent(), "POST", Action.RETRY),
        (requests.ReadTimeout(), "GET", Action.RETRY),
        (requests.exceptions.ChunkedEncodingError(), "GET", Action.RETRY),
        (ConnectionResetError(), "GET", Action.RETRY),
        (FatalAPIError(), "GET", Action.FAIL),
        (ValueError(), "GET", Action.FAIL),
        (SkippableSyncError(), "GET", Action.SKIP),
    ],
)
def test_decides(error, method, action):
    assert decide(error, method=method, policy=RetryPolicy()).action is action


def test_post_is_repeated_where_it_is_marked_safe():
    error = RetriableAPIError("", answer(500))
    assert decide(error, method="POST", policy=RetryPolicy(repeat_unsafe=True)).action is Action.RETRY


def test_the_server_says_when():
    error = RetriableAPIError("", answer(429, Retry_After="7"))
    assert decide(error, method="GET", policy=RetryPolicy()) == Decision(Action.RETRY, 7.0, "RetriableAPIError")


@given(seconds=st.integers(0, 10**6), skew_s=st.integers(-(10**6), 10**6))
def test_a_date_is_read_by_the_servers_clock(seconds, skew_s):
    now = datetime(2024, 5, 1, tzinfo=UTC) + timedelta(seconds=skew_s)
    until = format_datetime(now + timedelta(seconds=seconds), usegmt=True)
    assert pause_asked_s(answer(503, Retry_After=until, Date=format_datetime(now, usegmt=True))) == seconds


def test_a_date_without_the_servers_clock_is_read_by_ours():
    with time_machine.travel(datetime(2024, 5, 1, tzinfo=UTC), tick=False):
        assert pause_asked_s(answer(Retry_After="Wed, 01 May 2024 00:00:09 GMT")) == 9
        assert pause_asked_s(answer(Retry_After="Tue, 30 Apr 2024 00:00:00 GMT")) == 0


@given(text=st.text(max_size=20))
def test_nonsense_is_no_pause(text):
    pause = pause_asked_s(answer(Retry_After=text))
    assert pause is None or pause >= 0


def test_a_gate_holds_everyone():
    gates = Gates()
    gates.hold("a", 0.3)
    gates.hold("a", 0.1)
    started, passed = time.monotonic(), []

    def pass_gate():
        gates.wait("a", at_most_s=5)
        passed.append(time.monotonic() - started)

    threads = [threading.Thread(target=pass_gate) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert gates.wait("b", at_most_s=5) < 0.1
    for thread in threads:
        thread.join()
    assert min(passed) >= 0.29


def test_a_gate_that_stays_closed_too_long_is_an_error_at_once():
    gates = Gates()
    gates.hold("https://api.example.com:443", 86400)
    with pytest.raises(RetryBudgetError, match="asks for a pause of 86400 s"):
        gates.wait("https://api.example.com:443", at_most_s=60)


class Attempts:
    """Fails as told, then succeeds; and keeps what happened."""

    def __init__(self, *errors: Exception, waits=(1, 2, 4, 8)) -> None:
        self.errors = list(errors)
        self.pauses: list[float] = []
        self.backed_off: list[dict] = []
        self.waits = waits

    def __call__(self, prepared, context):
        if self.errors:
            raise self.errors.pop(0)
        return "answer"

    def generate(self):
        yield None
        yield from (seconds for seconds in self.waits)  # a generator: it is sent the errors

    def run(self, method="GET", max_tries=5, **policy):
        schedule = Schedule(
            waits=self.generate, jitter=lambda s: s + 0.5, on_backoff=self.backed_off.append, pause=self.pauses.append
        )
        call = retrying(self, policy=RetryPolicy(**policy), max_tries=max_tries, schedule=schedule)
        return call(request(method), None)


def test_tries_again_by_the_schedule_with_jitter():
    attempts = Attempts(requests.ConnectionError("down"), RetriableAPIError("", answer(503)))
    assert attempts.run() == "answer"
    assert attempts.pauses == [1.5, 2.5]
    assert [details["tries"] for details in attempts.backed_off] == [1, 2]
    assert set(attempts.backed_off[0]) == {"target", "args", "kwargs", "tries", "elapsed", "wait", "exception"}


def test_what_the_server_asks_comes_before_the_schedule():
    attempts = Attempts(RetriableAPIError("", answer(429, Retry_After="11")), RetriableAPIError("", answer(500)))
    assert attempts.run() == "answer"
    assert attempts.pauses == [11.0, 2.5]


def test_no_pause_to_speak_of_leaves_it_to_the_schedule():
    attempts = Attempts(RetriableAPIError("", answer(429, Retry_After="0")))
    assert attempts.run() == "answer"
    assert attempts.pauses == [1.5]


def test_gives_up_after_the_last_try():
    attempts = Attempts(*[RetriableAPIError("500 Server Error", answer(500)) for _ in range(9)])
    with pytest.raises(RetriableAPIError, match=r"500 Server Error \(gave up after 3 tries\)") as caught:
        attempts.run(max_tries=3)
    assert caught.value.response.status_code == 500
    assert len(attempts.pauses) == 2


def test_an_error_of_requests_becomes_one_of_ours():
    with pytest.raises(RetriableAPIError, match=r"down \(gave up after 1 tries\)"):
        Attempts(requests.ConnectionError("down")).run(max_tries=1)


def test_gives_up_at_once_where_the_pause_does_not_fit():
    attempts = Attempts(RetriableAPIError("429", answer(429, Retry_After="86400")))
    with pytest.raises(RetryBudgetError, match="the next try is 86400 s away and the budget is 60 s") as caught:
        attempts.run(total_s=60)
    assert caught.value.exit_code == 5
    assert attempts.pauses == []


def test_gives_up_when_the_schedule_ends():
    attempts = Attempts(requests.ReadTimeout(), requests.ReadTimeout(), waits=(1,))
    with pytest.raises(RetriableAPIError, match="gave up after 2 tries"):
        attempts.run()


def test_what_is_fatal_is_raised_as_it_is():
    with pytest.raises(FatalAPIError, match=r"^no$"):
        Attempts(FatalAPIError("no")).run()
