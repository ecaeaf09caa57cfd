"""An HTTP API that gives the same records in every way of paging, and counts what is asked of it.

As a program it prints its URL, serves until stdin ends, and says at ``/counts`` what it has counted.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

#: The first record's time; each record is an hour after the one before.
BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)


def record_of(number: int) -> dict[str, Any]:
    """Give one record; numbers begin at 1."""
    return {"id": number, "at": (BEGINNING + timedelta(hours=number - 1)).isoformat(), "text": f"record {number} é"}


@dataclass
class PagingApi:
    """What the API holds, how it behaves, and what it was asked.

    ``total_of(page_start)`` gives the total that an answer claims; ``before(path, query)`` runs before each answer and
    may give another one: a status and a body.
    """

    records: int = 25
    largest_page: int = 1000
    latency_s: float = 0.0
    total_of: Callable[[int], int] | None = None
    before: Callable[[str, dict[str, str]], tuple[int, Any] | None] | None = None
    url: str = ""
    asked: list[str] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    first_asked_s: float | None = None
    last_answered_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def expected(self) -> list[dict[str, Any]]:
        """All records, in order."""
        return [record_of(number) for number in range(1, self.records + 1)]

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        """Give status, headers and body."""
        given = self.before(path, query) if self.before is not None else None
        if given is not None:
            return given[0], {}, given[1]
        _, kind, *partition = path.split("/")
        size = min(int(query.get("size", 10)), self.largest_page)
        status, headers, body = getattr(self, f"_by_{kind.replace('-', '_')}")(query, size)
        for name in partition:
            for record in body["data"]:
                record["partition"] = name
        return status, headers, body

    def _slice(self, start: int, size: int) -> list[dict[str, Any]]:
        return [record_of(number) for number in range(start + 1, min(start + size, self.records) + 1)]

    def _page(self, start: int, size: int) -> dict[str, Any]:
        total = self.records if self.total_of is None else self.total_of(start)
        more = start + size < self.records
        return {"data": self._slice(start, size), "total": total, "pages": -(-total // size), "more": more}

    def _by_number(self, query: dict[str, str], size: int) -> tuple[int, dict[str, str], Any]:
        body = self._page((int(query["page"]) - 1) * size, size)
        return 200, {"X-Total": str(body["total"]), "X-Pages": str(body["pages"])}, body

    def _by_offset(self, query: dict[str, str], size: int) -> tuple[int, dict[str, str], Any]:
        return 200, {}, self._page(int(query["offset"]), size)

    def _by_cursor(self, query: dict[str, str], size: int) -> tuple[int, dict[str, str], Any]:
        start = int(query.get("cursor", "c0")[1:])
        token = f"c{start + size}" if start + size < self.records else None
        body = self._page(start, size)
        headers = {"X-Next": token} if token else {}
        return 200, headers, {**body, "meta": {"next": token}}

    def _by_url(self, query: dict[str, str], size: int) -> tuple[int, dict[str, str], Any]:
        start = int(query.get("start", 0))
        url = f"/url?start={start + size}&size={size}" if start + size < self.records else None
        headers = {"Link": f'<{url}>; rel="next", </url?start=0>; rel="first"'} if url else {}
        return 200, headers, {**self._page(start, size), "links": {"next": f"{self.url}{url}" if url else None}}

    def _by_relay(self, query: dict[str, str], size: int) -> tuple[int, dict[str, str], Any]:
        size = int(query.get("first", 10))
        start = int(query.get("after", "r0")[1:])
        info = {"hasNextPage": start + size < self.records, "endCursor": f"r{min(start + size, self.records)}"}
        return 200, {}, {"data": {"orders": {"nodes": self._slice(start, size), "pageInfo": info}}}

    def _by_after(self, query: dict[str, str], size: int) -> tuple[int, dict[str, str], Any]:
        return 200, {}, self._page(int(query.get("after", 0)), size)

    def _by_window(self, query: dict[str, str], size: int) -> tuple[int, dict[str, str], Any]:
        first, last = (datetime.fromisoformat(query[name]) for name in ("from", "to"))
        found = [r for r in self.expected if first <= datetime.fromisoformat(r["at"]) < last]
        start = int(query.get("cursor", "c0")[1:])
        token = f"c{start + size}" if start + size < len(found) else None
        return 200, {}, {"data": found[start : start + size] if "paged" in query else found, "meta": {"next": token}}

    def counts(self) -> dict[str, float]:
        """Say what was counted; and the seconds from the first request to the last answer."""
        elapsed_s = self.last_answered_s - (self.first_asked_s or 0.0)
        return {"requests": len(self.asked), "most_in_flight": self.most_in_flight, "elapsed_s": elapsed_s}


@contextmanager
def serving(api: PagingApi) -> Iterator[PagingApi]:
    """Serve it on the loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = 1 << 16

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/counts":
                self.reply(200, {}, api.counts())
                return
            with api.lock:
                api.first_asked_s = api.first_asked_s or time.monotonic()
                api.in_flight += 1
                api.most_in_flight = max(api.most_in_flight, api.in_flight)
                api.asked.append(self.path)
            try:
                time.sleep(api.latency_s)
                answer = api.answer(parts.path, dict(parse_qsl(parts.query)))
            finally:
                with api.lock:
                    api.in_flight -= 1
                    api.last_answered_s = time.monotonic()
            self.reply(*answer)

        def reply(self, status: int, headers: dict[str, str], body: Any) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 128
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        api.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield api
        finally:
            server.shutdown()


def main() -> None:
    """Serve as many records a page with as much latency as the arguments say, in seconds, until stdin ends."""
    records, latency_s = int(sys.argv[1]), float(sys.argv[2])
    with serving(PagingApi(records=records, latency_s=latency_s)) as api:
        print(api.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
