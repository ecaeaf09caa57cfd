from __future__ import annotations

import json
from http.client import HTTPConnection
from urllib.error import HTTPError
from urllib.request import Request as Call
from urllib.request import urlopen

import pytest

from singerkit_testing.errors import HarnessError
from singerkit_testing.fake_server import FakeServer, Response, serving
from singerkit_testing.functions import find_function


def answer(request):
    answers = {
        "/people": [{"page": request.query.get("page")}],
        "/text": "hello",
        "/bytes": b"\xff",
        "/limit": Response({"error": "later"}, 429, {"Retry-After": "1"}),
    }
    if request.path == "/echo":
        return {"method": request.method, "token": request.headers["authorization"], "body": request.json()}
    return answers[request.path] if request.path != "/none" else None


def get(url, **options):
    with urlopen(Call(url, **options)) as response:
        return response.status, response.headers["Content-Type"], response.read()


def test_a_function_answers():
    with FakeServer(answer) as server:
        assert get(f"{server.url}/people?page=2&page=3") == (200, "application/json", b'[{"page": "3"}]')
        assert get(f"{server.url}/text")[1:] == ("text/plain; charset=utf-8", b"hello")
        assert get(f"{server.url}/bytes")[2] == b"\xff"
        sent = get(f"{server.url}/echo", data=b'{"a":1}', headers={"Authorization": "x"}, method="PATCH")
        assert json.loads(sent[2]) == {"method": "PATCH", "token": "x", "body": {"a": 1}}
        assert [request.path for request in server.requests] == ["/people", "/text", "/bytes", "/echo"]


@pytest.mark.parametrize(("path", "status"), [("/limit", 429), ("/none", 404), ("/unknown", 500)])
def test_errors(path, status):
    with FakeServer(answer) as server:
        with pytest.raises(HTTPError) as caught:
            get(server.url + path)
        assert caught.value.code == status
        caught.value.close()
        assert [type(error) for error in server.errors] == ([KeyError] if status == 500 else [])


def test_connections_stay_open():
    with FakeServer(answer) as server:
        connection = HTTPConnection(server.url.removeprefix("http://"))
        for method in ("GET", "HEAD", "GET"):
            connection.request(method, "/text")
            assert connection.getresponse().read() == (b"" if method == "HEAD" else b"hello")
        connection.close()


def test_a_config_names_the_server():
    with serving(answer, {"api_url": "{server}/v1", "n": 1}) as config:
        assert config["api_url"].startswith("http://127.0.0.1:")
        assert config["n"] == 1
    with serving(None, {"api_url": "{server}"}) as config:
        assert config == {"api_url": "{server}"}


def test_functions_are_found_by_name(tmp_path, monkeypatch):
    (tmp_path / "shop_answers.py").write_text("def respond(request): return []\nnumber = 7\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    assert find_function("shop_answers:respond")(None) == []
    for wrong in ("shop_answers:nothing", "no_such_module:x", "shop_answers", "shop_answers:number", ":x"):
        with pytest.raises(HarnessError, match=wrong):
            find_function(wrong)
