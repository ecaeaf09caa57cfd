"""Where a tap may connect to, and what goes there: addresses, cookies, TLS."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl

import pytest
import requests
from pytest_httpserver import HTTPServer
from werkzeug import Response

from singerkit.errors import FatalAPIError
from singerkit.http.client import open_session, send
from singerkit.http.connect import AddressGuard, is_private

PUBLIC = "93.184.215.14"


def get(url: str, method="GET", **options) -> requests.PreparedRequest:
    return requests.Request(method, url, **options).prepare()


def as_it_is(prepared):
    return prepared


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
        ),
        *("::1", "fe80::1", "fe80::1%eth0", "fd00::1", "::ffff:10.0.0.1", "2002:a00:1::", "::", "ff02::1"),
    ],
)
def test_private_addresses(address):
    assert is_private(address)


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8"])
def test_public_addresses(address):
    assert not is_private(address)


def test_a_public_api_leads_to_no_private_address():
    guard = AddressGuard()
    guard.check("api.example.com", PUBLIC, base_host="api.example.com")
    guard.check("files.example.com", "8.8.8.8", base_host="api.example.com")
    for host in ("files.example.com", "api.example.com"):  # another name, and the same one later on
        with pytest.raises(
            FatalAPIError, match=f"the name '{host}' leads to an address in a private network"
        ) as caught:
            guard.check(host, "169.254.169.254", base_host="api.example.com")
        assert "169.254" not in str(caught.value)


def test_a_private_api_leads_where_it_likes():
    guard = AddressGuard()
    guard.check("api.corp", "10.0.0.1", base_host="api.corp")
    guard.check("api.corp", "10.0.0.2", base_host="api.corp")
    guard.check("files.corp", "10.0.0.3", base_host="api.corp")
    guard.check("cdn.example.com", PUBLIC, base_host="api.corp")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_an_address_that_was_named_on_purpose(host):
    guard = AddressGuard()
    guard.check("api.example.com", PUBLIC, base_host="api.example.com")
    guard.check(host, "127.0.0.1", base_host="api.example.com")


@pytest.fixture
def names(monkeypatch):
    """Names and the addresses that they lead to, for this process."""
    addresses: dict[str, str] = {}
    look_up = socket.getaddrinfo

    def getaddrinfo(host, *args, **kwargs):
        return look_up(addresses.get(host, host), *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return addresses


def test_nothing_is_sent_to_a_private_address_behind_a_public_api(elsewhere, session, exchange_for, names):
    """The API's name leads to a public address, that of an allowed origin into our own network."""
    names.update({"api.test": PUBLIC, "files.test": "127.0.0.1"})
    seen: list = []
    elsewhere.expect_request("/x").respond_with_handler(lambda request: seen.append(request) or Response("[]"))
    url = f"http://files.test:{elsewhere.port}/x"
    exchange = exchange_for("http://api.test", url, guard=AddressGuard(), base_host="api.test")
    with pytest.raises(FatalAPIError, match="set allow_private_addresses = True"):
        send(session, get(url), exchange, as_it_is)
    assert seen == []
    names["api.test"] = "127.0.0.1"
    exchange = exchange_for("http://api.test", url, guard=AddressGuard(), base_host="api.test")
    assert send(session, get(url), exchange, as_it_is).content == b"[]"


def test_the_guard_looks_at_own_sessions_too(elsewhere, exchange_for, names):
    names.update({"api.test": PUBLIC, "files.test": "127.0.0.1"})
    url = f"http://files.test:{elsewhere.port}/x"
    exchange = exchange_for("http://api.test", url, guard=AddressGuard(), base_host="api.test")
    with requests.Session() as own, pytest.raises(FatalAPIError, match="in a private network"):
        send(own, get(url), exchange, as_it_is)


# Redirects


def test_a_redirect_from_https_to_http_is_refused(tls_api, session, exchange_for):
    api, ca = tls_api
    session.verify = ca
    api.expect_request("/x").respond_with_data(status=302, headers={"Location": f"http://localhost:{api.port}/y"})
    with pytest.raises(FatalAPIError, match=r"a redirect \(302\) points to http://localhost"):
        send(session, get(api.url_for("/x")), exchange_for(api.url_for("/")), as_it_is)


def cookies_of(seen) -> list:
    return [request.headers.get("Cookie") for request in seen]


def test_cookies_stay_with_their_host(api, elsewhere, session, exchange_for, names):
    """Another origin may be asked, but a cookie of the first is not sent there, whoever set it."""
    names["other.test"] = "127.0.0.1"
    seen: list = []
    there: list = []
    target = f"http://other.test:{elsewhere.port}/x"
    elsewhere.expect_request("/x").respond_with_handler(lambda request: there.append(request) or Response("[]"))

    def handle(request):
        seen.append(request)
        headers = {"Set-Cookie": "session=s3cret; Path=/", "Location": "/b" if request.path == "/a" else target}
        return Response("", 302, headers=headers)

    for path in ("/a", "/b"):
        api.expect_request(path).respond_with_handler(handle)
    session.cookies.set("own", "1")
    request = session.prepare_request(requests.Request("GET", api.url_for("/a"), headers={"X-Own": "1"}))
    send(session, request, exchange_for(api.url_for("/"), target), as_it_is)
    assert cookies_of(seen)[0] == "own=1"
    assert set(cookies_of(seen)[1].split("; ")) == {"own=1", "session=s3cret"}
    assert cookies_of(there) == [None]


def test_a_cookie_that_an_author_wrote_stays_too(api, elsewhere, session, exchange_for):
    there: list = []
    elsewhere.expect_request("/x").respond_with_handler(lambda request: there.append(request) or Response("[]"))
    api.expect_request("/x").respond_with_data(status=302, headers={"Location": elsewhere.url_for("/x")})
    request = get(api.url_for("/x"), headers={"Cookie": "key=s3cret"})
    send(session, request, exchange_for(api.url_for("/"), elsewhere.url_for("/")), as_it_is)
    assert cookies_of(there) == [None]


def test_an_anonymous_origin_learns_nothing(api, elsewhere, session, exchange_for):
    there: list = []
    elsewhere.expect_request("/x").respond_with_handler(lambda request: there.append(request) or Response("file"))
    api.expect_request("/x").respond_with_data(status=302, headers={"Location": elsewhere.url_for("/x?signature=1")})
    exchange = exchange_for(api.url_for("/"), anonymous_origins=exchange_for(elsewhere.url_for("/")).origins)
    headers = {"X-Api-Key": "s3cret", "Cookie": "a=b", "User-Agent": "tap"}
    request = get(api.url_for("/x"), "POST", headers=headers, json={"q": 1})

    def authenticate(prepared):
        prepared.headers["Authorization"] = "Bearer s3cret"
        return prepared

    assert send(session, request, exchange, authenticate).content == b"file"
    assert (there[0].method, there[0].get_data(), there[0].headers["User-Agent"]) == ("GET", b"", "tap")
    assert "s3cret" not in str(there[0].headers)
    assert there[0].headers.get("Cookie") is None


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Give the paths of a certificate for localhost and of its key; nobody vouches for it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    built = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(1)
        )
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "certificate.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(folder / "certificate.pem"), str(folder / "key.pem")


@pytest.fixture
def tls_api(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with HTTPServer(host="localhost", ssl_context=context, threaded=True) as server:
        yield server, certificate[0]


def test_a_certificate_is_verified_by_default(tls_api, session, exchange_for):
    api, ca = tls_api
    seen: list = []
    api.expect_request("/x").respond_with_handler(lambda request: seen.append(request) or Response("[]"))
    exchange = exchange_for(api.url_for("/"), guard=AddressGuard(), base_host="localhost")
    with pytest.raises(FatalAPIError, match=r"the certificate of https://localhost:.* can't be verified"):
        send(session, get(api.url_for("/x")), exchange, as_it_is)
    assert seen == []
    with open_session() as trusting:
        trusting.verify = ca
        assert send(trusting, get(api.url_for("/x")), exchange, as_it_is).content == b"[]"
