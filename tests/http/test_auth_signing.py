"""Signatures: AWS by its published examples and a server that recomputes them, HMAC by a server that checks them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import time
from datetime import UTC, datetime
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
import requests
from auth_servers import AWSServer, HMACServer
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug import Request, Response
from werkzeug.test import EnvironBuilder

from singerkit.errors import ConfigurationError, FatalAPIError
from singerkit.http import client
from singerkit.http.auth import AWSSignatureAuthenticator, HMACAuthenticator
from singerkit.http.limit import RateLimits

# The "aws-sig-v4-test-suite" and its keys, as AWS publishes them with its SDKs.
SUITE = {
    "access_key_id": "AKIDEXAMPLE",
    "secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "region": "us-east-1",
    "service": "service",
}
SUITE_TIME = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
HOST = "https://example.amazonaws.com"
FORM = "application/x-www-form-urlencoded"


class AWSThen(AWSSignatureAuthenticator):
    def __init__(self, *args, moment=SUITE_TIME, **kwargs):
        super().__init__(*args, **kwargs)
        self.moment = moment

    def now(self):
        return self.moment


def signature_of(authenticator, method, url, headers=None, data=None):
    request = requests.Request(method, url, headers=headers, data=data)
    prepared = request.prepare()
    # The suite's requests have no headers but those that they name.
    for name in set(prepared.headers) - set(map(str, request.headers or {})):
        del prepared.headers[name]
    signed = authenticator(prepared)
    return signed.headers["Authorization"].rpartition("Signature=")[2]


@pytest.mark.parametrize(
    ("method", "url", "headers", "data", "signature"),
    [
        ("GET", "/", {}, None, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "/", {}, None, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "GET",
            "/?Param2=value2&Param1=value1",
            {},
            None,
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "GET",
            "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            {},
            None,
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        ),
        ("GET", "/?ሴ=bar", {}, None, "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
        (
            "POST",
            "/",
            {"My-Header1": "value1"},
            None,
            "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        ),
        (
            "POST",
            "/",
            {"Content-Type": FORM},
            "Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ],
    ids=["vanilla", "post", "query order", "unreserved", "utf8 query", "header", "form"],
)
def test_the_suite_of_aws(method, url, headers, data, signature):
    assert signature_of(AWSThen(**SUITE), method, HOST + url, headers, data) == signature


def test_dots_and_slashes_of_a_path_are_normalized():
    vanilla = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    # get-relative-normalized, get-slashes-normalized and their like are the vanilla request in other words.
    for path in ("/example/..", "/./", "//", "/example1/example2/../.."):
        prepared = requests.Request("GET", HOST).prepare()
        prepared.url = HOST + path
        prepared.headers.clear()
        assert AWSThen(**SUITE)(prepared).headers["Authorization"].endswith(vanilla)


def test_a_session_token_is_signed():
    authenticator = AWSThen(**SUITE, session_token="6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267")
    expected = "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"
    assert signature_of(authenticator, "GET", HOST) == expected


def test_the_example_of_the_iam_guide():
    authenticator = AWSThen(**{**SUITE, "service": "iam"})
    url = "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08"
    headers = {"Content-Type": f"{FORM}; charset=utf-8"}
    expected = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    assert signature_of(authenticator, "GET", url, headers) == expected


S3 = {
    "access_key_id": "AKIAIOSFODNN7EXAMPLE",
    "secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "region": "us-east-1",
    "service": "s3",
    "moment": datetime(2013, 5, 24, tzinfo=UTC),
}


@pytest.mark.parametrize(
    ("method", "path", "headers", "data", "signature"),
    [
        (
            "GET",
            "/test.txt",
            {"Range": "bytes=0-9"},
            None,
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "PUT",
            "/test%24file.text",
            {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            b"Welcome to Amazon S3.",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        ("GET", "/?lifecycle", {}, None, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("GET", "/?max-keys=2&prefix=J", {}, None, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_the_examples_of_the_s3_reference(method, path, headers, data, signature):
    url = "https://examplebucket.s3.amazonaws.com" + path
    assert signature_of(AWSThen(**S3), method, url, headers, data) == signature


def aws(server, **changed):
    given = {
        "access_key_id": server.access_key_id,
        "secret_access_key": "aws-CANARY-secret-key",
        "region": server.region,
        "service": server.service,
    }
    return AWSSignatureAuthenticator(**{**given, **changed})


@pytest.mark.parametrize("service", ["execute-api", "s3"])
def test_a_server_that_recomputes_the_signature_takes_it(serve, fetch, api, service):
    server = serve(AWSServer(service=service))
    authenticator = aws(server)
    assert fetch(authenticator, 2) == [200, 200]
    odd = api.url_for("/a b/ü/%2F:x;y=1+2?b=2+3&a=%20&a=&empty&z=%C3%BC~&c==")
    assert fetch(authenticator, url=odd) == [200]
    assert fetch(authenticator, method="POST", json={"a": "ü"}, headers={"X-Amz-Meta": "a   b"}) == [200]
    assert fetch(authenticator, 32, 16) == [200] * 32
    assert server.problems == []


TEXT = st.text("aZ0-._~/%+ &=:;@!$'()*,[]üሴ😀", max_size=12)


@settings(max_examples=200)
@given(path=TEXT, query=st.lists(st.tuples(TEXT, TEXT), max_size=4), service=st.sampled_from(["s3", "execute-api"]))
def test_a_server_recomputes_the_signature_of_any_url_and_understands_it(path, query, service):
    server = AWSServer(service=service)
    prepared = requests.Request("GET", "http://localhost:8080/x" + path, params=query).prepare()
    asked = urlsplit(prepared.url)
    signed = aws(server)(prepared)
    environ = EnvironBuilder(path="/", headers=dict(signed.headers.items())).get_environ()
    environ["HTTP_HOST"] = "localhost:8080"
    environ["REQUEST_URI"] = signed.path_url
    assert server._problem(Request(environ)) is None
    sent = urlsplit(signed.url)
    assert parse_qsl(sent.query, keep_blank_values=True) == parse_qsl(asked.query, keep_blank_values=True)
    if "/." not in asked.path and "//" not in asked.path:
        assert [*map(unquote, sent.path.split("/"))] == [*map(unquote, asked.path.split("/"))]


def test_a_wrong_key_is_refused_and_a_stream_can_not_be_signed(serve, fetch, api):
    server = serve(AWSServer())
    assert fetch(aws(server, secret_access_key="another")) == [403]
    assert server.problems == ["another signature"]
    with pytest.raises(FatalAPIError, match="whose body is a stream can't be signed"):
        aws(server)(requests.Request("POST", api.url_for("/x"), data=iter([b"x"])).prepare())


def test_a_request_is_signed_after_it_has_waited_for_its_turn(serve, api, session):
    class Dated(AWSSignatureAuthenticator):
        def authenticate_request(self, request):
            signed.append(time.monotonic())
            return super().authenticate_request(request)

    signed: list[float] = []
    served: list[float] = []
    serve(lambda request: served.append(time.monotonic()) or Response("[]"))
    exchange = client.Exchange(
        origins={client.origin_of(api.url_for("/"))},
        label="/data",
        logger=logging.getLogger("test"),
        limits=RateLimits(),
        rates=["1/1s"],
    )
    authenticator = Dated(**SUITE)
    for _ in range(2):
        client.send(session, requests.Request("GET", api.url_for("/data")).prepare(), exchange, authenticator)
    # The second one waited for a second, and was signed after that.
    assert signed[1] - served[0] >= 0.9


# HMAC by template

TEMPLATES = {
    "signed": "{request.header.X-Time}\n{request.nonce}\n{request.method}\n{request.target}\n{request.body_sha256}",
    "headers": {
        "X-Time": "{request.timestamp}",
        "X-Nonce": "{request.nonce}",
        "X-Signature": "v1={request.signature}",
    },
    "hash_name": "sha512",
    "encoding": "base64",
}


def test_a_server_that_checks_the_hmac_takes_it(serve, fetch):
    server = serve(HMACServer())
    authenticator = HMACAuthenticator(key="{secret}", **TEMPLATES).for_config({"secret": "hmac-CANARY-key"})
    assert fetch(authenticator, 2) == [200, 200]
    assert fetch(authenticator, method="POST", json={"a": "ü"}) == [200]
    assert fetch(authenticator, method="PUT", data=b"\xff\x00") == [200]
    assert fetch(authenticator, 32, 16) == [200] * 32
    assert server.problems == []
    assert fetch(HMACAuthenticator(key="another", **TEMPLATES)) == [401]


class Then(HMACAuthenticator):
    def now(self):
        return datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


def rendered(template, **options):
    given = {"method": "POST", "url": "https://api.example.com:8443/a%20b?x=1&y", "data": b"body"}
    request = requests.Request(**{**given, **options}).prepare()
    return Then(key="k", signed="", headers={"X-Out": template})(request).headers["X-Out"]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{request.method} {request.path} {request.query}", "POST /a%20b x=1&y"),
        (
            "{request.target}|{request.host}|{request.origin}",
            "/a%20b?x=1&y|api.example.com:8443|https://api.example.com:8443",
        ),
        ("{request.url}", "https://api.example.com:8443/a%20b?x=1&y"),
        ("{request.timestamp}/{request.timestamp_ms}", "1767323045/1767323045678"),
        ("{request.time} {request.date}", "2026-01-02T03:04:05Z Fri, 02 Jan 2026 03:04:05 GMT"),
        ("{request.body}", "body"),
        ("{request.body_sha256}", hashlib.sha256(b"body").hexdigest()),
        ("{request.body_sha256_base64}", "Iw2DWN3I4EkOFQLN78c4bx9I/53Cbd6ZYN2JWqJAtSI="),
        ("{request.body_md5}", hashlib.md5(b"body").hexdigest()),
        ("{request.body_md5_base64}", "hBotacyE9EqeFDuRhevrfg=="),
        ("{request.header.Content-Length}, {request.header.X-None}.", "4, ."),
    ],
)
def test_the_parts_of_a_request(template, text):
    if "base64" in template:
        kind = "sha256" if "sha256" in template else "md5"
        text = base64.b64encode(hashlib.new(kind, b"body").digest()).decode()
    assert rendered(template) == text


def test_an_example_of_rfc_4231_in_each_encoding():
    # Test case 2: key "Jefe", data "what do ya want for nothing?".
    by_encoding = {
        "hex": "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        "base64": "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=",
        "base64url": "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM",
    }
    for key, key_encoding in (("Jefe", "text"), ("4a656665", "hex"), ("SmVmZQ==", "base64")):
        for encoding, text in by_encoding.items():
            authenticator = HMACAuthenticator(
                key=key, key_encoding=key_encoding, encoding=encoding, signed="what do ya want for nothing?"
            )
            request = authenticator(requests.Request("GET", "https://example.com/").prepare())
            assert request.headers["X-Signature"] == text


def test_a_signature_may_go_into_the_query_and_what_is_signed_may_have_been_added_there():
    authenticator = Then(
        key="k",
        signed="{request.query}",
        headers={},
        params={"signature": "{request.signature}", "time": "{request.timestamp}"},
    )
    request = authenticator(requests.Request("GET", "https://example.com/?a=1%202").prepare())
    message = b"a=1%202&time=1767323045"
    assert request.url.endswith(f"?a=1%202&time=1767323045&signature={hmac.digest(b'k', message, 'sha256').hex()}")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"signed": "{request.boody}"}, r"there is no part '\{request.boody\}'; there are method, url"),
        ({"signed": "", "headers": {"X": "{request.now}"}}, "there is no part"),
        ({"signed": "", "hash_name": "sha0"}, "there is no hash 'sha0'"),
        ({"signed": "", "encoding": "octal"}, "encoding has to be one of hex, base64, base64url"),
        ({"signed": "", "key_encoding": "octal"}, "key_encoding has to be one of text, hex, base64"),
    ],
)
def test_a_declaration_that_can_not_be_is_refused_at_once(arguments, problem):
    with pytest.raises(ConfigurationError, match=problem):
        HMACAuthenticator(key="k", **arguments)


def test_a_key_in_another_encoding_is_said_without_the_key():
    authenticator = HMACAuthenticator(key="zz-CANARY", key_encoding="hex", signed="")
    with pytest.raises(ConfigurationError, match="not in the encoding that key_encoding says") as caught:
        authenticator(requests.Request("GET", "https://example.com/").prepare())
    assert "CANARY" not in str(caught.value)
