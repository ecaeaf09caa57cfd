"""What is said in several places, as one: overrides of environments, settings that are inherited."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from singerkit.config.problems import suggestion
from singerkit.errors import ConfigurationError


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Give a tree with another over it: tables member by member, everything else as a whole."""
    result = dict(base)
    for name, value in over.items():
        below = result.get(name)
        result[name] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def lineage(name: str, tables: Mapping[str, Mapping[str, Any]], refuse: Callable[[str, str], str]) -> list[str]:
    """Give the names from the farthest ancestor down to a table itself, along ``inherits``.

    ``refuse`` makes the whole message of what is wrong with the table that it is given the name of.

    Errors: ``ConfigurationError`` for an ancestor that is not there, and for tables that inherit from themselves.
    """
    names = [name]
    while parent := tables[names[0]].get("inherits"):
        if parent not in tables:
            raise ConfigurationError(refuse(names[0], f"there is no '{parent}'{suggestion(parent, [*tables])}"))
        if parent in names:
            circle = " -> ".join([*reversed(names[: names.index(parent) + 1]), parent])
            raise ConfigurationError(refuse(names[0], f"it would inherit from itself: {circle}"))
        names.insert(0, parent)
    return names


def inherited(name: str, tables: Mapping[str, Mapping[str, Any]], refuse: Callable[[str, str], str]) -> dict[str, Any]:
    """Give a table with what it inherits, without the word ``inherits``.

    Errors: as :func:`lineage`.
    """
    result: dict[str, Any] = {}
    for ancestor in lineage(name, tables, refuse):
        result = merged(result, tables[ancestor])
    result.pop("inherits", None)
    return result
