"""The mapper: its settings, and what becomes of messages."""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from singerkit import InlineMapper
from singerkit import typing as th
from singerkit.protocol.messages import Message, RecordMessage, SchemaMessage

MASKED = {"type": ["string", "null"]}


class {{ cookiecutter.__class }}(InlineMapper):
    """Puts a digest in the place of properties that nobody is to read, so that they can still be compared."""

    name = "{{ cookiecutter.__project }}"
    config_jsonschema = th.PropertiesList(
        th.Property("masked", th.ArrayType(th.StringType), default=[], description="Names of the properties."),
    ).to_dict()

    def map_schema_message(self, message_dict: dict[str, Any]) -> Iterator[Message]:
        """Declare masked properties as texts, whatever they were."""
        properties = message_dict["schema"].get("properties", {})
        properties.update({name: MASKED for name in self.config["masked"] if name in properties})
        yield SchemaMessage.from_dict(message_dict)

    def map_record_message(self, message_dict: dict[str, Any]) -> Iterator[Message]:
        """Put digests in the place of values; nothing stays nothing."""
        record = message_dict["record"]
        for name in self.config["masked"]:
            if record.get(name) is not None:
                record[name] = sha256(str(record[name]).encode()).hexdigest()
        yield RecordMessage.from_dict(message_dict)
