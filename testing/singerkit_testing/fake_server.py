"""A web server on this machine, answering by a function: an API tap is then checked without the API.

The config of the tap names it as ``{server}``, for example ``{"api_url": "{server}/v1"}``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from singerkit_testing.folders import filled

PLACEHOLDER = "{server}"


@dataclass(frozen=True)
class Request:
    """What a tap asked for.

    Shape: `query` holds each parameter's last value, `headers` have names in lower case.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Read the body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Response:
    """What it is answered. `body` is sent as it is if it is bytes or text, else as JSON."""

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


# A function may return a Response, or just its body; None is 404.
Respond = Callable[[Request], Any]


class FakeServer:
    """Serves on a free port of the loopback interface while its ``with`` block lasts.

    Shape: `requests` has what was asked so far, `errors` what the function raised (the tap was told 500).
    """

    def __init__(self, respond: Respond) -> None:
        self.requests: list[Request] = []
        self.errors: list[Exception] = []
        self._respond = respond
        self._server = _QuietServer(("127.0.0.1", 0), partial(_Handler, self.answer))

    @property
    def url(self) -> str:
        """The address, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: Request) -> Response:
        """Answer one request."""
        self.requests.append(request)
        try:
            answer = self._respond(request)
        except Exception as error:  # noqa: BLE001 - the author's function; the tap gets 500, the test looks at `errors`
            self.errors.append(error)
            return Response({"error": type(error).__name__}, 500)
        if answer is None:
            return Response({"error": "not found"}, 404)
        return answer if isinstance(answer, Response) else Response(answer)


@contextmanager
def serving(respond: Respond | None, config: Mapping[str, Any] | None) -> Iterator[dict[str, Any] | None]:
    """Serve, and give the config with the server's address in it; without a function, the config as it is."""
    if respond is None:
        yield None if config is None else dict(config)
        return
    with FakeServer(respond) as server:
        yield filled(dict(config or {}), {PLACEHOLDER: server.url})


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing of a tap that hangs up: stderr belongs to the report."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, answer: Callable[[Request], Response], *arguments: Any) -> None:
        self._answer = answer
        super().__init__(*arguments)

    def handle_one_request(self) -> None:
        """Answer whatever method is used; the base class looks for a function named after it."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline:
            self.close_connection = True
        elif self.parse_request():
            self._send(self._answer(self._request()))

    def log_message(self, *_: Any) -> None:
        """Stay silent: stderr belongs to the report."""

    def _request(self) -> Request:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(self.command, url.path, dict(parse_qsl(url.query, keep_blank_values=True)), headers, body)

    def _send(self, response: Response) -> None:
        body, kind = _encoded(response.body)
        self.send_response(response.status)
        for name, value in {"Content-Type": kind, **response.headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()


def _encoded(body: Any) -> tuple[bytes, str]:
    if isinstance(body, bytes):
        return body, "application/octet-stream"
    if isinstance(body, str):
        return body.encode(), "text/plain; charset=utf-8"
    return json.dumps(body).encode(), "application/json"
