"""Authenticators: what puts credentials on a request.

An authenticator is a callable that is given each prepared request right before it is sent, and gives it back with
headers, parameters or cookies added; anything of the kind that ``requests`` knows (``AuthBase``) is one. It is called
for every hop to a configured origin, and for no other: the client checks the origin first.

Declared on a stream, its texts name settings: ``auth = BearerTokenAuthenticator(token="{api_key}")``. The stream fills
them in from the config, once for the whole tap (:meth:`APIAuthenticatorBase.for_config`).

Each kind has a module of its own, imported when its name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from singerkit.http.auth.aws import AWSSignatureAuthenticator
    from singerkit.http.auth.base import APIAuthenticatorBase, SimpleAuthenticator, SingletonMeta, StreamLike
    from singerkit.http.auth.digest import DigestAuthenticator
    from singerkit.http.auth.hmac_template import HMACAuthenticator
    from singerkit.http.auth.jwt import JWTAuthenticator, OAuthJWTAuthenticator
    from singerkit.http.auth.keys import APIKeyAuthenticator, BasicAuthenticator, BearerTokenAuthenticator
    from singerkit.http.auth.login import SessionLoginAuthenticator
    from singerkit.http.auth.oauth import OAuthAuthenticator
    from singerkit.http.auth.rotation import RotatingAuthenticator, RotatingTokenAuthenticator

_HOME = {
    "APIAuthenticatorBase": "base",
    "APIKeyAuthenticator": "keys",
    "AWSSignatureAuthenticator": "aws",
    "BasicAuthenticator": "keys",
    "BearerTokenAuthenticator": "keys",
    "DigestAuthenticator": "digest",
    "HMACAuthenticator": "hmac_template",
    "JWTAuthenticator": "jwt",
    "OAuthAuthenticator": "oauth",
    "OAuthJWTAuthenticator": "jwt",
    "RotatingAuthenticator": "rotation",
    "RotatingTokenAuthenticator": "rotation",
    "SessionLoginAuthenticator": "login",
    "SimpleAuthenticator": "base",
    "SingletonMeta": "base",
    "StreamLike": "base",
}

__all__ = [
    "APIAuthenticatorBase",
    "APIKeyAuthenticator",
    "AWSSignatureAuthenticator",
    "BasicAuthenticator",
    "BearerTokenAuthenticator",
    "DigestAuthenticator",
    "HMACAuthenticator",
    "JWTAuthenticator",
    "OAuthAuthenticator",
    "OAuthJWTAuthenticator",
    "RotatingAuthenticator",
    "RotatingTokenAuthenticator",
    "SessionLoginAuthenticator",
    "SimpleAuthenticator",
    "SingletonMeta",
    "StreamLike",
]


def __getattr__(name: str) -> Any:
    """Import an authenticator from its module on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'singerkit.http.auth' has no attribute '{name}'")
    value = getattr(import_module(f"singerkit.http.auth.{_HOME[name]}"), name)
    globals()[name] = value
    return value
