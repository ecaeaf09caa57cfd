"""GraphQL over HTTP: what a request holds, and what the errors in an answer mean.

An answer with status 200 may be a failure: the errors are in the body.

Source: GraphQL specification (September 2025), sections 7.1.2 and 7.1.6; GraphQL over HTTP (draft), sections 5 and 6.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

#: What a client may ask for; the first says that the status tells of errors, the second is what older servers know.
ACCEPT = "application/graphql-response+json, application/json;q=0.9"

#: Codes, in upper case, by which servers say: slower, or not now.
PASSING_CODES = frozenset(
    {
        "THROTTLED",
        "RATE_LIMITED",
        "RATELIMITED",
        "RATE_LIMIT_EXCEEDED",
        "COMPLEXITYEXCEPTION",
        "TOO_MANY_REQUESTS",
        "SERVICE_UNAVAILABLE",
        "TIMEOUT",
    }
)
#: Codes that say who may not ask.
REFUSING_CODES = frozenset({"UNAUTHENTICATED", "UNAUTHORIZED", "FORBIDDEN"})

_OPERATION = re.compile(r"(query|mutation|subscription|fragment)\b(?!\s*:)|\{")
_IGNORED = re.compile(r"(?:[\s,\ufeff]|#[^\n]*)*")
_VARIABLE = re.compile(r"\$(\w+)\s*:")
_MOST_SHOWN = 3
_LONGEST_MESSAGE = 200


def as_document(query: str) -> str:
    """Give a document that a server takes: a bare selection is put into ``query { }``."""
    start = _IGNORED.match(query)
    text = query[start.end() if start else 0 :].rstrip()
    return text if _OPERATION.match(text) else f"query {{ {text}\n}}"


def is_mutation(document: str) -> bool:
    """Say whether some operation of a document changes something."""
    return re.search(r"(?:^|\})\s*mutation\b", document) is not None


def declared_variables(document: str) -> frozenset[str]:
    """Give the names of the variables that the operations of a document declare."""
    return frozenset(_VARIABLE.findall(document))


def as_query_parameters(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Give what a GET carries in its URL instead of a body: objects become JSON text."""
    return {
        name: value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        for name, value in payload.items()
        if value
    }


def errors_of(body: Any) -> list[dict[str, Any]]:
    """Give the errors of a decoded answer; those that are no objects (which no server may send) as messages."""
    found = body.get("errors") if isinstance(body, dict) else None
    listed = found if isinstance(found, list) else [found] if found else []
    return [error if isinstance(error, dict) else {"message": str(error)} for error in listed]


def codes_of(errors: list[dict[str, Any]]) -> frozenset[str]:
    """Give the codes of errors in upper case, from where servers put them: ``extensions.code``, ``type``."""
    return frozenset(str(code).upper() for error in errors for code in _codes(error) if code)


def _codes(error: dict[str, Any]) -> Iterator[Any]:
    extensions = error.get("extensions")
    if isinstance(extensions, dict):
        yield extensions.get("code")
        yield extensions.get("type")
    yield error.get("type")
    yield error.get("code")


def describe_errors(errors: list[dict[str, Any]], variables: Any) -> str:
    """Give the errors' messages, paths and places in the query, in one line; without the values of ``variables``."""
    hidden = sorted(set(_texts_in(variables)), key=len, reverse=True)
    shown = "; ".join(_described(error, hidden) for error in errors[:_MOST_SHOWN])
    return shown + (f"; and {len(errors) - _MOST_SHOWN} more" if len(errors) > _MOST_SHOWN else "")


def _described(error: dict[str, Any], hidden: list[str]) -> str:
    message = " ".join(str(error.get("message") or "an error without a message").split())
    for text in hidden:
        message = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", "…", message)
    message = message if len(message) <= _LONGEST_MESSAGE else message[:_LONGEST_MESSAGE] + "…"
    path = error.get("path")
    where = f" at {'.'.join(map(str, path))}" if isinstance(path, list) and path else ""
    return f"“{message}”{where}{_places(error.get('locations'))}"


def _places(locations: Any) -> str:
    """Give where in the query: line and column, both from 1."""
    listed = [place for place in locations if isinstance(place, dict)] if isinstance(locations, list) else []
    places = [f"line {place.get('line')}, column {place.get('column')}" for place in listed[:_MOST_SHOWN]]
    return f" ({'; '.join(places)} of the query)" if places else ""


def _texts_in(value: Any) -> Iterator[str]:
    """Give every text and number in a value, as text."""
    if isinstance(value, Mapping):
        for member in value.values():
            yield from _texts_in(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from _texts_in(member)
    elif isinstance(value, str | int | float) and not isinstance(value, bool) and str(value).strip():
        yield str(value)


def pause_asked_s(body: Any) -> float | None:
    """Give the pause that an answer asks for by its query cost: until enough of the budget is back.

    Shape: ``extensions.cost`` with ``requestedQueryCost`` and ``throttleStatus`` (``currentlyAvailable``,
    ``restoreRate`` a second), as servers with a leaky bucket tell it.

    Units: seconds; ``None`` where nothing is said.
    """
    try:
        cost = body["extensions"]["cost"]
        status = cost["throttleStatus"]
        missing = float(cost["requestedQueryCost"]) - float(status["currentlyAvailable"])
        return max(0.0, missing / float(status["restoreRate"]))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
