"""What could not be moved, and where to read about it."""

from __future__ import annotations

from typing import NamedTuple

_PAGE = "docs/how-to/port-a-connector.md"
NAMES_PAGE = f"{_PAGE}#names-without-a-counterpart"
OVERRIDES_PAGE = f"{_PAGE}#overrides-that-nothing-would-call"
DEPENDENCIES_PAGE = f"{_PAGE}#dependencies"
FILES_PAGE = f"{_PAGE}#files-that-are-not-read"


class Finding(NamedTuple):
    """One place that a person has to look at; ``line`` counts from 1."""

    path: str
    line: int
    reason: str
    page: str

    def __str__(self) -> str:
        """Give it as compilers do, for editors to follow."""
        return f"{self.path}:{self.line}: {self.reason} (see {self.page})"
