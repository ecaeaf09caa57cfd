"""Tokens in rotation against a server that counts the uses of each."""

from __future__ import annotations

import logging

import pytest
import requests
from auth_servers import TokensServer
from werkzeug import Response

from singerkit.errors import AuthenticationError, ConfigurationError, RetryBudgetError
from singerkit.http.auth import BasicAuthenticator, RotatingAuthenticator, RotatingTokenAuthenticator

A, B, C = "token-CANARY-a", "token-CANARY-b", "token-CANARY-c"


def test_the_next_token_takes_over_when_one_has_to_wait(serve, fetch):
    server = serve(TokensServer({A: 3, B: 2, C: 10}))
    assert fetch(RotatingTokenAuthenticator(tokens=[A, B, C]), 10) == [200] * 10
    assert server.served == {A: 3, B: 2, C: 5}
    assert server.refused == {A: 1, B: 1}


@pytest.mark.parametrize("header", ["Retry-After", "X-RateLimit-Reset"])
def test_some_apis_say_403_and_a_pause(serve, fetch, header):
    server = TokensServer({A: 1, B: 5}, status=403, header=header)

    def limited(request):
        response = server(request)
        if response.status_code == 403:
            response.headers["X-RateLimit-Remaining"] = "0"
        return response

    serve(limited)
    assert fetch(RotatingTokenAuthenticator(tokens=[A, B]), 4) == [200] * 4
    assert server.refused == {A: 1}


def test_a_403_that_is_no_matter_of_rates_costs_no_token(serve, fetch):
    seen = []
    serve(lambda request: seen.append(request.headers["Authorization"]) or Response("", 403))
    assert fetch(RotatingTokenAuthenticator(tokens=[A, B]), 2) == [403, 403]
    assert seen == [f"Bearer {A}"] * 2


def test_a_token_that_is_void_is_not_used_again(serve, fetch, caplog):
    server = serve(TokensServer({A: 9, B: 9, C: 9}, void=frozenset({A, B})))
    authenticator = RotatingTokenAuthenticator(tokens=f"{A}, {B} ,{C},")
    assert fetch(authenticator, 3) == [200] * 3
    assert server.refused == {A: 1, B: 1}
    assert "the API refuses token 1 of 3; it is not used again" in caplog.text
    assert "CANARY" not in caplog.text


def test_when_all_are_void_the_answer_is_a_refusal(serve, fetch):
    server = serve(TokensServer({A: 9, B: 9}, void=frozenset({A, B})))
    authenticator = RotatingTokenAuthenticator(tokens=[A, B])
    assert fetch(authenticator) == [401]
    with pytest.raises(AuthenticationError, match="the API refuses all 2 tokens; check them in the config"):
        authenticator(requests.Request("GET", "http://127.0.0.1/").prepare())
    assert server.refused == {A: 1, B: 1}


def test_when_all_rest_a_request_waits_for_the_first_and_is_not_sent_before(serve, fetch):
    server = serve(TokensServer({A: 2, B: 2}, window_s=0.6))
    statuses = fetch(RotatingTokenAuthenticator(tokens=[A, B]), 12)
    # Where no token is left the answer is given back, for the ordinary retries.
    assert statuses.count(200) == server.served.total()
    assert set(statuses) <= {200, 429}
    # Every refusal is of a token that had been good before: none was used while it was resting.
    assert server.refused.total() <= server.served.total() / 2 + 1


def test_workers_share_what_they_learn(serve, fetch):
    server = serve(TokensServer({A: 0, B: 1000}))
    authenticator = RotatingTokenAuthenticator(tokens=[A, B])
    assert fetch(authenticator, 64, 16) == [200] * 64
    assert server.refused[A] <= 16
    assert server.served == {B: 64}


def test_a_wait_of_one_token_does_not_hold_the_others_up(serve, fetch, caplog):
    caplog.set_level(logging.INFO)
    serve(TokensServer({A: 1, B: 100}))
    pauses = []
    authenticator = RotatingTokenAuthenticator(tokens=[A, B], pause=pauses.append)
    assert fetch(authenticator, 5) == [200] * 5
    assert pauses == []
    assert "asks for a pause" not in caplog.text, "the origin's gate stays open"


def test_a_quota_that_a_good_answer_says_is_used_up_has_the_token_rest(serve, fetch):
    seen = []

    def limited(request):
        seen.append(request.headers["Authorization"])
        left = "0" if seen[-1].endswith("a") else "7"
        return Response("[]", headers={"X-RateLimit-Remaining": left, "X-RateLimit-Reset": "1000"})

    serve(limited)
    assert fetch(RotatingTokenAuthenticator(tokens=[A, B]), 3) == [200] * 3
    assert seen == [f"Bearer {A}", f"Bearer {B}", f"Bearer {B}"]


def test_where_nothing_says_how_long_a_token_rests_as_declared(serve, fetch):
    server = serve(TokensServer({A: 0, B: 0}, header=None))
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        authenticator._rests_until = [0.0, 0.0]

    authenticator = RotatingTokenAuthenticator(tokens=[A, B], rest_s=20, pause=pause)
    assert fetch(authenticator, 2) == [429, 429]
    assert [round(seconds) for seconds in pauses] == [20]
    assert server.refused == {A: 2, B: 2}


def test_too_long_a_wait_ends_the_run(serve, fetch):
    serve(TokensServer({A: 0}, window_s=5000))
    authenticator = RotatingTokenAuthenticator(tokens=[A])
    authenticator._rests_until = [1e12]
    with pytest.raises(RetryBudgetError, match="all 1 tokens have to wait"):
        authenticator(requests.Request("GET", "http://127.0.0.1/").prepare())


def test_any_authenticators_rotate(serve, fetch):
    seen = []

    def data(request):
        seen.append(request.authorization.username)
        return Response("[]", 401 if seen[-1] == "ann" else 200)

    serve(data)
    users = [
        BasicAuthenticator(username="{first}", password="x"),
        requests.auth.HTTPBasicAuth("bob", "y"),
    ]
    authenticator = RotatingAuthenticator(authenticators=users).for_config({"first": "ann"})
    assert fetch(authenticator, 2) == [200, 200]
    assert seen == ["ann", "bob", "bob"]


def test_tokens_may_be_a_setting_and_go_into_any_header():
    declared = RotatingTokenAuthenticator(tokens="{tokens}", header="X-Key", scheme="")
    for tokens in ([A, B], f"{A},{B}"):
        request = declared.for_config({"tokens": tokens})(requests.Request("GET", "http://127.0.0.1/").prepare())
        assert request.headers["X-Key"] == A


def test_one_token_at_least_is_needed():
    with pytest.raises(ConfigurationError, match="give one at least"):
        RotatingTokenAuthenticator(tokens=" , ")
