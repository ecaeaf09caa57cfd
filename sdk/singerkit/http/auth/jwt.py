"""JSON Web Tokens (RFC 7519): sent as they are, or given for an OAuth access token (RFC 7523)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from singerkit.clock import utc_now
from singerkit.errors import AuthenticationError, ConfigurationError, MissingExtraError
from singerkit.http.auth.base import APIAuthenticatorBase, keep_from_logs
from singerkit.http.auth.oauth import EXPIRY_MARGIN_S, OAuthAuthenticator

if TYPE_CHECKING:
    import requests

_PEM = "-----BEGIN"
#: Seconds that a token is good for: some APIs take no more.
LIFETIME_S = 600
#: Seconds that a token is dated back, for a server whose clock is behind.
CLOCK_SKEW_S = 5
_ASSERTION_LIFETIME_S = 3600
_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def sign_jwt(
    claims: Mapping[str, Any],
    key: str,
    *,
    algorithm: str,
    passphrase: str | None = None,
    headers: Mapping[str, Any] | None = None,
) -> str:
    """Give a signed token; ``key`` is a shared secret (HS...) or a private key as PEM (RS..., PS..., ES..., EdDSA).

    Errors: ``MissingExtraError`` without the extra ``jwt``; ``AuthenticationError`` when the key can't be used.
    """
    try:
        import jwt
    except ModuleNotFoundError:
        raise MissingExtraError("signing a JWT needs PyJWT: pip install 'singerkit[jwt]'") from None
    keep_from_logs(key, passphrase)
    try:
        used: Any = _private_key(key, passphrase) if _PEM in key else key
        return jwt.encode(dict(claims), used, algorithm=algorithm, headers=dict(headers) if headers else None)
    except (ValueError, TypeError, NotImplementedError, jwt.PyJWTError) as error:
        # The text of a library's error may quote the key.
        raise AuthenticationError(
            f"the private key can't sign by {algorithm} ({type(error).__name__}): it has to be a PEM text of the kind "
            "that the algorithm wants, with its passphrase if it has one"
        ) from None


def _private_key(text: str, passphrase: str | None) -> Any:
    """Load a private key; in one that went through an environment variable, line ends may be written out."""
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ModuleNotFoundError:
        raise MissingExtraError("a private key needs cryptography: pip install 'singerkit[jwt]'") from None
    pem = text.replace("\\n", "\n").encode()
    try:
        return load_pem_private_key(pem, passphrase.encode() if passphrase else None)
    except UnsupportedAlgorithm:
        raise ValueError("a kind of key that is not known") from None


class JWTAuthenticator(APIAuthenticatorBase):
    """Adds ``Authorization: Bearer ...`` with a token that it signs itself, anew before the old one expires.

    ``claims`` are added to ``iat``, ``exp`` and ``jti``, and win over them.
    """

    def __init__(
        self,
        *args: Any,
        key: str,
        algorithm: str = "HS256",
        claims: Mapping[str, Any] | None = None,
        passphrase: str | None = None,
        jwt_headers: Mapping[str, Any] | None = None,
        lifetime_s: float = LIFETIME_S,
        scheme: str = "Bearer",
        **kwargs: Any,
    ) -> None:
        """Take key and claims; ``jwt_headers`` are members of the token's own header, such as ``kid``.

        Units: ``lifetime_s`` seconds from signing to expiry.
        """
        super().__init__(*args, **kwargs)
        self._key = key
        self._algorithm = algorithm
        self._claims = dict(claims or {})
        self._passphrase = passphrase
        self._jwt_headers = dict(jwt_headers or {})
        self._lifetime_s = lifetime_s
        self._scheme = scheme
        self._signed: datetime | None = None
        self._text = ""
        keep_from_logs(key, passphrase)

    @property
    def claims(self) -> dict[str, Any]:
        """What the token says; override it for claims that change."""
        now = int(utc_now().timestamp())
        # Dated back, it is still never good for longer than was asked for.
        times = {"iat": now - CLOCK_SKEW_S, "exp": now - CLOCK_SKEW_S + int(self._lifetime_s)}
        return {**times, "jti": str(uuid.uuid4()), **self._claims}

    def authenticate_request(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put a token that is good on the request."""
        if not self._is_good():
            self._sign()
        return super().authenticate_request(request)

    def refresh_credentials(self, refused: requests.PreparedRequest, response: requests.Response | None = None) -> bool:
        """Sign a new token, unless another worker did so since ``refused`` was sent."""
        with self._turn:
            if refused.headers.get("Authorization") == self._text:
                self._sign()
        return True

    def _is_good(self) -> bool:
        if self._signed is None:
            return False
        margin_s = CLOCK_SKEW_S + min(EXPIRY_MARGIN_S, self._lifetime_s / 4)
        return (utc_now() - self._signed).total_seconds() < self._lifetime_s - margin_s

    def _sign(self) -> None:
        self._signed = utc_now()
        token = sign_jwt(
            self.claims,
            self._key,
            algorithm=self._algorithm,
            passphrase=self._passphrase,
            headers=self._jwt_headers,
        )
        keep_from_logs(token)
        self._text = f"{self._scheme} {token}".strip()
        self.auth_headers["Authorization"] = self._text


class OAuthJWTAuthenticator(OAuthAuthenticator):
    """OAuth 2.0 with a signed assertion instead of a secret (RFC 7523), as Google's service accounts want it.

    ``oauth_request_body`` gives the claims, ``oauth_request_payload`` the form with the assertion that signs them.
    """

    def __init__(
        self,
        *args: Any,
        private_key: str | None = None,
        private_key_passphrase: str | None = None,
        algorithm: str = "RS256",
        claims: Mapping[str, Any] | None = None,
        jwt_headers: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Take the key, by default the settings ``private_key`` and ``private_key_passphrase``.

        ``claims`` are added to those of ``oauth_request_body``, such as ``sub``.
        """
        super().__init__(*args, **kwargs)
        self._private_key = private_key
        self._private_key_passphrase = private_key_passphrase
        self._algorithm = algorithm
        self._claims = dict(claims or {})
        self._jwt_headers = dict(jwt_headers or {})
        keep_from_logs(private_key, private_key_passphrase)

    @property
    def private_key(self) -> str | None:
        """The key that signs, in PEM form (or a shared secret, for HS256)."""
        return self._private_key or self.config.get("private_key")

    @property
    def private_key_passphrase(self) -> str | None:
        """What the key is encrypted with, if it is."""
        return self._private_key_passphrase or self.config.get("private_key_passphrase")

    @property
    def oauth_request_body(self) -> dict[str, Any]:
        """The claims of the assertion (RFC 7523, section 3)."""
        now = int(utc_now().timestamp())
        claims = {
            "iss": self.client_id,
            "scope": self.oauth_scopes,
            "aud": self.auth_endpoint,
            "iat": now,
            "exp": now + _ASSERTION_LIFETIME_S,
            **self._claims,
        }
        return {name: value for name, value in claims.items() if value is not None}

    @property
    def oauth_request_payload(self) -> dict[str, Any]:
        """The form sent to the token endpoint: grant type and assertion (RFC 7523, section 2.1).

        Errors: ``ConfigurationError`` without a private key.
        """
        if not self.private_key:
            raise ConfigurationError("the setting 'private_key' is needed to authenticate")
        assertion = sign_jwt(
            self.oauth_request_body,
            self.private_key,
            algorithm=self._algorithm,
            passphrase=self.private_key_passphrase,
            headers=self._jwt_headers,
        )
        return {"grant_type": _JWT_BEARER, "assertion": assertion, **self._oauth_parameters}
