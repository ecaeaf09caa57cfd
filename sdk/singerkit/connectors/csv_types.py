"""Which type the texts of a CSV column have in common, and how they are read as values of it.

A type is only taken when every text is written in its plainest form, so that no text is lost: ``007`` is no integer,
nor is ``1,000``. An empty field says nothing about the type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from singerkit import typing as th

_INTEGER = re.compile(r"(?:0|-?[1-9][0-9]*)")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}.*")
_TRUTHS = {"true": True, "false": False, "True": True, "False": False, "TRUE": True, "FALSE": False}


@dataclass(frozen=True)
class ColumnType:
    """A type that a column may have.

    Shape: ``fits`` tells whether a text is of it, ``read`` gives the value.
    """

    property_type: type[th.JSONTypeHelper]
    fits: Callable[[str], bool]
    read: Callable[[str], Any]


def _is_date(text: str) -> bool:
    try:
        return bool(_DATE.fullmatch(text)) and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _is_instant(text: str) -> bool:
    try:
        return bool(_INSTANT.fullmatch(text)) and bool(datetime.fromisoformat(text))
    except ValueError:
        return False


TEXT = ColumnType(th.StringType, lambda text: True, str)
#: From narrow to wide; what fits none is text.
_TYPES = (
    ColumnType(th.BooleanType, _TRUTHS.__contains__, _TRUTHS.__getitem__),
    ColumnType(th.IntegerType, lambda text: bool(_INTEGER.fullmatch(text)), int),
    ColumnType(th.NumberType, lambda text: bool(_NUMBER.fullmatch(text)), Decimal),
    ColumnType(th.DateType, _is_date, str),
    ColumnType(th.DateTimeType, _is_instant, str),
)


class Inference:
    """Finds the type of one column: the narrowest that all texts fit."""

    def __init__(self) -> None:
        self._candidates = list(_TYPES)
        self._seen = False

    def look_at(self, text: str) -> None:
        """Take a text into account; an empty one says nothing."""
        if text and self._candidates:
            self._seen = True
            self._candidates = [candidate for candidate in self._candidates if candidate.fits(text)]

    @property
    def result(self) -> ColumnType:
        """The type so far."""
        return self._candidates[0] if self._seen and self._candidates else TEXT


def infer(rows: Iterable[Mapping[str, str | None]], names: Iterable[str]) -> dict[str, ColumnType]:
    """Give the types of these columns, from all rows."""
    inferences = {name: Inference() for name in names}
    for row in rows:
        for name, inference in inferences.items():
            inference.look_at(row.get(name) or "")
    return {name: inference.result for name, inference in inferences.items()}
