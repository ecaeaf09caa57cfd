"""Several credentials in rotation: when the API refuses one, or has it wait, the next one takes over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from singerkit.clock import monotonic, sleep, waits
from singerkit.errors import AuthenticationError, ConfigurationError, RetryBudgetError
from singerkit.http.auth.base import UNAUTHORIZED, APIAuthenticatorBase, SimpleAuthenticator, keep_from_logs
from singerkit.http.pauses import FORBIDDEN, TOO_MANY_REQUESTS, is_refused_for_now

if TYPE_CHECKING:
    import requests

#: Seconds that a token rests when the API does not say how long.
REST_S = 60.0
#: A request's attribute that says which of the credentials it was sent with.
_INDEX = "_singerkit_credential"


class RotatingAuthenticator(APIAuthenticatorBase):
    """Uses one of several authenticators until the API refuses it, then the next.

    401 says that credentials are void: they are not used again. 429, and 403 with a sign of a rate limit, say that
    they have to rest: until the time that the answer names, else ``rest_s``. Only when all rest does a request wait,
    for the one that may go on first.
    """

    refused_statuses = frozenset({UNAUTHORIZED, FORBIDDEN, TOO_MANY_REQUESTS})

    def __init__(
        self,
        *args: Any,
        authenticators: Sequence[Callable[[requests.PreparedRequest], requests.PreparedRequest]],
        rest_s: float = REST_S,
        max_wait_s: float = 3600.0,
        pause: Callable[[float], None] = sleep,
        **kwargs: Any,
    ) -> None:
        """Take the authenticators, in the order in which they are used; ``pause(seconds)`` waits.

        Units: ``rest_s`` seconds that one rests where the API does not say; ``max_wait_s`` seconds that a request waits
        when all rest.

        Errors: ``ConfigurationError`` when there is none.
        """
        super().__init__(*args, **kwargs)
        if not authenticators:
            raise ConfigurationError("there is no token to rotate: give one at least")
        self._authenticators = list(authenticators)
        self._rest_s = rest_s
        self._max_wait_s = max_wait_s
        self._pause = pause
        self._current = 0
        self._rests_until = [0.0] * len(self._authenticators)
        self._void: set[int] = set()
        # Each may be refused once, and the last try is left to the ordinary retries.
        self.max_refreshes = len(self._authenticators)

    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the credentials whose turn it is on a request; a wait for them holds nobody else up."""
        return self.authenticate_request(r)

    def authenticate_request(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the credentials whose turn it is on a request; wait if all have to rest.

        Errors: ``AuthenticationError`` when all are void; ``RetryBudgetError`` when the wait would be too long.
        """
        while True:
            with self._turn:
                index, wait_s = self._choose()
            if wait_s <= 0 or not waits():
                break
            if wait_s > self._max_wait_s:
                raise RetryBudgetError(
                    f"all {self._described()} have to wait, the first of them for {wait_s:.0f} s, which is more than "
                    f"the {self._max_wait_s:.0f} s of max_wait_s; run again later, or give more of them"
                )
            self._pause(wait_s)
        request = self._authenticators[index](request)
        setattr(request, _INDEX, index)
        return request

    def refresh_credentials(self, refused: requests.PreparedRequest, response: requests.Response | None = None) -> bool:
        """Have the credentials of a refused request rest or be given up; says whether others are left."""
        index = getattr(refused, _INDEX, None)
        if index is None or response is None:
            return False
        if response.status_code == UNAUTHORIZED:
            return self._give_up(index)
        if not is_refused_for_now(response):
            return False
        with self._turn:
            if self._ready(index):  # the answer does not say how long
                self.take_pause(refused, self._rest_s)
            # Without another, waiting is what the ordinary retries are for.
            return any(self._ready(other) for other in range(len(self._authenticators)))

    def take_pause(self, sent: requests.PreparedRequest, pause_s: float) -> bool:
        """Have the credentials that ``sent`` carried rest for so many seconds."""
        index = getattr(sent, _INDEX, None)
        if index is None:
            return False
        with self._turn:
            if self._ready(index):
                self.logger.info("token %s has to rest for %.0f s", self._name(index), pause_s)
            self._rests_until[index] = max(self._rests_until[index], monotonic() + pause_s)
        return True

    def _choose(self) -> tuple[int, float]:
        """Give the credentials to use: the current ones while they may be used, else the next; and the wait for them.

        Units: seconds; negative or 0 when there is none.
        """
        count = len(self._authenticators)
        left = [(self._current + step) % count for step in range(count)]
        left = [index for index in left if index not in self._void]
        if not left:
            raise AuthenticationError(f"the API refuses all {self._described()}; check them in the config")
        ready = [index for index in left if self._ready(index)]
        chosen = ready[0] if ready else min(left, key=self._rests_until.__getitem__)
        self._current = chosen
        return chosen, self._rests_until[chosen] - monotonic()

    def _ready(self, index: int) -> bool:
        return index not in self._void and self._rests_until[index] <= monotonic()

    def _give_up(self, index: int) -> bool:
        with self._turn:
            if index not in self._void:
                self._void.add(index)
                self.logger.warning("the API refuses token %s; it is not used again", self._name(index))
            return len(self._void) < len(self._authenticators)

    def _name(self, index: int) -> str:
        return f"{index + 1} of {len(self._authenticators)}"

    def _described(self) -> str:
        return f"{len(self._authenticators)} tokens"


class RotatingTokenAuthenticator(RotatingAuthenticator):
    """Rotates tokens that go into a header."""

    def __init__(
        self,
        *args: Any,
        tokens: Sequence[str] | str,
        header: str = "Authorization",
        scheme: str = "Bearer",
        **kwargs: Any,
    ) -> None:
        """Take the tokens, as a list or as text with commas between them; ``scheme`` stands before each."""
        listed = tokens.split(",") if isinstance(tokens, str) else tokens
        given = [str(token).strip() for token in listed if str(token).strip()]
        headers = [f"{scheme} {token}".strip() for token in given]
        super().__init__(
            *args, authenticators=[SimpleAuthenticator(auth_headers={header: value}) for value in headers], **kwargs
        )
        keep_from_logs(*given)
