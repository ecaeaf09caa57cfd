"""Servers to talk to: one that answers as a function says, one that is given the raw socket."""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
import requests
from pytest_httpserver import HTTPServer

from singerkit.http.client import Exchange, open_session, origin_of, send


@pytest.fixture(scope="session")
def _servers() -> Iterator[tuple[HTTPServer, HTTPServer]]:
    # Stopping one takes half a second, so they are kept.
    with HTTPServer(host="127.0.0.1", threaded=True) as one, HTTPServer(host="127.0.0.1", threaded=True) as other:
        yield one, other


@pytest.fixture
def api(_servers: tuple[HTTPServer, HTTPServer]) -> HTTPServer:
    _servers[0].clear()
    return _servers[0]


@pytest.fixture
def elsewhere(_servers: tuple[HTTPServer, HTTPServer]) -> HTTPServer:
    """Another origin: the same host on another port."""
    _servers[1].clear()
    return _servers[1]


@pytest.fixture
def raw_server() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """Give a function that serves each connection by a function of its socket, and says the URL."""
    listeners = []

    def serve(talk: Callable[[socket.socket], None]) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    with contextlib.suppress(OSError):
                        talk(connection)

        threading.Thread(target=accept, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield serve
    for listener in listeners:
        listener.close()


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with open_session() as opened:
        yield opened


@pytest.fixture
def exchange_for() -> Callable[..., Exchange]:
    def build(*urls: str, **options: object) -> Exchange:
        origins = frozenset(map(origin_of, urls))
        return Exchange(origins=origins, label="/things/{id}", logger=logging.getLogger("test"), **options)

    return build


@pytest.fixture
def serve(api: HTTPServer) -> Callable[[object], object]:
    """Give a function that mounts a server, a function from request to response, on every path of the API."""

    def mount(server: Callable) -> Callable:
        api.expect_request(re.compile("/.*")).respond_with_handler(server)
        return server

    return mount


@pytest.fixture
def fetch(api: HTTPServer, exchange_for: Callable[..., Exchange]) -> Callable[..., list[int]]:
    """Give a function that sends so many requests, by so many workers at a time, and gives the statuses."""

    def ask(authenticator: Callable, times: int = 1, workers: int = 1, **options: object) -> list[int]:
        exchange, statuses, lock = exchange_for(api.url_for("/")), list[int](), threading.Lock()
        left = iter(range(times))
        given = {"method": "GET", "url": api.url_for("/data?x=1&y=a%20b"), **options}

        def work() -> None:
            with open_session() as session:
                while True:
                    with lock:
                        if next(left, None) is None:
                            return
                    statuses.append(
                        send(session, requests.Request(**given).prepare(), exchange, authenticator).status_code
                    )

        threads = [threading.Thread(target=work) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return statuses

    return ask
