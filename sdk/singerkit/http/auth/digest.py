"""Digest access authentication (RFC 7616): a password that is proved without being sent."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote, urlsplit

from singerkit.http.auth.base import APIAuthenticatorBase, keep_from_logs

if TYPE_CHECKING:
    import requests

_Hash: TypeAlias = Callable[[bytes], str]

#: Hashes by the name that a challenge gives them, the strongest first (RFC 7616, section 6.1); MD5 is what most
#: servers still ask for, and proves nothing about the strength of anything else.
_HASHES: dict[str, str] = {"SHA-512-256": "sha512_256", "SHA-256": "sha256", "MD5": "md5"}
_SESSION_VARIANT = "-SESS"

_WORD = r"[!#$%&'*+.^_`|~\w-]+"
_CHALLENGE_PART = re.compile(
    rf"""\s*,?\s*(?:(?P<name>{_WORD})\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>{_WORD}))
        |(?P<scheme>{_WORD})(?:\s+|$|(?=,)))""",
    re.VERBOSE,
)
#: What makes a request body that can be hashed, and thus protected (``auth-int``).
_NO_BODY = b""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a server asks to be answered with (RFC 7616, section 3.3)."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    opaque: str | None = None
    protections: tuple[str, ...] = ()
    is_stale: bool = False
    hides_user: bool = False
    names_algorithm: bool = False

    @property
    def base_algorithm(self) -> str:
        """The algorithm's name in capitals without ``-SESS``."""
        return self.algorithm.upper().removesuffix(_SESSION_VARIANT)

    @property
    def hash(self) -> _Hash:
        """The hash, in hexadecimal digits."""
        algorithm = _HASHES[self.base_algorithm]
        return lambda data: hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()


def digest_challenges(header: str) -> list[Challenge]:
    """Give the challenges of a ``WWW-Authenticate`` header that can be answered, the best first."""
    found = [_challenge_of(members) for scheme, members in _schemes(header) if scheme.lower() == "digest"]
    usable = [challenge for challenge in found if challenge.nonce and challenge.base_algorithm in _HASHES]
    return sorted(usable, key=lambda challenge: list(_HASHES).index(challenge.base_algorithm))


def _challenge_of(members: dict[str, str]) -> Challenge:
    protections = tuple(part.strip().lower() for part in members.get("qop", "").split(",") if part.strip())
    return Challenge(
        realm=members.get("realm", ""),
        nonce=members.get("nonce", ""),
        algorithm=members.get("algorithm", "MD5"),
        opaque=members.get("opaque"),
        protections=protections,
        is_stale=members.get("stale", "").lower() == "true",
        hides_user=members.get("userhash", "").lower() == "true",
        names_algorithm="algorithm" in members,
    )


def _schemes(header: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Give each scheme of a header and its members: several challenges share one header, with commas everywhere."""
    scheme, members = "", dict[str, str]()
    for part in _CHALLENGE_PART.finditer(header):
        if part["scheme"]:
            if scheme:
                yield scheme, members
            scheme, members = part["scheme"], {}
        else:
            quoted = part["quoted"]
            value = part["plain"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            members[part["name"].lower()] = value
    if scheme:
        yield scheme, members


def answer_to(
    challenge: Challenge,
    *,
    username: str,
    password: str,
    method: str,
    uri: str,
    body: bytes | None,
    count: int,
    client_nonce: str,
) -> str:
    """Give the ``Authorization`` header that answers a challenge (RFC 7616, section 3.4).

    Shape: ``uri`` is path and query as they are sent; ``body`` None is one that can't be hashed; ``count`` counts the
    uses of the nonce, from 1.
    """
    digest = challenge.hash
    protection = _protection(challenge, body)
    secret = digest(f"{username}:{challenge.realm}:{password}".encode())
    if challenge.algorithm.upper().endswith(_SESSION_VARIANT):
        secret = digest(f"{secret}:{challenge.nonce}:{client_nonce}".encode())
    what = f"{method}:{uri}"
    if protection == "auth-int":
        what += f":{digest(body or _NO_BODY)}"
    use = f"{count:08x}:{client_nonce}:{protection}:" if protection else ""
    response = digest(f"{secret}:{challenge.nonce}:{use}{digest(what.encode())}".encode())
    return "Digest " + ", ".join(
        [
            *_user_members(challenge, username),
            f"realm={_quoted(challenge.realm)}",
            f"nonce={_quoted(challenge.nonce)}",
            f"uri={_quoted(uri)}",
            f'response="{response}"',
            *([f"algorithm={challenge.algorithm}"] if challenge.names_algorithm else []),
            *([f"opaque={_quoted(challenge.opaque)}"] if challenge.opaque is not None else []),
            *([f"qop={protection}", f"nc={count:08x}", f'cnonce="{client_nonce}"'] if protection else []),
        ]
    )


def _protection(challenge: Challenge, body: bytes | None) -> str:
    """Give the quality of protection: the plain one where it is enough; none for the servers of RFC 2069."""
    if "auth" in challenge.protections or not challenge.protections:
        return "auth" if challenge.protections else ""
    return "auth-int" if "auth-int" in challenge.protections and body is not None else "auth"


def _user_members(challenge: Challenge, username: str) -> list[str]:
    if challenge.hides_user:
        return [f'username="{challenge.hash(f"{username}:{challenge.realm}".encode())}"', "userhash=true"]
    if username.isascii():
        return [f"username={_quoted(username)}"]
    return [f"username*=UTF-8''{quote(username, safe='')}"]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class DigestAuthenticator(APIAuthenticatorBase):
    """Answers the challenge of a server: the first request is refused, and all further ones know the answer."""

    # A nonce may expire between the refusal and the answer when many workers share it.
    max_refreshes = 3

    def __init__(self, *args: Any, username: str, password: str, **kwargs: Any) -> None:
        """Take user name and password."""
        super().__init__(*args, **kwargs)
        self._username = username
        self._password = password
        #: The challenge of each host, and how often it was answered.
        self._challenges: dict[str, tuple[Challenge, int]] = {}
        keep_from_logs(password)

    def authenticate_request(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Answer the host's challenge, if it is known."""
        host = _host_of(request)
        if host in self._challenges:
            challenge, count = self._challenges[host]
            self._challenges[host] = challenge, count + 1
            request.headers["Authorization"] = answer_to(
                challenge,
                username=self._username,
                password=self._password,
                method=request.method or "GET",
                uri=request.path_url,
                body=body_bytes(request),
                count=count + 1,
                client_nonce=secrets.token_hex(16),
            )
            setattr(request, _ANSWERED, (challenge.nonce, count + 1))
        return super().authenticate_request(request)

    def refresh_credentials(self, refused: requests.PreparedRequest, response: requests.Response | None = None) -> bool:
        """Take the challenge of a refusal; says no when an answer to a fresh one was refused: the password is wrong."""
        challenges = digest_challenges(response.headers.get("WWW-Authenticate", "")) if response is not None else []
        if not challenges:
            return False
        with self._turn:
            host = _host_of(refused)
            nonce, count = getattr(refused, _ANSWERED, (None, 0))
            current = self._challenges.get(host)
            if nonce is not None and current is not None and current[0].nonce != nonce:
                return True  # another worker has taken a newer one already
            self._challenges[host] = challenges[0], 0
            return nonce is None or challenges[0].is_stale or count > 1


#: A request's attribute that says which nonce it answers, and the how-manieth use of it that is.
_ANSWERED = "_singerkit_answered"


def _host_of(request: requests.PreparedRequest) -> str:
    parts = urlsplit(request.url or "")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def body_bytes(request: requests.PreparedRequest) -> bytes | None:
    """Give a request's body; ``None`` when it is a stream, which can be read only once."""
    body = request.body
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    return body if isinstance(body, bytes) else None
