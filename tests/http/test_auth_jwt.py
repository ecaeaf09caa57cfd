"""JSON Web Tokens: verified by PyJWT with the public key, as an API would."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from oauth_server import JWT_BEARER, OAuthServer
from werkzeug import Response

from singerkit.errors import AuthenticationError, ConfigurationError
from singerkit.http.auth import JWTAuthenticator, OAuthJWTAuthenticator
from singerkit.http.client import open_session, send

PASSPHRASE = "phrase-CANARY"


def pem_of(key, passphrase=None):
    encryption = (
        serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    )
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, encryption).decode()


@pytest.fixture(scope="session")
def keys():
    made = {
        "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "ES384": ec.generate_private_key(ec.SECP384R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    }
    return {**made, "PS256": made["RS256"], "RS512": made["RS256"]}


def token_of(authenticator):
    request = authenticator(requests.Request("GET", "https://api.example.com/x").prepare())
    scheme, _, token = request.headers["Authorization"].rpartition(" ")
    return scheme, token


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_shared_secret_signs(algorithm):
    key = "a shared secret of at least sixty-four bytes, as long hashes want it to be"
    authenticator = JWTAuthenticator(key=key, algorithm=algorithm, claims={"iss": "me"}, jwt_headers={"kid": "k1"})
    scheme, token = token_of(authenticator)
    assert scheme == "Bearer"
    assert jwt.get_unverified_header(token) == {"alg": algorithm, "kid": "k1", "typ": "JWT"}
    claims = jwt.decode(token, key, [algorithm], issuer="me", options={"require": ["iat", "exp", "jti"]})
    assert claims["exp"] - claims["iat"] == 600


@pytest.mark.parametrize("algorithm", ["RS256", "RS512", "PS256", "ES256", "ES384", "EdDSA"])
@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_a_private_key_signs(keys, algorithm, passphrase):
    pem = pem_of(keys[algorithm], passphrase)
    authenticator = JWTAuthenticator(key=pem, passphrase=passphrase, algorithm=algorithm, claims={"sub": "app"})
    assert jwt.decode(token_of(authenticator)[1], keys[algorithm].public_key(), [algorithm])["sub"] == "app"


def test_a_key_whose_line_ends_are_written_out_signs(keys):
    flat = pem_of(keys["ES256"]).replace("\n", "\\n")
    token = token_of(JWTAuthenticator(key=flat, algorithm="ES256"))[1]
    assert jwt.decode(token, keys["ES256"].public_key(), ["ES256"])


def test_settings_fill_key_and_claims():
    declared = JWTAuthenticator(key="{secret}", claims={"iss": "{issuer}", "level": 3}, scheme="JWT")
    secret = "a secret of thirty-two bytes or so."
    scheme, token = token_of(declared.for_config({"secret": secret, "issuer": "me"}))
    assert scheme == "JWT"
    assert jwt.decode(token, secret, ["HS256"])["level"] == 3


def test_a_token_is_kept_while_it_is_good_and_made_anew_before_it_expires():
    authenticator = JWTAuthenticator(key="s" * 32, lifetime_s=7)
    first = token_of(authenticator)[1]
    assert token_of(authenticator)[1] == first
    claims = jwt.decode(first, "s" * 32, ["HS256"])
    time.sleep(0.5)
    second = token_of(authenticator)[1]
    assert second != first
    assert datetime.now(UTC).timestamp() < claims["exp"]


def test_a_refused_token_is_signed_anew_once_by_all_workers(api, exchange_for):
    seen, lock = [], threading.Lock()

    def data(request):
        with lock:
            token = request.headers["Authorization"]
            seen.append(token)
            return Response("[]", 401 if token == seen[0] else 200)

    api.expect_request("/data").respond_with_handler(data)
    authenticator, statuses = JWTAuthenticator(key="s" * 32), []

    def work():
        with open_session() as session:
            request = requests.Request("GET", api.url_for("/data")).prepare()
            statuses.append(send(session, request, exchange_for(api.url_for("/")), authenticator).status_code)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 16
    assert len(set(seen)) == 2


@pytest.mark.parametrize(
    ("key", "algorithm", "passphrase"),
    [
        ("-----BEGIN PRIVATE KEY-----\nkey-CANARY\n-----END PRIVATE KEY-----", "RS256", None),
        ("no-PEM-key-CANARY", "RS256", None),
        ("encrypted", "RS256", "wrong-CANARY"),
        ("encrypted", "RS256", None),
        ("encrypted", "ES256", PASSPHRASE),
        ("secret-CANARY", "XX256", None),
    ],
)
def test_a_key_that_can_not_sign_is_named_without_its_text(keys, key, algorithm, passphrase):
    key = pem_of(keys["RS256"], PASSPHRASE) if key == "encrypted" else key
    with pytest.raises(AuthenticationError, match=f"the private key can't sign by {algorithm}") as caught:
        token_of(JWTAuthenticator(key=key, algorithm=algorithm, passphrase=passphrase))
    assert "CANARY" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("missing", ["jwt", "cryptography"])
def test_what_has_to_be_installed_is_said(missing, keys):
    program = f"""
import sys
sys.modules[{missing!r}] = None
from singerkit.http.auth.jwt import sign_jwt
from singerkit.errors import MissingExtraError
try:
    sign_jwt({{}}, {pem_of(keys["ES256"])!r}, algorithm="ES256")
except MissingExtraError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert "pip install 'singerkit[jwt]'" in done.stdout, done.stderr


# OAuth by a signed assertion (RFC 7523)


@pytest.fixture
def stream(keys):
    config = {
        "client_id": "svc@example.com",
        "private_key": pem_of(keys["RS256"], PASSPHRASE),
        "private_key_passphrase": PASSPHRASE,
    }
    return SimpleNamespace(config=config, tap_name="tap-x")


@pytest.fixture
def server(api, keys):
    server = OAuthServer(client_id="svc@example.com", public_key=keys["RS256"].public_key(), uses=2)
    server.audience = api.url_for("/token")
    api.expect_request(re.compile("/.*")).respond_with_handler(server)
    return server


def fetched(api, exchange_for, authenticator, times=1):
    exchange = exchange_for(api.url_for("/"))
    with open_session() as session:
        request = requests.Request("GET", api.url_for("/data")).prepare()
        return [send(session, request, exchange, authenticator).status_code for _ in range(times)]


def test_an_assertion_is_given_for_a_token(api, exchange_for, stream, server):
    authenticator = OAuthJWTAuthenticator(
        stream, auth_endpoint=api.url_for("/token"), oauth_scopes="read", claims={"sub": "ann@example.com"}
    )
    assert fetched(api, exchange_for, authenticator, 4) == [200] * 4
    assert server.issued == 2
    assert {form["grant_type"] for form in server.forms} == {JWT_BEARER}
    claims = jwt.decode(server.forms[0]["assertion"], options={"verify_signature": False})
    assert claims["scope"] == "read"
    assert claims["sub"] == "ann@example.com"
    assert claims["exp"] - claims["iat"] == 3600
    assert set(server.forms[0]) == {"grant_type", "assertion"}


def test_the_known_hooks_decide(api, exchange_for, stream, server):
    class Own(OAuthJWTAuthenticator):
        @property
        def auth_endpoint(self):
            return api.url_for("/token")

        @property
        def oauth_request_body(self):
            return {**super().oauth_request_body, "own": 1}

    assert fetched(api, exchange_for, Own(stream)) == [200]
    assert jwt.decode(server.forms[0]["assertion"], options={"verify_signature": False})["own"] == 1
    payload = Own(stream).oauth_request_payload
    assert payload["grant_type"] == JWT_BEARER


def test_a_signature_by_another_key_is_refused(api, keys, server):
    other = pem_of(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    authenticator = OAuthJWTAuthenticator(
        auth_endpoint=api.url_for("/token"), client_id="svc@example.com", private_key=other
    )
    with pytest.raises(AuthenticationError, match=r"answered 400 \(invalid_grant\)"):
        authenticator(requests.Request("GET", api.url_for("/data")).prepare())
    assert server.issued == 0


def test_a_key_is_needed(api):
    authenticator = OAuthJWTAuthenticator(auth_endpoint=api.url_for("/token"), client_id="x")
    with pytest.raises(ConfigurationError, match="the setting 'private_key' is needed"):
        authenticator(requests.Request("GET", api.url_for("/data")).prepare())
