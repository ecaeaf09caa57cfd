"""A mapper that writes texts in capitals and leaves out odd ids. Run as a script it is the command."""

from __future__ import annotations

from typing import Any

from singerkit import InlineMapper
from singerkit.protocol.messages import RecordMessage


class MapperUpper(InlineMapper):
    """A mapper for tests."""

    name = "mapper-upper"

    def map_record_message(self, message_dict: Any) -> Any:
        """Write the text in capitals, twice where the id is a multiple of ten."""
        record = message_dict["record"]
        if record["id"] % 2:
            return
        changed = {**record, "text": str(record.get("text")).upper()}
        message = RecordMessage.from_dict({**message_dict, "record": changed})
        yield message
        if record["id"] % 10 == 0:
            yield message


if __name__ == "__main__":
    MapperUpper.cli()
