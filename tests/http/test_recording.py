"""What is recorded is what is replayed, without a secret, a network or a pause."""

from __future__ import annotations

import base64
import gzip
import json
import re
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import ledger_api
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_api import LedgerAPI
from tap_ledger import TapLedger
from werkzeug import Response

from singerkit import RESTStream, Tap
from singerkit import typing as th
from singerkit.clock import waits
from singerkit.config.write_back import file_holding
from singerkit.errors import ConfigurationError, FatalSyncError
from singerkit.http.credentials import is_credential
from singerkit.http.export import ExportJob
from singerkit.http.recording import Recorder, Replayer
from singerkit.http.tape import recording_to

SECRET = "C4NARY/s3cret+key"
TAP = str(Path(ledger_api.__file__).with_name("tap_ledger.py"))


def record(folder, *, ignored=(), secrets=(SECRET,)):
    recorder = Recorder(folder)
    recorder.begin("tap-x", {"api_key": SECRET, "page_size": 5}, secrets, ignored)
    return recorder


def replay(folder, *, ignored=(), secrets=()):
    replayer = Replayer(folder)
    replayer.begin("tap-x", {}, secrets, ignored)
    return replayer


def kept_in(folder) -> str:
    return "".join(path.name + path.read_text() for path in folder.iterdir())


@pytest.fixture
def serve(api):
    """Answer every request by a function, or by a response; give the URL."""

    def start(answer):
        api.clear()
        handler = (lambda request: answer) if isinstance(answer, Response) else answer
        api.expect_request(re.compile(".*")).respond_with_handler(handler)
        return api.url_for("").rstrip("/")

    return start


def test_an_answer_comes_back_as_it_was(serve, tmp_path):
    body = b'{"id": 12345678901234567890123, "price": 1.10, "tiny": 1e-400, "name": "\xc3\xa9", "a": [1, null, true]}'
    url = serve(
        Response(body, 203, {"Content-Type": "application/json", "X-Next-Page": "7", "Link": '</b>; rel="next"'})
    )
    with record(tmp_path).active():
        real = requests.get(f"{url}/orders?b=2&a=1", timeout=5)
    with replay(tmp_path).active():
        again = requests.get(f"{url}/orders?a=1&b=2", timeout=5)
    assert real.content == body
    assert again.content == body.replace(b": ", b":").replace(b", ", b",")
    assert (again.status_code, again.reason, again.headers["X-Next-Page"]) == (203, real.reason, "7")
    assert again.links == real.links
    assert again.url == f"{url}/orders?a=1&b=2"


def names_no_credential(text):
    """Whether nothing in a text is masked for its name."""
    return not any(map(is_credential, re.findall(r"[\w-]+", text)))


_texts = st.text().filter(names_no_credential)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=8) | _texts.map(str.encode) | _values.map(lambda value: json.dumps(value).encode()))
def test_any_body_comes_back(serve, tmp_path_factory, body):
    folder = tmp_path_factory.mktemp("recording")
    compressed = gzip.compress(body)
    url = serve(Response(compressed, headers={"Content-Encoding": "gzip", "Content-Type": "x/y"}))
    with record(folder).active():
        assert requests.get(url, timeout=5).content == body
    with replay(folder).active():
        again = requests.get(url, timeout=5).content
    try:
        assert json.loads(again, parse_constant=str) == json.loads(body, parse_constant=str)
    except ValueError:
        assert again == body


def forms_of(secret):
    return [secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode(), json.dumps(secret)[1:-1]]


@pytest.mark.parametrize("form", forms_of(SECRET))
def test_a_secret_setting_is_nowhere(serve, tmp_path, form):
    answer = {form: 1, "nested": [{"text": f"before {form} after"}], "url": f"https://x/y?k={form}"}
    headers = {"X-Echo": form, "Set-Cookie": f"sid={form}; Path=/", "Location": f"/z?code={form}"}
    url = serve(Response(json.dumps(answer), 200, {"Content-Type": "application/json", **headers}))
    with record(tmp_path).active():
        requests.post(
            f"{url}/a/{quote(form, safe='')}",
            params={"k": form, "n": 1},
            json={"deep": [form]},
            headers={"X-K": form},
            timeout=5,
        )
    assert "C4NARY" not in kept_in(tmp_path)
    assert form not in kept_in(tmp_path)
    assert '"n": "1"' in kept_in(tmp_path)


#: Each is an answer with something in it that lets somebody in, though no setting says so.
LEAKS = {
    "token endpoint": ("/oauth/token", {"access_token": "C4NARY", "refresh_token": "C4NARY2", "expires_in": 60}, {}),
    "login": ("/login", {"token": "C4NARY", "user": {"name": "Ann"}}, {}),
    "members": ("/me", {"data": {"apiKey": "C4NARY", "password": "C4NARY", "credentials": {"a": "C4NARY"}}}, {}),
    "headers": ("/x", {}, {"X-Auth-Token": "C4NARY", "Authorization": "C4NARY", "X-Api-Key": "C4NARY"}),
    "cookies": ("/x", {}, {"Set-Cookie": "session=C4NARY; HttpOnly"}),
    "signed url": ("/x", {"file": "https://s3/x?X-Amz-Signature=C4NARY&X-Amz-Security-Token=C4NARY&part=1"}, {}),
    "link": ("/x", {}, {"Link": '<https://x/y?access_token=C4NARY&page=2>; rel="next"'}),
    "form": ("/oauth/token", "access_token=C4NARY&token_type=bearer", {}),
    "xml": ("/x", "<a><sessionId>C4NARY</sessionId><b>1</b></a>", {}),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_what_lets_somebody_in_is_not_kept(serve, tmp_path, leak):
    path, answer, headers = LEAKS[leak]
    body = answer if isinstance(answer, str) else json.dumps(answer)
    url = serve(Response(body, headers={"Content-Type": "text/plain", **headers}))
    with record(tmp_path).active():
        requests.get(f"{url}{path}", params={"signature": "C4NARY", "page": 3}, timeout=5)
    kept = kept_in(tmp_path)
    assert "C4NARY" not in kept
    assert "***" in kept
    assert '"page": "3"' in kept


def test_what_is_used_as_a_credential_is_masked_where_it_came_from(serve, tmp_path):
    url = serve(lambda request: Response(json.dumps({"ticket": "C4NARY-ticket", "for": request.path})))
    with record(tmp_path).active():
        ticket = requests.get(f"{url}/begin", timeout=5).json()["ticket"]
        assert "C4NARY" in kept_in(tmp_path)
        requests.get(f"{url}/rows", headers={"Authorization": f"Bearer {ticket}"}, timeout=5)
    assert "C4NARY" not in kept_in(tmp_path)
    with replay(tmp_path).active():
        assert requests.get(f"{url}/begin", timeout=5).json() == {"ticket": "***", "for": "/begin"}


@pytest.mark.parametrize("name", ["next_page_token", "pageToken", "nextToken", "cursor", "sync_token", "tokens", "key"])
def test_what_leads_to_the_next_page_is_kept(serve, tmp_path, name):
    assert not is_credential(name, bare_token=False)
    url = serve(Response(json.dumps({name: "zz-9", "data": []})))
    with record(tmp_path).active():
        requests.get(f"{url}/rows", params={name: "zz-9"}, timeout=5)
    assert kept_in(tmp_path).count("zz-9") == 2


def test_answers_to_one_request_come_in_their_order_and_the_last_again(serve, tmp_path):
    numbers = iter(range(10))
    url = serve(lambda request: Response(str(next(numbers))))
    with record(tmp_path).active():
        assert [requests.get(f"{url}/n", timeout=5).text for _ in range(3)] == ["0", "1", "2"]
    replayer = replay(tmp_path)
    with replayer.active():
        assert [requests.get(f"{url}/n", timeout=5).text for _ in range(5)] == ["0", "1", "2", "2", "2"]
        replayer.begin("tap-x", {}, (), ())
        assert requests.get(f"{url}/n", timeout=5).text == "0"


def test_requests_at_the_same_time_get_every_answer_once(serve, tmp_path):
    numbers, lock = iter(range(40)), threading.Lock()

    def answer(request):
        with lock:
            return Response(str(next(numbers)))

    url = serve(answer)

    def ask(_):
        return requests.get(f"{url}/n", timeout=5).text

    with ThreadPoolExecutor(8) as pool:
        with record(tmp_path).active():
            recorded = list(pool.map(ask, range(40)))
        with replay(tmp_path).active():
            replayed = list(pool.map(ask, range(40)))
    assert sorted(replayed) == sorted(recorded) == sorted(map(str, range(40)))


def test_recording_again_changes_no_file(serve, tmp_path):
    url = serve(lambda request: Response(json.dumps({"at": request.full_path}), headers={"Date": "now"}))

    def run():
        with record(tmp_path).active():
            for path in ("/a", "/a", "/b?x=1"):
                requests.get(f"{url}{path}", timeout=5)
            requests.post(f"{url}/c", json={"q": "all"}, timeout=5)
        return {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    first = run()
    assert len(first) == 5
    assert run() == first


def test_bodies_tell_requests_apart(serve, tmp_path):
    url = serve(lambda request: Response(request.get_data()))
    with record(tmp_path, ignored=("at",)).active():
        for query in ("orders", "customers"):
            requests.post(f"{url}/graphql", json={"query": query, "at": "12:00"}, timeout=5)
            requests.post(f"{url}/form", data={"q": query, "at": "12:00"}, timeout=5)
    with replay(tmp_path, ignored=("at",)).active():
        got = requests.post(f"{url}/graphql", data='{"at": "13:00", "query": "customers"}', timeout=5).json()
        assert got["query"] == "customers"
        assert requests.post(f"{url}/form", data={"q": "orders", "at": "14:00"}, timeout=5).text.startswith("q=orders")
        with pytest.raises(FatalSyncError, match=r"POST /graphql is not in the recording .* with this body"):
            requests.post(f"{url}/graphql", json={"query": "prices"}, timeout=5)


def test_a_request_that_was_not_recorded_is_named(serve, tmp_path):
    url = serve(Response("[]"))
    with record(tmp_path).active():
        requests.get(f"{url}/orders?since=1&page=1", timeout=5)
    with replay(tmp_path).active():
        with pytest.raises(FatalSyncError, match=r"GET /customers is not in the recording .* --record") as absent:
            requests.get(f"{url}/customers?page=9", timeout=5)
        with pytest.raises(FatalSyncError, match=r"GET /orders .* with this 'since': .* recording_ignores"):
            requests.get(f"{url}/orders?since=2&page=1", timeout=5)
    assert url not in str(absent.value)


def test_parameters_that_are_ignored_may_differ(serve, tmp_path):
    url = serve(lambda request: Response(request.args["page"]))
    with record(tmp_path).active():
        requests.get(f"{url}/orders?until=12:00&page=1", timeout=5)
    with replay(tmp_path, ignored=("until",)).active():
        assert requests.get(f"{url}/orders?until=13:00&page=1", timeout=5).text == "1"


def test_nothing_reaches_the_network(serve, tmp_path):
    url = serve(Response("[]"))
    host, port = url.removeprefix("http://").split(":")
    with record(tmp_path).active():
        requests.get(f"{url}/orders", timeout=5)
    with replay(tmp_path).active():
        assert not waits()
        with pytest.raises(FatalSyncError, match=host), socket.socket() as sock:
            sock.connect((host, int(port)))
        with pytest.raises(FatalSyncError, match="by other means than requests"):
            urllib.request.urlopen(f"{url}/orders", timeout=5)
        with pytest.raises(FatalSyncError, match=r"localhost"):
            socket.getaddrinfo("localhost", 80)
    assert waits()
    with urllib.request.urlopen(f"{url}/orders", timeout=5) as answer:
        assert answer.read() == b"[]"
    assert requests.get(f"{url}/not-recorded", timeout=5).text == "[]"


def test_cookies_and_redirects_work_as_they_did(serve, tmp_path):
    def answer(request):
        if request.path == "/login":
            return Response("", 302, {"Location": "/home?token=C4NARY", "Set-Cookie": "sid=C4NARY-session-id; Path=/"})
        return Response(request.cookies.get("sid", "none")[:4])

    url = serve(answer)
    with record(tmp_path).active():
        assert requests.Session().get(f"{url}/login", timeout=5).text == "C4NA"
    assert "C4NARY" not in kept_in(tmp_path)
    with replay(tmp_path).active():
        session = requests.Session()
        answer = session.get(f"{url}/login", timeout=5)
    assert [step.status_code for step in answer.history] == [302]
    assert session.cookies["sid"] == "***"


def test_a_body_that_is_too_large_is_refused(serve, tmp_path, monkeypatch):
    monkeypatch.setattr("singerkit.http.recorded.MAX_BODY_BYTES", 1000)
    url = serve(Response(gzip.compress(b"x" * 2000), headers={"Content-Encoding": "gzip"}))
    with record(tmp_path).active(), pytest.raises(FatalSyncError, match="too large"):
        requests.get(url, timeout=5)


def test_an_answer_that_breaks_off_is_not_kept(raw_server, tmp_path):
    url = raw_server(lambda sock: sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[1, 2"))
    with record(tmp_path).active(), pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.get(url, timeout=5)
    assert [path.name for path in tmp_path.iterdir()] == ["recording.json"]


@pytest.mark.parametrize("made", ["nothing", "no files", "broken"])
def test_what_is_no_recording(tmp_path, made):
    folder = tmp_path / "recording"
    if made != "nothing":
        folder.mkdir()
    if made == "broken":
        (folder / "GET_x_1.json").write_text("{")
    with pytest.raises(ConfigurationError, match=r"--replay: .*recording"):
        Replayer(folder)


def test_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"--record: the folder .* can't be written"):
        Recorder(tmp_path / "file")


# A whole tap


def run(*words, cwd):
    done = subprocess.run([sys.executable, TAP, *words], capture_output=True, text=True, cwd=cwd, timeout=60)
    return done, [json.loads(line) for line in done.stdout.splitlines()]


def records_of(messages):
    return sorted(
        json.dumps([each["stream"], each["record"]], sort_keys=True) for each in messages if each["type"] == "RECORD"
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A folder with a config and a recording of a run; the API is gone."""
    folder = tmp_path_factory.mktemp("ledger")
    with LedgerAPI() as ledger:
        (folder / "config.json").write_text(json.dumps(ledger.config))
        done, messages = run("--config", "config.json", "--record", "recording", cwd=folder)
        assert done.returncode == 0, done.stderr
        assert len(records_of(messages)) == 36
        assert len(ledger.tokens) == 1
    return folder, messages


@pytest.mark.parametrize("words", [["--config", "config.json"], ["--config", "without-secret.json"], []])
def test_a_tap_runs_from_its_recording(recorded, words):
    folder, messages = recorded
    config = json.loads((folder / "config.json").read_text())
    without = json.dumps({name: value for name, value in config.items() if name != "client_secret"})
    (folder / "without-secret.json").write_text(without)
    done, again = run(*words, "--replay", "recording", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert records_of(again) == records_of(messages)
    assert [each for each in again if each["type"] == "STATE"][-1] == messages[-1]
    assert json.loads((folder / "without-secret.json").read_text()) == json.loads(without)


def test_a_recording_holds_no_secret_of_a_tap(recorded):
    folder, _ = recorded
    assert "C4NARY" not in kept_in(folder / "recording")
    settings_kept = json.loads((folder / "recording/recording.json").read_text())
    assert settings_kept["tap"] == "tap-ledger"
    assert settings_kept["config"]["client_secret"] == "***"


def test_other_settings_than_the_recorded_ones_are_an_error(recorded):
    folder, messages = recorded
    (folder / "state.json").write_text(json.dumps(messages[-1]["value"]))
    done, _ = run("--replay", "recording", "--state", "state.json", cwd=folder)
    assert done.returncode == 1
    assert "stream 'entries': GET /accounts/" in done.stderr
    assert "with this 'since'" in done.stderr
    (folder / "other.json").write_text(json.dumps({"api_url": "http://nowhere.example"}))
    done, _ = run("--config", "other.json", "--replay", "recording", cwd=folder)
    assert done.returncode == 2
    assert "client_id" in done.stderr
    assert "client_secret" not in done.stderr


def test_record_and_replay_exclude_each_other(recorded):
    done, _ = run("--record", "a", "--replay", "recording", cwd=recorded[0])
    assert done.returncode == 2
    assert "exclude each other" in done.stderr


def test_a_replayed_pause_is_not_waited_for(recorded, tmp_path):
    """An hour, if it were."""
    folder, messages = recorded
    for path in (folder / "recording").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
        if path.name.startswith("GET_accounts_"):
            (tmp_path / f"{path.stem}.2.json").write_bytes(path.read_bytes())
            refused = json.loads(path.read_text())
            refused["answer"] = {"status": 429, "headers": {"Retry-After": "3000", "X-RateLimit-Remaining": "0"}}
            (tmp_path / path.name).write_text(json.dumps(refused))
    done, again = run("--replay", str(tmp_path), cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "status 429" in done.stderr
    assert records_of(again) == records_of(messages)


class Exported(RESTStream):
    name, path, url_base, http_method = "exported", "/exports", "{api_url}", "POST"
    records_jsonpath = "$[*]"
    schema = {"type": "object", "properties": {"id": {"type": "integer"}}}  # noqa: RUF012

    def __init__(self, tap, poll_s):
        super().__init__(tap)
        self.export = ExportJob(status_path="/exports/{job}", files_jsonpath="$.files[*]", poll_s=poll_s)


class TapExport(Tap):
    name = "tap-export"
    config_jsonschema = th.PropertiesList(th.Property("api_url", th.URIType)).to_dict()
    poll_s = 0.01

    def discover_streams(self):
        return [Exported(self, self.poll_s)]


def test_an_export_is_replayed_step_by_step_without_a_pause(serve, tmp_path, monkeypatch):
    """Half an hour for each question, if it were waited for."""
    states = iter(["queued", "running", "running", "done"])

    def answer(request):
        if request.method == "POST":
            return Response('{"job": 7}')
        if request.path == "/exports/7":
            return Response(json.dumps({"status": next(states), "files": ["/files/1", "/files/2"]}))
        return Response(json.dumps([{"id": int(request.path[-1])}]))

    url = serve(answer)

    def read():
        return list(TapExport(config={"api_url": url}).streams["exported"].get_records(None))

    with recording_to(tmp_path):
        recorded = read()
    assert next(states, None) is None
    monkeypatch.setattr(TapExport, "poll_s", 1000.0)
    with TapExport.replaying(tmp_path):
        assert read() == recorded == [{"id": 1}, {"id": 2}]
        assert read() == recorded


def test_a_replayed_config_belongs_to_no_file(recorded):
    """Nothing masked can be written back to it."""
    path = recorded[0] / "config.json"
    assert file_holding(TapLedger(config=str(path)).config, "client_secret") == path
    with TapLedger.replaying(recorded[0] / "recording"):
        for config in (str(path), [path], json.loads(path.read_text()), None):
            assert file_holding(TapLedger(config=config).config, "client_secret") is None


def test_the_environment_wins_over_what_is_recorded(recorded, monkeypatch):
    monkeypatch.setenv("TAP_LEDGER_CLIENT_ID", "mine")
    with TapLedger.replaying(recorded[0] / "recording"):
        config = TapLedger(parse_env_config=True).config
    assert (config["client_id"], config["client_secret"]) == ("mine", "***")


def test_a_tap_class_can_be_replayed_in_process(recorded):
    folder, _ = recorded
    with TapLedger.replaying(folder / "recording"):
        tap = TapLedger()
        assert tap.config["client_secret"] == "***"
        assert [row["id"] for row in tap.streams["accounts"].get_records(None)] == list(range(6))
        assert TapLedger().run_connection_test()
    with pytest.raises(ConfigurationError, match="client_id"):
        TapLedger()
