"""A mapper that writes texts in capitals and leaves out odd ids."""

from singerkit import InlineMapper
from singerkit.protocol.messages import RecordMessage


class MapperUpper(InlineMapper):
    """A mapper."""

    name = "mapper-upper"

    def map_record_message(self, message_dict):
        """Change a record."""
        record = message_dict["record"]
        if record["id"] % 2 == 0:
            yield RecordMessage.from_dict(
                {**message_dict, "record": {**record, "text": str(record.get("text")).upper()}}
            )
