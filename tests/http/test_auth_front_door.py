"""A tap as a user runs it, authenticating in every way: it gets its records, and no secret is in what it prints."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import jwt
import pytest
from auth_servers import AWSServer, DigestServer, HMACServer, LoginServer, TokensServer, page_of, refusal
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from oauth_server import OAuthServer

from singerkit.clock import utc_now

TAP = Path(__file__).parents[1] / "connectors_for_tests/tap_auth.py"
#: Everything secret holds it, in each of its forms of base64 too.
CANARY = "CANARY"
PAGES = 3
CONFIG = {
    "user": "ann",
    "password": "password-CANARY-%x&y",
    "token": "token-CANARY-1",
    "tokens": ["token-CANARY-1", "token-CANARY-2"],
    "client_id": "the-client",
    "client_secret": "client-CANARY-secret",
    "access_key_id": "AKIDEXAMPLE",
    "secret_key": "aws-CANARY-secret-key",
    "signing_key": "signing-CANARY-key-of-thirty-two-bytes",
}


@pytest.fixture(scope="module")
def private_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def checking(is_right):
    """Give a server that serves who passes a check."""
    return lambda request: page_of(request, PAGES) if is_right(request) else refusal(403)


def is_good_jwt(request):
    token = request.headers["Authorization"].removeprefix("Bearer ")
    return jwt.decode(token, CONFIG["signing_key"], ["HS256"], issuer="ann")["exp"] > utc_now().timestamp()


def is_ann(request):
    given = request.authorization
    return given is not None and (given.username, given.password) == ("ann", CONFIG["password"])


LOGIN = {"username": "ann", "password": CONFIG["password"]}
SERVERS = {
    "basic": lambda: checking(is_ann),
    "own": lambda: checking(is_ann),
    "bearer": lambda: checking(lambda r: r.headers.get("Authorization") == f"Bearer {CONFIG['token']}"),
    "headerkey": lambda: checking(lambda r: r.headers.get("X-Api-Key") == CONFIG["token"]),
    "querykey": lambda: checking(lambda r: r.args.get("api_key") == CONFIG["token"]),
    "cookiekey": lambda: checking(lambda r: r.cookies.get("key") == CONFIG["token"]),
    "jwt": lambda: checking(is_good_jwt),
    "client": lambda: OAuthServer(pages=PAGES, uses=1),
    "refresh": lambda: OAuthServer(pages=PAGES, uses=1, refresh_token="refresh-CANARY-0"),
    "password": lambda: OAuthServer(pages=PAGES, uses=1, users={"ann": CONFIG["password"]}),
    "assertion": lambda: OAuthServer(pages=PAGES, uses=1),
    "login": lambda: LoginServer(LOGIN, pages=PAGES, uses=1),
    "tokenlogin": lambda: LoginServer(LOGIN, pages=PAGES, uses=1, by_cookie=False),
    "digest": lambda: DigestServer("ann", CONFIG["password"], pages=PAGES, uses=1),
    "aws": lambda: AWSServer(pages=PAGES),
    "hmac": lambda: HMACServer(CONFIG["signing_key"], pages=PAGES),
    "rotating": lambda: TokensServer({"token-CANARY-1": 1, "token-CANARY-2": 5}, pages=PAGES),
}


@pytest.fixture(scope="module")
def pem(private_key):
    encryption = serialization.BestAvailableEncryption(b"phrase-CANARY")
    return private_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


@pytest.fixture
def run(api, tmp_path, pem):
    """Give a function that runs the tap at log level debug."""

    def run_tap(*options, **changed):
        secrets = {"offline_token": "refresh-CANARY-0", "private_key": pem, "private_key_passphrase": "phrase-CANARY"}
        config = {**CONFIG, **secrets, "api_url": api.url_for("").rstrip("/"), **changed}
        path = tmp_path / "config.json"
        path.write_text(json.dumps(config, indent=2))
        command = [sys.executable, TAP, "--config", path, "--log-level", "debug", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        check_no_canary(done.stdout + done.stderr, pem)
        return done, json.loads(path.read_text())

    return run_tap


@pytest.fixture
def servers(api, private_key):
    """Mount every server under its stream's name."""
    made = {kind: make() for kind, make in SERVERS.items()}
    made["assertion"].public_key, made["assertion"].audience = private_key.public_key(), api.url_for("/assertion/token")
    for kind, server in made.items():
        api.expect_request(re.compile(f"/{kind}/.*")).respond_with_handler(server)
    return made


def check_no_canary(printed, pem):
    forms = {CANARY, quote(CONFIG["password"]), *pem.splitlines()[2:-2]}
    for before in range(3):  # base64 of the word itself, wherever in a longer text it begins
        encoded = base64.b64encode(b"\0" * before + CANARY.encode()).decode()
        forms.add(encoded[(0, 2, 3)[before] : -4])
    assert printed
    assert [form for form in forms if form in printed] == []
    tokens = re.findall(r"eyJ[\w-]{8,}", printed)
    assert tokens == [], "a JWT"


def ids_of(done):
    """Give the ids of the records of each stream."""
    ids = {kind: [] for kind in SERVERS}
    for message in map(json.loads, done.stdout.splitlines()):
        if message["type"] == "RECORD":
            ids[message["stream"]].append(message["record"]["id"])
    return ids


def test_each_reads_all_pages_and_tells_nothing(servers, run):
    done, _ = run()
    assert ids_of(done) == {kind: [1, 2, 3] for kind in SERVERS}
    assert done.returncode == 0, done.stderr
    assert "DEBUG" in done.stderr


@pytest.mark.parametrize("status", [401, 500])
def test_what_goes_wrong_is_told_without_a_secret(serve, run, status):
    def echo(request):
        """Tell everything that was sent."""
        sent = f"{request.url} {dict(request.headers)} {request.get_data(as_text=True)}"
        answer = refusal(status, WWW_Authenticate='Digest realm="r", nonce="n", qop="auth"')
        answer.set_data(json.dumps({"error": sent, "access_token": sent, "auth": {"token": sent}}))
        return answer

    serve(echo)
    done, _ = run()
    assert done.returncode == 1, done.stderr
    assert ids_of(done) == {kind: [] for kind in SERVERS}
    assert set(re.findall(r"Stream '(\w+)': failed", done.stderr)) == set(SERVERS)


def test_a_rotated_refresh_token_is_in_the_config_for_the_next_run(servers, run):
    server, last = servers["refresh"], "refresh-CANARY-0"
    for expected in ("refresh-CANARY-3", "refresh-CANARY-6"):
        done, config = run(kind="refresh", offline_token=last)
        assert done.returncode == 0, done.stderr
        last = config["offline_token"]
        assert last == server.refresh_token == expected
        assert "config.json' holds the new one" in done.stderr
    assert server.reused == 0


def test_what_was_recorded_is_replayed_without_network_and_without_a_secret(servers, run, api, tmp_path):
    folder = tmp_path / "recordings"
    done, _ = run("--record", folder)
    assert done.returncode == 0, done.stderr
    kept = "".join(path.read_text() for path in folder.rglob("*") if path.is_file())
    assert CANARY not in kept
    api.clear()
    done, config = run("--replay", folder)
    assert ids_of(done) == {kind: [1, 2, 3] for kind in SERVERS}
    assert config["offline_token"] == "refresh-CANARY-0", "what stands for a token in a recording is not written back"


def test_a_preview_shows_no_secret(servers, run):
    done, _ = run("--preview", "querykey", kind="querykey")
    assert done.returncode == 0, done.stderr
    assert "/querykey/data" in done.stdout + done.stderr


def test_a_missing_setting_is_named(servers, run):
    done, _ = run(kind="bearer", token=None)
    assert done.returncode == 2, done.stderr
    assert "token" in done.stderr
