"""The hooks around retries, overridden in the ways that existing connectors override them, against a real server."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from typing import Any

import backoff
import pytest
import requests
from werkzeug import Response

from singerkit import RESTStream, RetryPolicy, Tap
from singerkit import typing as th
from singerkit.errors import AuthenticationError, FatalAPIError, RetriableAPIError, RetryBudgetError


class TapNothing(Tap):
    name = "tap-nothing"
    config_jsonschema: dict = {}  # noqa: RUF012

    def discover_streams(self):
        return []


class Server:
    """Answers one thing after the other, the last one for ever."""

    def __init__(self, api, *answers) -> None:
        self.answers = list(answers)
        self.requests = 0
        api.expect_request("/things").respond_with_handler(self.handle)

    def handle(self, request):
        self.requests += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return (
            Response('[{"id": 1}]')
            if answer == 200
            else answer
            if isinstance(answer, Response)
            else Response("", answer)
        )


@pytest.fixture
def things(api):
    class Things(RESTStream):
        name = "things"
        path = "/things"
        url_base = f"http://127.0.0.1:{api.port}"
        primary_keys = ("id",)
        schema = th.PropertiesList(th.Property("id", th.IntegerType)).to_dict()

        def backoff_jitter(self, value: float) -> float:
            return 0.0

    return Things


def read(stream_class) -> list[dict]:
    return list(stream_class(TapNothing()).get_records(None))


def test_backoff_max_tries_as_method(api, things):
    class Stream(things):
        def backoff_max_tries(self) -> int:
            return 8

    server = Server(api, *[500] * 7, 200)
    assert read(Stream) == [{"id": 1}]
    assert server.requests == 8


def test_backoff_max_tries_as_property(api, things):
    class Stream(things):
        @property
        def backoff_max_tries(self) -> int:
            return 2

    server = Server(api, 500)
    with pytest.raises(RetriableAPIError, match="gave up after 2 tries"):
        read(Stream)
    assert server.requests == 2


def test_backoff_max_tries_that_asks_super(api, things):
    class Stream(things):
        def backoff_max_tries(self) -> int:
            return super().backoff_max_tries() + 1

    server = Server(api, 500)
    with pytest.raises(RetriableAPIError, match="gave up after 6 tries"):
        read(Stream)
    assert server.requests == 6


def test_backoff_wait_generator_of_the_backoff_package(api, things):
    waits: list[float] = []

    class Stream(things):
        def backoff_wait_generator(self) -> Generator[float, None, None]:
            return backoff.expo(base=3, factor=7, max_value=100)

        def backoff_jitter(self, value: float) -> float:
            waits.append(value)
            return 0.0

    Server(api, *[503] * 4, 200)
    read(Stream)
    assert waits == [7, 21, 63, 100]


def test_backoff_runtime_is_given_the_error(api, things):
    statuses: list[int] = []

    class Stream(things):
        def backoff_wait_generator(self):
            def seconds(error: RetriableAPIError) -> float:
                statuses.append(error.response.status_code)
                return 0.001

            return self.backoff_runtime(value=seconds)

    Server(api, 500, 503, 429, 200)
    assert read(Stream) == [{"id": 1}]
    assert statuses == [500, 503, 429]


def test_backoff_handler_is_given_what_backoff_gives(api, things):
    told: list[dict] = []

    class Stream(things):
        def backoff_handler(self, details: Any) -> None:
            told.append(details)
            super().backoff_handler(details)

    Server(api, 500, 200)
    read(Stream)
    [details] = told
    assert set(details) >= {"target", "args", "kwargs", "tries", "elapsed", "wait"}
    assert (details["tries"], details["wait"], details["kwargs"]) == (1, 0.0, {})
    prepared, context = details["args"]
    assert prepared.url.endswith("/things")
    assert context is None
    assert callable(details["target"])


def test_backoff_handler_finds_the_error_where_backoff_has_it(api, things):
    """Handlers look for the error in ``sys.exc_info()``: they are called while it is handled."""
    import sys

    found: list = []

    class Stream(things):
        def backoff_handler(self, details):
            found.append(sys.exc_info()[1])

    Server(api, 502, 200)
    read(Stream)
    assert isinstance(found[0], RetriableAPIError)
    assert found[0].response.status_code == 502


def test_request_decorator_with_backoff_on_exception(api, things):
    """As the documentation of other SDKs shows it; what is around it does not retry besides."""

    class Stream(things):
        def request_decorator(self, func: Callable) -> Callable:
            return backoff.on_exception(
                backoff.constant,
                (RetriableAPIError, requests.exceptions.ReadTimeout, requests.exceptions.ConnectionError),
                max_tries=4,
                interval=0,
                jitter=None,
            )(func)

    server = Server(api, 500)
    with pytest.raises(RetriableAPIError):
        read(Stream)
    assert server.requests == 4
    server = Server(api, 500)


@pytest.mark.parametrize(
    ("talk", "error"),
    [
        (b"", requests.exceptions.ConnectionError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[", requests.exceptions.ChunkedEncodingError),
        (None, requests.exceptions.ReadTimeout),
    ],
)
def test_request_decorator_sees_the_errors_of_requests(things, raw_server, talk, error):
    import time

    caught: list = []

    class Stream(things):
        url_base = raw_server(lambda connection: time.sleep(1) if talk is None else connection.sendall(talk))
        timeout = 0.3

        def request_decorator(self, func):
            def once(prepared, context):
                try:
                    return func(prepared, context)
                except Exception as failure:
                    caught.append(type(failure))
                    raise

            return once

    with pytest.raises(requests.exceptions.RequestException):
        read(Stream)
    assert caught == [error]


def test_request_decorator_around_super(api, things):
    calls: list = []

    class Stream(things):
        def request_decorator(self, func):
            decorated = super().request_decorator(func)

            def call(*args, **kwargs):
                calls.append(args)
                return decorated(*args, **kwargs)

            return call

    server = Server(api, 500, 200)
    assert read(Stream) == [{"id": 1}]
    assert (len(calls), server.requests) == (1, 2)


@pytest.mark.parametrize("raised", [RetriableAPIError, FatalAPIError])
def test_validate_response_decides(api, things, raised):
    class Stream(things):
        def validate_response(self, response: requests.Response) -> None:
            if response.status_code == 418:
                raise raised("teapot", response) if raised is RetriableAPIError else raised("teapot")
            super().validate_response(response)

    server = Server(api, 418, 200)
    if raised is RetriableAPIError:
        assert read(Stream) == [{"id": 1}]
    else:
        with pytest.raises(FatalAPIError, match="teapot"):
            read(Stream)
    assert server.requests == (2 if raised is RetriableAPIError else 1)


def test_validate_response_may_let_everything_pass(api, things):
    class Stream(things):
        def validate_response(self, response):
            pass

        def parse_response(self, response):
            yield {"id": response.status_code}

    Server(api, 500)
    assert read(Stream) == [{"id": 500}]


def test_validate_response_may_read_an_error_in_a_200(api, things):
    class Stream(things):
        def validate_response(self, response):
            super().validate_response(response)
            if isinstance(response.json(), dict) and response.json().get("errors"):
                raise RetriableAPIError(response.json()["errors"], response)

    server = Server(api, Response('{"errors": "busy"}'), 200)
    assert read(Stream) == [{"id": 1}]
    assert server.requests == 2


@pytest.mark.parametrize("statuses", [[404], (404, 409), {404}, [429, 404]])
def test_extra_retry_statuses(api, things, statuses):
    class Stream(things):
        extra_retry_statuses = statuses

    server = Server(api, 404, 200)
    assert read(Stream) == [{"id": 1}]
    assert server.requests == 2


def test_extra_retry_statuses_come_before_credentials(api, things):
    class Stream(things):
        extra_retry_statuses = (403,)

    server = Server(api, 403, 200)
    assert read(Stream) == [{"id": 1}]
    assert server.requests == 2


def test_403_is_final_unless_it_asks_for_a_pause(api, things):
    server = Server(api, 403, 200)
    with pytest.raises(AuthenticationError):
        read(things)
    assert server.requests == 1
    api.clear()
    limited = Response("", 403, headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "0.01"})
    server = Server(api, limited, 200)
    assert read(things) == [{"id": 1}]
    assert server.requests == 2


def test_response_error_message_is_what_is_said(api, things, caplog):
    class Stream(things):
        def response_error_message(self, response: requests.Response) -> str:
            return f"{super().response_error_message(response)}; code {response.headers['X-Code']}"

    Server(api, Response("", 404, headers={"X-Code": "E7"}))
    with pytest.raises(FatalAPIError, match="404 Client Error: Not Found for path: /things; code E7"):
        read(Stream)


def test_the_total_budget_ends_the_tries(api, things):
    class Stream(things):
        retry = RetryPolicy(max_tries=1000, total_s=0.2)

        def backoff_wait_generator(self):
            return backoff.constant(0.05)

        def backoff_jitter(self, value):
            return value

    server = Server(api, 500)
    with pytest.raises(RetryBudgetError, match=r"the budget is 0 s, RetryPolicy\.total_s; run again later") as caught:
        read(Stream)
    assert caught.value.exit_code == 5
    assert 1 < server.requests <= 5


def test_a_spent_budget_is_the_exit_code_of_the_tap(api, things, monkeypatch, capfd):
    class TapBusy(TapNothing):
        name = "tap-busy"

        def discover_streams(self):
            stream = type("Busy", (things,), {"retry": RetryPolicy(total_s=1)})
            return [stream(self)]

    Server(api, Response("", 429, headers={"Retry-After": "60"}))
    with pytest.raises(SystemExit) as ended:
        TapBusy.cli(["--config", "ENV"])
    assert ended.value.code == 5
    log = capfd.readouterr().err
    assert "stream 'things'" in log
    assert "the budget is 1 s" in log
    assert "Traceback" not in log


def test_what_is_logged_of_a_wait(api, things, caplog):
    caplog.set_level(logging.WARNING)
    Server(api, 500, 200)
    read(things)
    [line] = [record.getMessage() for record in caplog.records if record.name == "tap-nothing.things"]
    assert line == "path /things: try 1 failed (status 500); again in 0.0 s"
