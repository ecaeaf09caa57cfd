"""The hooks of a stream that say how often and when a request is tried again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, TypeAlias

from singerkit.http.retry import RetryPolicy, Schedule, retrying
from singerkit.types import Context

if TYPE_CHECKING:
    import requests

#: Sends a prepared request for a context; what ``request_decorator`` is given and gives back.
RequestFunc: TypeAlias = "Callable[[requests.PreparedRequest, Context | None], requests.Response]"


class BackoffHooks:
    """Retries as ``retry`` says, unless a hook is overridden."""

    path: str
    logger: logging.Logger
    retry: RetryPolicy = RetryPolicy()

    def request_decorator(self, func: RequestFunc) -> RequestFunc:
        """Give ``func`` with retries around it: as ``retry`` says, waiting as the ``backoff_*`` hooks say."""
        tries = self.backoff_max_tries
        schedule = Schedule(
            waits=self.backoff_wait_generator, jitter=self.backoff_jitter, on_backoff=self.backoff_handler
        )
        return retrying(func, policy=self.retry, max_tries=tries() if callable(tries) else tries, schedule=schedule)

    def backoff_wait_generator(self) -> Generator[float, Any, None]:
        """Give the waits between tries, in seconds; what the server asks for comes first."""
        import backoff

        waits: Generator[float, Any, None] = backoff.expo(factor=2)
        return waits

    def backoff_max_tries(self) -> int:
        """Give how often a request is sent at most."""
        return self.retry.max_tries

    def backoff_jitter(self, value: float) -> float:
        """Give the seconds to wait instead of ``value``, so that workers don't come back all at once."""
        import backoff

        return float(backoff.random_jitter(value))

    def backoff_handler(self, details: Any) -> None:
        """Be told of each wait; logs it. ``details`` is what the ``backoff`` package gives its handlers."""
        error = details.get("exception")
        response = getattr(error, "response", None)
        if response is not None:
            cause = f"status {response.status_code}"
        else:
            # What the network did, in words of ours; an author's own error may hold anything.
            cause = str(error).partition(":")[0] if isinstance(error, OSError) else type(error).__name__
        self.logger.warning(
            "path %s: try %d failed (%s); again in %.1f s", self.path, details["tries"], cause, details["wait"]
        )

    def backoff_runtime(self, *, value: Callable[[Any], float]) -> Generator[float, Any, None]:
        """Give waits computed from each error: ``return self.backoff_runtime(value=seconds_of)``."""
        error = yield 0
        while True:
            error = yield value(error)
