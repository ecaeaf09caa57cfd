from __future__ import annotations

import gzip
import json
import logging
import threading
import time
from decimal import Decimal

import pytest
import requests
from werkzeug import Response

from singerkit.errors import ConfigurationError, FatalAPIError
from singerkit.http.auth import BearerTokenAuthenticator
from singerkit.http.client import (
    NeverSent,
    bind_json,
    check_origin,
    compile_body_decoder,
    open_session,
    origin_of,
    send,
)

SECRET = "s3cret-token"
BEARER = BearerTokenAuthenticator(token=SECRET)


def get(url: str, method="GET", **options) -> requests.PreparedRequest:
    return requests.Request(method, url, **options).prepare()


def record(seen: list, answer="[]", **options):
    def handle(request):
        seen.append(request)
        return Response(answer, **options)

    return handle


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://API.example.com/v1?x=1", "https://api.example.com:443"),
        ("http://api.example.com", "http://api.example.com:80"),
        ("https://user:pw@api.example.com:8443/", "https://api.example.com:8443"),
        ("http://[::1]:8080/x", "http://::1:8080"),
    ],
)
def test_origin(url, origin):
    assert origin_of(url) == origin


@pytest.mark.parametrize("url", ["", "/orders", "ftp://example.com", "https://", "file:///etc/passwd"])
def test_what_has_no_origin(url):
    with pytest.raises(ConfigurationError, match="has to begin with http"):
        origin_of(url)


def test_a_pointer_from_https_to_http_is_refused():
    with pytest.raises(FatalAPIError, match="points to http://api"):
        check_origin("http://api.example.com/x", {"https://api.example.com:443"}, "a redirect")


def test_credentials_are_added_and_the_request_stays_as_it_was(api, session, exchange_for):
    seen: list = []
    api.expect_request("/x").respond_with_handler(record(seen))
    request = get(api.url_for("/x"))
    response = send(session, request, exchange_for(api.url_for("/")), BEARER)
    assert response.content == b"[]"
    assert seen[0].headers["Authorization"] == f"Bearer {SECRET}"
    assert "Authorization" not in request.headers


def test_a_redirect_within_the_origin_is_followed_with_credentials(api, session, exchange_for):
    seen: list = []
    api.expect_request("/old").respond_with_data(status=302, headers={"Location": "/new?a=1"})
    api.expect_request("/new").respond_with_handler(record(seen))
    send(session, get(api.url_for("/old")), exchange_for(api.url_for("/")), BEARER)
    assert seen[0].query_string == b"a=1"
    assert seen[0].headers["Authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize(("status", "method", "body"), [(303, "GET", b""), (307, "POST", b'{"q": 1}')])
def test_a_redirect_keeps_method_and_body_as_the_status_says(api, session, exchange_for, status, method, body):
    seen: list = []
    api.expect_request("/old").respond_with_data(status=status, headers={"Location": api.url_for("/new")})
    api.expect_request("/new").respond_with_handler(lambda r: seen.append((r.method, r.get_data())) or Response("[]"))
    send(session, get(api.url_for("/old"), "POST", json={"q": 1}), exchange_for(api.url_for("/")), BEARER)
    assert seen == [(method, body)]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_origin_is_an_error(api, elsewhere, session, exchange_for, status):
    seen: list = []
    elsewhere.expect_request("/x").respond_with_handler(record(seen))
    api.expect_request("/x").respond_with_data(status=status, headers={"Location": elsewhere.url_for("/x")})
    with pytest.raises(FatalAPIError, match="add it to allowed_origins"):
        send(session, get(api.url_for("/x")), exchange_for(api.url_for("/")), BEARER)
    assert seen == []


def test_another_origin_may_be_allowed(api, elsewhere, session, exchange_for):
    seen: list = []
    elsewhere.expect_request("/x").respond_with_handler(record(seen))
    api.expect_request("/x").respond_with_data(status=302, headers={"Location": elsewhere.url_for("/x")})
    send(session, get(api.url_for("/x")), exchange_for(api.url_for("/"), elsewhere.url_for("/")), BEARER)
    assert len(seen) == 1


def test_a_request_to_another_origin_is_an_error(api, elsewhere, session, exchange_for):
    with pytest.raises(FatalAPIError, match="the request points to"):
        send(session, get(elsewhere.url_for("/x")), exchange_for(api.url_for("/")), BEARER)


def test_redirects_end(api, session, exchange_for):
    api.expect_request("/x").respond_with_data(status=302, headers={"Location": "/x"})
    with pytest.raises(FatalAPIError, match="more than 10 redirects"):
        send(session, get(api.url_for("/x")), exchange_for(api.url_for("/")), BEARER)


def test_redirects_may_be_left_to_the_author(api, session, exchange_for):
    api.expect_request("/x").respond_with_data(status=302, headers={"Location": "https://elsewhere.example.com/"})
    exchange = exchange_for(api.url_for("/"), follow_redirects=False)
    assert send(session, get(api.url_for("/x")), exchange, BEARER).status_code == 302


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"


def drip_body(connection):
    connection.sendall(HEAD)
    for _ in range(200):
        connection.sendall(b"x")
        time.sleep(0.05)


def drip_headers(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(200):
        connection.sendall(f"X-{number}: 1\r\n".encode())
        time.sleep(0.05)


def say_nothing(connection):
    time.sleep(5)


def drip_chunks(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(200):
        connection.sendall(b"1\r\nx\r\n")
        time.sleep(0.05)


@pytest.mark.parametrize("talk", [drip_body, drip_headers, drip_chunks, say_nothing])
@pytest.mark.parametrize("own_session", [True, False])
def test_a_slow_answer_is_abandoned(raw_server, exchange_for, talk, own_session):
    url = raw_server(talk)
    started = time.monotonic()
    opened = open_session() if own_session else requests.Session()
    with opened, pytest.raises(requests.exceptions.ReadTimeout, match="no whole answer within the time"):
        send(opened, get(url), exchange_for(url, timeout_s=0.4), BEARER)
    assert time.monotonic() - started < 2


def cut_body(connection):
    connection.sendall(HEAD + b'[{"id": 1}, {"id"')


def cut_chunks(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[{},{\r\n")


def close_at_once(connection):
    connection.close()


def bad_gzip(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope")


@pytest.mark.parametrize(
    ("talk", "error", "what"),
    [
        (cut_body, requests.exceptions.ChunkedEncodingError, "the answer broke off"),
        (cut_chunks, requests.exceptions.ChunkedEncodingError, "the answer broke off"),
        (close_at_once, requests.ConnectionError, "the connection broke"),
        (bad_gzip, requests.exceptions.ContentDecodingError, "can't be decompressed"),
    ],
)
def test_a_broken_answer_is_never_taken_for_a_whole_one(raw_server, session, exchange_for, talk, error, what):
    url = raw_server(talk)
    with pytest.raises(error, match=what) as caught:
        send(session, get(f"{url}/things/7?api_key={SECRET}"), exchange_for(url), BEARER)
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__


def test_no_connection(session, exchange_for):
    url = "http://127.0.0.1:1"
    with pytest.raises(NeverSent, match="can't connect"):
        send(session, get(f"{url}/?api_key={SECRET}"), exchange_for(url), BEARER)


@pytest.mark.parametrize("encode", [bytes, gzip.compress])
def test_a_body_has_a_bound(api, session, exchange_for, encode):
    headers = {"Content-Encoding": "gzip"} if encode is gzip.compress else {}
    api.expect_request("/x").respond_with_data(encode(bytes(3_000_000)), headers=headers)
    with pytest.raises(FatalAPIError, match="over 1000000 bytes, decompressed"):
        send(session, get(api.url_for("/x")), exchange_for(api.url_for("/"), max_bytes=1_000_000), BEARER)


def test_a_pause_holds_all_workers(api, session, exchange_for):
    times: list[float] = []

    def handle(request):
        times.append(time.monotonic())
        return Response("", 429, headers={"Retry-After": "1"}) if len(times) == 1 else Response("[]")

    api.expect_request("/x").respond_with_handler(handle)
    exchange = exchange_for(api.url_for("/"))

    def work():
        with open_session() as own:
            send(own, get(api.url_for("/x")), exchange, BEARER)

    work()
    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(times) == 7
    assert min(times[1:]) - times[0] >= 0.95


def test_a_connection_is_used_again(raw_server, session, exchange_for):
    connections = []

    def talk(connection):
        connections.append(connection)
        for _ in range(3):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
            connection.recv(65536)

    url = raw_server(talk)
    for _ in range(3):
        assert send(session, get(url), exchange_for(url), BEARER).content == b"[]"
    assert len(connections) == 1


def test_the_log_has_no_secrets(api, session, exchange_for, caplog):
    caplog.set_level(logging.DEBUG, logger="test")
    api.expect_request("/things/7").respond_with_data("[]")
    send(session, get(api.url_for(f"/things/7?key={SECRET}")), exchange_for(api.url_for("/")), BEARER)
    [line] = [entry.getMessage() for entry in caplog.records if entry.name == "test"]
    assert line.startswith(f"GET http://127.0.0.1:{api.port}, path /things/{{id}}: 200 in ")


def test_netrc_and_proxies_of_the_environment_are_not_read(api, session, exchange_for, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    seen: list = []
    api.expect_request("/x").respond_with_handler(record(seen))
    request = session.prepare_request(requests.Request("GET", api.url_for("/x")))
    send(session, request, exchange_for(api.url_for("/")), lambda prepared: prepared)
    assert "Authorization" not in seen[0].headers


def test_other_threads_sessions_are_like_the_first():
    with open_session() as model:
        model.headers["X-Own"] = "1"
        model.verify = False
        with open_session(model) as other:
            assert other.headers["X-Own"] == "1"
            assert other.verify is False
            assert other.get_adapter("https://x") is model.get_adapter("https://x")
            assert other.cookies is not model.cookies


def answered(body: bytes) -> requests.Response:
    response = requests.Response()
    response.status_code = 200
    response._content = body
    return response


def test_a_body_is_decoded_once():
    calls = []
    response = answered(b'{"a": 1}')
    bind_json(response, lambda body: calls.append(body) or json.loads(body))
    assert response.json() is response.json()
    assert len(calls) == 1


def test_json_takes_the_arguments_of_requests():
    response = answered(b'{"a": 1.10}')
    bind_json(response, compile_body_decoder(exact_numbers=False))
    assert response.json() == {"a": 1.1}
    assert str(response.json(parse_float=Decimal)["a"]) == "1.10"


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"[NaN]", "[nan]"),
        ("[1]".encode("utf-16"), "[1]"),
        (b'["\\ud800"]', "['\\ud800']"),
        (b"\xef\xbb\xbf[1]", "[1]"),
    ],
)
def test_what_the_fast_decoder_refuses_goes_to_requests(body, value):
    response = answered(body)
    bind_json(response, compile_body_decoder(exact_numbers=False))
    assert repr(response.json()) == value


def test_exact_numbers_keep_their_digits():
    text = b"[0.1000000000000000055511151231257827, 12345678901234567890123]"
    fraction, integer = compile_body_decoder(exact_numbers=True)(text)
    assert fraction == Decimal("0.1000000000000000055511151231257827")
    assert integer == 12345678901234567890123


def test_malformed_json_raises_what_requests_raises():
    response = answered(b'{"a": ')
    bind_json(response, compile_body_decoder(exact_numbers=False))
    with pytest.raises(requests.exceptions.JSONDecodeError):
        response.json()
