"""Where an answer says something: a JSONPath in the body if it begins with ``$``, else a header's name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from singerkit.errors import FatalAPIError
from singerkit.http.extract import compile_extract

if TYPE_CHECKING:
    import requests

#: Gives what an answer says at a place, or ``ABSENT``.
ValueAt: TypeAlias = "Callable[[requests.Response], Any]"

#: Stands for a place that an answer does not have; ``None`` is a null.
ABSENT: Any = object()

_BEGINS_WITH_A_DAY = re.compile(r"\d{4}-?\d{2}(-?\d{2})?(\D|$)")
_YES = frozenset({"true", "yes", "y", "1"})
_NO = frozenset({"false", "no", "n", "0", "", "null", "none"})


def is_path(place: str) -> bool:
    """Tell a JSONPath from a header's name."""
    return place.startswith("$")


def paths_of(places: Iterable[str | None]) -> tuple[str, ...]:
    """Give those places that are in the body."""
    return tuple(place for place in places if place is not None and is_path(place))


def body_of(response: requests.Response) -> Any:
    """Give the decoded body; without its records, where the page loop has read those apart."""
    skim = getattr(response, "skim", None)
    if skim is not None:
        return skim
    return response.json() if response.content else None


def is_given(token: str, response: requests.Response) -> bool:
    """Tell whether a token is one that the answer gave, and not a number or a day that was counted up."""
    if token.isdigit() or _BEGINS_WITH_A_DAY.match(token):
        return False
    return token.encode("utf-8", "surrogatepass") in (response._content or b"") or token in response.headers.values()


@lru_cache(maxsize=256)
def compile_place(place: str) -> ValueAt:
    """Give the function that finds what an answer says at a place.

    Errors: ``ConfigurationError`` when it begins with ``$`` and is not JSONPath.
    """
    if not is_path(place):
        return lambda response: response.headers.get(place, ABSENT)
    extract = compile_extract(place)

    def value_at(response: requests.Response) -> Any:
        found = extract(body_of(response))
        return found[0] if found else ABSENT

    return value_at


@lru_cache(maxsize=256)
def compile_flag(place: str) -> ValueAt:
    """Give the function that reads a flag: a boolean, ``ABSENT`` where there is none. A null means no.

    Errors: the function raises ``FatalAPIError`` for what is no flag.
    """
    value_at = compile_place(place)

    def flag_at(response: requests.Response) -> Any:
        value = value_at(response)
        if value is ABSENT or value is None or isinstance(value, bool | int | float):
            return ABSENT if value is ABSENT else bool(value)
        text = value.strip().lower() if isinstance(value, str) else None
        if text in _YES or text in _NO:
            return text in _YES
        raise FatalAPIError(f"what the answer says at {place} is neither true nor false ({type(value).__name__})")

    return flag_at


@lru_cache(maxsize=256)
def compile_count(place: str) -> ValueAt:
    """Give the function that reads a count: an integer, or ``ABSENT`` where there is none or it is null.

    Errors: the function raises ``FatalAPIError`` for what is no count.
    """
    value_at = compile_place(place)

    def count_at(response: requests.Response) -> Any:
        value = value_at(response)
        if value is ABSENT or value is None:
            return ABSENT
        try:
            count = int(value)
            whole = not isinstance(value, bool) and (isinstance(value, str) or count == value)
        except (TypeError, ValueError, OverflowError):
            whole = False
        if not whole or count < 0:
            raise FatalAPIError(f"what the answer says at {place} is not a count ({type(value).__name__})")
        return count

    return count_at
