"""Logging in: credentials are sent once, and the session that they open goes with every request."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from singerkit.clock import monotonic
from singerkit.config.secrets import looks_secret
from singerkit.errors import AuthenticationError
from singerkit.http.auth.base import APIAuthenticatorBase, add_cookies, keep_from_logs
from singerkit.http.extract import compile_first

if TYPE_CHECKING:
    import requests
    from requests.cookies import RequestsCookieJar

_WHAT = "login endpoint"


class SessionLoginAuthenticator(APIAuthenticatorBase):
    """POSTs credentials and keeps what comes back: the cookies, or a token in the body.

    When the API refuses a request, it logs in again, once however many workers were refused. The login has to answer
    with a status below 400 and a cookie, or the token where ``token_jsonpath`` says.
    """

    def __init__(
        self,
        *args: Any,
        login_url: str,
        credentials: Mapping[str, Any],
        as_json: bool = True,
        token_jsonpath: str | None = None,
        header: str = "Authorization",
        scheme: str = "Bearer",
        login_headers: Mapping[str, str] | None = None,
        lifetime_s: float | None = None,
        refused_statuses: Collection[int] = APIAuthenticatorBase.refused_statuses,
        **kwargs: Any,
    ) -> None:
        """Take where to log in and with what, sent as JSON or as a form.

        ``token_jsonpath`` says where in the answer the token is, which then goes into ``header`` after ``scheme``;
        without it the cookies are kept. ``refused_statuses`` are the answers of the API that mean that the session has
        ended. ``lifetime_s``: log in again after so many seconds, before the API refuses.
        """
        super().__init__(*args, **kwargs)
        self._login_url = login_url
        self._credentials = dict(credentials)
        self._as_json = as_json
        self._token_of = compile_first(token_jsonpath) if token_jsonpath else None
        self._header = header
        self._scheme = scheme
        self._login_headers = dict(login_headers or {})
        self._lifetime_s = lifetime_s
        self.refused_statuses = frozenset(refused_statuses)
        self._cookies: RequestsCookieJar | None = None
        self._logged_in_at: float | None = None
        self._sessions = 0
        self._refusal: str | None = None
        keep_from_logs(*(str(value) for name, value in credentials.items() if looks_secret(name)))

    def authenticate_request(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the session on the request; log in first if there is none."""
        if self._is_over():
            self.log_in()
        if self._cookies is not None:
            add_cookies(request, _cookies_for(request, self._cookies))
        setattr(request, _SESSION, self._sessions)
        return super().authenticate_request(request)

    def refresh_credentials(self, refused: requests.PreparedRequest, response: requests.Response | None = None) -> bool:
        """Log in again, unless another worker did so since ``refused`` was sent."""
        with self._turn:
            if getattr(refused, _SESSION, None) == self._sessions:
                self.log_in()
        return True

    def log_in(self) -> None:
        """Open a session.

        Errors: ``AuthenticationError`` when the credentials are refused, and from then on without asking again;
        ``RetriableAPIError`` when the endpoint is out of order.
        """
        if self._refusal:
            raise AuthenticationError(self._refusal)
        try:
            self._open()
        except AuthenticationError as refusal:
            self._refusal = str(refusal)
            raise
        self._logged_in_at = monotonic()
        self._sessions += 1

    def _open(self) -> None:
        from singerkit.http.auth.credential_request import object_of, post_credentials

        form = {"json" if self._as_json else "data": self._credentials}
        answer = post_credentials(self._login_url, _WHAT, self.logger, headers=self._login_headers, **form)
        if self._token_of is None:
            keep_from_logs(*(cookie.value for cookie in answer.cookies))
            self._cookies = answer.cookies
            if not answer.cookies:
                raise AuthenticationError(
                    f"the {_WHAT} gave no cookie: it refuses the credentials, or token_jsonpath has to say where its "
                    "token is"
                )
            return
        token = self._token_of(object_of(answer, _WHAT))
        if not token or not isinstance(token, str | int) or isinstance(token, bool):
            raise AuthenticationError(f"the {_WHAT} gave no token at token_jsonpath: it refuses the credentials")
        keep_from_logs(str(token))
        self.auth_headers[self._header] = f"{self._scheme} {token}".strip()

    def _is_over(self) -> bool:
        if self._logged_in_at is None:
            return True
        return self._lifetime_s is not None and monotonic() - self._logged_in_at > self._lifetime_s


#: A request's attribute that says which of the sessions it was sent with.
_SESSION = "_singerkit_session"


def _cookies_for(request: requests.PreparedRequest, jar: RequestsCookieJar) -> dict[str, str]:
    """Give the cookies that belong to a request, by domain, path and security (RFC 6265, section 5.4)."""
    from requests.cookies import get_cookie_header

    bare = request.copy()
    # The jar adds nothing where there is a header already.
    bare.headers.pop("Cookie", None)
    header: str = get_cookie_header(jar, bare) or ""  # type: ignore[no-untyped-call]
    pairs = (pair.partition("=") for pair in header.split("; ") if pair)
    return {name: value for name, _, value in pairs}
