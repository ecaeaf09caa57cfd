from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import flights_api
from flights_api import CLIENT_ID, CLIENT_SECRET, TOKEN_LIFETIME_S, Api, Data, Request, Throttle, Tokens

from .conftest import FLIGHTS, TOKEN


def by_cursor(client, url, **parameters):
    """Give the pages of a listing that is paged by cursor."""
    while True:
        answer = client.get(url, params=parameters)
        answer.raise_for_status()
        page = answer.json()
        yield page["data"]
        if page["meta"]["next_cursor"] is None:
            return
        parameters["cursor"] = page["meta"]["next_cursor"]


def by_link(client, url, **parameters):
    answer = client.get(url, params=parameters)
    while True:
        answer.raise_for_status()
        yield answer.json()["data"]
        if "next" not in answer.links:
            return
        answer = client.get(answer.links["next"]["url"])


def error_of(answer):
    error = answer.json()["error"]
    assert answer.headers["Content-Type"] == "application/json"
    assert error["status"] == answer.status_code
    assert error["message"]
    return answer.status_code, error["code"]


# Tokens


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x"]
)
def test_that_a_wrong_token_is_refused(url, authorization):
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = requests.get(f"{url}/v1/airlines", headers=headers)
    assert error_of(answer) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_that_unknown_paths_do_not_show_without_a_token(url):
    assert requests.get(f"{url}/v1/secrets").status_code == 401


def granted(url, **changes):
    form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    return requests.post(f"{url}/oauth/token", data=form | changes)


def test_that_client_credentials_give_a_token_that_expires(serve):
    now = [1_000.0]
    url = serve(clock=lambda: now[0])
    answer = granted(url).json()
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", TOKEN_LIFETIME_S)
    assert requests.get(f"{url}/v1/airlines", headers=headers).status_code == 200
    now[0] += TOKEN_LIFETIME_S
    assert requests.get(f"{url}/v1/airlines", headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"client_secret": "wrong"}, (401, "invalid_client")),
        ({"grant_type": "password"}, (400, "unsupported_grant_type")),
    ],
)
def test_that_wrong_client_credentials_are_refused(url, changes, expected):
    assert error_of(granted(url, **changes)) == expected


# Pages


def test_that_flights_come_by_cursor_in_order_each_once(client, url):
    flights = [flight for page in by_cursor(client, f"{url}/v1/flights") for flight in page]
    order = [(flight["updated_at"], flight["id"]) for flight in flights]
    assert len(flights) == len({flight["id"] for flight in flights}) == FLIGHTS
    assert order == sorted(order)


@pytest.mark.parametrize(("size", "pages"), [(1, 3), (1_000, 4), (1_333, 4), (4_000, 1), (5_000, 1)])
def test_that_a_page_has_the_size_asked_for(client, url, size, pages):
    sizes = []
    for page in by_cursor(client, f"{url}/v1/flights", page_size=size):
        sizes.append(len(page))
        if size == 1 and len(sizes) == pages:
            break
    assert len(sizes) == pages
    assert set(sizes[:-1]) <= {size}
    assert 0 < sizes[-1] <= size


def test_that_updated_since_is_inclusive(client, url):
    everything = client.get(f"{url}/v1/flights", params={"page_size": 5_000}).json()["data"]
    since = everything[1_700]["updated_at"]
    expected = [flight for flight in everything if flight["updated_at"] >= since]
    found = [flight for page in by_cursor(client, f"{url}/v1/flights", updated_since=since) for flight in page]
    assert found == expected
    assert found[0]["updated_at"] == since


@pytest.mark.parametrize(
    "same",
    [
        "2013-01-02T15:00:00Z",
        "2013-01-02T15:00:00+00:00",
        "2013-01-02T10:00:00-05:00",
        "2013-01-02T15:00:00.000000Z",
        "2013-01-02T14:59:59.000001Z",
    ],
)
def test_that_updated_since_is_an_instant_not_a_text(client, url, same):
    flights = client.get(f"{url}/v1/flights", params={"updated_since": same, "page_size": 5_000}).json()["data"]
    assert flights
    assert all(datetime.fromisoformat(flight["updated_at"]) >= datetime.fromisoformat(same) for flight in flights)
    assert (
        flights
        == client.get(f"{url}/v1/flights?updated_since=2013-01-02T15:00:00Z", params={"page_size": 5_000}).json()[
            "data"
        ]
    )


@pytest.mark.parametrize("since", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_that_the_ends_of_time_can_be_asked_for(client, url, since):
    count = len(client.get(f"{url}/v1/flights", params={"updated_since": since, "page_size": 5_000}).json()["data"])
    assert count == (FLIGHTS if since < "2013" else 0)


def test_that_weather_comes_by_link_header(client, url):
    pages = list(by_link(client, f"{url}/v1/airports/JFK/weather", page_size=5_000))
    assert [len(page) for page in pages] == [5_000, 3_706]
    assert {observation["station"] for page in pages for observation in page} == {"JFK"}


def test_that_links_keep_the_filter_and_stay_on_the_server(client, url):
    since = "2013-12-01T00:00:00+00:00"
    answer = client.get(f"{url}/v1/weather", params={"observed_since": since, "page_size": 100})
    assert {name: urlsplit(link["url"]).netloc for name, link in answer.links.items()} == dict.fromkeys(
        ("first", "last", "next"), urlsplit(url).netloc
    )
    observations = [
        each for page in by_link(client, f"{url}/v1/weather", observed_since=since, page_size=999) for each in page
    ]
    order = [(each["observed_at"], each["station"]) for each in observations]
    assert order == sorted(order)
    assert order[0][0] == "2013-12-01T00:00:00Z"
    assert len(client.get(answer.links["last"]["url"]).json()["data"]) == len(observations) % 100


def test_that_an_airport_without_a_station_has_no_weather(client, url):
    answer = client.get(f"{url}/v1/airports/SFO/weather")
    assert answer.json()["data"] == []
    assert "next" not in answer.links


def test_that_airports_come_by_number(client, url):
    pages = [client.get(f"{url}/v1/airports", params={"page": page}).json() for page in (1, 2, 3)]
    assert [len(page["data"]) for page in pages] == [1_000, 458, 0]
    assert pages[0]["meta"] == {"page": 1, "page_size": 1_000, "total_pages": 2, "total": 1_458}


def test_that_airlines_come_at_once(client, url):
    answer = client.get(f"{url}/v1/airlines").json()
    assert len(answer["data"]) == answer["meta"]["total"] == 16


def test_that_planes_belong_to_the_airlines_that_flew_them(client, url):
    known = {plane["tail_number"] for plane in client.get(f"{url}/v1/planes?page_size=5000").json()["data"]}
    flights = client.get(f"{url}/v1/flights?page_size=5000").json()["data"]
    for airline in client.get(f"{url}/v1/airlines").json()["data"]:
        fleet = client.get(f"{url}/v1/airlines/{airline['code']}/planes?page_size=5000").json()["data"]
        flown = {flight["tail_number"] for flight in flights if flight["carrier"]["code"] == airline["code"]}
        assert [plane["tail_number"] for plane in fleet] == sorted(flown & known)


# Amending


def test_that_amended_flights_are_newer_and_nothing_else_is(serve, client):
    url = serve(data=Data(max_flights=500))
    before = client.get(f"{url}/v1/flights?page_size=5000").json()["data"]
    newest = before[-1]["updated_at"]
    amended = client.post(f"{url}/v1/_amend_flights?count=25").json()["amended"]
    since = client.get(f"{url}/v1/flights", params={"updated_since": newest}).json()["data"]
    new = [flight for flight in since if flight["updated_at"] > newest]
    after = client.get(f"{url}/v1/flights?page_size=5000").json()["data"]
    assert [flight["id"] for flight in new] == amended
    assert len(set(amended)) == 25
    assert {flight["revision"] for flight in new} == {2}
    assert len(after) == 500
    assert [flight for flight in after if flight["revision"] == 1] == [
        flight for flight in before if flight["id"] not in amended
    ]


def test_that_amending_while_another_reads_skips_nothing(serve, client):
    url = serve(data=Data(max_flights=500))
    seen = []
    for page in by_cursor(client, f"{url}/v1/flights", page_size=100):
        seen += page
        if len(seen) <= 500:
            client.post(f"{url}/v1/_amend_flights?count=7")
    latest = {flight["id"]: flight for flight in seen}
    now = {flight["id"]: flight for flight in client.get(f"{url}/v1/flights?page_size=5000").json()["data"]}
    assert latest.keys() == now.keys()


def test_that_more_can_be_asked_for_than_there_are(serve, client):
    url = serve(data=Data(max_flights=10))
    assert len(client.post(f"{url}/v1/_amend_flights?count=1000").json()["amended"]) == 10


# Throttling and latency


def test_that_every_nth_request_is_refused_once(serve, client):
    url = serve(throttle_every=5)
    statuses = [client.get(f"{url}/v1/airports?page={page}").status_code for page in range(1, 13)]
    assert [n for n, status in enumerate(statuses, start=1) if status == 429] == [5, 10]
    assert client.get(f"{url}/v1/airports?page=5").status_code == 200
    assert client.get(f"{url}/v1/_statistics").json() == {"requests": 13, "refused": 2, "flights": FLIGHTS}


def test_that_a_refusal_says_when_to_come_back(serve, client):
    url = serve(throttle_every=1)
    answer = client.get(f"{url}/v1/airlines")
    assert error_of(answer) == (429, "rate_limited")
    assert answer.headers["Retry-After"] == "1"
    assert client.get(f"{url}/v1/airlines").status_code == 200


def test_that_latency_is_a_page_s_and_not_the_server_s(serve, client):
    url = serve(latency_s=0.2)
    started = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda page: client.get(f"{url}/v1/airports?page={page}"), range(1, 9)))
    taken = time.monotonic() - started
    assert {answer.status_code for answer in answers} == {200}
    assert 0.2 <= taken < 1.2


# Malformed requests


@pytest.mark.parametrize(
    "path",
    [
        "/v1/flights?page_size=0",
        "/v1/flights?page_size=5001",
        "/v1/flights?page_size=-1",
        "/v1/flights?page_size=many",
        "/v1/flights?page_size=",
        "/v1/flights?page_size=%D9%A1",
        "/v1/flights?page_size=10&page_size=20",
        "/v1/flights?page=2",
        "/v1/flights?page_size",
        "/v1/flights?&&",
        "/v1/flights?cursor=",
        "/v1/flights?cursor=abc",
        "/v1/flights?cursor=%F0%9F%9B%AB",
        "/v1/flights?cursor=%ff",
        "/v1/flights?updated_since=yesterday",
        "/v1/flights?updated_since=2013-01-01",
        "/v1/flights?updated_since=2013-01-01T00:00:00",
        "/v1/flights?updated_since=2013-01-01T00:00:00+00:00",  # an unquoted plus sign is a space
        "/v1/flights?updated_since=0001-01-01T00:00:00%2B12:00",
        "/v1/weather?observed_since=2013-13-01T00:00:00Z",
        "/v1/airports?page=0",
        "/v1/airlines?page=1",
    ],
)
def test_that_a_malformed_parameter_is_refused(client, url, path):
    assert error_of(client.get(url + path)) == (400, "invalid_parameter")


@pytest.mark.parametrize(
    "path", ["/v1/", "/v1/flight", "/v1/flights/", "/v1/airlines/ZZ/planes", "/v1/airports/x/weather"]
)
def test_that_an_unknown_path_is_not_found(client, url, path):
    assert error_of(client.get(url + path)) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v1/flights", "GET"),
        ("DELETE", "/v1/flights", "GET"),
        ("HEAD", "/v1/flights", "GET"),
        ("GET", "/v1/_amend_flights", "POST"),
        ("GET", "/oauth/token", "POST"),
    ],
)
def test_that_a_wrong_method_is_refused(client, url, method, path, allowed):
    answer = client.request(method, url + path)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == allowed
    assert client.get(f"{url}/v1/airlines").status_code == 200


def raw(url, request):
    """Send bytes that no HTTP library would, and give the whole answer."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as answer:
            return answer.read()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /v1/flights HTTP/9.9\r\n\r\n", 505),
        (b"BREW /v1/flights HTTP/1.1\r\n\r\n", 501),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"POST /oauth/token HTTP/1.1\r\nContent-Length: many\r\n\r\n", 400),
        (b"POST /oauth/token HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST /oauth/token HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"POST /oauth/token HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"POST /oauth/token HTTP/1.1\r\nContent-Length: 2\r\n\r\n\xff\xfe", 400),
    ],
)
def test_that_what_is_hardly_http_gets_json_and_a_closed_connection(url, request_bytes, status):
    head, _, body = raw(url, request_bytes).partition(b"\r\n\r\n")
    assert re.match(rb"HTTP/1\.\d %d " % status, head)
    assert b"Content-Type: application/json" in head
    assert json.loads(body)["error"]["status"] == status


def test_that_a_connection_is_kept(client, url):
    for _ in range(5):
        client.get(f"{url}/v1/airlines")
        client.get(f"{url}/v1/nothing")
    (pool,) = client.get_adapter(url).poolmanager.pools._container.values()
    assert pool.num_connections == 1


def test_that_a_client_that_goes_away_hurts_nobody(client, url, capfd):
    parts = urlsplit(url)
    for _ in range(3):
        with socket.create_connection((parts.hostname, parts.port)) as connection:
            connection.sendall(
                f"GET /v1/flights?page_size=5000 HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
            )
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    assert client.get(f"{url}/v1/airlines").status_code == 200
    assert "Traceback" not in capfd.readouterr().err


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(path=st.text(max_size=40), query=st.text(max_size=60), method=st.sampled_from(["GET", "POST", "PUT"]))
def test_that_any_request_has_an_answer_and_no_internal_error(data, path, query, method):
    api = Api(data, Tokens(TOKEN), Throttle(0))
    for target in (path, "/v1/flights", "/v1/weather", "/oauth/token"):
        reply = api.reply(Request(method, target, query, f"Bearer {TOKEN}", path.encode(errors="replace")))
        assert reply.status in {200, 400, 404, 405}
        json.loads(reply.body)


# The command


def test_that_the_command_prints_its_url_and_serves():
    command = [sys.executable, flights_api.__file__, "--port", "0", "--token", "abc", "--max-flights", "50"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent) as server:
        try:
            url = server.stdout.readline().strip()
            answer = requests.get(f"{url}/v1/flights", headers={"Authorization": "Bearer abc"})
            assert len(answer.json()["data"]) == 50
        finally:
            with contextlib.suppress(ProcessLookupError):
                server.terminate()
