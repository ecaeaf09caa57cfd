"""The messages that a mapper is given: valid ones of every type, in streams that no mapper's config names."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from singerkit_testing.messages import (
    BOOLEAN,
    DATE_TIME,
    ID,
    INTEGER,
    NUMBER,
    TEXT,
    Message,
    activate_version,
    record,
    schema,
    state,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

ORDERS = "check_orders"
EVENTS = "check_events"
VERSIONED = "check_versions"
PROPERTIES: dict[str, Any] = {
    "id": ID,
    "text": TEXT,
    "count": INTEGER,
    "amount": NUMBER,
    "flag": BOOLEAN,
    "seen_at": DATE_TIME,
    "nested": {
        "type": ["null", "object"],
        "properties": {"amount": NUMBER, "list": {"type": ["null", "array"], "items": INTEGER}},
    },
}


def columns(stream: str, **more: Any) -> Message:
    """Make the SCHEMA of a stream of plain rows; `more` are further properties."""
    return schema(stream, {**PROPERTIES, **more}, ["id"])


def row(number: int, **changes: Any) -> dict[str, Any]:
    """Make a plain row: values that everything can hold."""
    plain = {
        "id": number,
        "text": f"row {number}",
        "count": 7,
        "amount": Decimal("0.125"),
        "flag": True,
        "seen_at": "2024-05-01T12:00:00Z",
        "nested": {"amount": Decimal("0.125"), "list": [1, 2]},
    }
    return {**plain, **changes}


def rows(stream: str, numbers: Iterable[int], **changes: Any) -> list[Message]:
    """Make RECORDs of plain rows."""
    return [record(stream, row(number, **changes)) for number in numbers]


def everything() -> list[Message]:
    """Make a valid input: two streams that alternate, one of them without keys, a schema that grows, versions, states.

    No two states are alike, so that one that comes out tells which one it is. Some follow an even number and some an
    odd one, as a mapper may leave records out. The last message is a state.
    """
    return [
        columns(ORDERS),
        *rows(ORDERS, range(1, 5)),
        schema(EVENTS, PROPERTIES, []),
        *rows(EVENTS, (3, 2)),
        state({"bookmarks": {ORDERS: {"id": 4}}, "note": "naïve 日本語 😀"}),
        *rows(ORDERS, range(5, 8)),
        state({"bookmarks": {ORDERS: {"id": 7, "exact": 9007199254740993, "part": Decimal("0.1")}}}),
        columns(ORDERS, note=TEXT),
        *rows(ORDERS, range(8, 12), note="new"),
        *rows(EVENTS, (4, 6)),
        *versioned(),
        state({}),
        *rows(ORDERS, (12, 14), note=None),
        state({"bookmarks": {ORDERS: {"id": 14}}}),
    ]


def versioned() -> list[Message]:
    """Make a stream with versions, up to the message that activates them."""
    stamped = [{**message, "version": 2} for message in rows(VERSIONED, (2, 4, 5))]
    return [columns(VERSIONED), *stamped, activate_version(VERSIONED, 2)]
