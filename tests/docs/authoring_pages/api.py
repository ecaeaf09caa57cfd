"""The API that the traced taps read: three pages of two records for each of three contexts, and some failures.

One request is answered by 503, one by 429 with a pause, one by 401; then they are answered.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PAGES = 3


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if failure := self._failure():
            self._answer(*failure)
            return
        page = int(parse_qs(urlsplit(self.path).query)["page"][0])
        records = [{"id": page * 2 + number} for number in range(2)]
        self._answer(200, {"data": records, "more": page < PAGES})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/token":
            self._answer(200, {"access_token": "t0ken", "expires_in": 3600})
            return
        if failure := self._failure():
            self._answer(*failure)
            return
        page = int(json.loads(body)["variables"].get("after") or 0) + 1
        info = {"hasNextPage": page < PAGES, "endCursor": str(page)}
        records = [{"id": page * 2 + number} for number in range(2)]
        self._answer(200, {"data": {"orders": {"nodes": records, "pageInfo": info}}})

    def _failure(self):
        left = self.server.failures
        return left.pop() if left else None

    def _answer(self, status: int, document: object, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def open_api() -> Iterator[str]:
    """Give the address of a new API."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.failures = [(401, {}), (429, {}, {"Retry-After": "1"}), (503, {})]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
