"""The stores that the contract is tried on: real ones all, each test with one of its own."""

from __future__ import annotations

import logging
import os
import threading
import uuid
from contextlib import contextmanager

import psycopg
import pytest

from singerkit.runner.store.open import open_store

POSTGRES = os.environ.get("SINGERKIT_TEST_POSTGRES_URL") or "postgresql://{}@{}:{}/{}".format(
    os.environ.get("SINGERKIT_TEST_POSTGRES_USER", "postgres"),
    os.environ.get("SINGERKIT_TEST_POSTGRES_HOST", "127.0.0.1"),
    os.environ.get("SINGERKIT_TEST_POSTGRES_PORT", "5432"),
    os.environ.get("SINGERKIT_TEST_POSTGRES_DATABASE", "test"),
)
KINDS = ("sqlite", "folder", "s3", "postgresql")
BUCKET = "states"


@pytest.fixture(scope="session")
def s3_server():
    """Start an S3 API server; gives its address.

    It answers one request after the other, as its conditional writes are not atomic otherwise.
    """
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=False)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def bucket(s3_server):
    """Give the address of a bucket, as an object store's URL has it."""
    import requests

    assert requests.put(f"{s3_server}/{BUCKET}", timeout=30).status_code == 200
    credentials = {"AWS_ACCESS_KEY_ID": "C4NARY-id", "AWS_SECRET_ACCESS_KEY": "C4NARY-secret"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in credentials.items():
            patch.setenv(name, value)
        yield f"s3://{BUCKET}/PREFIX?endpoint={s3_server}&region=us-east-1&allow_http=true"


@contextmanager
def schema():
    """Give a schema's name that nothing has yet; drops it in the end."""
    name = f"states_{uuid.uuid4().hex[:12]}"
    try:
        yield name
    finally:
        with psycopg.connect(POSTGRES) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")


@pytest.fixture
def postgresql_url():
    """Give the URL of a store in a schema of its own."""
    try:
        psycopg.connect(POSTGRES, connect_timeout=3).close()
    except psycopg.Error as problem:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no PostgreSQL server: {problem}")
    with schema() as name:
        yield f"{POSTGRES}?schema={name}"


@pytest.fixture(params=KINDS)
def url(request, tmp_path):
    """Give the URL of an empty store of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/folder/state.db"
    if request.param == "folder":
        return f"file://{tmp_path}/states"
    if request.param == "s3":
        return request.getfixturevalue("bucket").replace("PREFIX", uuid.uuid4().hex)
    return request.getfixturevalue("postgresql_url")


@pytest.fixture
def store(url):
    """Give an empty store of each kind."""
    opened = open_store(url)
    yield opened
    opened.close()
