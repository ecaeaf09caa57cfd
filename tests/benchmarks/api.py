"""The loopback API: `GET /orders?page=1&records=200000` gives a page of a thousand orders and names the next one.

Pages are encoded once and kept. The program prints its URL, and ends when its stdin is closed.
"""

from __future__ import annotations

import json
import sys
import threading
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from connectors.orders import generate_records

PAGE_ROWS = 1_000


class OrdersHandler(BaseHTTPRequestHandler):
    """Answers from the kept pages, over connections that stay open."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 20

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        body = _body(int(query["page"][0]), int(query["records"][0]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


def _body(page: int, records: int) -> bytes:
    rows = min(PAGE_ROWS, max(records - (page - 1) * PAGE_ROWS, 0))
    next_page = page + 1 if page * PAGE_ROWS < records else None
    return b'{"data":' + _encoded_page(page, rows) + b',"next_page":' + json.dumps(next_page).encode() + b"}"


@cache
def _encoded_page(page: int, rows: int) -> bytes:
    first = (page - 1) * PAGE_ROWS
    return json.dumps(list(generate_records(first + rows, start=first)), separators=(",", ":")).encode()


def main() -> None:
    """Serve until stdin ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), OrdersHandler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    main()
