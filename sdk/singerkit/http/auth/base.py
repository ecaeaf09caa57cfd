"""What all authenticators share: the config, one at a time, settings in declared arguments, and a word on refusals."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import unquote_plus, urlencode, urlsplit, urlunsplit

from singerkit.config.secrets import looks_secret
from singerkit.errors import ConfigurationError
from singerkit.telemetry.redact import redactor

if TYPE_CHECKING:
    import requests

_Self = TypeVar("_Self", bound="APIAuthenticatorBase")
_SETTING = re.compile(r"\{(\w+)\}")
UNAUTHORIZED = 401


class StreamLike(Protocol):
    """What an authenticator may ask of the stream it is made for."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The tap's config."""

    @property
    def tap_name(self) -> str:
        """The tap's name."""


class SingletonMeta(type):
    """Makes a class give one instance, however often it is called; every thread gets the same."""

    def __init__(cls, name: str, bases: tuple[type, ...], members: dict[str, Any]) -> None:
        """Begin without an instance; each subclass has its own."""
        super().__init__(name, bases, members)
        cls.__instance: Any = None
        cls.__lock = threading.RLock()

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Give the instance; the first call makes it."""
        with cls.__lock:
            if cls.__instance is None:
                cls.__instance = super().__call__(*args, **kwargs)
            return cls.__instance


class APIAuthenticatorBase:
    """The root: adds ``auth_headers`` and ``auth_params`` to each request.

    Override ``authenticate_request`` for more. It is called by one worker at a time, so it may get a token first
    without another worker doing the same.
    """

    #: Answers that say that the credentials are refused: :meth:`refresh_credentials` is asked about them.
    refused_statuses: Collection[int] = frozenset({UNAUTHORIZED})
    #: How often one request is sent again with other credentials.
    max_refreshes: int = 1

    _given: tuple[tuple[Any, ...], dict[str, Any]]
    _turn: threading.RLock

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Remember the arguments, for :meth:`for_config`."""
        authenticator = super().__new__(cls)
        authenticator._given = (args, kwargs)
        authenticator._turn = threading.RLock()
        return authenticator

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take a ``stream``, by name or first, for its config; without one there is no config."""
        stream: StreamLike | None = kwargs.get("stream") or next((given for given in args if _is_stream(given)), None)
        self.tap_name: str = stream.tap_name if stream else "tap"
        #: The config as it was resolved, which knows the files that its settings come from.
        self._resolved: Mapping[str, Any] = stream.config if stream else {}
        self._config: dict[str, Any] = dict(self._resolved)
        self._auth_headers: dict[str, Any] = {}
        self._auth_params: dict[str, Any] = {}
        self.logger: logging.Logger = logging.getLogger("singerkit.http.auth")

    def __repr__(self) -> str:
        """Show the class alone: all that it holds is secret."""
        return f"<{type(self).__name__}>"

    @property
    def config(self) -> Mapping[str, Any]:
        """The config of the stream it was made for, read-only."""
        return MappingProxyType(self._config)

    # Properties, so that a subclass may compute them.

    @property
    def auth_headers(self) -> dict[str, Any]:
        """The headers that are added to each request."""
        return self._auth_headers

    @auth_headers.setter
    def auth_headers(self, headers: dict[str, Any]) -> None:
        self._auth_headers = headers

    @property
    def auth_params(self) -> dict[str, Any]:
        """The query parameters that are added to each request."""
        return self._auth_params

    @auth_params.setter
    def auth_params(self, params: dict[str, Any]) -> None:
        self._auth_params = params

    def authenticate_request(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the credentials on a request, and give it back."""
        request.headers.update(self.auth_headers)
        params = self.auth_params
        if params and request.url:
            request.url = with_params(request.url, params)
        return request

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the credentials on a request, and give it back; one worker at a time."""
        with self._turn:
            return self.authenticate_request(r)

    def refresh_credentials(self, refused: requests.PreparedRequest, response: requests.Response | None = None) -> bool:
        """Get new credentials after ``refused`` was answered with one of ``refused_statuses``, by ``response``.

        Says whether another try makes sense. Many workers may be refused at once, and each of them asks.
        """
        return False

    def take_pause(self, sent: requests.PreparedRequest, pause_s: float) -> bool:
        """Be told that the answer to ``sent`` asks for a pause, in seconds.

        Says whether that holds for these credentials alone, and is seen to; else the whole origin is left alone.
        """
        return False

    def for_config(self: _Self, config: Mapping[str, Any], *, tap_name: str = "tap") -> _Self:
        """Give the same authenticator with every ``{setting}`` in its arguments replaced by the setting's value.

        Where an argument is nothing but ``{setting}``, an array or object stays what it is.

        Errors: ``ConfigurationError`` naming a setting that is not there.
        """
        args, kwargs = self._given
        filled = {name: _filled(value, config) for name, value in kwargs.items()}
        # Past a metaclass that gives one instance: that one has not been filled in.
        authenticator: _Self = type.__call__(type(self), *(_filled(value, config) for value in args), **filled)
        authenticator._resolved, authenticator._config = config, dict(config)
        authenticator.tap_name = tap_name
        return authenticator


def _is_stream(given: Any) -> bool:
    return hasattr(given, "config") and hasattr(given, "tap_name")


def _filled(value: Any, config: Mapping[str, Any]) -> Any:
    if isinstance(value, APIAuthenticatorBase):
        return value.for_config(config)
    if isinstance(value, Mapping):
        return {name: _filled(member, config) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(member, config) for member in value]
    if not isinstance(value, str):
        return value
    whole = _SETTING.fullmatch(value)
    if whole and isinstance(found := _setting(whole[1], config), list | tuple | Mapping):
        return found
    return _SETTING.sub(lambda match: str(_setting(match[1], config)), value)


def _setting(name: str, config: Mapping[str, Any]) -> Any:
    value = config.get(name)
    if value is None:
        raise ConfigurationError(f"the setting '{name}' is needed to authenticate")
    return value


def setting_named_by(template: Any) -> str | None:
    """Give the name of the setting that a declared argument stands for as a whole: ``token`` for ``"{token}"``."""
    match = _SETTING.fullmatch(template) if isinstance(template, str) else None
    return match[1] if match else None


def is_declared(value: Any) -> bool:
    """Say whether a text still names settings: it is then no credential yet."""
    return isinstance(value, str) and _SETTING.search(value) is not None


def keep_from_logs(*secrets: str | None) -> None:
    """Have the log mask these, wherever they turn up from now on."""
    redactor.add(secret for secret in secrets if secret and not is_declared(secret))


def with_params(url: str, params: Mapping[str, Any]) -> str:
    """Give the URL with query parameters set; those of the same name are replaced, the others stay as written."""
    parts = urlsplit(url)
    members = (member for member in parts.query.split("&") if member)
    kept = [member for member in members if unquote_plus(member.partition("=")[0]) not in params]
    return urlunsplit(parts._replace(query="&".join([*kept, urlencode(params, doseq=True)])))


def add_cookies(request: requests.PreparedRequest, cookies: Mapping[str, str]) -> None:
    """Put cookies on a request beside those that it has; those of the same name are replaced."""
    present = request.headers.get("Cookie", "")
    kept = [pair for pair in map(str.strip, present.split(";")) if pair and pair.partition("=")[0] not in cookies]
    request.headers["Cookie"] = "; ".join([*kept, *(f"{name}={value}" for name, value in cookies.items())])


class SimpleAuthenticator(APIAuthenticatorBase):
    """Adds the headers it is given."""

    def __init__(self, *args: Any, auth_headers: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        """Take the headers."""
        super().__init__(*args, **kwargs)
        self.auth_headers.update(auth_headers or {})
        # The words of `Authorization: Bearer ...`; a header such as `Accept` has nothing to hide.
        secret = [str(value) for name, value in (auth_headers or {}).items() if _is_secret(name)]
        keep_from_logs(*secret, *(value.rpartition(" ")[2] for value in secret))


def _is_secret(header: str) -> bool:
    return header.lower() in {"authorization", "cookie"} or looks_secret(header)
