"""A small tap and a small target, as an author has them."""

from __future__ import annotations

import json
from pathlib import Path

from singerkit import RecordSink, Stream, Tap, Target
from singerkit import typing as th


class Orders(Stream):
    """Sorted and incremental."""

    name = "orders"
    primary_keys = ("id",)
    replication_key = "changed_at"
    is_sorted = True
    schema = th.PropertiesList(
        th.Property("id", th.IntegerType, required=True),
        th.Property("changed_at", th.DateTimeType, required=True),
        th.Property("price", th.NumberType),
        th.Property("paid", th.BooleanType),
        th.Property("address", th.ObjectType(th.Property("city", th.StringType))),
    ).to_dict()

    def get_records(self, context):
        """Give them oldest first."""
        start = self.get_starting_replication_key_value(context) or ""
        for number in range(1, self.config["orders"] + 1):
            changed_at = f"2024-01-{number:02}T00:00:00+00:00"
            if changed_at >= start:
                yield {
                    "id": number,
                    "changed_at": changed_at,
                    "price": number / 4,
                    "paid": number % 2 == 0,
                    "address": {"city": "Graz"},
                }


class Countries(Stream):
    """Read in full."""

    name = "countries"
    primary_keys = ("code",)
    schema = th.PropertiesList(
        th.Property("code", th.StringType, required=True), th.Property("label", th.StringType)
    ).to_dict()

    def get_records(self, context):
        """Give all."""
        if not self.config.get("no_countries"):
            yield {"code": "AT", "label": "Austria"}
            yield {"code": "BE", "label": None}
        if self.config.get("twice"):
            yield {"code": "AT", "label": "Austria"}


class TapShop(Tap):
    """A tap."""

    name = "tap-shop"
    config_jsonschema = th.PropertiesList(
        th.Property("orders", th.IntegerType, default=3),
        th.Property("no_countries", th.BooleanType),
        th.Property("twice", th.BooleanType),
        th.Property("token", th.StringType, secret=True),
    ).to_dict()

    def discover_streams(self):
        """Give both."""
        return [Orders(self), Countries(self)]


class LinesSink(RecordSink):
    """Appends to a file."""

    parse_datetimes = False

    def process_record(self, record, context):
        """Append a record."""
        with (Path(self.config["folder"]) / f"{self.stream_name}.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")


class TargetLines(Target):
    """A target."""

    name = "target-lines"
    default_sink_class = LinesSink
    config_jsonschema = th.PropertiesList(th.Property("folder", th.StringType, required=True)).to_dict()
