"""The streams of the source."""

from collections.abc import Iterator
from typing import Any

from singerkit import Stream
from singerkit import typing as th

from {{ cookiecutter.__module }}.client import readings_since


class Readings(Stream):
    """Asked for from the bookmark on: a second run reads only what is new since the first."""

    name = "readings"
    primary_keys = ("id",)
    replication_key = "at"
    is_sorted = True
    schema = th.PropertiesList(
        th.Property("id", th.IntegerType, required=True),
        th.Property("sensor", th.StringType),
        th.Property("at", th.DateTimeType, required=True),
        th.Property("celsius", th.NumberType),
    ).to_dict()

    def get_records(self, context: Any) -> Iterator[dict[str, Any]]:
        """Give the records in the order of the replication key; any dicts will do."""
        yield from readings_since(self.get_starting_timestamp(context))
