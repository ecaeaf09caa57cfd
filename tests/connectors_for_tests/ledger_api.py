"""The API of `tap_ledger`: a token endpoint, pages of accounts, pages of each account's entries."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl, urlsplit

CLIENT_SECRET = "C4NARY-client/secret+"
ACCOUNTS = 6
PAGE = 2
ENTRIES = 5


class LedgerAPI:
    """Counts what it is asked; ``hook(path)`` may answer with (status, headers, body) instead; status 0 hangs up."""

    def __init__(self):
        self.asked = []
        self.tokens = []
        self.hook = lambda path: None
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def config(self):
        return {"api_url": self.url, "client_id": "me", "client_secret": CLIENT_SECRET}

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exception):
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method, path, query, authorization, body):
        if (own := self.hook(path)) is not None:
            return own
        if path == "/oauth/token":
            if dict(parse_qsl(body)).get("client_secret") != CLIENT_SECRET:
                return 401, {}, {"error": "invalid_client"}
            with self._lock:
                self.tokens.append(f"C4NARY-token-{len(self.tokens)}")
                return 200, {}, {"access_token": self.tokens[-1], "token_type": "bearer", "expires_in": 3600}
        if authorization.removeprefix("Bearer ") not in self.tokens:
            return 401, {}, {"error": "unauthorized"}
        first = int(query.get("page_token", ["t0"])[0][1:])
        parts = path.strip("/").split("/")
        if len(parts) == 1:
            rows = [{"id": number, "note": f"account {number}"} for number in range(ACCOUNTS)]
        else:
            since = query.get("since", [""])[0]
            rows = [_entry(int(parts[1]), number) for number in range(ENTRIES)]
            rows = [row for row in rows if row["changed_at"] >= since]
        page = rows[first : first + PAGE]
        more = f"t{first + PAGE}" if first + PAGE < len(rows) else None
        return 200, {"X-Total": str(len(rows))}, {"data": page, "next": more}

    def _handler(api):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # headers and body leave together

            def do_GET(self):
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                with api._lock:
                    api.asked.append(f"{self.command} {parts.path}")
                authorization = self.headers.get("Authorization", "")
                status, headers, answer = api.answer(
                    self.command, parts.path, parse_qs(parts.query), authorization, body
                )
                if not status:
                    self.close_connection = True
                    return
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_GET

            def log_message(self, *args):
                pass

        return Handler


def _entry(account, number):
    return {
        "id": account * 100 + number,
        "note": f"entry {number} of account {account}, with a text that is longer than a column is wide",
        "amount": 1.10 + number,
        "tags": ["a", "b"],
        "changed_at": f"2024-01-0{number + 1}T00:00:00Z",
    }
