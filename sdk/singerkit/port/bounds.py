"""Which versions a requirement allows at most: whether one that singerkit needs is among them."""

from __future__ import annotations

import re

#: A clause of PEP 440, or poetry's ``^`` and ``~``.
_CLAUSE = re.compile(r"(===?|~=|<=?|\^|~)\s*v?(\d+(?:\.\d+)*)(\.\*)?")


def excludes(constraint: str, oldest: tuple[int, ...]) -> bool:
    """Tell whether a constraint allows nothing as new as ``oldest``."""
    return any(_is_below(operator, text, star, oldest) for operator, text, star in _CLAUSE.findall(constraint))


def _is_below(operator: str, text: str, star: str, oldest: tuple[int, ...]) -> bool:
    version = tuple(map(int, text.split(".")))
    if operator == "<":
        return _padded(version) <= _padded(oldest)
    if operator == "<=" or (operator.startswith("==") and not star):
        return _padded(version) < _padded(oldest)
    return _padded(_next_after(operator, version)) <= _padded(oldest)


def _next_after(operator: str, version: tuple[int, ...]) -> tuple[int, ...]:
    """Give the first version that a clause with a range no longer allows."""
    if operator == "^":  # up to the next change of the leftmost number that is not zero
        fixed = next((index for index, number in enumerate(version) if number), len(version) - 1) + 1
    elif operator == "~":
        fixed = min(len(version), 2)
    else:  # ~= gives its last number free, ==1.2.* those after it
        fixed = len(version) if operator.startswith("==") else max(len(version) - 1, 1)
    return (*version[: fixed - 1], version[fixed - 1] + 1)


def _padded(version: tuple[int, ...]) -> tuple[int, ...]:
    return version + (0,) * (4 - len(version))
