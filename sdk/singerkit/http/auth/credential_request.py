"""The request that turns credentials into a token or a session: to a token endpoint, to a login page.

It is sent without the API's credentials, never redirected, and nothing of its answer gets into a message.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from singerkit.errors import AuthenticationError, RetriableAPIError

if TYPE_CHECKING:
    import requests

#: Seconds that the endpoint has for its whole answer, and bytes that the answer may have.
TIMEOUT_S = 60.0
MAX_BYTES = 1024 * 1024
#: What a token endpoint may say is wrong (RFC 6749, section 5.2); any other text may be a secret.
_OAUTH_ERRORS = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    }
)


class NoTokenYet(RetriableAPIError):
    """The endpoint is out of order for now; the request that waits for credentials was never sent."""

    never_sent = True


def post_credentials(
    url: str, what: str, logger: logging.Logger, *, headers: Mapping[str, str], data: Any = None, json: Any = None
) -> requests.Response:
    """POST credentials, as a form (``data``) or as JSON; gives the answer if its status is below 400.

    Errors: ``AuthenticationError`` when they are refused; :class:`NoTokenYet` when the endpoint can't answer now.
    ``what`` names it in both.
    """
    # The client imports requests, which a tap that only prints its help does not need.
    import requests

    from singerkit.http import client, retry

    origin = client.origin_of(url)
    exchange = client.Exchange(
        origins={origin},
        label=f"({what})",
        logger=logger,
        timeout_s=TIMEOUT_S,
        max_bytes=MAX_BYTES,
        follow_redirects=False,
    )
    request = requests.Request("POST", url, headers=dict(headers), data=data, json=json)
    try:
        with client.open_session() as session:
            response = client.send(session, request.prepare(), exchange, lambda prepared: prepared)
    except requests.RequestException as error:
        raise NoTokenYet(f"the {what}: {error}") from None
    if retry.RetryPolicy().retries_status(response.status_code):
        raise NoTokenYet(f"the {what} answered {response.status_code}", response)
    if not response.ok:
        raise AuthenticationError(
            f"the {what} answered {response.status_code}{_reason(response)}: it refuses the credentials; check them in "
            "the config"
        )
    return response


def _reason(response: requests.Response) -> str:
    try:
        body = response.json()
    except ValueError:
        return ""
    error = body.get("error") if isinstance(body, dict) else None
    return f" ({error})" if isinstance(error, str) and error in _OAUTH_ERRORS else ""


def object_of(response: requests.Response, what: str) -> dict[str, Any]:
    """Give the JSON object that an endpoint answered.

    Errors: ``AuthenticationError`` when it did not.
    """
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise AuthenticationError(f"the {what} did not answer with a JSON object: is its URL right?")
    return body
