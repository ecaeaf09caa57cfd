"""An OAuth 2.0 server that means it: tokens expire by time and by use, refresh tokens are good once, signatures count.

It is a function from request to response, to be mounted on any server: ``/token`` gives tokens, ``/data`` wants one.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import unquote_plus

import jwt
from werkzeug import Request, Response

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@dataclass
class OAuthServer:
    client_id: str = "the-client"
    client_secret: str = "client-CANARY-secret"
    users: dict[str, str] = field(default_factory=dict)
    #: The one refresh token that is good; using an older one revokes everything, as for a stolen one.
    refresh_token: str | None = None
    rotates: bool = True
    #: The key that verifies assertions, their algorithm, issuer and audience.
    public_key: object = None
    algorithm: str = "RS256"
    audience: str | None = None
    expires_in: float | None = 3600
    #: How often an access token may be used.
    uses: int | None = None
    scope: str | None = None
    #: Seconds that the token endpoint takes: long enough for others to come meanwhile.
    takes_s: float = 0.0
    #: What the token endpoint answers instead.
    failing: int | None = None
    pages: int = 1

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self.forms: list[dict[str, str]] = []
        self.authorizations: list[str | None] = []
        self.issued = 0
        self.refreshes = 0
        self.refused = 0
        self.served = 0
        self.reused = 0
        self._tokens: dict[str, tuple[float, list[int]]] = {}
        self._old: set[str] = set()

    def __call__(self, request: Request) -> Response:
        return self.token(request) if request.path.endswith("/token") else self.data(request)

    def revoke(self) -> None:
        """Void all access tokens."""
        with self.lock:
            self._tokens.clear()

    def token(self, request: Request) -> Response:
        time.sleep(self.takes_s)
        with self.lock:
            form = request.form.to_dict()
            self.forms.append(form)
            self.authorizations.append(request.headers.get("Authorization"))
            if self.failing:
                return _answer({"error": "temporarily_unavailable"}, self.failing)
            grants = {
                "client_credentials": self._by_client,
                "refresh_token": self._by_refresh_token,
                "password": self._by_password,
                JWT_BEARER: self._by_assertion,
            }
            problem = grants[form["grant_type"]](form, request)
            if problem:
                return _answer({"error": problem, "error_description": f"{form} is wrong"}, 400)
            return _answer(self._issue(form))

    def _issue(self, form: dict[str, str]) -> dict[str, object]:
        self.issued += 1
        token = f"access-CANARY-{self.issued}"
        until = time.monotonic() + (self.expires_in or 1e9)
        self._tokens[token] = until, [self.uses or 10**9]
        answer: dict[str, object] = {"access_token": token, "token_type": "Bearer"}
        if self.expires_in:
            answer["expires_in"] = self.expires_in
        if form["grant_type"] in {"refresh_token", "password"} and self.rotates:
            if self.refresh_token:
                self._old.add(self.refresh_token)
            self.refreshes += 1
            self.refresh_token = f"refresh-CANARY-{self.refreshes}"
            answer["refresh_token"] = self.refresh_token
        return answer

    def _by_client(self, form: dict[str, str], request: Request) -> str | None:
        given = form.get("client_id"), form.get("client_secret")
        header = request.headers.get("Authorization", "")
        if header.startswith("Basic "):
            user, _, password = base64.b64decode(header[6:]).decode().partition(":")
            given = unquote_plus(user), unquote_plus(password)
        if given != (self.client_id, self.client_secret):
            return "invalid_client"
        return "invalid_scope" if self.scope and form.get("scope") != self.scope else None

    def _by_refresh_token(self, form: dict[str, str], request: Request) -> str | None:
        given = form["refresh_token"]
        if given in self._old:
            self.reused += 1
            self._tokens.clear()
            self.refresh_token = None
        return self._by_client(form, request) or (None if given == self.refresh_token else "invalid_grant")

    def _by_password(self, form: dict[str, str], request: Request) -> str | None:
        right = form["username"] in self.users and self.users[form["username"]] == form["password"]
        return self._by_client(form, request) or (None if right else "invalid_grant")

    def _by_assertion(self, form: dict[str, str], request: Request) -> str | None:
        try:
            required = {"require": ["iss", "aud", "exp", "iat"]}
            claims = jwt.decode(
                form["assertion"], self.public_key, [self.algorithm], audience=self.audience, options=required
            )
        except jwt.PyJWTError:
            return "invalid_grant"
        return None if claims["iss"] == self.client_id else "invalid_client"

    def data(self, request: Request) -> Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        with self.lock:
            until, left = self._tokens.get(token, (0.0, [0]))
            if time.monotonic() >= until or left[0] <= 0:
                self.refused += 1
                return _answer({"error": f"{token} is not good"}, 401)
            left[0] -= 1
            self.served += 1
        page = int(request.args.get("page") or 1)
        return _answer({"data": [{"id": page}], "next": page + 1 if page < self.pages else None})


def _answer(body: dict[str, object], status: int = 200) -> Response:
    return Response(json.dumps(body), status, content_type="application/json")
