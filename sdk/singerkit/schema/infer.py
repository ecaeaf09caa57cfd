"""A schema from sample records: what their values have in common.

Says only what every sample bears out: types, whether null or absent was seen, formats that all texts have, nested
objects and lists. Nothing is required. Texts that come from a short list are kept as ``examples``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from singerkit.types import Schema

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: A nested object that has had more names than this is taken for a map, whose names are data.
MOST_NAMES = 200
#: What makes a short list of texts: so many different ones at most, each no longer, seen so often on average.
MOST_CHOICES = 12
LONGEST_CHOICE = 60
_TIMES_SEEN = 4

_ORDER = ("string", "integer", "number", "boolean", "array", "object", "null")


def infer_schema(
    records: Iterable[Mapping[str, Any]], *, key_properties: Sequence[str] = (), enums: bool = False
) -> Schema:
    """Give the JSON Schema that all of some records fit.

    ``key_properties`` are never null. ``enums``: what would be ``examples`` becomes ``enum``, which forbids any other.

    Shape: a record's values are what JSON has, or ``Decimal``, ``datetime``, ``date``, ``time``, ``UUID`` and tuples.
    """
    seen = Observed()
    for record in records:
        seen.add(record)
    schema = seen.schema(enums=enums, is_record=True)
    for name in key_properties:
        if name in schema["properties"]:
            schema["properties"][name] = _never_null(schema["properties"][name])
    return {"$schema": _DIALECT, **schema}


class Observed:
    """What was seen of the values at one place; :meth:`schema` says it."""

    __slots__ = ("_choices", "_formats", "_items", "_names", "_objects", "_texts", "_types", "count")

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self.count = 0
        self._types: set[str] = set()
        self._objects = 0
        self._texts = 0
        #: Formats that every text so far has; ``None`` before the first.
        self._formats: frozenset[str] | None = None
        #: Different texts in the order in which they came; ``None`` once there are too many.
        self._choices: dict[str, None] | None = {}
        self._items: Observed | None = None
        self._names: dict[str, Observed] = {}

    def add(self, value: Any) -> None:
        """See one more value."""
        self.count += 1
        kind, form = _kind_of(value)
        self._types.add(kind)
        if kind == "string":
            self._add_text(value, form)
        elif kind == "object":
            self._add_object(value)
        elif kind == "array":
            self._items = self._items or Observed()
            for item in value:
                self._items.add(item)

    def _add_text(self, value: Any, form: str | None) -> None:
        self._texts += 1
        if self._formats is None or self._formats:
            formats = frozenset({form}) if form else formats_of(value)
            self._formats = formats if self._formats is None else self._formats & formats
        if self._choices is None:
            return
        if type(value) is str and 0 < len(value) <= LONGEST_CHOICE:
            self._choices[value] = None
        if type(value) is not str or len(value) > LONGEST_CHOICE or len(self._choices) > MOST_CHOICES:
            self._choices = None

    def _add_object(self, value: Mapping[str, Any]) -> None:
        self._objects += 1
        for name, member in value.items():
            self._names.setdefault(name, Observed()).add(member)

    def absorb(self, other: Observed) -> None:
        """See everything that another has seen."""
        self.count += other.count
        self._types |= other._types
        self._texts += other._texts
        if other._formats is not None:
            self._formats = other._formats if self._formats is None else self._formats & other._formats
        if self._choices is not None and other._choices is not None:
            self._choices |= other._choices
        if other._choices is None or len(self._choices or ()) > MOST_CHOICES:
            self._choices = None
        if other._items is not None:
            self._items = self._items or Observed()
            self._items.absorb(other._items)
        self._objects += other._objects
        for name, member in other._names.items():
            self._names.setdefault(name, Observed()).absorb(member)

    # What it comes to

    def schema(self, *, enums: bool, is_record: bool = False, seen_always: bool = True) -> Schema:
        """Give the schema of what was seen; ``seen_always``: the place was never empty."""
        types = set(self._types) or ({"object"} if is_record else set())
        if "number" in types:
            types.discard("integer")
        if types and not seen_always:
            types.add("null")
        if not types - {"null"}:
            return {}  # null and nothing else tells of no type
        listed = [name for name in _ORDER if name in types]
        schema: Schema = {"type": listed if len(listed) > 1 else listed[0]}
        if "string" in types:
            schema |= self._text_keywords(enums=enums and types <= {"string", "null"}, nullable="null" in types)
        if "array" in types and self._items is not None and self._items.count:
            schema["items"] = self._items.schema(enums=enums)
        if "object" in types:
            schema |= self._object_keywords(enums=enums, is_record=is_record)
        return schema

    def _text_keywords(self, *, enums: bool, nullable: bool) -> Schema:
        if self._formats:
            return {"format": min(self._formats)}
        choices = list(self._choices or ())
        if not choices or self._texts < _TIMES_SEEN * len(choices):
            return {}
        if enums:
            return {"enum": [*sorted(choices), *([None] if nullable else [])]}
        return {"examples": sorted(choices)}

    def _object_keywords(self, *, enums: bool, is_record: bool) -> Schema:
        if len(self._names) > MOST_NAMES and not is_record:
            return {"additionalProperties": self._all_members().schema(enums=enums)}
        return {
            "properties": {
                name: member.schema(enums=enums, seen_always=member.count == self._objects)
                for name, member in self._names.items()
            }
        }

    def _all_members(self) -> Observed:
        together = Observed()
        for member in self._names.values():
            together.absorb(member)
        return together


def _kind_of(value: Any) -> tuple[str, str | None]:
    """Give the JSON type of a value, and the format that its Python type implies."""
    known = _KINDS.get(type(value))
    if known is not None:
        return known
    if isinstance(value, Mapping):
        return "object", None
    if isinstance(value, list | tuple | set | frozenset):
        return "array", None
    for python_type, kind in _KINDS.items():
        if isinstance(value, python_type):
            return kind
    return "string", None


_KINDS: dict[type, tuple[str, str | None]] = {
    type(None): ("null", None),
    bool: ("boolean", None),
    int: ("integer", None),
    float: ("number", None),
    Decimal: ("number", None),
    str: ("string", None),
    datetime: ("string", "date-time"),
    date: ("string", "date"),
    time: ("string", "time"),
    UUID: ("string", "uuid"),
}


def formats_of(text: Any) -> frozenset[str]:
    """Give the formats of JSON Schema that a text has, of those that are looked for."""
    if not isinstance(text, str) or not text or len(text) > _LONGEST_FORMATTED:
        return frozenset()
    return frozenset(name for name, fits in _FORMATS if fits(text))


_LONGEST_FORMATTED = 2000
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
#: A label of a host name; two dashes at its third place are kept for encoded names (RFC 5891, section 4.2.3.1).
_LABEL = r"(?!..--)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_EMAIL = re.compile(rf"[\w!#$%&'*+/=?^`{{|}}~-]+(?:\.[\w!#$%&'*+/=?^`{{|}}~-]+)*@{_LABEL}(?:\.{_LABEL})+", re.ASCII)
_URI_TEXT = r"(?:[\w.~/?@!$&'()*+,;=:-]|%[0-9a-fA-F]{2})*"
_URI = re.compile(
    rf"(?:https?|ftps?|s3|gs)://[a-zA-Z0-9][\w.~-]*(?::\d{{1,5}})?(?:[/?]{_URI_TEXT})?(?:#{_URI_TEXT})?", re.ASCII
)


def _is_date(text: str) -> bool:
    return _DATE.fullmatch(text) is not None and _is_readable(date.fromisoformat, text)


def _is_date_time(text: str) -> bool:
    """Tell an instant as RFC 3339 has it: without a time zone it is none."""
    return _DATE_TIME.fullmatch(text) is not None and _is_readable(datetime.fromisoformat, text.upper())


def _is_readable(read: Callable[[str], object], text: str) -> bool:
    try:
        read(text)
    except ValueError:
        return False
    return True


_FORMATS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("date-time", _is_date_time),
    ("date", _is_date),
    ("uuid", lambda text: _UUID.fullmatch(text) is not None),
    ("email", lambda text: text.find("@") in range(1, 65) and _EMAIL.fullmatch(text) is not None),
    ("uri", lambda text: ":" in text and _URI.fullmatch(text) is not None),
)


def _never_null(schema: Schema) -> Schema:
    types = schema.get("type", [])
    kept = [name for name in ([types] if isinstance(types, str) else types) if name != "null"]
    return {**schema, "type": kept if len(kept) > 1 else kept[0]} if kept else schema
