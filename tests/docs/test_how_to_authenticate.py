"""Each way to authenticate on the page is used against a server that checks it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jwt
import pytest
from auth_servers import AWSServer, DigestServer, HMACServer, LoginServer, TokensServer, page_of, refusal
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from oauth_server import OAuthServer
from pytest_httpserver import HTTPServer

PAGE = (Path(__file__).parents[2] / "docs/how-to/authenticate.md").read_text(encoding="utf-8")
SECTION = re.compile(r"^(?:## ([^\n]+)|```python\n(.*?)^```)", re.MULTILINE | re.DOTALL)
CONFIG = {
    "api_key": "the-api-key",
    "username": "ann",
    "password": "open sesame",
    "client_id": "the-client",
    "client_secret": "the-client-secret",
    "refresh_token": "the-first-one",
    "access_key_id": "AKIDEXAMPLE",
    "secret_access_key": "the-aws-key",
    "signing_key": "the-signing-key",
    "tokens": ["the-first-token", "the-second-token"],
}
LOGIN = {"username": CONFIG["username"], "password": CONFIG["password"]}
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"phrase")
).decode()


def blocks():
    """Give heading and code of each block, the whole tap first."""
    heading = "Authenticate"
    for title, code in SECTION.findall(PAGE):
        heading = title or heading
        if code:
            yield heading, code


def checking(is_right):
    return lambda request: page_of(request) if is_right(request) else refusal(401)


def is_ann(request):
    return request.authorization is not None and request.authorization.parameters == LOGIN


def is_good_jwt(request):
    token = request.headers["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, KEY.public_key(), ["RS256"], issuer="the-client")
    return claims["exp"] - claims["iat"] == 300 and jwt.get_unverified_header(token)["kid"] == "key-1"


def oauth(**options):
    return OAuthServer(client_secret=CONFIG["client_secret"], **options)


SERVERS = {
    "Authenticate": checking(lambda request: request.headers["Authorization"] == "Bearer the-api-key"),
    "Basic": checking(is_ann),
    "An API key in a header": checking(lambda request: request.headers.get("X-Api-Key") == "the-api-key"),
    "An API key in the query": checking(lambda request: request.args.get("api_key") == "the-api-key"),
    "An API key in a cookie": checking(lambda request: request.cookies.get("key") == "the-api-key"),
    "OAuth 2.0: client credentials": oauth(scope="read"),
    "OAuth 2.0: refresh token": oauth(refresh_token=CONFIG["refresh_token"]),
    "OAuth 2.0: password": oauth(users={"ann": "open sesame"}),
    "OAuth 2.0: a signed assertion": oauth(public_key=KEY.public_key()),
    "OAuth 2.0: another grant": oauth(users={"ann": "open sesame"}),
    "A JSON Web Token": checking(is_good_jwt),
    "Log in, and keep the cookie": LoginServer(LOGIN),
    "Log in, and keep a token": LoginServer(LOGIN, by_cookie=False),
    "Digest": DigestServer("ann", "open sesame"),
    "AWS signatures": AWSServer(secret_access_key=CONFIG["secret_access_key"]),
    "An HMAC of the API's own": HMACServer(CONFIG["signing_key"]),
    "Several tokens": TokensServer({"the-first-token": 0, "the-second-token": 1}),
    "What requests brings": checking(is_ann),
    "Your own": checking(lambda request: request.headers["X-Ticket"] == "the-api-key-1"),
}
#: The refresh grant is what a config with a refresh token asks for.
WITH_REFRESH_TOKEN = {"OAuth 2.0: refresh token"}


@pytest.fixture(scope="module")
def api():
    with HTTPServer(host="127.0.0.1", threaded=True) as server:
        yield server


def test_every_section_is_tried():
    assert [heading for heading, _ in blocks()] == list(SERVERS)


@pytest.mark.parametrize(("heading", "code"), list(blocks()), ids=list(SERVERS))
def test_the_page_works_as_written(api, tmp_path, heading, code):
    api.clear()
    server = SERVERS[heading]
    api.expect_request(re.compile("/.*")).respond_with_handler(server)
    if hasattr(server, "audience"):
        server.audience = api.url_for("/token")
    config = {**CONFIG, "api_url": api.url_for("").rstrip("/"), "private_key": PEM, "private_key_passphrase": "phrase"}
    if heading not in WITH_REFRESH_TOKEN:
        del config["refresh_token"]
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")

    page = {"__name__": "page"}
    exec(compile(next(blocks())[1], "page", "exec"), page)
    page.pop("auth", None)
    exec(compile(code, heading, "exec"), page)
    changed = {"auth": page["auth"]} if "auth" in page else {}
    if "WithRequests" in page:
        changed["authenticator"] = page["WithRequests"].authenticator
    page["Orders"] = type("Orders", (page["Orders"],), changed)
    tap = page["TapShop"](config=path)
    assert list(tap.streams["orders"].get_records(None)) == [{"id": 1}]
    if heading in WITH_REFRESH_TOKEN:
        config["refresh_token"] = server.refresh_token
        assert server.refresh_token != CONFIG["refresh_token"]
    assert json.loads(path.read_text(encoding="utf-8")) == config
