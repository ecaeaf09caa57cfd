from __future__ import annotations

from datetime import UTC, datetime

import pytest
import time_machine

from singerkit.records.metadata import METADATA_PROPERTIES, MetadataStamp, with_metadata_properties

NOW = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_the_schema_gets_the_seven_properties_and_keeps_its_own() -> None:
    schema = {"type": "object", "properties": {"id": {}, "_sdc_sequence": {"type": "string"}}}
    extended = with_metadata_properties(schema)
    assert set(extended["properties"]) == {"id", *METADATA_PROPERTIES}
    assert extended["properties"]["_sdc_sequence"] == {"type": "string"}
    assert schema["properties"].keys() == {"id", "_sdc_sequence"}


@pytest.mark.parametrize("parse", [True, False])
def test_records_get_the_metadata_and_stay_as_they_are(*, parse: bool) -> None:
    record = {"id": 1}
    with time_machine.travel(NOW, tick=False):
        (stamped,) = MetadataStamp(5, parse_datetimes=parse)([record], [7], ["2024-01-01T00:00:00Z"])
    now = NOW if parse else NOW.isoformat()
    assert record == {"id": 1}
    assert stamped == {
        "id": 1,
        "_sdc_extracted_at": datetime(2024, 1, 1, tzinfo=UTC) if parse else "2024-01-01T00:00:00Z",
        "_sdc_received_at": now,
        "_sdc_batched_at": now,
        "_sdc_deleted_at": None,
        "_sdc_sequence": int(NOW.timestamp() * 1000),
        "_sdc_table_version": 7,
        "_sdc_sync_started_at": 5,
    }


def test_what_a_record_has_already_wins() -> None:
    (stamped,) = MetadataStamp(5, parse_datetimes=True)([{"_sdc_deleted_at": "then"}], [None], [None])
    assert stamped["_sdc_deleted_at"] == "then"
    assert stamped["_sdc_table_version"] is None
    assert stamped["_sdc_extracted_at"] == stamped["_sdc_received_at"]


@pytest.mark.parametrize("text", ["", "yesterday", "2024-13-01T00:00:00Z"])
def test_an_extraction_time_that_is_none_does_not_stop_the_load(text: str) -> None:
    (stamped,) = MetadataStamp(5, parse_datetimes=True)([{"id": 1}], [None], [text])
    assert stamped["_sdc_extracted_at"] == stamped["_sdc_received_at"]
