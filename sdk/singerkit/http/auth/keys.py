"""Credentials that stay the same: a key, a token, a user with a password."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from singerkit.http.auth.base import APIAuthenticatorBase, add_cookies, keep_from_logs

if TYPE_CHECKING:
    import requests

    from singerkit.http.auth.base import StreamLike

#: Where an API key goes.
KeyLocation: TypeAlias = Literal["header", "params", "cookie"]


class APIKeyAuthenticator(APIAuthenticatorBase):
    """Adds a key as a header, as a query parameter or as a cookie."""

    def __init__(self, *args: Any, key: str, value: str, location: KeyLocation = "header", **kwargs: Any) -> None:
        """Take the name of the header, parameter or cookie, its value, and which of them it is.

        Errors: ``ValueError`` for another location.
        """
        super().__init__(*args, **kwargs)
        self._cookies: dict[str, str] = {}
        places: dict[str, dict[str, Any]] = {
            "header": self.auth_headers,
            "params": self.auth_params,
            "cookie": self._cookies,
        }
        if location not in places:
            raise ValueError("`location` must be 'header', 'params' or 'cookie'")
        places[location][key] = value
        keep_from_logs(value)

    def authenticate_request(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the key."""
        if self._cookies:
            add_cookies(request, self._cookies)
        return super().authenticate_request(request)

    @classmethod
    def create_for_stream(
        cls, stream: StreamLike, key: str, value: str, location: KeyLocation = "header"
    ) -> APIKeyAuthenticator:
        """Make one for a stream."""
        return cls(stream=stream, key=key, value=value, location=location)


class BearerTokenAuthenticator(APIAuthenticatorBase):
    """Adds ``Authorization: Bearer ...`` (RFC 6750)."""

    def __init__(self, *args: Any, token: str, **kwargs: Any) -> None:
        """Take the token."""
        super().__init__(*args, **kwargs)
        self.auth_headers["Authorization"] = f"Bearer {token}"
        keep_from_logs(token)

    @classmethod
    def create_for_stream(cls, stream: StreamLike, token: str) -> BearerTokenAuthenticator:
        """Make one for a stream."""
        return cls(stream=stream, token=token)


class BasicAuthenticator(APIAuthenticatorBase):
    """Adds ``Authorization: Basic ...`` (RFC 7617), in UTF-8."""

    def __init__(self, *args: Any, username: str, password: str, **kwargs: Any) -> None:
        """Take user name and password."""
        super().__init__(*args, **kwargs)
        self.auth_headers["Authorization"] = basic_credentials(username, password)
        # An API key often stands for the user, with no password.
        keep_from_logs(password or username)

    @classmethod
    def create_for_stream(cls, stream: StreamLike, username: str, password: str) -> BasicAuthenticator:
        """Make one for a stream."""
        return cls(stream=stream, username=username, password=password)


def basic_credentials(username: str, password: str) -> str:
    """Give the value of an ``Authorization`` header (RFC 7617)."""
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode('ascii')}"
