"""From text to dates: the ``date-time``, ``date`` and ``time`` properties of a record.

Digits beyond microseconds are cut and counted, zeros among them silently, as they change nothing; leap seconds and
anything else that ``fromisoformat`` does not read is refused, except where the schema also allows plain text.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time
from typing import Any, TypeAlias

import msgspec

from singerkit.records.rejection import Rejected, pointer_of
from singerkit.records.typed import types_in
from singerkit.types import Record, Schema

logger = logging.getLogger(__name__)

#: What tells the caller that a value was changed: JSON pointer of the property, what was done.
OnChange: TypeAlias = Callable[[str, str], None]

_EXTRA_DIGITS = re.compile(r"([.,][0-9]{6})([0-9]+)")
#: The shortest text that has room for more than six digits of a second, less one: ``YYYYMMDDTHHMMSS.ffffff``.
_SURELY_MICROSECONDS = 22


class DateFormat(msgspec.Struct, frozen=True):
    """How a property's texts tell dates; ``or_text``: a text that does not is fine as it is."""

    format: str
    or_text: bool


def _instant(text: str) -> datetime:
    """Read a date-time; RFC 3339 also has ``t`` and ``z``, which the standard library does not read."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.fromisoformat(text.upper())


def _time_of_day(text: str) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError:
        return time.fromisoformat(text.upper())


_READERS: dict[str, Callable[[str], Any]] = {
    "date-time": _instant,
    "date": date.fromisoformat,
    "time": _time_of_day,
}


def date_formats_of(schema: Schema, *, lenient: bool) -> Iterator[tuple[str, DateFormat]]:
    """Give the properties of a record whose texts are dates."""
    for name, part in (schema.get("properties") or {}).items():
        if isinstance(part, dict):
            formats = list(dict.fromkeys(_text_formats(part)))
            found = [text_format for text_format in formats if text_format in _READERS]
            if found:
                yield name, DateFormat(str(found[0]), or_text=lenient or len(formats) > 1)


def _text_formats(schema: Any) -> Iterator[str | None]:
    """Give the format of every branch that allows text, None for one without."""
    if not isinstance(schema, dict):
        return
    if "string" in types_in(schema):
        yield schema.get("format")
    for keyword in ("anyOf", "oneOf"):
        for branch in schema.get(keyword, ()):
            yield from _text_formats(branch)


def compile_dates(formats: Mapping[str, DateFormat], changes: DateChanges) -> Callable[[Record], None] | None:
    """Give the function that turns the date texts of a record into dates, in place."""
    if not formats:
        return None
    readers = [(name, how.format, _READERS[how.format], how.or_text) for name, how in formats.items()]

    def read_dates(record: Record) -> None:
        for name, text_format, read, or_text in readers:
            text = record.get(name)
            if type(text) is str:
                try:
                    record[name] = read(text if len(text) <= _SURELY_MICROSECONDS else changes.cut(name, text))
                except ValueError:
                    if not or_text:
                        violation = f"{pointer_of([name])}: format: expected a {text_format} that exists, as ISO 8601"
                        raise Rejected("the record holds a date that can't be read", [violation]) from None

    return read_dates


class DateChanges:
    """The values changed in a block; told only when the block is good, so that none is told twice."""

    def __init__(self, on_change: OnChange) -> None:
        self._on_change = on_change
        self._names: list[str] = []

    def cut(self, name: str, text: str) -> str:
        """Give the text with no more digits than microseconds."""
        extra = _EXTRA_DIGITS.search(text)
        if not extra:
            return text
        if extra[2].strip("0"):
            self._names.append(name)
        return text[: extra.start(2)] + text[extra.end(2) :]

    def forget(self) -> None:
        """Drop what was noted: the block is read again."""
        self._names.clear()

    def tell(self) -> None:
        """Tell of what was noted: the block is good."""
        for name in self._names:
            self._on_change(pointer_of([name]), "cut to microseconds")
        self._names.clear()


def log_changes() -> OnChange:
    """Log the first change of a property, the 10th, the 100th and so on: a count, not a flood."""
    counts: Counter[str] = Counter()

    def on_change(pointer: str, what: str) -> None:
        counts[pointer] += 1
        if set(str(counts[pointer])[1:]) <= {"0"} and str(counts[pointer])[0] == "1":
            logger.warning("property '%s': %s (%d values so far)", pointer, what, counts[pointer])

    return on_change
