"""An API with several hundred records that answers wrongly as often as not, in every way that we could think of.

What goes wrong is decided by the seed, the request and how often it came: the same in every run, in whatever order the
requests arrive.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import random
import socket
import struct
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PAGES = 5
PAGE_SIZE = 20
PARTS = 4
#: A record's text is long enough that most bodies take more than one packet.
TEXT = "läng text " * 8


def row(kind: str, number: int) -> dict[str, Any]:
    """Give a record."""
    return {
        "id": number,
        "kind": kind,
        "text": f"{TEXT}{number}",
        "updated_at": f"2024-01-01T00:{number // 60:02}:{number % 60:02}Z",
    }


def rows_of(kind: str, page: int, part: int = 0) -> list[dict[str, Any]]:
    """Give a page's records."""
    first = (part * PAGES + page) * PAGE_SIZE
    return [row(kind, number) for number in range(first, first + PAGE_SIZE)]


def expected() -> dict[str, dict[int, str]]:
    """Give what a target has to hold: the texts by id, of each stream."""
    whole = {kind: [r for page in range(PAGES) for r in rows_of(kind, page)] for kind in ("pages", "cursors", "lines")}
    whole["rows"] = rows_of("rows", 0)
    whole["parts"] = [r for part in range(PARTS) for page in range(PAGES) for r in rows_of("parts", page, part)]
    return {kind: {r["id"]: r["text"] for r in rows} for kind, rows in whole.items()}


FAULTS = (
    "reset before the answer",
    "reset after the headers",
    "reset in the body",
    "end in the body",
    "429",
    "429 with a pause",
    "429 at the limit",
    "500",
    "502",
    "503",
    "slow headers",
    "slow body",
    "truncated text",
    "truncated gzip",
    "damaged gzip",
    "content length too large",
    "content length too small",
    "unfinished chunks",
    "empty",
    "HTML",
    "error object",
)
#: What takes a second or more to end comes less often than the others.
WEIGHTS = [0.15 if fault.startswith("slow") or fault == "429 at the limit" else 1.0 for fault in FAULTS]


class FaultyAPI:
    """A server of one seed; ``share`` of the answers are wrong."""

    def __init__(self, seed: int, share: float) -> None:
        self._seed = seed
        self._share = share
        self._times: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.injected: Counter[str] = Counter()
        self.requests = 0
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                # A client that gave up is what some of the faults are about.
                with contextlib.suppress(OSError):
                    api.answer(self)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer a request, rightly or wrongly."""
        with self._lock:
            self._times[handler.path] += 1
            times = self._times[handler.path]
            self.requests += 1
        choice = random.Random(f"{self._seed} {handler.path} {times}")
        body, kind, headers = _answer_to(handler.path)
        if choice.random() >= self._share:
            packed = choice.random() < 0.5
            _send(
                handler,
                gzip.compress(body) if packed else body,
                kind,
                {**headers, **({"Content-Encoding": "gzip"} if packed else {})},
            )
            return
        [fault] = choice.choices(FAULTS, WEIGHTS)
        if fault in {"truncated text", "error object"} and kind != "application/json":
            fault = "end in the body"  # lines that end at the end of a line are as good as whole
        with self._lock:
            self.injected[fault] += 1
        _misbehave(handler, fault, body, kind, headers, choice)


def _answer_to(path: str) -> tuple[bytes, str, dict[str, str]]:
    parts = urlsplit(path)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    kind = parts.path.strip("/").split("/")[0]
    page = int(query.get("page", "0"))
    part = int(parts.path.split("/")[2]) if kind == "parts" else 0
    rows = rows_of(kind, page, part) if page < PAGES else []
    following = {"X-Next-Page": str(page + 1)} if page + 1 < PAGES else {}
    if kind == "lines":
        return "".join(json.dumps(r) + "\n" for r in rows).encode(), "application/x-ndjson", following
    if kind == "rows":
        lines = [",".join(rows[0]), *(",".join(f'"{value}"' for value in r.values()) for r in rows)]
        return "\r\n".join(lines).encode(), "text/csv", {}
    if kind == "cursors":
        return json.dumps({"data": rows, "next": str(page + 1) if following else None}).encode(), "application/json", {}
    return json.dumps({"data": rows}).encode(), "application/json", {}


def _send(handler: BaseHTTPRequestHandler, body: bytes, kind: str, headers: dict[str, str], status: int = 200) -> None:
    handler.send_response(status)
    for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def _hang_up(handler: BaseHTTPRequestHandler, *, reset: bool) -> None:
    handler.wfile.flush()
    if reset:
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()
    else:
        handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def _misbehave(
    handler: BaseHTTPRequestHandler, fault: str, body: bytes, kind: str, headers: dict[str, str], choice: random.Random
) -> None:
    cut = choice.randrange(1, len(body) - 2)
    whole_length = {"Content-Length": str(len(body))}
    if fault == "reset before the answer":
        _hang_up(handler, reset=True)
    elif fault == "reset after the headers":
        _send(handler, b"", kind, {**headers, **whole_length})
        _hang_up(handler, reset=True)
    elif fault in {"reset in the body", "end in the body"}:
        _send(handler, body[:cut], kind, {**headers, **whole_length})
        _hang_up(handler, reset=fault.startswith("reset"))
    elif fault == "429 with a pause":
        _send(handler, b"", kind, {"Retry-After": "0.05"}, 429)
    elif fault == "429 at the limit":
        _send(handler, b"", kind, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 1)}, 429)
    elif fault[:3].isdigit():
        _send(handler, b"<h1>no</h1>", "text/html", {}, int(fault[:3]))
    elif fault.startswith("slow"):
        _drip(handler, fault, body, kind, {**headers, **whole_length})
    elif fault == "truncated text":
        _send(handler, body[:cut], kind, headers)
    elif fault in {"truncated gzip", "damaged gzip"}:
        packed = bytearray(gzip.compress(body))
        place = choice.randrange(12, len(packed) - 1)
        packed[place] ^= 0x55
        _send(
            handler,
            bytes(packed) if fault.startswith("damaged") else gzip.compress(body)[:place],
            kind,
            {**headers, "Content-Encoding": "gzip"},
        )
    elif fault == "content length too large":
        _send(handler, body, kind, {**headers, "Content-Length": str(len(body) + 7)})
        _hang_up(handler, reset=False)
    elif fault == "content length too small":
        short = len(body) - 3 if kind != "application/x-ndjson" else len(body) - 4
        _send(
            handler,
            body if kind != "text/csv" else b"",
            kind,
            {**headers, "Content-Length": str(short if kind != "text/csv" else 0)},
        )
        _hang_up(handler, reset=False)
    elif fault == "unfinished chunks":
        handler.send_response(200)
        for name, value in {"Content-Type": kind, "Transfer-Encoding": "chunked", **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(f"{cut:x}\r\n".encode() + body[:cut] + b"\r\n")
        _hang_up(handler, reset=False)
    elif fault == "empty":
        _send(handler, b"", kind, headers)
    elif fault == "HTML":
        _send(handler, b"<!DOCTYPE html><html><body><h1>Please hold</h1></body></html>", "text/html", {})
    elif fault == "error object":
        _send(handler, b"{", kind, headers)
    else:
        raise AssertionError(fault)


def _drip(handler: BaseHTTPRequestHandler, fault: str, body: bytes, kind: str, headers: dict[str, str]) -> None:
    """Send a byte now and then, for longer than anyone waits."""
    if fault == "slow headers":
        handler.send_response(200)
        handler.flush_headers()
    else:
        _send(handler, b"", kind, headers)
    for number in range(40):
        handler.wfile.write(f"X-{number}: 1\r\n".encode() if fault == "slow headers" else body[number : number + 1])
        handler.wfile.flush()
        time.sleep(0.1)
    _hang_up(handler, reset=True)
