"""The records both SDKs are measured on, and their schema: ten properties, about 300 bytes each."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

BLOCK_ROWS = 1_000
TEXT = {"type": ["string", "null"]}
INTEGER = {"type": ["integer", "null"]}
NUMBER = {"type": ["number", "null"]}
INSTANT = {"type": ["string", "null"], "format": "date-time"}
ADDRESS = {"type": ["object", "null"], "properties": {"street": TEXT, "city": TEXT, "postcode": TEXT, "floor": INTEGER}}
ORDERS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "name": TEXT,
        "email": TEXT,
        "quantity": INTEGER,
        "price": NUMBER,
        "discount": NUMBER,
        "active": {"type": ["boolean", "null"]},
        "created_at": INSTANT,
        "updated_at": INSTANT,
        "address": ADDRESS,
    },
    "required": ["id"],
}
ORDER_LINES_SCHEMA: dict[str, Any] = {
    **ORDERS_SCHEMA,
    "properties": {**ORDERS_SCHEMA["properties"], "parent_id": INTEGER},
}
CITIES = ("Springfield", "Rivertown", "Lakeside", "Hill Valley", "Port Arthur", "Amber Falls", "Kingsbridge")


def generate_records(count: int, *, start: int = 0) -> Iterator[dict[str, Any]]:
    """Give the records from `start`, a multiple of a thousand, up to `count`, each a dict of its own.

    They come in the order of `id` and of `updated_at`.

    A record is a copy of one of a thousand prepared ones, because the cost of making it is the same for both SDKs
    and would hide the difference between them. `updated_at` moves on once per thousand records.
    """
    for first in range(start, count, BLOCK_ROWS):
        updated_at = _timestamp(first // BLOCK_ROWS)
        for index, prepared in enumerate(islice(_prepared_records(), count - first), start=first):
            yield {**prepared, "id": index, "updated_at": updated_at}


def generate_children(parent_id: int, count: int) -> Iterator[dict[str, Any]]:
    """Give the `count` records below one parent: the same ten properties and `parent_id`."""
    for offset, prepared in enumerate(islice(_prepared_records(), count)):
        yield {**prepared, "id": parent_id * count + offset, "parent_id": parent_id}


@lru_cache(maxsize=1)
def _prepared_records() -> list[dict[str, Any]]:
    return [_prepare(number) for number in range(BLOCK_ROWS)]


def _prepare(number: int) -> dict[str, Any]:
    return {
        "id": 0,
        "name": f"Customer number {number}",
        "email": f"customer.{number}@example.com",
        "quantity": number % 17,
        "price": 9.5 + number / 8,
        "discount": number / 7_000,
        "active": number % 3 == 0,
        "created_at": f"2023-11-{1 + number % 28:02d}T{number % 24:02d}:{number % 60:02d}:30+00:00",
        "updated_at": _timestamp(0),
        "address": {
            "street": f"{number} Main Street",
            "city": CITIES[number % len(CITIES)],
            "postcode": f"{10_000 + number}",
            "floor": number % 5,
        },
    }


def _timestamp(minute: int) -> str:
    day, minute_of_day = divmod(minute, 1_440)
    return f"2024-01-{1 + day % 28:02d}T{minute_of_day // 60:02d}:{minute_of_day % 60:02d}:00+00:00"
