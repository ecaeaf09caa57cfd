"""From a batch of records to the values of its columns."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from operator import itemgetter
from typing import Any

from singerkit.errors import InvalidInputLine
from singerkit.records.json_text import json_text, json_texts
from singerkit.types import Schema

Values = Sequence[Any]

#: Unknown properties that are named in the log; a hostile input could have millions.
_MOST_NAMED = 20
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


def column_schemas(schema: Schema, stream: str) -> dict[str, Any]:
    """Give the schema of each property, by the name that is to be a column's.

    Errors: ``InvalidInputLine`` when there are none, or one has a name that UTF-8 can't say.
    """
    properties: dict[str, Any] = schema.get("properties") or {}
    if not properties:
        raise InvalidInputLine("the schema names no properties, so there are no columns", stream=stream)
    for name in properties:
        if _HALF_CHARACTER.search(name):
            raise InvalidInputLine(
                f"the name of the property {name!a} holds half a character (a lone surrogate), so no column can "
                "have it",
                stream=stream,
            )
    return properties


def columns_of(records: Sequence[dict[str, Any]], names: Sequence[str]) -> list[Values]:
    """Give the values of each name, one a record, in order; None where a record has none."""
    try:
        rows: Iterable[Any] = map(itemgetter(*names), records)
        return list(zip(*rows, strict=True)) if len(names) > 1 else [list(rows)]
    except KeyError:
        return [[record.get(name) for record in records] for name in names]


def types_in(values: Values) -> set[type]:
    """Give the Python types of a column's values, that of None aside."""
    return set(map(type, values)) - {type(None)}


def has_null(values: Values) -> bool:
    """Tell whether a column holds None; ``None in values`` would ask each ``Decimal`` whether it is equal."""
    return type(None) in set(map(type, values))


def each(values: Values, convert: Callable[[Any], str]) -> list[str | None]:
    """Convert values; null stays."""
    if not has_null(values):
        return [convert(value) for value in values]
    return [None if value is None else convert(value) for value in values]


def text_of(value: Any) -> str:
    """Give a value as text: a text as it is, dates in ISO 8601, objects and arrays in JSON."""
    for kind, convert in _TEXT_OF:
        if isinstance(value, kind):
            return convert(value)
    return json_text(value)


_TEXT_OF: tuple[tuple[Any, Callable[[Any], str]], ...] = (
    (str, str),
    (bool, lambda value: "true" if value else "false"),
    ((int, float, Decimal), str),
    ((datetime, date, time), lambda value: value.isoformat()),
)


def as_json(values: Values) -> Values:
    """Give the JSON texts of values; None stays."""
    texts = json_texts(values)
    if not has_null(values):
        return texts
    return [None if value is None else text for value, text in zip(values, texts, strict=True)]


def last_of_each_key(
    records: Sequence[dict[str, Any]], keys: Sequence[str], *, as_json: bool = False
) -> Sequence[dict[str, Any]]:
    """Give the records with only the last one of each key; ``as_json`` where 1 and true are different keys."""
    key_of: Callable[[dict[str, Any]], Any] = itemgetter(*keys)
    if as_json:
        last = {json_text(key_of(record)): record for record in records}
    else:
        last = {key_of(record): record for record in records}
    return records if len(last) == len(records) else list(last.values())


class LeftOut:
    """Counts the values that have no column, by property, and says so."""

    def __init__(self, logger: logging.Logger, names: Iterable[str]) -> None:
        self._logger = logger
        self._names = frozenset(names)
        self._counts: Counter[str] = Counter()
        self._others = 0

    def look_at(self, records: Sequence[dict[str, Any]]) -> None:
        """Count what these records have beyond the columns."""
        for name in sorted(set().union(*records) - self._names):
            if name in self._counts or len(self._counts) < _MOST_NAMED:
                if name not in self._counts:
                    self._logger.warning("The schema does not name the property '%s': its values are left out", name)
                self._counts[name] += sum(name in record for record in records)
            else:
                self._others += sum(name in record for record in records)

    def report(self) -> None:
        """Say how many values were left out."""
        for name, count in self._counts.items():
            self._logger.warning("Left out %d values of the property '%s', which the schema does not name", count, name)
        if self._others:
            self._logger.warning(
                "Left out %d values of further properties, which the schema does not name", self._others
            )
        self._counts.clear()
        self._others = 0
