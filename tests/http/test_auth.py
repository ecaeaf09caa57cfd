from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
import requests
from werkzeug import Response

import singerkit
from singerkit.errors import AuthenticationError, ConfigurationError, FatalAPIError, RetriableAPIError
from singerkit.http import auth
from singerkit.http.auth import (
    APIAuthenticatorBase,
    APIKeyAuthenticator,
    BasicAuthenticator,
    BearerTokenAuthenticator,
    OAuthAuthenticator,
    SessionLoginAuthenticator,
    SimpleAuthenticator,
    SingletonMeta,
)
from singerkit.http.client import open_session, send
from singerkit.telemetry.redact import redactor

STREAM = SimpleNamespace(config={"client_id": "me", "client_secret": "hush"}, tap_name="tap-x")


def authenticated(authenticator, url="https://api.example.com/x?a=&b=1") -> requests.PreparedRequest:
    return authenticator(requests.Request("GET", url).prepare())


def test_nothing_is_added_by_default():
    request = authenticated(SimpleAuthenticator())
    assert request.url == "https://api.example.com/x?a=&b=1"
    assert not request.headers


@pytest.mark.parametrize(
    ("authenticator", "header", "value"),
    [
        (SimpleAuthenticator(STREAM, auth_headers={"X-A": "1"}), "X-A", "1"),
        (APIKeyAuthenticator(key="X-Key", value="k"), "X-Key", "k"),
        (APIKeyAuthenticator.create_for_stream(STREAM, "X-Key", "k", "header"), "X-Key", "k"),
        (BearerTokenAuthenticator(token="t"), "Authorization", "Bearer t"),
        (BearerTokenAuthenticator.create_for_stream(STREAM, token="t"), "Authorization", "Bearer t"),
        (
            BasicAuthenticator(username="Aladdin", password="open sesame"),
            "Authorization",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        ),
        (BasicAuthenticator.create_for_stream(STREAM, "a", "b"), "Authorization", "Basic YTpi"),
    ],
)
def test_headers(authenticator, header, value):
    assert authenticated(authenticator).headers[header] == value


def test_a_key_as_a_parameter_replaces_its_like_and_leaves_the_others():
    authenticator = APIKeyAuthenticator(key="b", value="k&", location="params")
    assert authenticated(authenticator).url == "https://api.example.com/x?a=&b=k%26"
    as_written = "https://api.example.com/x?%62=1&c=a%20b+c&d&e=~&&f=(1)"
    assert authenticated(authenticator, as_written).url == "https://api.example.com/x?c=a%20b+c&d&e=~&f=(1)&b=k%26"


def test_a_key_as_a_cookie_stands_beside_the_others():
    authenticator = APIKeyAuthenticator(key="k", value="v", location="cookie")
    request = requests.Request("GET", "https://api.example.com/", cookies={"a": "1", "k": "old"}).prepare()
    assert authenticator(request).headers["Cookie"] == "a=1; k=v"


def test_another_location_is_refused():
    with pytest.raises(ValueError, match="location"):
        APIKeyAuthenticator(key="a", value="b", location="body")


def test_the_config_is_the_streams():
    assert APIAuthenticatorBase(stream=STREAM).config["client_id"] == "me"
    assert APIAuthenticatorBase(STREAM).tap_name == "tap-x"
    assert APIAuthenticatorBase().config == {}


def test_settings_fill_what_was_declared():
    declared = BasicAuthenticator(username="{user}", password="{user}-{pw}")
    filled = declared.for_config({"user": "Aladdin", "pw": "x"})
    assert filled.auth_headers == BasicAuthenticator(username="Aladdin", password="Aladdin-x").auth_headers
    assert "{user}" not in str(filled.auth_headers)


def test_settings_fill_lists_and_objects_and_authenticators_too():
    class Given(APIAuthenticatorBase):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.given = kwargs

    inner = BearerTokenAuthenticator(token="{key}")
    declared = Given(a=["{key}", 1], b={"x": "<{key}>"}, c="{keys}", d="{number}", e=(inner,), f="{keys}!")
    given = declared.for_config({"key": "k1", "keys": ["k2"], "number": 5}, tap_name="tap-y").given
    assert given["e"][0].auth_headers == {"Authorization": "Bearer k1"}
    assert {**given, "e": None} == {
        "a": ["k1", 1],
        "b": {"x": "<k1>"},
        "c": ["k2"],
        "d": "5",
        "e": None,
        "f": "['k2']!",
    }
    assert declared.for_config({"key": "", "keys": [], "number": 0}, tap_name="tap-y").tap_name == "tap-y"


def test_a_declared_singleton_is_filled_in_too():
    class One(BearerTokenAuthenticator, metaclass=SingletonMeta):
        pass

    filled = One(token="{key}").for_config({"key": "k"})
    assert filled.auth_headers == {"Authorization": "Bearer k"}


def test_a_missing_setting_is_named():
    with pytest.raises(ConfigurationError, match="the setting 'api_key' is needed"):
        BearerTokenAuthenticator(token="{api_key}").for_config({})


def test_headers_and_parameters_may_be_computed():
    class Own(APIAuthenticatorBase):
        @property
        def auth_headers(self):
            return {**super().auth_headers, "X-Own": "1"}

        @property
        def auth_params(self):
            return {"own": "2"}

    own = Own(STREAM)
    own._auth_headers["X-Older"] = "3"
    request = authenticated(own)
    assert request.url == "https://api.example.com/x?a=&b=1&own=2"
    assert dict(request.headers) == {"X-Own": "1", "X-Older": "3"}


def test_headers_and_parameters_may_be_set():
    simple = SimpleAuthenticator(STREAM)
    simple.auth_headers = {"X-A": "1"}
    simple.auth_params = {"p": "2"}
    assert authenticated(simple, "https://api.example.com/").url == "https://api.example.com/?p=2"
    assert authenticated(simple).headers["X-A"] == "1"


def test_an_authors_own_is_asked_by_one_worker_at_a_time(api, exchange_for):
    class Own(APIAuthenticatorBase):
        tokens = 0

        def authenticate_request(self, request):
            if not self.tokens:
                time.sleep(0.05)
                self.tokens += 1
            request.headers["Authorization"] = "Bearer token-0"
            return request

    server = TokenServer(api)
    own = Own(STREAM)
    assert fetch_in_threads(api, exchange_for, own, workers=16) == [200] * 16
    assert own.tokens == 1
    assert server.issued == 0


def test_a_class_of_an_authors_own_may_refresh_with_the_request_alone(api, exchange_for):
    class Own:
        token = "old"

        def __call__(self, request):
            request.headers["Authorization"] = f"Bearer {self.token}"
            return request

        def refresh_credentials(self, refused):
            self.refused = refused.headers["Authorization"]
            self.token = "token-0"
            return True

    TokenServer(api)
    own = Own()
    assert fetch_in_threads(api, exchange_for, own, workers=1) == [200]
    assert own.refused == "Bearer old"


def test_any_authenticator_of_requests_is_one(api, session, exchange_for):
    class Own(requests.auth.AuthBase):
        def __call__(self, r):
            r.url += "?signed=1"
            r.headers["X-Own"] = "1"
            return r

    seen = []
    api.expect_request("/x").respond_with_handler(lambda request: seen.append(request) or Response("[]"))
    request = requests.Request("GET", api.url_for("/x")).prepare()
    for authenticator in (Own(), requests.auth.HTTPBasicAuth("ann", "pw")):
        assert send(session, request, exchange_for(api.url_for("/")), authenticator).ok
    assert (seen[0].query_string, seen[0].headers["X-Own"]) == (b"signed=1", "1")
    assert (seen[1].authorization.username, seen[1].authorization.password) == ("ann", "pw")


def test_an_authenticator_can_not_lead_to_another_origin(api, elsewhere, session, exchange_for):
    def astray(request):
        request.url = elsewhere.url_for("/x")
        return request

    seen = []
    elsewhere.expect_request("/x").respond_with_handler(lambda request: seen.append(request) or Response("[]"))
    with pytest.raises(FatalAPIError, match="the authenticated request points to"):
        request = requests.Request("GET", api.url_for("/x")).prepare()
        send(session, request, exchange_for(api.url_for("/")), astray)
    assert seen == []


def test_what_is_secret_is_not_shown_and_is_masked_in_the_log():
    authenticators = [
        BasicAuthenticator(username="ann", password="basic-CANARY"),
        BasicAuthenticator(username="user-CANARY", password=""),
        BearerTokenAuthenticator(token="bearer-CANARY"),
        APIKeyAuthenticator(key="k", value="key-CANARY"),
        OAuthAuthenticator(client_secret="secret-CANARY", refresh_token="refresh-CANARY"),
    ]
    assert "CANARY" not in repr(authenticators)
    SimpleAuthenticator(auth_headers={"Accept": "text/plain-header", "X-Auth-Token": "Token simple-CANARY"})
    SessionLoginAuthenticator(login_url="x", credentials={"kind": "password-login", "password": "login-CANARY"})
    assert redactor.redact("text/plain-header password-login") == "text/plain-header password-login"
    assert redactor.redact("simple-CANARY login-CANARY") == "*** ***"
    shown = redactor.redact("basic-CANARY user-CANARY bearer-CANARY key-CANARY secret-CANARY refresh-CANARY {api_key}")
    assert shown == "*** *** *** *** *** *** {api_key}"


def test_the_package_shows_what_it_has():
    assert set(auth.__all__) == set(auth._HOME)
    assert all(isinstance(getattr(auth, name), type) for name in auth.__all__)
    assert all(getattr(singerkit, name) is getattr(auth, name) for name in set(auth.__all__) - {"StreamLike"})
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = auth.Nothing


def test_no_kind_is_imported_before_it_is_used():
    program = "import sys, singerkit.http.auth, singerkit.streams; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"requests", "jwt", "cryptography", "singerkit.http.auth.oauth", "singerkit.http.auth.aws"} & set(loaded)


def test_a_singleton_is_made_once_by_all_threads():
    class Shared(BearerTokenAuthenticator, metaclass=SingletonMeta):
        made = 0

        def __init__(self, token):
            time.sleep(0.02)
            Shared.made += 1
            super().__init__(token=token)

    class Other(Shared):
        pass

    threads = [threading.Thread(target=Shared, args=("t",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Shared.made == 1
    assert Shared("another") is Shared("t")
    assert Other("t") is not Shared("t")


class TokenServer:
    """Gives out tokens and accepts the newest only."""

    def __init__(self, api, **answer) -> None:
        self.issued = 0
        self.forms: list[dict] = []
        self.answer = answer
        self.lock = threading.Lock()
        api.expect_request("/token").respond_with_handler(self.give)
        api.expect_request("/data").respond_with_handler(self.data)

    def give(self, request):
        with self.lock:
            self.issued += 1
            self.forms.append(request.form.to_dict())
            number = self.issued
        time.sleep(0.05)
        return Response(
            requests.compat.json.dumps({"access_token": f"token-{number}", **self.answer}),
            content_type="application/json",
        )

    def data(self, request):
        good = request.headers.get("Authorization") == f"Bearer token-{self.issued}"
        return Response("[]", 200 if good else 401)


def fetch_in_threads(api, exchange_for, authenticator, workers=12) -> list[int]:
    statuses: list[int] = []
    exchange = exchange_for(api.url_for("/"))

    def work():
        with open_session() as session:
            request = requests.Request("GET", api.url_for("/data")).prepare()
            statuses.append(send(session, request, exchange, authenticator).status_code)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def test_many_workers_get_one_token(api, exchange_for):
    server = TokenServer(api, expires_in=3600)
    authenticator = OAuthAuthenticator(STREAM, auth_endpoint=api.url_for("/token"), oauth_scopes="read")
    assert fetch_in_threads(api, exchange_for, authenticator) == [200] * 12
    assert server.issued == 1
    assert server.forms == [
        {"grant_type": "client_credentials", "client_id": "me", "client_secret": "hush", "scope": "read"}
    ]


def test_many_workers_whose_token_is_refused_refresh_it_once(api, exchange_for):
    server = TokenServer(api, refresh_token="r2")
    authenticator = OAuthAuthenticator(STREAM, auth_endpoint=api.url_for("/token"), refresh_token="r1")
    fetch_in_threads(api, exchange_for, authenticator, workers=1)
    server.issued += 10
    authenticator.access_token = "token-revoked"
    server.issued = 1
    assert fetch_in_threads(api, exchange_for, authenticator) == [200] * 12
    assert server.issued == 2
    assert [form["refresh_token"] for form in server.forms] == ["r1", "r2"]


def test_a_token_expires(api):
    server = TokenServer(api, expires_in=1)
    authenticator = OAuthAuthenticator(STREAM, auth_endpoint=api.url_for("/token"))
    authenticated(authenticator)
    assert authenticator.is_token_valid()
    time.sleep(0.6)
    assert not authenticator.is_token_valid()
    assert authenticated(authenticator).headers["Authorization"] == "Bearer token-2"
    assert server.issued == 2


def test_own_request_body(api):
    class Password(OAuthAuthenticator):
        @property
        def oauth_request_body(self):
            return {"grant_type": "password", "client_id": self.client_id}

    server = TokenServer(api)
    authenticated(Password(stream=STREAM, auth_endpoint=api.url_for("/token")))
    assert server.forms == [{"grant_type": "password", "client_id": "me"}]


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, '{"error": "hush is wrong"}', AuthenticationError),
        (302, "", AuthenticationError),
        (200, "<html>hush</html>", AuthenticationError),
        (200, '{"token": "hush"}', AuthenticationError),
        (503, "hush", RetriableAPIError),
    ],
)
def test_what_can_go_wrong_is_said_without_secrets(api, caplog, status, body, error):
    caplog.set_level(logging.DEBUG, logger="singerkit")
    headers = {"Location": "https://elsewhere.example.com"}
    api.expect_request("/token").respond_with_data(body, status=status, headers=headers)
    with pytest.raises(error) as caught:
        authenticated(OAuthAuthenticator(STREAM, auth_endpoint=api.url_for("/token")))
    assert "hush" not in str(caught.value)
    assert "hush" not in caplog.text


def test_no_endpoint():
    with pytest.raises(ConfigurationError, match="no auth_endpoint"):
        authenticated(OAuthAuthenticator(STREAM))
