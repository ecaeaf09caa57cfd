"""Compiled JSONPath: what finds the records and the next page token in a decoded body.

A plain path (names, indexes and ``[*]``) becomes a closure; python-jsonpath is asked for the rest: filters, slices,
recursive descent.

``[*]`` over a *single object* means that object, as connectors are used to (jsonpath-ng before 1.11); RFC 9535 would
give the object's values instead. ``.*`` keeps the RFC's meaning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import takewhile
from typing import Any, TypeAlias

from singerkit.errors import ConfigurationError

#: Gives every match of a path in a decoded body, in order; ``None`` when the place a plain path names is not there.
Extract: TypeAlias = Callable[[Any], list[Any] | None]
#: Gives the first match of a path in a decoded body, or ``None``.
ExtractFirst: TypeAlias = Callable[[Any], Any]

_Segment: TypeAlias = str | int

_WILDCARD = "[*]"
_SEGMENT = re.compile(
    r"""\.(?P<name>[^\W\d][\w@-]*)      # .name
      | \[\s*(?:'(?P<single>[^'\\]*)'|"(?P<double>[^"\\]*)")\s*\]
      | \[(?P<index>-?\d+)\]
      | (?P<wildcard>\[\*\])""",
    re.VERBOSE,
)
_ABSENT = object()


@lru_cache(maxsize=256)
def compile_extract(expression: str) -> Extract:
    """Compile a JSONPath expression to a function that gives all of its matches.

    Errors: ``ConfigurationError`` when the expression is not JSONPath.
    """
    segments = _plain_segments(expression)
    if segments is None:
        return _compile_general(expression)
    return _compile_plain(segments)


@lru_cache(maxsize=256)
def compile_first(expression: str) -> ExtractFirst:
    """Compile a JSONPath expression to a function that gives its first match, or ``None``.

    Errors: ``ConfigurationError`` when the expression is not JSONPath.
    """
    extract = compile_extract(expression)

    def first(body: Any) -> Any:
        matches = extract(body)
        return matches[0] if matches else None

    return first


def extract_jsonpath(expression: str, input: Any) -> Iterator[Any]:
    """Give every match of a JSONPath expression, one by one."""
    yield from compile_extract(expression)(input) or ()


def plain_list_path(expression: str) -> tuple[str, ...] | None:
    """Give the names that lead to the list whose members a path like ``$.data.items[*]`` finds; ``None`` for others."""
    segments = _plain_segments(expression)
    if not segments or segments[-1] is not _WILDCARD or not all(_is_name(segment) for segment in segments[:-1]):
        return None
    return tuple(map(str, segments[:-1]))


def leading_names(expression: str) -> tuple[str, ...]:
    """Give the names that a plain path goes through first; none for a path that is not plain or begins otherwise."""
    return tuple(str(segment) for segment in takewhile(_is_name, _plain_segments(expression) or ()))


def _is_name(segment: _Segment) -> bool:
    return isinstance(segment, str) and segment is not _WILDCARD


def _plain_segments(expression: str) -> list[_Segment] | None:
    """Split a plain path into names, indexes and wildcards; ``None`` for a path that is not plain.

    The leading ``$`` may be missing, as jsonpath-ng allowed.
    """
    text = expression.strip()
    if text.startswith("$"):
        text = text[1:]
    elif text[:1] not in {"", "[", "."}:
        text = f".{text}"
    segments: list[_Segment] = []
    position = 0
    while position < len(text):
        match = _SEGMENT.match(text, position)
        if match is None:
            return None
        segments.append(_segment_of(match))
        position = match.end()
    return segments


def _segment_of(match: re.Match[str]) -> _Segment:
    if match["wildcard"]:
        return _WILDCARD
    if match["index"] is not None:
        return int(match["index"])
    name = next(match[group] for group in ("name", "single", "double") if match[group] is not None)
    return str(name)


def _compile_walk(segments: list[_Segment]) -> Callable[[Any], Any]:
    """Give the function that goes down a path without wildcards; it gives ``_ABSENT`` where the path ends early."""
    if len(segments) == 1 and isinstance(segments[0], str):
        name = segments[0]
        return lambda body: body.get(name, _ABSENT) if isinstance(body, dict) else _ABSENT

    def walk(body: Any) -> Any:
        for segment in segments:
            if not isinstance(body, dict | list):
                return _ABSENT
            try:
                body = body[segment]  # type: ignore[index]  # a name in a list is a TypeError
            except (KeyError, IndexError, TypeError):
                return _ABSENT
        return body

    return walk


def _compile_plain(segments: list[_Segment]) -> Extract:
    if _WILDCARD not in segments:
        return _at(_compile_walk(segments))
    split = segments.index(_WILDCARD)
    after = segments[split + 1 :]
    return _spread(_compile_walk(segments[:split]), _compile_plain(after) if after else None)


def _at(walk: Callable[[Any], Any]) -> Extract:
    def extract(body: Any) -> list[Any] | None:
        value = walk(body)
        return None if value is _ABSENT else [value]

    return extract


def _spread(walk: Callable[[Any], Any], inner: Extract | None) -> Extract:
    """Give the function for ``$.a[*]``, and for what follows it in each member."""

    def extract(body: Any) -> list[Any] | None:
        value = walk(body)
        if value is _ABSENT:
            return None
        members = _members(value)
        return members if inner is None else [found for member in members for found in inner(member) or ()]

    return extract


def _members(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _compile_general(expression: str) -> Extract:
    # python-jsonpath takes 70 ms to import and is needed for few paths.
    import jsonpath

    text = expression.strip()
    spread = text.endswith(_WILDCARD) and not text.endswith(f".{_WILDCARD}")
    try:
        query = jsonpath.compile(text.removesuffix(_WILDCARD) if spread else text)
    except jsonpath.JSONPathError as error:
        raise ConfigurationError(f"'{expression}' is not JSONPath: {str(error).splitlines()[0]}") from error

    def extract(body: Any) -> list[Any]:
        found = [match.obj for match in query.finditer(body)] if isinstance(body, dict | list) else []
        return [member for value in found for member in _members(value)] if spread else found

    return extract
