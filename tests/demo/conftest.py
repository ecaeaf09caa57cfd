from __future__ import annotations

import threading

import pytest
import requests

from flights_api import Api, Data, Server, Throttle, Tokens

TOKEN = "test-token"
FLIGHTS = 4_000


@pytest.fixture(scope="session")
def data():
    return Data(max_flights=FLIGHTS)


@pytest.fixture
def serve(data):
    """Start servers over the data; each gives its URL."""
    servers = []

    def start(*, throttle_every=0, latency_s=0.0, data=data, clock=None):
        tokens = Tokens(TOKEN, clock) if clock else Tokens(TOKEN)
        server = Server(Api(data, tokens, Throttle(throttle_every), latency_s))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return server.url

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def client():
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {TOKEN}"
        yield session


@pytest.fixture
def url(serve):
    return serve()
