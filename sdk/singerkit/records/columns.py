"""From a batch of records to the values of its columns."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from functools import cached_property
from itertools import groupby, islice
from operator import attrgetter, itemgetter, lt
from typing import Any

import msgspec

from singerkit.errors import InvalidInputLine
from singerkit.records.json_text import json_text, json_texts
from singerkit.types import Schema

Values = Sequence[Any]


class Column(list[Any]):
    """The values of a column, which are not changed any more: what types they have is looked at once."""

    @cached_property
    def types(self) -> frozenset[type]:
        """The Python types of the values, that of None among them."""
        return frozenset(map(type, self))

    @cached_property
    def are_rising(self) -> bool:
        """Whether they are whole numbers, each greater than the one before."""
        return self.types == {int} and all(map(lt, self, islice(self, 1, None)))


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


def columns_of(records: Sequence[Any], names: Sequence[str]) -> list[Values]:
    """Give the values of each name, one a record, in order; None where a record has none.

    Shape: a record is a dict, or the struct that its line was decoded into; both may be among them.
    """
    if not names:
        return []
    if len(set(map(type, records))) <= 1:
        return _columns_of_type(type(records[0]) if records else dict, records, names)
    parts = [_columns_of_type(kind, list(group), names) for kind, group in groupby(records, type)]
    return [[value for part in parts for value in part[number]] for number in range(len(names))]


def _columns_of_type(kind: type, records: Sequence[Any], names: Sequence[str]) -> list[Values]:
    if issubclass(kind, dict):
        return _columns_of_dicts(records, names)
    fields = fields_of(kind)
    nothing = [None] * len(records)
    return [_column(fields[name], records) if name in fields else nothing for name in names]


def _column(field: str, structs: Sequence[Any]) -> Values:
    values = Column(map(attrgetter(field), structs))
    if msgspec.UnsetType in values.types:
        return Column([None if value is msgspec.UNSET else value for value in values])
    return values


def fields_of(kind: Any) -> dict[str, str]:
    """Give the attribute of each property of a struct type."""
    return dict(zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True))


def _columns_of_dicts(records: Sequence[dict[str, Any]], names: Sequence[str]) -> list[Values]:
    try:
        rows: Iterable[Any] = map(itemgetter(*names), records)
        return list(zip(*rows, strict=True)) if len(names) > 1 else [list(rows)]
    except KeyError:
        return [[record.get(name) for record in records] for name in names]


def types_in(values: Values) -> set[type]:
    """Give the Python types of a column's values, that of None aside."""
    return set(_all_types(values)) - {type(None)}


def _all_types(values: Values) -> frozenset[type]:
    return values.types if isinstance(values, Column) else frozenset(map(type, values))


def are_nested(types: Iterable[Any]) -> bool:
    """Tell whether types of values are all those of objects and arrays."""
    return all(kind in (dict, list) or issubclass(kind, msgspec.Struct) for kind in types)


def are_objects(types: Iterable[Any]) -> bool:
    """Tell whether types of values are all those of objects."""
    return all(kind is dict or issubclass(kind, msgspec.Struct) for kind in types)


def names_beyond(objects: Sequence[Any], names: Iterable[str]) -> set[str]:
    """Give the names that members of objects, dicts or structs, have besides these."""
    beyond: set[str] = set()
    for kind in set(map(type, objects)):
        of_kind: list[Any] = [value for value in objects if type(value) is kind]
        if issubclass(kind, dict):
            beyond.update(*of_kind)
        else:
            others = fields_of(kind).keys() - set(names)
            beyond |= {name for name in others if any(name in _as_dict(value) for value in of_kind)}
    return beyond.difference(names)


def has_null(values: Values) -> bool:
    """Tell whether a column holds None; ``None in values`` would ask each ``Decimal`` whether it is equal."""
    return type(None) in _all_types(values)


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


def last_rows(columns: Sequence[Values], *, as_json: bool = False) -> list[int] | None:
    """Give the numbers of the rows that have no later one with the same values; ``None`` when that is all of them."""
    if len(columns) == 1 and are_rising(columns[0]):
        return None
    values: Iterable[Any] = columns[0] if len(columns) == 1 else zip(*columns, strict=True)
    keys = map(json_text, values) if as_json else values
    last = {key: number for number, key in enumerate(keys)}
    return None if len(last) == len(columns[0]) else sorted(last.values())


def are_rising(values: Values) -> bool:
    """Tell whether values are whole numbers, each greater than the one before."""
    return isinstance(values, Column) and values.are_rising


class LeftOut:
    """Counts the values that have no column, by property, and says so."""

    def __init__(self, logger: logging.Logger, names: Iterable[str]) -> None:
        self._logger = logger
        self._names = frozenset(names)
        self._counts: Counter[str] = Counter()
        self._others = 0

    def look_at(self, records: Sequence[Any]) -> None:
        """Count what these records, dicts or structs, have beyond the columns."""
        kinds = set(map(type, records))
        for kind in kinds:
            if issubclass(kind, dict):
                of_kind = records if len(kinds) == 1 else [record for record in records if type(record) is kind]
                self._count(of_kind)
            elif fields_of(kind).keys() - self._names:
                self._count([_as_dict(record) for record in records if type(record) is kind])

    def _count(self, records: Sequence[dict[str, Any]]) -> None:
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


def _as_dict(struct: Any) -> dict[str, Any]:
    values = {name: getattr(struct, field) for name, field in fields_of(type(struct)).items()}
    return {name: value for name, value in values.items() if value is not msgspec.UNSET}
