"""OAuth 2.0 (RFC 6749): an access token that is got, kept until it expires or is refused, and got again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote_plus

from singerkit.clock import utc_now
from singerkit.errors import AuthenticationError, ConfigurationError
from singerkit.http.auth.base import APIAuthenticatorBase, is_declared, keep_from_logs, setting_named_by
from singerkit.http.auth.keys import basic_credentials
from singerkit.http.auth.refresh_token import RefreshTokenKeeper

if TYPE_CHECKING:
    from typing import Self

    import requests


#: A token is taken for expired this many seconds early, so that it does not expire on its way.
EXPIRY_MARGIN_S = 10.0
_REFRESH_SETTING = "refresh_token"


class OAuthAuthenticator(APIAuthenticatorBase):
    """Gets an access token when there is none, it has expired, or the API refuses it.

    Which grant: with a ``refresh_token``, that; with a ``username``, the password grant; else client credentials.
    Override ``oauth_request_body`` for another. However many workers wait for a token, one of them gets it; what the
    endpoint has refused once is not sent again.

    A refresh token that the endpoint replaces is written to the config file that holds the old one, see
    :mod:`singerkit.http.auth.refresh_token`.
    """

    def __init__(
        self,
        *args: Any,
        auth_endpoint: str | None = None,
        oauth_scopes: str | None = None,
        default_expiration: int | None = None,
        oauth_headers: Mapping[str, str] | None = None,
        oauth_parameters: Mapping[str, Any] | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
        client_authentication: Literal["body", "basic"] = "body",
        refresh_token: str | None = None,
        username: str | None = None,
        password: str | None = None,
        write_back: str | bool = True,
        **kwargs: Any,
    ) -> None:
        """Take the token endpoint and what it wants; id, secret and refresh token default to the settings so named.

        ``oauth_parameters`` are further members of the form, such as ``audience``. ``client_authentication``: id and
        secret go into the form or into an ``Authorization`` header (RFC 6749, section 2.3.1). ``write_back``: the
        setting that holds the refresh token, if it can't be told from ``refresh_token="{setting}"``; ``False`` leaves
        the config file alone.

        Units: ``default_expiration`` seconds, where the endpoint does not say ``expires_in``.
        """
        super().__init__(*args, **kwargs)
        self._auth_endpoint = auth_endpoint
        self._oauth_scopes = oauth_scopes
        self._default_expiration = default_expiration
        self._oauth_headers = dict(oauth_headers or {})
        self._oauth_parameters = dict(oauth_parameters or {})
        self._client_id = client_id
        self._client_secret = client_secret
        self._client_authentication = client_authentication
        self._username = username
        self._password = password
        self.access_token: str | None = None
        self.refresh_token: str | None = refresh_token
        self._first_refresh_token = refresh_token
        self.last_refreshed: datetime | None = None
        self.expires_in: int | None = None
        self._write_back = write_back
        self._kept: RefreshTokenKeeper | None = None
        self._refusal: str | None = None
        keep_from_logs(client_secret, refresh_token, password)

    def for_config(self, config: Mapping[str, Any], *, tap_name: str = "tap") -> Self:
        """Fill in the settings; the one that ``refresh_token`` names is where a new one is kept."""
        filled = super().for_config(config, tap_name=tap_name)
        if filled._write_back is True:
            filled._write_back = setting_named_by(self._given[1].get("refresh_token")) or True
        return filled

    # What an author may override

    @property
    def auth_endpoint(self) -> str:
        """The token endpoint's URL."""
        if not self._auth_endpoint:
            raise ConfigurationError(f"{type(self).__name__} has no auth_endpoint")
        return self._auth_endpoint

    @property
    def oauth_scopes(self) -> str | None:
        """The scopes to ask for, if any."""
        return self._oauth_scopes

    @property
    def client_id(self) -> str | None:
        """The client's id."""
        return self._client_id or self.config.get("client_id")

    @property
    def client_secret(self) -> str | None:
        """The client's secret."""
        return self._client_secret or self.config.get("client_secret")

    @property
    def oauth_request_payload(self) -> dict[str, Any]:
        """What is sent to the token endpoint; the body, unless a subclass signs it."""
        return self.oauth_request_body

    @property
    def oauth_request_body(self) -> dict[str, Any]:
        """The form sent to the token endpoint."""
        in_body = self._client_authentication == "body"
        body = {
            **self._grant(),
            "client_id": self.client_id if in_body else None,
            "client_secret": self.client_secret if in_body else None,
            "scope": self.oauth_scopes,
            **self._oauth_parameters,
        }
        return {name: value for name, value in body.items() if value is not None}

    def is_token_valid(self) -> bool:
        """Whether there is a token that has not expired."""
        if self.last_refreshed is None:
            return False
        if not self.expires_in:
            return True
        age_s = (utc_now() - self.last_refreshed).total_seconds()
        return age_s < self.expires_in - min(EXPIRY_MARGIN_S, self.expires_in / 2)

    def update_access_token(self) -> None:
        """Get a token; sets ``access_token``, ``expires_in``, ``last_refreshed`` and, if renewed, ``refresh_token``.

        Errors: ``AuthenticationError`` when the endpoint refuses; ``RetriableAPIError`` when it is out of order.
        """
        if self._refusal:
            raise AuthenticationError(self._refusal)
        with self._keeper.alone():
            self._adopt(self._keeper.newest(self._current_refresh_token))
            requested = utc_now()
            self._take(self._ask_unless_refused(), requested)

    # How it works

    def authenticate_request(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put a valid token on the request; get one first if there is none."""
        with self._turn:
            if not self.is_token_valid():
                self._renew()
            self.auth_headers["Authorization"] = f"Bearer {self.access_token}"
            return super().authenticate_request(request)

    def refresh_credentials(self, refused: requests.PreparedRequest, response: requests.Response | None = None) -> bool:
        """Get a new token, unless another worker did so since ``refused`` was sent."""
        with self._turn:
            if self.access_token is None or _carries(refused, self.access_token):
                self._renew()
        return True

    def _renew(self) -> None:
        """Get a token, by the author's way if there is one: its refresh token is kept too."""
        before = self._current_refresh_token
        self.update_access_token()
        keep_from_logs(self.access_token)
        if self._current_refresh_token != before:
            self._keeper.keep(self._current_refresh_token)

    @property
    def _keeper(self) -> RefreshTokenKeeper:
        if self._kept is None:
            setting = self._write_back if isinstance(self._write_back, str) else _REFRESH_SETTING
            # A token that was given and is not the setting's has nothing to do with the file.
            is_the_settings = self._first_refresh_token in {None, self._resolved.get(setting)}
            is_wanted = isinstance(self._write_back, str) or (self._write_back and is_the_settings)
            self._kept = RefreshTokenKeeper(setting, self._resolved if is_wanted else {}, self.logger)
        return self._kept

    @property
    def _current_refresh_token(self) -> str | None:
        own = None if is_declared(self.refresh_token) else self.refresh_token
        return own or self.config.get(_REFRESH_SETTING)

    def _adopt(self, refresh_token: str | None) -> None:
        """Use a refresh token from now on; also where an author's hook reads it, the config."""
        if not refresh_token or refresh_token == self._current_refresh_token:
            return
        self.refresh_token = refresh_token
        if self._keeper.setting in self._config:
            self._config[self._keeper.setting] = refresh_token

    def _grant(self) -> dict[str, Any]:
        if refresh_token := self._current_refresh_token:
            return {"grant_type": "refresh_token", "refresh_token": refresh_token}
        if self._username is not None:
            return {"grant_type": "password", "username": self._username, "password": self._password}
        return {"grant_type": "client_credentials"}

    def _ask_unless_refused(self) -> tuple[dict[str, Any], Mapping[str, Any]]:
        """Ask for a token; where a session has ended for which there is a password, begin another."""
        try:
            return self._ask_for_token()
        except AuthenticationError as refusal:
            may_begin_anew = self._username is not None and not self.config.get(_REFRESH_SETTING)
            if not (self.refresh_token and may_begin_anew):
                self._refusal = str(refusal)
                raise
        self.refresh_token = None
        return self._ask_for_token()

    def _ask_for_token(self) -> tuple[dict[str, Any], Mapping[str, Any]]:
        """Give the endpoint's answer, and what was sent."""
        from singerkit.http.auth.credential_request import object_of, post_credentials

        payload = self.oauth_request_payload
        headers = {"Accept": "application/json", **(self._oauth_headers or {})}
        if self._client_authentication == "basic":
            credentials = (quote_plus(self.client_id or ""), quote_plus(self.client_secret or ""))
            headers["Authorization"] = basic_credentials(*credentials)
        keep_from_logs(self.client_secret)
        answer = post_credentials(self.auth_endpoint, "token endpoint", self.logger, headers=headers, data=payload)
        return object_of(answer, "token endpoint"), payload

    def _take(self, asked: tuple[dict[str, Any], Mapping[str, Any]], requested: datetime) -> None:
        """Take over what the endpoint answered."""
        answer, payload = asked
        access_token, refresh_token = answer.get("access_token"), answer.get("refresh_token")
        if not isinstance(access_token, str) or not access_token:
            raise AuthenticationError(f"the token endpoint of {type(self).__name__} gave no access_token")
        keep_from_logs(access_token)
        self.access_token = access_token
        self.expires_in = _seconds(answer.get("expires_in")) or self._default_expiration
        self.last_refreshed = requested
        # Client credentials need none, and refreshing by it would ask for the secret besides (RFC 6749, 4.4.3).
        if isinstance(refresh_token, str) and payload.get("grant_type") != "client_credentials":
            keep_from_logs(refresh_token)
            self._adopt(refresh_token)
            self._keeper.keep(refresh_token)


def _carries(request: requests.PreparedRequest, token: str) -> bool:
    """Say whether a token is somewhere on a request: an author may have put it elsewhere than ``Authorization``."""
    values = [value if isinstance(value, str) else value.decode("latin-1") for value in request.headers.values()]
    url = request.url or ""
    return any(token in value for value in values) or token in url or quote_plus(token) in url


def _seconds(text: Any) -> int | None:
    """Read ``expires_in``: a number as the RFC says, or the text that some endpoints give."""
    try:
        return int(float(text)) or None
    except (TypeError, ValueError, OverflowError):
        return None
