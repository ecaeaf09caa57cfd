"""How a record that can't be taken is told of: which rule, where in the record, never the value."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from singerkit.errors import DataError, MissingKeyPropertiesError

SHOWN_LENGTH = 100


class LineRejected(DataError):
    """A line that can't be taken: the first one of its block; every line before it is good.

    Units: ``index`` counts the lines of the block from 0. ``malformed`` tells that it is no RECORD message at all.
    """

    def __init__(self, message: str, *, index: int, violations: Sequence[str] = (), malformed: bool = False) -> None:
        """Keep which line it was and what is wrong with it."""
        super().__init__(message, violations=violations)
        self.index = index
        self.malformed = malformed


class KeyPropertyMissing(LineRejected, MissingKeyPropertiesError):
    """A line whose record lacks a key property."""


class Rejected(Exception):
    """What is wrong with one line; which line that is, the caller knows."""

    def __init__(
        self, message: str, violations: Sequence[str] = (), *, malformed: bool = False, key: bool = False
    ) -> None:
        super().__init__(message)
        self.violations = violations
        self.malformed = malformed
        self.key = key

    def at(self, index: int) -> LineRejected:
        """Give the error for the line of its block that it is about."""
        kind = KeyPropertyMissing if self.key else LineRejected
        return kind(str(self), index=index, violations=self.violations, malformed=self.malformed)


def pointer_of(path: Iterable[str | int]) -> str:
    """Give the JSON pointer, its control characters escaped, cut where names are longer than names are."""
    steps = (json.dumps(str(step))[1:-1].replace("~", "~0").replace("/", "~1")[:SHOWN_LENGTH] for step in path)
    return "/" + "/".join(steps)
