"""What the client asks an authenticator when the API refuses a request, or asks for a pause.

An authenticator is any callable; one that has more to say has what :class:`APIAuthenticatorBase` has: by name, so that
a class of an author's own need not inherit it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from singerkit.http.auth.base import UNAUTHORIZED

if TYPE_CHECKING:
    import requests


def refusals_to_answer(authenticate: Callable[..., Any], status: int) -> int:
    """Give how often a request may be sent again with other credentials, after an answer with this status."""
    if getattr(authenticate, "refresh_credentials", None) is None:
        return 0
    if status not in getattr(authenticate, "refused_statuses", (UNAUTHORIZED,)):
        return 0
    return int(getattr(authenticate, "max_refreshes", 1))


def refresh_credentials(authenticate: Any, sent: requests.PreparedRequest, response: requests.Response) -> bool:
    """Have credentials renewed that were sent and are refused; says whether sending again makes sense."""
    refresh = authenticate.refresh_credentials
    # It used to be given the request alone.
    if len(inspect.signature(refresh).parameters) < 2:
        return bool(refresh(sent))
    return bool(refresh(sent, response))


def takes_pause(authenticate: Callable[..., Any], sent: requests.PreparedRequest, pause_s: float) -> bool:
    """Say whether a pause that the API asks for holds for the credentials alone, and their authenticator sees to it."""
    take = getattr(authenticate, "take_pause", None)
    return take is not None and bool(take(sent, pause_s))
