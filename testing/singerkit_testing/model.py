"""What a destination must hold after a stream of messages: the oracle for all comparisons of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singerkit_testing.values import identity

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from singerkit_testing.messages import Sent
    from singerkit_testing.readers import Row

APPEND = "append"


def expected_rows(messages: Iterable[Sent], stream: str, load_method: str | None) -> list[Row]:
    """Give the rows of a stream: all its records, or the last one of each key where the target updates by key.

    Shape: messages that are raw bytes count for nothing; a stream without keys keeps every record.
    """
    keys: list[str] = []
    rows: dict[Hashable, Row] = {}
    for message in messages:
        if isinstance(message, bytes) or message.get("stream") != stream:
            continue
        if message["type"] == "SCHEMA":
            keys = message.get("key_properties") or []
        elif message["type"] == "RECORD":
            row = message["record"]
            merges = keys and load_method != APPEND
            rows[key_of(row, keys) if merges else len(rows)] = row
    return list(rows.values())


def key_of(row: Row, keys: Iterable[str]) -> Hashable:
    """Give the values of the key as a tuple that compares as JSON values do."""
    return tuple(identity(row.get(name)) for name in keys)


def keys_of(messages: Iterable[Sent], stream: str) -> list[str]:
    """Give the key properties that the last SCHEMA of a stream names."""
    named: list[Any] = [
        message.get("key_properties") or []
        for message in messages
        if not isinstance(message, bytes) and message.get("stream") == stream and message["type"] == "SCHEMA"
    ]
    return list(named[-1]) if named else []
