"""What to do about a request that failed: decided as a value, acted on in one place (:func:`retrying`).

The layers around one request, from the outside in::

    retrying      tries again, waits                      here
      auth        refreshes credentials that are refused  http/client
        redirect  follows pointers within the origin      http/client
          send    one exchange: gate, deadline, bounds    http/client

A server that asks for a pause (``Retry-After``) asks all workers of the tap: they share
:class:`~singerkit.http.pauses.Gates`, which every exchange passes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

from singerkit import clock
from singerkit.clock import monotonic
from singerkit.errors import (
    RetriableAPIError,
    RetriableSyncError,
    RetryBudgetError,
    SingerKitError,
    SkippableSyncError,
)
from singerkit.http.pauses import TOO_MANY_REQUESTS, is_refused_for_now, pause_asked_s

if TYPE_CHECKING:
    import requests

_Result = TypeVar("_Result")

#: Methods that may be sent twice without harm (RFC 9110, section 9.2.2, less the ones that change something).
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
SERVER_ERROR = 500
UNAUTHORIZED = 401


class Action(Enum):
    """What a :class:`Decision` asks for."""

    ACCEPT = "accept"
    RETRY = "retry"
    REFRESH = "refresh credentials"
    SKIP = "skip"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now.

    Units: ``after_s`` seconds, only with ``RETRY``; ``None`` leaves the wait to the schedule.
    """

    action: Action
    after_s: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how long a request is tried; declared on a stream as ``retry = RetryPolicy(...)``.

    ``statuses`` are retried besides every 5xx. ``repeat_unsafe`` marks POST and the other methods that may change
    something as safe to send twice, as where POST carries a query. It is not needed where the request certainly was not
    processed: no connection, or 429. ``waits_at_limits``: an answer which says that it was the last one allowed holds
    the next request; say no where an API's ``X-RateLimit-*`` count something else.

    Units: ``total_s`` is the budget for all tries and waits of one request together, in seconds; a pause that the
    server asks for and that does not fit ends the stream at once, with a ``RetryBudgetError`` (exit code 5).
    """

    max_tries: int = 5
    statuses: frozenset[int] = frozenset({408, 425, TOO_MANY_REQUESTS})
    total_s: float = 3600.0
    repeat_unsafe: bool = False
    waits_at_limits: bool = True

    def retries_status(self, status: int) -> bool:
        """Whether an answer with this status is worth another try."""
        return status in self.statuses or status >= SERVER_ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The waits between tries, in the shapes of the ``backoff`` package.

    Shape: ``waits()`` gives a generator that is sent ``None`` first and then each error, and yields seconds;
    ``jitter(seconds)`` gives the seconds to wait; ``on_backoff(details)`` is called before each wait with ``target``,
    ``args``, ``kwargs``, ``tries``, ``elapsed``, ``wait`` and ``exception``. ``pause(seconds)`` waits.
    """

    waits: Callable[[], Generator[float, Any, None]]
    jitter: Callable[[float], float] | None
    on_backoff: Callable[[dict[str, Any]], None]
    pause: Callable[[float], None] = clock.sleep


def decide_answer(*, refreshes: int) -> Decision:
    """Decide about an answer before it is validated: credentials that are refused may only be out of date.

    ``refreshes``: how often the authenticator can still do something about it.
    """
    if refreshes > 0:
        return Decision(Action.REFRESH, reason="the credentials are refused")
    return Decision(Action.ACCEPT)


def decide(error: Exception, *, method: str, policy: RetryPolicy) -> Decision:
    """Decide about an error of one try."""
    if isinstance(error, SkippableSyncError):
        return Decision(Action.SKIP, reason=str(error))
    if not _is_passing(error):
        return Decision(Action.FAIL, reason="trying again does not help")
    response = getattr(error, "response", None)
    if not (policy.repeat_unsafe or method in SAFE_METHODS or _was_not_processed(error, response)):
        return Decision(
            Action.FAIL, reason=f"{method} is not sent twice unless RetryPolicy(repeat_unsafe=True) says so"
        )
    after_s = pause_asked_s(response) if response is not None else None
    return Decision(Action.RETRY, after_s, reason=type(error).__name__)


def _is_passing(error: Exception) -> bool:
    if isinstance(error, SingerKitError):
        return isinstance(error, RetriableSyncError)
    # Loaded by now: an error of requests can't come from elsewhere.
    from requests import exceptions

    return isinstance(
        error,
        ConnectionError
        | exceptions.ConnectionError
        | exceptions.Timeout
        | exceptions.ChunkedEncodingError
        | exceptions.ContentDecodingError,
    )


def _was_not_processed(error: Exception, response: requests.Response | None) -> bool:
    if getattr(error, "never_sent", False):
        return True
    return response is not None and is_refused_for_now(response)


def retrying(
    attempt: Callable[..., _Result], *, policy: RetryPolicy, max_tries: int, schedule: Schedule
) -> Callable[..., _Result]:
    """Give a function that calls ``attempt(prepared_request, ...)`` until it succeeds or trying again makes no sense.

    Errors: what the last try raised, where an error of requests becomes a ``RetriableAPIError``;
    ``RetryBudgetError`` when there is no time for another try.
    """

    def call(*args: Any, **kwargs: Any) -> _Result:
        started = monotonic()
        waits: Generator[float, Any, None] | None = None
        tries = 0
        while True:
            tries += 1
            try:
                return attempt(*args, **kwargs)
            except Exception as error:
                decision = decide(error, method=_method_of(args), policy=policy)
                if decision.action is not Action.RETRY:
                    raise
                waits = waits or _begin(schedule.waits)
                wait_s = _wait_s(decision, waits, error, schedule.jitter) if tries < max_tries else None
                elapsed = monotonic() - started
                if wait_s is None or elapsed + wait_s > policy.total_s:
                    raise _given_up(error, tries, wait_s, policy.total_s) from None
                details = {"target": attempt, "args": args, "kwargs": kwargs, "tries": tries, "elapsed": elapsed}
                schedule.on_backoff({**details, "wait": wait_s, "exception": error})
            schedule.pause(wait_s)

    return call


def _given_up(error: Exception, tries: int, wait_s: float | None, total_s: float) -> Exception:
    """Say why there is no further try, in an error of ours."""
    if wait_s is not None:
        return RetryBudgetError(
            f"{error} (gave up: the next try is {wait_s:.0f} s away and the budget is {total_s:.0f} s, "
            "RetryPolicy.total_s; run again later)"
        )
    why = f"gave up after {tries} tries"
    if not isinstance(error, SingerKitError):
        return RetriableAPIError(f"{error} ({why})")
    error.args = (f"{error} ({why})", *error.args[1:])
    return error


def _method_of(args: tuple[Any, ...]) -> str:
    """Give the method of the prepared request, which is the first argument."""
    return str(getattr(args[0], "method", None) or "GET").upper() if args else "GET"


def _begin(waits: Callable[[], Generator[float, Any, None]]) -> Generator[float, Any, None]:
    generator = waits()
    generator.send(None)
    return generator


def _wait_s(
    decision: Decision,
    waits: Generator[float, Any, None],
    error: Exception,
    jitter: Callable[[float], float] | None,
) -> float | None:
    """Give the seconds to wait: what the server asked for, else the schedule's next; ``None`` at its end."""
    try:
        seconds = waits.send(error)
    except StopIteration:
        return None
    if decision.after_s:
        return decision.after_s
    return jitter(seconds) if jitter else seconds
