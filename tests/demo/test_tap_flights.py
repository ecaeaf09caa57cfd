from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from datetime import datetime
from pathlib import Path

import pytest

import flights_api
from flights_api import Data

from .conftest import FLIGHTS, TOKEN

TAP = Path(flights_api.__file__).with_name("tap_flights.py")


@pytest.fixture
def tap(tmp_path):
    """Run the tap as a program; give exit code, messages and log."""

    def run(url, *arguments, state=None, **settings):
        files = {"config": {"api_url": url, "api_token": TOKEN, "page_size": 1_000, **settings}}
        if state is not None:
            files["state"] = state
        for name, content in files.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
            arguments = (*arguments, f"--{name}", str(tmp_path / f"{name}.json"))
        return subprocess.run([sys.executable, str(TAP), *arguments], capture_output=True, text=True, timeout=60)

    return run


def messages_of(done):
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def records_of(messages):
    records = defaultdict(list)
    for message in messages:
        if message["type"] == "RECORD":
            records[message["stream"]].append(message["record"])
    return records


def last_state(messages):
    return [message["value"] for message in messages if message["type"] == "STATE"][-1]


def everything(client, url, path):
    return client.get(f"{url}/v1/{path}", params={"page_size": 5_000}).json()["data"]


def test_that_everything_the_api_has_arrives(tap, client, url):
    records = records_of(messages_of(tap(url)))
    airlines = client.get(f"{url}/v1/airlines").json()["data"]
    assert records["airlines"] == airlines
    assert records["airports"] == everything(client, url, "airports")
    assert len(records["weather"]) == 26_115
    assert len({(each["station"], each["observed_at"]) for each in records["weather"]}) == 26_115
    assert records["flights"] == everything(client, url, "flights")
    fleets = defaultdict(list)
    for plane in records["planes"]:
        fleets[plane.pop("carrier")].append(plane)
    assert fleets == {
        airline["code"]: fleet
        for airline in airlines
        if (fleet := everything(client, url, f"airlines/{airline['code']}/planes"))
    }


def test_that_a_second_run_brings_what_is_new(tap, serve, client):
    url = serve(data=Data(max_flights=500))
    state = last_state(messages_of(tap(url)))
    amended = client.post(f"{url}/v1/_amend_flights?count=25").json()["amended"]
    records = records_of(messages_of(tap(url, state=state)))
    at_the_bookmark = [flight["id"] for flight in records["flights"] if flight["revision"] == 1]
    assert [flight["id"] for flight in records["flights"] if flight["revision"] == 2] == amended
    assert 1 <= len(at_the_bookmark) <= 20
    assert len(records["weather"]) == 3


def test_that_any_state_resumes_without_loss(tap, client, url):
    messages = messages_of(tap(url))
    expected = {flight["id"] for flight in everything(client, url, "flights")}
    states = [at for at, message in enumerate(messages) if message["type"] == "STATE"]
    for at in states[:: max(1, len(states) // 4)]:
        before = records_of(messages[:at])["flights"]
        after = records_of(messages_of(tap(url, state=messages[at]["value"])))["flights"]
        assert {flight["id"] for flight in (*before, *after)} == expected


def test_that_start_date_is_where_it_begins(tap, url):
    start = "2013-01-04T12:00:00-05:00"
    flights = records_of(messages_of(tap(url, start_date=start)))["flights"]
    assert 0 < len(flights) < FLIGHTS
    assert all(datetime.fromisoformat(flight["updated_at"]) >= datetime.fromisoformat(start) for flight in flights)


def test_that_a_busy_api_only_delays_it(tap, serve, client):
    url = serve(throttle_every=9)
    records = records_of(messages_of(tap(url)))
    assert len(records["flights"]) == FLIGHTS
    assert client.get(f"{url}/v1/_statistics").json()["refused"] > 1


def test_that_a_wrong_token_is_an_error_that_does_not_show_it(tap, url):
    done = tap(url, api_token="a-secret-token")
    assert done.returncode == 1
    assert "401" in done.stderr
    assert "a-secret-token" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert '"RECORD"' not in done.stdout


def test_that_discovery_asks_nothing_of_the_api(tap):
    catalog = json.loads(tap("http://127.0.0.1:9", "--discover").stdout)
    keys = {stream["tap_stream_id"]: stream["key_properties"] for stream in catalog["streams"]}
    assert keys == {
        "airlines": ["code"],
        "airports": ["faa"],
        "flights": ["id"],
        "planes": ["carrier", "tail_number"],
        "weather": ["station", "observed_at"],
    }


def test_that_every_problem_of_the_config_is_named(tap):
    done = tap("http://127.0.0.1:9", page_size=9_999, start_date=7)
    assert done.returncode == 2
    assert "page_size" in done.stderr
    assert "start_date" in done.stderr
