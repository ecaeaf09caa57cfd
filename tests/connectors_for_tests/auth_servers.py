"""Servers that really check what an authenticator does: digest, session login, AWS and HMAC signatures, tokens.

Each is a function from request to response, to be mounted on any server; what they check is written here a second time,
apart from singerkit.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, unquote

from werkzeug import Request, Response


def page_of(request: Request, pages: int = 1) -> Response:
    number = int(request.args.get("page") or 1)
    body = {"data": [{"id": number}], "next": number + 1 if number < pages else None}
    return Response(json.dumps(body), content_type="application/json")


def refusal(status: int = 401, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response('{"error": "no"}', status, content_type="application/json", headers=named)


@dataclass
class DigestServer:
    """RFC 7616: each nonce is good for so many uses, and each use needs a count that was not there before."""

    username: str = "Mufasa"
    password: str = "digest-CANARY-password"
    realm: str = 'the "inner" realm'
    algorithm: str | None = "SHA-256"
    qop: str | None = "auth"
    hides_user: bool = False
    uses: int = 10**9
    says_stale: bool = True
    also: str = ""
    pages: int = 1

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self.challenges = 0
        self.served = 0
        self.refused = 0
        self._counts: dict[str, set[int]] = {}

    def __call__(self, request: Request) -> Response:
        with self.lock:
            verdict = self._verdict(request)
            if verdict == "good":
                self.served += 1
                return page_of(request, self.pages)
            self.refused += verdict == "wrong"
            return self._challenge(is_stale=verdict == "stale")

    def _challenge(self, *, is_stale: bool) -> Response:
        self.challenges += 1
        nonce = secrets.token_urlsafe(24)
        self._counts[nonce] = set()
        realm = self.realm.replace('"', '\\"')
        parts = [f'realm="{realm}"', f'nonce="{nonce}"', 'opaque="a, b=c"']
        parts += [f'qop="{self.qop}"'] if self.qop else []
        parts += [f"algorithm={self.algorithm}"] if self.algorithm else []
        parts += ["stale=true"] if is_stale and self.says_stale else []
        parts += ["userhash=true"] if self.hides_user else []
        return refusal(WWW_Authenticate=self.also + "Digest " + ", ".join(parts))

    def _verdict(self, request: Request) -> str:
        header = request.headers.get("Authorization", "")
        if not header.startswith("Digest "):
            return "none"
        given = {
            name: (quoted or plain).replace('\\"', '"')
            for name, quoted, plain in re.findall(r'([\w*]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))', header)
        }
        counts = self._counts.get(given["nonce"])
        if counts is None or len(counts) >= self.uses:
            return "stale"
        if not self._is_right(given, request):
            return "wrong"
        count = int(given.get("nc", "0"), 16) or len(counts) + 1
        if count in counts:
            return "stale"
        counts.add(count)
        return "good"

    def _is_right(self, given: dict[str, str], request: Request) -> bool:
        name = (self.algorithm or "MD5").upper()
        kind = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}[name.removesuffix("-SESS")]

        def digest(text: str) -> str:
            return hashlib.new(kind, text.encode()).hexdigest()

        user = digest(f"{self.username}:{self.realm}") if self.hides_user else self.username
        named = given.get("username") or unquote(given.get("username*", "").removeprefix("UTF-8''"))
        target = request.environ["REQUEST_URI"]
        if (named, given["realm"], given["uri"], given["opaque"]) != (user, self.realm, target, "a, b=c"):
            return False
        first = digest(f"{self.username}:{self.realm}:{self.password}")
        if name.endswith("-SESS"):
            first = digest(f"{first}:{given['nonce']}:{given['cnonce']}")
        second = f"{request.method}:{given['uri']}"
        if given.get("qop") == "auth-int":
            second += ":" + hashlib.new(kind, request.get_data()).hexdigest()
        if not self.qop:
            return given["response"] == digest(f"{first}:{given['nonce']}:{digest(second)}")
        if given["qop"] not in [part.strip() for part in self.qop.split(",")]:
            return False
        use = f"{given['nc']}:{given['cnonce']}:{given['qop']}"
        return given["response"] == digest(f"{first}:{given['nonce']}:{use}:{digest(second)}")


@dataclass
class LoginServer:
    """``/login`` opens a session for the right credentials; a session ends after so many uses."""

    credentials: dict[str, str] = field(
        default_factory=lambda: {"username": "ann", "password": "login-CANARY-password"}
    )
    by_cookie: bool = True
    as_json: bool = True
    uses: int = 10**9
    #: What the API answers when a session has ended.
    ended: int = 401
    login_status: int = 200
    takes_s: float = 0.0
    pages: int = 1

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self.logins = 0
        self.served = 0
        self.tried = 0
        self._left: dict[str, int] = {}

    def end_sessions(self) -> None:
        with self.lock:
            self._left.clear()

    def __call__(self, request: Request) -> Response:
        if request.path.endswith("/login"):
            return self.login(request)
        cookie, token = request.cookies.get("session", ""), request.headers.get("X-Session", "")
        session = cookie if self.by_cookie else token.removeprefix("Token ")
        with self.lock:
            if self._left.get(session, 0) <= 0:
                return refusal(self.ended)
            self._left[session] -= 1
            self.served += 1
        return page_of(request, self.pages)

    def login(self, request: Request) -> Response:
        time.sleep(self.takes_s)
        with self.lock:
            self.tried += 1
            given = request.get_json() if self.as_json else request.form.to_dict()
            if given != self.credentials:
                return refusal(403)
            self.logins += 1
            session = f"session-CANARY-{self.logins}"
            self._left[session] = self.uses
        body = {} if self.by_cookie else {"auth": {"token": session}}
        response = Response(json.dumps(body), self.login_status, content_type="application/json")
        if self.by_cookie:
            response.set_cookie("session", session, httponly=True, path="/")
            response.set_cookie("admin", "not-for-the-api", path="/admin")
        return response


@dataclass
class AWSServer:
    """Recomputes the signature of what arrived (Signature Version 4), and takes it for five minutes."""

    access_key_id: str = "AKIDEXAMPLE"
    secret_access_key: str = "aws-CANARY-secret-key"
    region: str = "eu-central-1"
    service: str = "execute-api"
    pages: int = 1

    def __post_init__(self) -> None:
        self.served = 0
        self.problems: list[str] = []

    def __call__(self, request: Request) -> Response:
        problem = self._problem(request)
        if problem:
            self.problems.append(problem)
            return refusal(403)
        self.served += 1
        return page_of(request, self.pages)

    def _problem(self, request: Request) -> str | None:
        match = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, "
            r"SignedHeaders=([^,]+), Signature=([0-9a-f]{64})",
            request.headers.get("Authorization", ""),
        )
        if not match:
            return "no signature"
        key_id, day, region, service, names, signature = match.groups()
        if (key_id, region, service) != (self.access_key_id, self.region, self.service):
            return "another scope"
        stamp = request.headers["X-Amz-Date"]
        signed = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if abs((datetime.now(UTC) - signed).total_seconds()) > 300 or not stamp.startswith(day):
            return "too old"
        if not {"host", "x-amz-date"} <= set(names.split(";")):
            return "too little is signed"
        canonical = self._canonical(request, names)
        to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{day}/{region}/{service}/aws4_request\n" + _sha256(canonical.encode())
        key = f"AWS4{self.secret_access_key}".encode()
        for part in (day, region, service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        return None if hmac.digest(key, to_sign.encode(), "sha256").hex() == signature else "another signature"

    def _canonical(self, request: Request, names: str) -> str:
        path, _, query = request.environ["REQUEST_URI"].partition("?")
        # Encoded as it arrived; once for S3, and once more for the others.
        path = "/".join(quote(unquote(segment), safe="-._~") for segment in path.split("/"))
        if self.service != "s3":
            path = quote(path, safe="/-._~")
        pairs = parse_qsl(query.replace("+", "%2B"), keep_blank_values=True)
        encoded = sorted((quote(name, safe="-._~"), quote(value, safe="-._~")) for name, value in pairs)
        headers = "".join(f"{name}:{' '.join(request.headers[name].split())}\n" for name in names.split(";"))
        query = "&".join(f"{name}={value}" for name, value in encoded)
        return "\n".join([request.method, path, query, headers, names, _sha256(request.get_data())])


@dataclass
class HMACServer:
    """Wants ``X-Signature``: the HMAC of time, method, target and the body's hash; each nonce is good once."""

    key: str = "hmac-CANARY-key"
    pages: int = 1

    def __post_init__(self) -> None:
        self.served = 0
        self.problems: list[str] = []
        self._nonces: set[str] = set()

    def __call__(self, request: Request) -> Response:
        stamp, nonce = request.headers.get("X-Time", "0"), request.headers.get("X-Nonce", "")
        target = request.environ["REQUEST_URI"]
        message = f"{stamp}\n{nonce}\n{request.method}\n{target}\n{_sha256(request.get_data())}"
        right = base64.b64encode(hmac.digest(self.key.encode(), message.encode(), "sha512")).decode()
        if request.headers.get("X-Signature") != f"v1={right}":
            self.problems.append("another signature")
        elif abs(time.time() - int(stamp)) > 30:
            self.problems.append("too old")
        elif nonce in self._nonces or len(nonce) < 16:
            self.problems.append("the nonce is used up")
        else:
            self._nonces.add(nonce)
            self.served += 1
            return page_of(request, self.pages)
        return refusal(401)


@dataclass
class TokensServer:
    """Knows several tokens, each of which may be used so often in a window; some are void."""

    quota: dict[str, int]
    window_s: float = 3600.0
    void: frozenset[str] = frozenset()
    #: How it says that a token has to wait: its status and the header with the seconds.
    status: int = 429
    header: str | None = "Retry-After"
    pages: int = 1

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self.served: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._uses: dict[str, list[float]] = {token: [] for token in self.quota}

    def __call__(self, request: Request) -> Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        now = time.monotonic()
        with self.lock:
            if token in self.void or token not in self.quota:
                self.refused[token] += 1
                return refusal(401)
            recent = [moment for moment in self._uses[token] if moment > now - self.window_s]
            if len(recent) >= self.quota[token]:
                self.refused[token] += 1
                rest_s = max(0.0, min(recent, default=now) + self.window_s - now)
                return refusal(self.status, **({self.header: f"{rest_s:.3f}"} if self.header else {}))
            self._uses[token] = [*recent, now]
            self.served[token] += 1
        return page_of(request, self.pages)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
