"""Names that say: this lets somebody in. Of parameters, headers, members of JSON, elements of XML."""

from __future__ import annotations

import re

from singerkit.config.secrets import looks_secret

_TOKEN_KINDS = frozenset(
    {"access", "refresh", "id", "auth", "oauth", "api", "app", "bearer", "session", "csrf", "xsrf", "security", "user"}
    | {"client", "private", "secret", "jwt", "login", "personal", "service", "subject", "bot", "account", "device"}
)
#: Names, all of their words, whose last word alone does not say so; what is made anew for each request is among them.
_WHOLE_NAMES = frozenset(
    {"authorization", "proxy_authorization", "cookie", "set_cookie", "jwt", "assertion", "client_assertion", "hmac"}
    | {"signature", "sig", "nonce", "session_id", "sessionid", "session_key", "csrf", "xsrf", "code_verifier"}
    | {"x_amz_signature", "x_amz_credential", "x_amz_date", "x_goog_signature", "x_goog_credential"}
    | {"oauth_signature", "oauth_nonce", "oauth_timestamp"}
)
_LOGIN_WORDS = frozenset(
    {"token", "tokens", "oauth", "oauth2", "login", "signin", "auth", "authenticate", "authentication", "authorize"}
    | {"session", "sessions", "sso"}
)
_WORD_BREAK = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def is_credential(name: str, *, bare_token: bool = True) -> bool:
    """Tell whether what goes by a name is a credential.

    ``bare_token``: what is called just ``token`` is one. ``next_page_token`` never is: its other words say what for.
    """
    words = words_of(name)
    if "_".join(words) in _WHOLE_NAMES:
        return True
    if words[-1] == "token":
        return not _TOKEN_KINDS.isdisjoint(words[:-1]) or (bare_token and len(words) == 1)
    return looks_secret(name)


def is_login_path(path: str) -> bool:
    """Tell whether somebody asks to be let in at a path of an API: ``/oauth2/token``, ``/v1/sessions``."""
    return not _LOGIN_WORDS.isdisjoint(words_of(path))


def words_of(name: str) -> list[str]:
    """Give the words of a name, in lower case: ``refreshToken`` has two. There is one at least, maybe an empty one."""
    return re.split(r"[^a-z0-9]+", _WORD_BREAK.sub("_", name).lower())
