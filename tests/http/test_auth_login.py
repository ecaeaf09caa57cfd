"""Session login against a server whose sessions end."""

from __future__ import annotations

import threading

import pytest
import requests
from auth_servers import LoginServer
from werkzeug import Response

from singerkit.errors import AuthenticationError, RetriableAPIError
from singerkit.http.auth import SessionLoginAuthenticator

CREDENTIALS = {"username": "ann", "password": "login-CANARY-password"}


def login(api, **arguments):
    return SessionLoginAuthenticator(login_url=api.url_for("/login"), credentials=CREDENTIALS, **arguments)


def by_token(api, **arguments):
    return login(api, token_jsonpath="$.auth.token", header="X-Session", scheme="Token", **arguments)


@pytest.mark.parametrize("as_json", [True, False])
def test_the_cookies_of_the_login_go_with_every_request(api, serve, fetch, as_json):
    server = serve(LoginServer(as_json=as_json))
    assert fetch(login(api, as_json=as_json), 3) == [200] * 3
    assert (server.logins, server.served) == (1, 3)


def test_cookies_go_where_they_belong_beside_those_that_are_there(api, serve):
    serve(LoginServer())
    authenticator = login(api)
    request = requests.Request("GET", api.url_for("/data"), cookies={"theme": "dark", "session": "older"}).prepare()
    assert authenticator(request).headers["Cookie"] == "theme=dark; session=session-CANARY-1"
    admin = authenticator(requests.Request("GET", api.url_for("/admin/x")).prepare())
    assert "admin=not-for-the-api" in admin.headers["Cookie"]


def test_the_token_of_the_login_goes_with_every_request(api, serve, fetch):
    server = serve(LoginServer(by_cookie=False))
    assert fetch(by_token(api), 3) == [200] * 3
    assert (server.logins, server.served) == (1, 3)


@pytest.mark.parametrize("workers", [1, 16])
def test_a_session_that_has_ended_is_opened_anew_once(api, serve, fetch, workers):
    server = serve(LoginServer(takes_s=0.05))
    authenticator = login(api)
    for round_ in range(3):
        assert fetch(authenticator, 3 * workers, workers) == [200] * 3 * workers
        assert server.logins == 1 + round_
        server.end_sessions()


def test_an_api_may_say_otherwise_that_a_session_has_ended(api, serve, fetch):
    server = serve(LoginServer(by_cookie=False, uses=2, ended=440))
    assert fetch(by_token(api), 4) == [200, 200, 440, 440]
    assert fetch(by_token(api, refused_statuses=(440,)), 6) == [200] * 6
    assert server.logins == 4


def test_a_login_may_answer_by_a_redirect_which_is_not_followed(api, serve, fetch):
    server = serve(LoginServer(login_status=302))
    assert fetch(login(api)) == [200]
    assert server.tried == 1


def test_a_session_may_be_given_an_age(api, serve, fetch):
    server = serve(LoginServer())
    authenticator = login(api, lifetime_s=0)
    fetch(authenticator, 2)
    assert server.logins == 2


def test_refused_credentials_are_sent_once_however_many_workers_wait(api, serve):
    server, errors = serve(LoginServer(credentials={"username": "ann", "password": "another"})), []
    authenticator = login(api)

    def work():
        try:
            authenticator(requests.Request("GET", api.url_for("/data")).prepare())
        except AuthenticationError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.tried == 1
    assert set(errors) == {"the login endpoint answered 403: it refuses the credentials; check them in the config"}
    assert len(errors) == 16


@pytest.mark.parametrize(
    ("answer", "arguments", "problem"),
    [
        ('{"auth": {}}', {"token_jsonpath": "$.auth.token"}, "gave no token at token_jsonpath"),
        ('{"auth": {"token": {"hush": 1}}}', {"token_jsonpath": "$.auth.token"}, "gave no token at token_jsonpath"),
        ("<html>hush</html>", {"token_jsonpath": "$.auth.token"}, "did not answer with a JSON object"),
        ('{"auth": "hush"}', {}, "gave no cookie"),
    ],
)
def test_a_login_without_a_session_is_refused(api, serve, answer, arguments, problem):
    serve(lambda request: Response(answer))
    with pytest.raises(AuthenticationError, match=problem) as caught:
        login(api, **arguments)(requests.Request("GET", api.url_for("/data")).prepare())
    assert "hush" not in str(caught.value)


def test_a_login_that_is_out_of_order_is_tried_again(api, serve, fetch):
    answers = iter([Response("", 503)])
    server = LoginServer()
    serve(lambda request: next(answers, None) or server(request))
    authenticator = login(api)
    with pytest.raises(RetriableAPIError, match="the login endpoint answered 503") as caught:
        fetch_once = authenticator(requests.Request("POST", api.url_for("/data")).prepare())
        assert fetch_once
    assert caught.value.never_sent
    assert fetch(authenticator) == [200]
