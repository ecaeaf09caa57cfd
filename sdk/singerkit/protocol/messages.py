"""The five Singer messages, as frozen values.

Source: the Singer specification, section "Output" (SCHEMA, RECORD, STATE); the singer-python library for
ACTIVATE_VERSION; the SDK's batch page for BATCH.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar, Self

import msgspec


class SingerMessageType(StrEnum):
    """What a line can be."""

    RECORD = "RECORD"
    SCHEMA = "SCHEMA"
    STATE = "STATE"
    ACTIVATE_VERSION = "ACTIVATE_VERSION"
    BATCH = "BATCH"


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """What all messages share: made from, and turned into, the object of their line."""

    type: ClassVar[SingerMessageType]

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Make the message from a line's object; the ``type`` member and unknown members are left out."""
        known = {name: data[name] for name in cls.__struct_fields__ if name in data}
        return cls(**known)

    def to_dict(self) -> dict[str, Any]:
        """Give the line's object, ``type`` first, members that were left out left out."""
        members = {name: getattr(self, name) for name in self.__struct_fields__}
        return {"type": self.type.value} | {name: value for name, value in members.items() if value is not None}


class RecordMessage(Message, frozen=True, omit_defaults=True):
    """One row of a stream."""

    type: ClassVar[SingerMessageType] = SingerMessageType.RECORD
    stream: str
    record: dict[str, Any]
    version: int | None = None
    time_extracted: Any = None


class SchemaMessage(Message, frozen=True, omit_defaults=True):
    """What the records of a stream look like from here on."""

    type: ClassVar[SingerMessageType] = SingerMessageType.SCHEMA
    stream: str
    schema: dict[str, Any]
    key_properties: tuple[str, ...] | list[str] | None = ()
    bookmark_properties: tuple[str, ...] | list[str] | None = None


class StateMessage(Message, frozen=True, omit_defaults=True):
    """How far the tap has come; any JSON value."""

    type: ClassVar[SingerMessageType] = SingerMessageType.STATE
    value: Any

    def to_dict(self) -> dict[str, Any]:
        """Keep the value even when it is null."""
        return {"type": self.type.value, "value": self.value}


class ActivateVersionMessage(Message, frozen=True, omit_defaults=True):
    """All rows of the stream with an older version may go."""

    type: ClassVar[SingerMessageType] = SingerMessageType.ACTIVATE_VERSION
    stream: str
    version: int


class BatchMessage(Message, frozen=True, omit_defaults=True):
    """Records in files, named by the manifest."""

    type: ClassVar[SingerMessageType] = SingerMessageType.BATCH
    stream: str
    encoding: dict[str, Any]
    manifest: list[str]


MESSAGE_TYPES: dict[str, type[Message]] = {
    message.type.value: message
    for message in (RecordMessage, SchemaMessage, StateMessage, ActivateVersionMessage, BatchMessage)
}
