"""The messages that a target is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singerkit_testing.wire import encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Message = dict[str, Any]
# Raw bytes are one line as it is, right or wrong, without its line feed.
Sent = Message | bytes

INTEGER = {"type": ["null", "integer"]}
NUMBER = {"type": ["null", "number"]}
TEXT = {"type": ["null", "string"]}
BOOLEAN = {"type": ["null", "boolean"]}
DATE_TIME = {"type": ["null", "string"], "format": "date-time"}
ID = {"type": "integer"}


def schema(stream: str, properties: Mapping[str, Any], keys: Sequence[str] | None = (), **more: Any) -> Message:
    """Make a SCHEMA. `keys` None leaves ``key_properties`` out; `more` are further members of the message."""
    message: Message = {
        "type": "SCHEMA",
        "stream": stream,
        "schema": {"type": "object", "properties": dict(properties)},
        **more,
    }
    return message if keys is None else {**message, "key_properties": list(keys)}


def record(stream: str, values: Mapping[str, Any] | None = None, /, **named: Any) -> Message:
    """Make a RECORD of the named values; those whose names Python does not allow come as a mapping."""
    return {"type": "RECORD", "stream": stream, "record": {**(values or {}), **named}}


def state(value: Any) -> Message:
    """Make a STATE."""
    return {"type": "STATE", "value": value}


def activate_version(stream: str, version: int) -> Message:
    """Make an ACTIVATE_VERSION."""
    return {"type": "ACTIVATE_VERSION", "stream": stream, "version": version}


def line_of(message: Sent) -> bytes:
    """Write a message as its line, without the line feed."""
    return message.removesuffix(b"\n") if isinstance(message, bytes) else encode(message)
