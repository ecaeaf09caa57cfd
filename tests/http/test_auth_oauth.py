"""OAuth 2.0 against a server whose tokens really expire, by time and by use, and whose refresh tokens are good once."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from oauth_server import OAuthServer
from werkzeug import Request

from singerkit.clock import utc_now, without_waiting
from singerkit.config.resolve import read_config, resolve_config
from singerkit.config.write_back import ConfigFile
from singerkit.errors import AuthenticationError, RetriableAPIError
from singerkit.http.auth import OAuthAuthenticator

CLIENT = {"client_id": "the-client", "client_secret": "client-CANARY-secret"}


def stream_of(**config):
    return SimpleNamespace(config={**CLIENT, **config}, tap_name="tap-x")


def oauth(api, stream=None, **arguments):
    return OAuthAuthenticator(stream or stream_of(), auth_endpoint=api.url_for("/token"), **arguments)


# The grants


def test_client_credentials(api, serve, fetch):
    server = serve(OAuthServer(scope="read write"))
    authenticator = oauth(api, oauth_scopes="read write", oauth_parameters={"audience": "https://api"})
    assert fetch(authenticator, 3) == [200] * 3
    assert server.forms == [
        {"grant_type": "client_credentials", "scope": "read write", "audience": "https://api", **CLIENT}
    ]


def test_the_client_may_be_authenticated_by_header(api, serve, fetch):
    server = serve(OAuthServer(client_id="a:b", client_secret="c%d e"))
    authenticator = oauth(api, client_id="a:b", client_secret="c%d e", client_authentication="basic")
    assert fetch(authenticator) == [200]
    assert server.forms == [{"grant_type": "client_credentials"}]


def test_password_then_refresh_token_then_password_again(api, serve, fetch):
    server = serve(OAuthServer(users={"ann": "pass-CANARY"}, uses=2))
    authenticator = oauth(api, username="ann", password="pass-CANARY")
    assert fetch(authenticator, 4) == [200] * 4
    server.refresh_token = None  # the session has ended
    assert fetch(authenticator) == [200]
    assert [form["grant_type"] for form in server.forms] == ["password", "refresh_token", "refresh_token", "password"]


def test_a_rotated_refresh_token_is_the_next_one_used(api, serve, fetch):
    server = serve(OAuthServer(refresh_token="first", uses=1))
    assert fetch(oauth(api, refresh_token="first"), 3) == [200] * 3
    assert [form["refresh_token"] for form in server.forms] == ["first", "refresh-CANARY-1", "refresh-CANARY-2"]
    assert server.reused == 0


def test_a_hook_that_reads_the_config_reads_the_rotated_token(api, serve, fetch):
    class Own(OAuthAuthenticator):
        @property
        def oauth_request_body(self):
            return {"grant_type": "refresh_token", "refresh_token": self.config["refresh_token"], **CLIENT}

    serve(OAuthServer(refresh_token="first", uses=1))
    stream = stream_of(refresh_token="first")
    authenticator = Own(stream=stream, auth_endpoint=api.url_for("/token"))
    assert fetch(authenticator, 3) == [200] * 3
    assert stream.config["refresh_token"] == "first"


# Expiry


def test_a_token_is_renewed_before_it_expires(api, serve, fetch):
    server = serve(OAuthServer(expires_in=1))
    authenticator = oauth(api)
    assert fetch(authenticator) == [200]
    time.sleep(0.6)
    assert fetch(authenticator) == [200]
    assert (server.issued, server.refused) == (2, 0)


@pytest.mark.parametrize("workers", [1, 16])
def test_a_token_that_the_server_voids_is_renewed_once_however_many_workers_use_it(api, serve, fetch, workers):
    server = serve(OAuthServer(expires_in=None, takes_s=0.05))
    authenticator = oauth(api)
    for revocation in range(3):
        assert fetch(authenticator, 4 * workers, workers) == [200] * 4 * workers
        assert server.issued == 1 + revocation
        server.revoke()
    assert server.served == 12 * workers


def test_sixteen_workers_with_tokens_of_few_uses_and_refresh_tokens_of_one(api, serve, fetch):
    server = serve(OAuthServer(refresh_token="first", uses=20))
    # One retry each: a request may twice in a row meet a token that others have used up, and then stays refused.
    statuses = fetch(oauth(api, refresh_token="first"), 160, 16)
    assert server.reused == 0
    assert server.served == statuses.count(200)
    assert server.issued <= server.served // 20 + 1


def test_expires_in_may_be_text(api, serve, fetch):
    server = serve(OAuthServer(expires_in="3600"))
    server.expires_in = 3600.0
    authenticator = oauth(api, default_expiration=5)
    fetch(authenticator)
    assert authenticator.expires_in == 3600
    server.expires_in = None
    server.revoke()
    fetch(authenticator)
    assert authenticator.expires_in == 5


@pytest.mark.parametrize("place", ["header", "params"])
def test_a_refused_token_is_renewed_wherever_an_author_has_put_it(api, serve, fetch, place):
    class Own(OAuthAuthenticator):
        def authenticate_request(self, request):
            request = super().authenticate_request(request)
            request.headers.pop("Authorization")
            if place == "header":
                request.headers["X-Token"] = self.access_token
            else:
                request.url += f"&token={self.access_token}"
            return request

    server = OAuthServer(uses=3)

    def moved(request):
        token = request.headers.get("X-Token") or request.args.get("token") or ""
        environ = {**request.environ, "HTTP_AUTHORIZATION": f"Bearer {token}"}
        return server(Request(environ) if request.path == "/data" else request)

    serve(moved)
    authenticator = Own(stream_of(), auth_endpoint=api.url_for("/token"))
    assert fetch(authenticator, 9) == [200] * 9
    assert server.issued == 3


# Refusals


def test_what_is_refused_is_asked_once_however_many_workers_wait(api, serve, fetch):
    server = serve(OAuthServer(client_secret="another"))
    authenticator, errors = oauth(api), []

    def work():
        try:
            fetch_one(authenticator)
        except AuthenticationError as error:
            errors.append(str(error))

    def fetch_one(authenticator):
        authenticator(requests.Request("GET", api.url_for("/data")).prepare())

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.forms) == 1
    assert len(errors) == 16
    assert set(errors) == {
        "the token endpoint answered 400 (invalid_client): it refuses the credentials; check them in the config"
    }


def test_an_endpoint_that_is_out_of_order_is_no_refusal_and_the_request_was_never_sent(api, serve, fetch):
    server = serve(OAuthServer(failing=503))
    authenticator = oauth(api)
    with pytest.raises(RetriableAPIError) as caught:
        authenticator(requests.Request("POST", api.url_for("/data")).prepare())
    assert caught.value.never_sent
    server.failing = None
    assert fetch(authenticator) == [200]


def test_an_endpoint_that_is_not_there_is_no_refusal_either(api):
    authenticator = OAuthAuthenticator(stream_of(), auth_endpoint="http://127.0.0.1:9/token")
    with pytest.raises(RetriableAPIError, match="the token endpoint: can't connect") as caught:
        authenticator(requests.Request("POST", api.url_for("/data")).prepare())
    assert caught.value.never_sent


# A refresh token is kept


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**CLIENT, "refresh_token": "first", "other": {"refresh_token": "x"}}, indent=4))
    path.chmod(0o640)
    return path


def resolved(*sources, environ=None):
    schema = {"properties": {name: {"type": "string"} for name in (*CLIENT, "refresh_token", "token_2", "other")}}
    read = read_config(sources, env_prefix="TAP_X_", schema=schema, environ=environ or {})
    return SimpleNamespace(config=resolve_config(read, schema, validate=False), tap_name="tap-x")


def stored(path, name="refresh_token"):
    return json.loads(path.read_text())[name]


def declared(api, **arguments):
    return OAuthAuthenticator(auth_endpoint=api.url_for("/token"), **arguments)


def test_a_rotated_refresh_token_is_written_back(api, serve, fetch, config_file, caplog):
    caplog.set_level(logging.DEBUG)
    before = config_file.read_text()
    server = serve(OAuthServer(refresh_token="first", uses=1))
    assert fetch(oauth(api, resolved(config_file)), 3) == [200] * 3
    assert stored(config_file) == "refresh-CANARY-3" == server.refresh_token
    assert config_file.read_text() == before.replace('"first"', '"refresh-CANARY-3"')
    assert config_file.stat().st_mode & 0o777 == 0o640
    assert "CANARY" not in caplog.text
    assert "config.json' holds the new one" in caplog.text
    # And the next run can use it.
    assert fetch(oauth(api, resolved(config_file))) == [200]


@pytest.mark.parametrize(
    ("arguments", "setting"),
    [
        ({"refresh_token": "{refresh_token}"}, "refresh_token"),
        ({"refresh_token": "{token_2}"}, "token_2"),
        ({}, "refresh_token"),
    ],
)
def test_the_setting_is_the_one_that_was_declared(api, serve, fetch, tmp_path, arguments, setting):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**CLIENT, "refresh_token": "first", "token_2": "first"}))
    serve(OAuthServer(refresh_token="first"))
    assert fetch(declared(api, **arguments).for_config(resolved(path).config)) == [200]
    assert stored(path, setting) == "refresh-CANARY-1"
    assert path.read_text().count("CANARY") == 2  # and the client's secret


def test_a_token_that_is_not_the_settings_is_not_written_over_it(api, serve, fetch, config_file):
    serve(OAuthServer(refresh_token="from elsewhere"))
    assert fetch(oauth(api, resolved(config_file), refresh_token="from elsewhere")) == [200]
    assert stored(config_file) == "first"


def test_writing_back_can_be_named_and_turned_off(api, serve, fetch, config_file):
    server = serve(OAuthServer(refresh_token="first"))
    assert fetch(oauth(api, resolved(config_file), write_back=False)) == [200]
    assert stored(config_file) == "first"
    server.refresh_token = "again"
    assert fetch(oauth(api, resolved(config_file), refresh_token="again", write_back="refresh_token")) == [200]
    assert stored(config_file) == "refresh-CANARY-2"


def test_without_one_sure_file_there_is_a_warning_and_the_run_goes_on(api, serve, fetch, config_file, caplog):
    serve(OAuthServer(refresh_token="first", uses=1))
    stream = resolved(config_file, "ENV", environ={"TAP_X_REFRESH_TOKEN": "first"})
    assert fetch(oauth(api, stream), 3) == [200] * 3
    assert stored(config_file) == "first"
    warnings = [entry.getMessage() for entry in caplog.records if entry.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "Put it into one file that is given with --config" in warnings[0]


def test_a_file_that_can_not_be_written_is_named_and_the_token_is_not_lost_for_this_run(
    api, serve, fetch, config_file, caplog
):
    serve(OAuthServer(refresh_token="first", uses=1))
    stream = resolved(config_file)
    config_file.write_text(json.dumps({"refresh_tokens": []}))
    assert fetch(oauth(api, stream), 3) == [200] * 3
    warnings = [entry.getMessage() for entry in caplog.records if entry.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "config.json' has no setting 'refresh_token' any more" in warnings[0]
    assert "This run goes on; before the next, make the file writable" in warnings[0]
    assert "CANARY" not in caplog.text


def test_an_authors_own_way_to_get_a_token_is_kept_too(api, serve, fetch, config_file):
    class Own(OAuthAuthenticator):
        def update_access_token(self):
            form = {"grant_type": "refresh_token", "refresh_token": self.config["refresh_token"], **CLIENT}
            answer = requests.post(self.auth_endpoint, data=form, timeout=5).json()
            self.access_token, self.refresh_token = answer["access_token"], answer["refresh_token"]
            self.last_refreshed = utc_now()

    serve(OAuthServer(refresh_token="first"))
    assert fetch(Own(resolved(config_file), auth_endpoint=api.url_for("/token"))) == [200]
    assert stored(config_file) == "refresh-CANARY-1"


RUN = """
import sys
from types import SimpleNamespace
import requests
from singerkit.config.resolve import read_config, resolve_config
from singerkit.http.auth import OAuthAuthenticator

path, base, times = sys.argv[1:]
schema = {"properties": {"refresh_token": {"type": "string"}}}
config = resolve_config(read_config([path], env_prefix="", schema=schema), schema, validate=False)
stream = SimpleNamespace(config=config, tap_name="tap-x")
authenticator = OAuthAuthenticator(stream, auth_endpoint=base + "/token")
for _ in range(int(times)):
    authenticator.last_refreshed = None
    authenticator(requests.Request("GET", base + "/data").prepare())
"""


def test_two_runs_with_one_file_never_use_the_same_refresh_token(api, serve, config_file):
    server = serve(OAuthServer(refresh_token="first", takes_s=0.02))
    base = api.url_for("").rstrip("/")
    runs = [subprocess.Popen([sys.executable, "-c", RUN, config_file, base, "12"]) for _ in range(2)]
    assert [run.wait(60) for run in runs] == [0, 0]
    assert server.reused == 0
    assert server.refreshes == 24
    assert stored(config_file) == "refresh-CANARY-24"


def test_a_run_uses_the_token_that_another_has_written_meanwhile(api, serve, fetch, config_file):
    server = serve(OAuthServer(refresh_token="first"))
    stream = resolved(config_file)
    server.refresh_token = "from another run"
    ConfigFile(Path(config_file)).write("refresh_token", "from another run")
    assert fetch(oauth(api, stream)) == [200]
    assert server.forms[0]["refresh_token"] == "from another run"


def test_a_file_that_nobody_may_lock_does_not_end_the_run(api, serve, fetch, config_file, monkeypatch, caplog):
    monkeypatch.setattr("singerkit.http.auth.refresh_token.LOCK_TIMEOUT_S", 0.1)
    serve(OAuthServer(refresh_token="first"))
    other = ConfigFile(config_file)
    other.lock(1)
    try:
        assert fetch(oauth(api, resolved(config_file))) == [200]
    finally:
        other.unlock()
    assert "another run has locked config file" in caplog.text
    assert caplog.text.count("another run has locked") == 1, "it is waited for once"
    assert list(config_file.parent.iterdir()) == [config_file]


def test_what_stands_in_for_the_server_is_not_kept(api, serve, fetch, config_file):
    serve(OAuthServer(refresh_token="first"))
    with without_waiting():  # as while recorded answers are replayed
        assert fetch(oauth(api, resolved(config_file))) == [200]
    assert stored(config_file) == "first"
