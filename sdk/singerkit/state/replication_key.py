"""Replication keys compare by their type: instants as instants, dates as dates, numbers as numbers; never as raw text.

``2024-01-01T00:30:00+01:00`` is earlier than ``2024-01-01T00:00:00Z``, and ``10`` is later than ``9``. The type comes
from the property's JSON Schema; a value that does not fit it is an error that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from operator import attrgetter
from typing import Any, NamedTuple, TypeAlias

from singerkit import clock
from singerkit.errors import DataError, StateError

#: Gives a value that orders as the replication key does. ``ValueError`` or ``TypeError`` for what does not fit.
Ordering: TypeAlias = Callable[[Any], Any]

_OFFSET = attrgetter("tzinfo")


class Position(NamedTuple):
    """A replication key value, and what it compares as."""

    value: Any
    order: Any


@dataclass(frozen=True, slots=True)
class ReplicationKeyType:
    """How the values of one replication key are compared and bounded.

    Shape: ``order`` turns a value into what compares; ``order_many`` does so for a list, or gives ``None`` when the
    values have to be looked at one by one; ``now`` gives the latest value that can be true at this moment, in the same
    form as the values, or ``None`` where time is no bound; ``is_naive`` tells of a value that its time zone is missing.
    """

    name: str
    order: Ordering
    now: Callable[[], Any] | None = None
    order_many: Callable[[list[Any]], list[Any] | None] | None = None
    is_naive: Callable[[Any], bool] | None = None

    def compare_key(self, value: Any) -> Any:
        """Give what compares; ``DataError`` (without the value) when the value is not of this type."""
        try:
            return self.order(value)
        except (ValueError, TypeError, ArithmeticError) as error:
            found = type(value).__name__
            raise DataError(f"a replication key value of type {found} is not a valid {self.name}") from error

    def compare_keys(self, values: list[Any], note_naive: Callable[[], None] | None = None) -> list[Any]:
        """Give what compares for many values at once; ``note_naive`` is called if a time zone is missing."""
        quick = self.order_many(values) if self.order_many is not None else None
        if quick is not None:
            return quick
        ordered = list(map(self.compare_key, values))
        if note_naive is not None and self.is_naive is not None and any(map(self.is_naive, values)):
            note_naive()
        return ordered

    def latest(self, first: Any, second: Any) -> Any:
        """Give the later of two values, either of which may be missing."""
        if first is None or second is None:
            return second if first is None else first
        return second if self.compare_key(second) > self.compare_key(first) else first

    def earliest(self, first: Any, second: Any) -> Any:
        """Give the earlier of two values, either of which may be missing."""
        if first is None or second is None:
            return second if first is None else first
        return second if self.compare_key(second) < self.compare_key(first) else first


def instant_of(value: Any) -> datetime:
    """Read an instant: a datetime, a date or RFC 3339 text; without an offset it is UTC."""
    if isinstance(value, str):
        instant = datetime.fromisoformat(value)
    else:
        instant = value if isinstance(value, datetime) else datetime.combine(value, time())
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)


def instants_of(values: list[Any]) -> list[datetime] | None:
    """Read many instants at the speed of C if all are text with an offset, which most are; else give ``None``."""
    try:
        instants = list(map(datetime.fromisoformat, values))
    except (TypeError, ValueError):
        return None
    return instants if all(map(_OFFSET, instants)) else None


def is_naive(value: Any) -> bool:
    """Tell whether an instant comes without a time zone; it is taken as UTC."""
    instant = datetime.fromisoformat(value) if isinstance(value, str) else value
    return not isinstance(instant, datetime) or instant.tzinfo is None


def date_of(value: Any) -> date:
    """Read a calendar day: a date, or text that begins with one."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    if not isinstance(value, str):
        raise TypeError("it is neither a date nor text")
    return date.fromisoformat(value[:10])


def number_of(value: Any) -> int | Decimal:
    """Read a number, exactly; text that holds one is accepted, as old state files have it."""
    if isinstance(value, bool):
        raise TypeError("a boolean is not a number")
    number = value if isinstance(value, int) else Decimal(str(value))
    if isinstance(number, Decimal) and not number.is_finite():
        raise ValueError("not a finite number")
    return number


def integers_of(values: list[Any]) -> list[Any] | None:
    """Give integers as they are, if that is what all of them are; else ``None``."""
    return values if {int}.issuperset(map(type, values)) else None


def texts_of(values: list[Any]) -> list[Any] | None:
    """Give texts as they are, if that is what all of them are; else ``None``."""
    return values if {str}.issuperset(map(type, values)) else None


def text_of(value: Any) -> str:
    """Read text, which orders by code point."""
    if not isinstance(value, str):
        raise TypeError("not text")
    return value


def _instant_now() -> str:
    return clock.utc_now().isoformat()


def _today() -> str:
    return clock.utc_now().date().isoformat()


INSTANT = ReplicationKeyType("date-time", instant_of, _instant_now, instants_of, is_naive)
DATE = ReplicationKeyType("date", date_of, _today)
NUMBER = ReplicationKeyType("number", number_of, order_many=integers_of)
TEXT = ReplicationKeyType("string", text_of, order_many=texts_of)


def replication_key_type(property_schema: dict[str, Any]) -> ReplicationKeyType:
    """Choose by the property's declared type; a nullable or alternative type counts as its first that is not null."""
    for alternative in (property_schema, *property_schema.get("anyOf", ()), *property_schema.get("oneOf", ())):
        declared = alternative.get("type", ())
        types = {declared} if isinstance(declared, str) else set(declared)
        if "string" in types:
            return {"date-time": INSTANT, "date": DATE}.get(alternative.get("format", ""), TEXT)
        if types & {"integer", "number"}:
            return NUMBER
    return TEXT


def json_form(value: Any) -> Any:
    """Give a replication key value as a state carries it: instants and dates as text, decimals as numbers."""
    if isinstance(value, datetime):
        return instant_of(value).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return value


def starting_value(entry: Mapping[str, Any], replication_key: str | None) -> Any:
    """Give an entry's bookmark, unless it belongs to another replication key."""
    if replication_key is None or entry.get("replication_key", replication_key) != replication_key:
        return None
    return entry.get("replication_key_value")


def bookmark_refused(replication_key: str | None, key_type: ReplicationKeyType) -> StateError:
    """Give the error for a bookmark in the state that is not of its replication key's type."""
    return StateError(
        f"the state's bookmark for the replication key '{replication_key}' is not a valid {key_type.name}; correct it, "
        "or remove the stream from the state to read it from the beginning"
    )
