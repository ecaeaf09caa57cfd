"""Digest authentication: the examples of RFC 7616, and a server that checks every answer."""

from __future__ import annotations

import pytest
import requests
from auth_servers import DigestServer
from werkzeug import Response

from singerkit.http.auth import DigestAuthenticator
from singerkit.http.auth.digest import answer_to, digest_challenges

# RFC 7616, section 3.9.1.
EXAMPLE = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)


def answered(challenge, **changed):
    given = {
        "username": "Mufasa",
        "password": "Circle of Life",
        "method": "GET",
        "uri": "/dir/index.html",
        "body": b"",
        "count": 1,
        "client_nonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    }
    return answer_to(challenge, **{**given, **changed})


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_first_example_of_the_rfc(algorithm, response):
    (challenge,) = digest_challenges(EXAMPLE.format(algorithm))
    header = answered(challenge)
    assert f'response="{response}"' in header
    assert header.startswith('Digest username="Mufasa", realm="http-auth@example.org", nonce="7ypf/')
    assert f"algorithm={algorithm}" in header
    assert "qop=auth, nc=00000001" in header


def test_the_second_example_of_the_rfc():
    # RFC 7616, section 3.9.2, with the values of erratum 4897: the RFC's own are of another hash.
    (challenge,) = digest_challenges(
        'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, '
        'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", '
        'opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true'
    )
    header = answered(
        challenge,
        username="Jäsøn Doe",
        password="Secret, or not?",
        uri="/doe.json",
        client_nonce="NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
    )
    assert 'username="793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"' in header
    assert "userhash=true" in header
    assert 'response="3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"' in header


def test_of_several_challenges_the_strongest_that_is_known_is_answered():
    both = EXAMPLE.format("MD5") + ', Basic realm="a, Digest b", ' + EXAMPLE.format("SHA-256")
    assert [challenge.algorithm for challenge in digest_challenges(both)] == ["SHA-256", "MD5"]
    assert digest_challenges(both)[0].protections == ("auth", "auth-int")


@pytest.mark.parametrize(
    "header",
    ["", "Basic realm=x", "Bearer", "Negotiate, NTLM", 'Digest realm="x"', 'Digest nonce="x", algorithm=SHA-3', ",,=="],
)
def test_what_can_not_be_answered(header):
    assert digest_challenges(header) == []


def test_a_user_beyond_ascii_is_encoded():
    (challenge,) = digest_challenges('Digest nonce="x"')
    assert answered(challenge, username="Jäsøn Doe").startswith("Digest username*=UTF-8''J%C3%A4s%C3%B8n%20Doe, ")


def digest(server=None):
    server = server or DigestServer()
    return DigestAuthenticator(username=server.username, password="digest-CANARY-password")


ALGORITHMS = [None, "MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256"]
QOPS = [None, "auth", "auth-int", "auth,auth-int"]
# A session needs a client nonce, which came with qop.
POSSIBLE = [(name, qop) for name in ALGORITHMS for qop in QOPS if qop or "sess" not in (name or "")]


@pytest.mark.parametrize(("algorithm", "qop"), POSSIBLE)
def test_a_server_takes_the_answers(serve, fetch, algorithm, qop):
    server = serve(DigestServer(algorithm=algorithm, qop=qop, also='Basic realm="x, y", '))
    authenticator = digest()
    assert fetch(authenticator, 3) == [200] * 3
    assert fetch(authenticator, method="POST", data=b'{"a": 1}') == [200]
    assert (server.challenges, server.served, server.refused) == (1, 4, 0)


@pytest.mark.parametrize("hides_user", [False, True])
def test_names_with_quotes_and_beyond_ascii(serve, fetch, hides_user):
    server = serve(DigestServer(username='Jäsøn "J" \\ Doe', hides_user=hides_user))
    assert fetch(digest(server)) == [200]


def test_every_hop_of_a_redirect_is_answered_for_its_own_target(serve, fetch):
    server = DigestServer()

    def moved(request):
        if request.path == "/data":
            return Response("", 307, headers={"Location": "/elsewhere?z=%2F"})
        return server(request)

    serve(moved)
    assert fetch(digest(), 2) == [200, 200]
    assert (server.challenges, server.refused) == (1, 0)


@pytest.mark.parametrize("says_stale", [True, False])
def test_a_nonce_that_has_expired_is_replaced(serve, fetch, says_stale):
    server = serve(DigestServer(uses=3, says_stale=says_stale))
    assert fetch(digest(), 9) == [200] * 9
    assert (server.challenges, server.refused) == (3, 0)


def test_workers_share_one_nonce_and_no_count_is_used_twice(serve, fetch):
    server = serve(DigestServer())
    authenticator = digest()
    assert fetch(authenticator) == [200]
    assert fetch(authenticator, 64, 16) == [200] * 64
    assert (server.challenges, server.served, server.refused) == (1, 65, 0)


def test_a_wrong_password_is_tried_once(serve, fetch):
    server = serve(DigestServer(password="another"))
    authenticator = digest()
    assert fetch(authenticator) == [401]
    assert (server.challenges, server.refused) == (2, 1)


def test_a_refusal_without_a_challenge_stays_one(serve, fetch):
    seen = []
    serve(lambda request: seen.append(request) or Response("", 401, headers={"WWW-Authenticate": "Bearer"}))
    assert fetch(digest()) == [401]
    assert len(seen) == 1


def test_the_authenticator_of_requests_works_as_well(serve, fetch):
    server = serve(DigestServer(algorithm="MD5", realm="simple"))
    authenticator = requests.auth.HTTPDigestAuth(server.username, server.password)
    assert fetch(authenticator, 3) == [200] * 3
    assert server.served == 3
