"""A tap with a stream for every way to authenticate; the setting ``kind`` asks for one of them alone."""

from __future__ import annotations

import requests

from singerkit import (
    APIKeyAuthenticator,
    AWSSignatureAuthenticator,
    BasicAuthenticator,
    BearerTokenAuthenticator,
    DigestAuthenticator,
    HMACAuthenticator,
    JWTAuthenticator,
    OAuthAuthenticator,
    OAuthJWTAuthenticator,
    RESTStream,
    RotatingTokenAuthenticator,
    SessionLoginAuthenticator,
    Tap,
)
from singerkit import typing as th


class Things(RESTStream):
    path, primary_keys = "/data", ("id",)
    records_jsonpath, next_page_token_jsonpath = "$.data[*]", "$.next"
    schema = th.PropertiesList(th.Property("id", th.IntegerType)).to_dict()

    def get_url_params(self, context, next_page_token):
        return {"page": next_page_token or 1}

    def backoff_wait_generator(self):
        return self.backoff_runtime(value=lambda error: 0)

    def backoff_jitter(self, value):
        return value


class BasicThings(Things):
    name, url_base = "basic", "{api_url}/basic"
    auth = BasicAuthenticator(username="{user}", password="{password}")


class BearerThings(Things):
    name, url_base = "bearer", "{api_url}/bearer"
    auth = BearerTokenAuthenticator(token="{token}")


class HeaderKeyThings(Things):
    name, url_base = "headerkey", "{api_url}/headerkey"
    auth = APIKeyAuthenticator(key="X-Api-Key", value="{token}")


class QueryKeyThings(Things):
    name, url_base = "querykey", "{api_url}/querykey"
    auth = APIKeyAuthenticator(key="api_key", value="{token}", location="params")


class CookieKeyThings(Things):
    name, url_base = "cookiekey", "{api_url}/cookiekey"
    auth = APIKeyAuthenticator(key="key", value="{token}", location="cookie")


class ClientThings(Things):
    name, url_base = "client", "{api_url}/client"
    auth = OAuthAuthenticator(auth_endpoint="{api_url}/client/token")


class RefreshThings(Things):
    name, url_base = "refresh", "{api_url}/refresh"
    auth = OAuthAuthenticator(auth_endpoint="{api_url}/refresh/token", refresh_token="{offline_token}")


class PasswordThings(Things):
    name, url_base = "password", "{api_url}/password"
    auth = OAuthAuthenticator(auth_endpoint="{api_url}/password/token", username="{user}", password="{password}")


class AssertionThings(Things):
    name, url_base = "assertion", "{api_url}/assertion"
    auth = OAuthJWTAuthenticator(auth_endpoint="{api_url}/assertion/token")


class JWTThings(Things):
    name, url_base = "jwt", "{api_url}/jwt"
    auth = JWTAuthenticator(key="{signing_key}", claims={"iss": "{user}"})


class LoginThings(Things):
    name, url_base = "login", "{api_url}/login"
    auth = SessionLoginAuthenticator(
        login_url="{api_url}/login/login", credentials={"username": "{user}", "password": "{password}"}
    )


class TokenLoginThings(Things):
    name, url_base = "tokenlogin", "{api_url}/tokenlogin"
    auth = SessionLoginAuthenticator(
        login_url="{api_url}/tokenlogin/login",
        credentials={"username": "{user}", "password": "{password}"},
        token_jsonpath="$.auth.token",
        header="X-Session",
        scheme="Token",
    )


class DigestThings(Things):
    name, url_base = "digest", "{api_url}/digest"
    auth = DigestAuthenticator(username="{user}", password="{password}")


class AWSThings(Things):
    name, url_base = "aws", "{api_url}/aws"
    auth = AWSSignatureAuthenticator(
        access_key_id="{access_key_id}",
        secret_access_key="{secret_key}",
        region="eu-central-1",
        service="execute-api",
    )


class HMACThings(Things):
    name, url_base = "hmac", "{api_url}/hmac"
    auth = HMACAuthenticator(
        key="{signing_key}",
        signed="{request.header.X-Time}\n{request.nonce}\n{request.method}\n{request.target}\n{request.body_sha256}",
        headers={
            "X-Time": "{request.timestamp}",
            "X-Nonce": "{request.nonce}",
            "X-Signature": "v1={request.signature}",
        },
        hash_name="sha512",
        encoding="base64",
    )


class RotatingThings(Things):
    name, url_base = "rotating", "{api_url}/rotating"
    auth = RotatingTokenAuthenticator(tokens="{tokens}")


class OwnThings(Things):
    """Authenticates by what requests brings."""

    name, url_base = "own", "{api_url}/own"

    @property
    def authenticator(self):
        return requests.auth.HTTPBasicAuth(self.config["user"], self.config["password"])


class TapAuth(Tap):
    name = "tap-auth"
    config_jsonschema = th.PropertiesList(
        th.Property("kind", th.StringType),
        th.Property("api_url", th.StringType, required=True),
        th.Property("user", th.StringType),
        th.Property("password", th.StringType, secret=True),
        th.Property("token", th.StringType, secret=True),
        th.Property("tokens", th.ArrayType(th.StringType), secret=True),
        th.Property("client_id", th.StringType),
        th.Property("client_secret", th.StringType, secret=True),
        th.Property("offline_token", th.StringType, secret=True),
        th.Property("private_key", th.StringType, secret=True),
        th.Property("private_key_passphrase", th.StringType, secret=True),
        th.Property("access_key_id", th.StringType),
        th.Property("secret_key", th.StringType, secret=True),
        th.Property("signing_key", th.StringType, secret=True),
    ).to_dict()

    def discover_streams(self):
        wanted = self.config.get("kind")
        return [stream(self) for stream in Things.__subclasses__() if wanted in {None, stream.name}]


if __name__ == "__main__":
    TapAuth.cli()
