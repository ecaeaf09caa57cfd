"""The ``_sdc_*`` properties that a target adds to records when ``add_record_metadata`` is on.

Source: the names and meanings that targets on the Meltano SDK established.
"""

from __future__ import annotations

from typing import Any

from singerkit import clock
from singerkit.types import Record, Schema

TABLE_VERSION = "_sdc_table_version"

_INSTANT: Schema = {"type": ["null", "string"], "format": "date-time"}
_INTEGER: Schema = {"type": ["null", "integer"]}
METADATA_PROPERTIES: dict[str, Schema] = {
    "_sdc_extracted_at": _INSTANT,
    "_sdc_received_at": _INSTANT,
    "_sdc_batched_at": _INSTANT,
    "_sdc_deleted_at": _INSTANT,
    "_sdc_sequence": _INTEGER,
    TABLE_VERSION: _INTEGER,
    "_sdc_sync_started_at": _INTEGER,
}


def with_metadata_properties(schema: Schema) -> Schema:
    """Give the schema with the metadata properties; one of the tap's own with such a name is kept."""
    return {**schema, "properties": {**METADATA_PROPERTIES, **schema.get("properties", {})}}


class MetadataStamp:
    """Adds the metadata to the records of a batch.

    Units: ``sync_started_at`` and ``_sdc_sequence`` are milliseconds since 1970. The received time is the batch's: a
    batch is decoded as a whole.
    """

    def __init__(self, sync_started_at: int, *, parse_datetimes: bool) -> None:
        self._sync_started_at = sync_started_at
        self._parse = parse_datetimes

    def __call__(self, records: list[Record], versions: list[int | None], extracted: list[Any]) -> list[Record]:
        """Give new records with the metadata; what a record has already wins."""
        now = clock.utc_now()
        received: Any = now if self._parse else now.isoformat()
        constant = {
            "_sdc_received_at": received,
            "_sdc_batched_at": received,
            "_sdc_deleted_at": None,
            "_sdc_sequence": int(now.timestamp() * 1000),
            "_sdc_sync_started_at": self._sync_started_at,
        }
        return [
            {**constant, "_sdc_extracted_at": self._instant(time, received), TABLE_VERSION: version, **record}
            for record, version, time in zip(records, versions, extracted, strict=True)
        ]

    def _instant(self, text: str | None, received: Any) -> Any:
        """Give when a record was extracted; where its line does not say, or says no instant, when it was received."""
        try:
            instant = clock.instant_of(text or "")
        except ValueError:
            return received
        return instant if self._parse else text
