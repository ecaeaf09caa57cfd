"""An object store that speaks the S3 protocol over HTTP on this machine, and refuses requests where a test asks it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any
from xml.etree import ElementTree

import obstore
import requests
from moto.server import DomainDispatcherApplication, create_backend_app
from obstore.store import S3Store
from werkzeug.serving import make_server

logging.getLogger("werkzeug").setLevel(logging.ERROR)


class ObjectStore:
    """The server; each bucket is one test's own."""

    def __init__(self) -> None:
        self._answer = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._respond, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        #: Tells of a request (its method and address) whether it is refused.
        self.refuses: Callable[[str, str], bool] = lambda method, address: False

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _respond(self, environ: Any, start_response: Any) -> Any:
        address = f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}"
        if self.refuses(environ["REQUEST_METHOD"], address):
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response("403 Forbidden", [("Content-Type", "application/xml")])
            return [b"<Error><Code>AccessDenied</Code></Error>"]
        return self._answer(environ, start_response)

    @contextmanager
    def refusing(self, refuses: Callable[[str, str], bool]) -> Iterator[None]:
        self.refuses = refuses
        try:
            yield
        finally:
            self.refuses = lambda method, address: False


class Bucket:
    """One bucket, as another program sees it."""

    def __init__(self, store: ObjectStore, name: str) -> None:
        self.store = store
        self.name = name
        assert requests.put(f"{store.url}/{name}", timeout=30).ok
        self._objects = S3Store(
            name,
            endpoint=store.url,
            region="us-east-1",
            access_key_id="reader",
            secret_access_key="reader",
            client_options={"allow_http": True},
        )

    @property
    def environment(self) -> dict[str, str]:
        """What a program finds its credentials by."""
        return {
            "AWS_ACCESS_KEY_ID": "id",
            "AWS_SECRET_ACCESS_KEY": "hush-hush",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.store.url,
            "AWS_ALLOW_HTTP": "true",
        }

    def objects(self) -> dict[str, bytes]:
        """Give what can be seen, by name, in the order of the names."""
        names = sorted(entry["path"] for page in obstore.list(self._objects) for entry in page)
        return {name: bytes(obstore.get(self._objects, name).bytes()) for name in names}

    def put(self, name: str, data: bytes) -> None:
        obstore.put(self._objects, name, data)

    def uploads(self) -> int:
        """Count the uploads that are neither complete nor aborted."""
        answer = requests.get(f"{self.store.url}/{self.name}?uploads", timeout=30)
        return len([part for part in ElementTree.fromstring(answer.content) if part.tag.endswith("Upload")])
