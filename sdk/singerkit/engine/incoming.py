"""What a target reads out of messages, and how it says where in the input something is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from singerkit.errors import InvalidInputLine, ProtocolError, SingerKitError
from singerkit.protocol.reader import OtherMessage
from singerkit.types import Schema


class _StateLine(msgspec.Struct):
    value: msgspec.Raw = msgspec.Raw(b"")


_state_decoder = msgspec.json.Decoder(_StateLine)


def schema_parts(message: OtherMessage) -> tuple[str, Schema, tuple[str, ...]]:
    """Read a SCHEMA message: its stream, schema and key properties (missing or null: none).

    Errors: ``InvalidInputLine`` for a member that is missing or of another type.
    """
    stream = message.members.get("stream")
    schema = message.members.get("schema")
    keys = message.members.get("key_properties") or []
    if not isinstance(stream, str) or not stream:
        raise refused(message, "the SCHEMA message has no 'stream'")
    if not isinstance(schema, dict):
        raise refused(message, "the SCHEMA message has no 'schema' object", stream)
    if not isinstance(schema.get("properties", {}), dict):
        raise refused(message, "the schema's 'properties' are not an object", stream)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise refused(message, "'key_properties' of a SCHEMA message has to be a list of names", stream)
    missing = [key for key in keys if key not in schema.get("properties", {})]
    if missing:
        raise refused(message, f"the key property '{missing[0]}' is not in the schema", stream)
    return stream, schema, tuple(keys)


def state_text(message: OtherMessage) -> bytes:
    """Give a state's value as the very bytes that came, so that no number in it changes.

    Errors: ``InvalidInputLine`` when there is none.
    """
    if "value" not in message.members:
        raise refused(message, "the STATE message has no 'value'")
    try:
        return bytes(_state_decoder.decode(message.line).value).strip()
    except msgspec.DecodeError:  # the reader is more patient with a lone surrogate
        raise refused(message, "the STATE message holds half a character (a lone surrogate)") from None


def activation_of(message: OtherMessage) -> tuple[str, int]:
    """Read an ACTIVATE_VERSION message: its stream and version.

    Errors: ``InvalidInputLine`` for a member that is missing or of another type.
    """
    stream, version = message.members.get("stream"), message.members.get("version")
    if not isinstance(stream, str) or not isinstance(version, int) or isinstance(version, bool):
        raise refused(message, "an ACTIVATE_VERSION message needs a 'stream' and an integer 'version'")
    return stream, version


def refused(message: OtherMessage, problem: str, stream: str | None = None) -> InvalidInputLine:
    """Give the error for a message that can't be taken, with its line."""
    return InvalidInputLine(problem, stream=stream, line_number=message.line_number, byte_offset=message.byte_offset)


@contextmanager
def located_at(message: OtherMessage, stream: str) -> Iterator[None]:
    """Attach a message's line and stream to what is raised inside."""
    try:
        yield
    except BaseException as failure:
        attached(failure, stream)
        if isinstance(failure, ProtocolError):
            failure.line_number = failure.line_number or message.line_number
        raise


@contextmanager
def in_sink_of(stream: str) -> Iterator[None]:
    """Attach the stream to what its sink raises."""
    try:
        yield
    except Exception as failure:
        attached(failure, stream)
        raise


def attached(failure: BaseException, stream: str) -> BaseException:
    """Give a failure with the stream in whose sink it came."""
    if isinstance(failure, SingerKitError):
        failure.stream = failure.stream or stream
    else:
        failure.add_note(f"in the sink of stream '{stream}'")
    return failure
