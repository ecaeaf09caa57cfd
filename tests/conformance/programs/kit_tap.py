"""A tap made with singerkit that reads the same source as the reference tap of the corpus."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from singerkit import Stream, Tap
from singerkit import typing as th
from singerkit.engine import checkpoint

# Few records have to show much: states are not rationed here.
checkpoint._LARGEST_SHARE = 1000.0


class SourceStream(Stream):
    """What the streams share: the source."""

    STATE_MSG_FREQUENCY = 2

    def rows(self, name):
        """Give the rows of a file."""
        return json.loads((Path(self.config["source"]) / f"{name}.json").read_bytes(), parse_float=Decimal)


class Orders(SourceStream):
    """Read in full."""

    name = "orders"
    primary_keys = ("shop", "number")
    schema = th.PropertiesList(
        th.Property("shop", th.StringType, required=True),
        th.Property("number", th.StringType, required=True),
        th.Property("note", th.StringType),
        th.Property("total", th.NumberType),
    ).to_dict()

    def get_records(self, context):
        """Give all."""
        for row in self.rows("orders"):
            yield {name: value for name, value in row.items() if name != "lines"}

    def get_child_context(self, record, context):
        """Name the order."""
        return {"shop": record["shop"], "number": record["number"]}


class OrderLines(SourceStream):
    """Children of the orders."""

    name = "order_lines"
    parent_stream_type = Orders
    primary_keys = ("shop", "number", "line")
    schema = th.PropertiesList(
        th.Property("shop", th.StringType, required=True),
        th.Property("number", th.StringType, required=True),
        th.Property("line", th.IntegerType, required=True),
        th.Property("product", th.StringType),
        th.Property("quantity", th.IntegerType),
    ).to_dict()

    def get_records(self, context):
        """Give those of an order."""
        for row in self.rows("orders"):
            if (row["shop"], row["number"]) == (context["shop"], context["number"]):
                yield from row["lines"]


class People(SourceStream):
    """Incremental, in no order; some have no date."""

    name = "people"
    primary_keys = ("id",)
    replication_key = "updated_at"
    schema = th.PropertiesList(
        th.Property("id", th.IntegerType, required=True),
        th.Property("name", th.StringType),
        th.Property("email", th.StringType),
        th.Property("updated_at", th.DateTimeType),
    ).to_dict()

    def get_records(self, context):
        """Give those that changed since the bookmark; without one also those without a date."""
        start = self.get_starting_timestamp(context)
        for row in self.rows("people"):
            changed = row["updated_at"]
            if start is None or (changed is not None and datetime.fromisoformat(changed) >= start):
                yield row


class Facts(SourceStream):
    """Read in full: one property for each type."""

    name = "facts"
    primary_keys = ("id",)
    schema = th.PropertiesList(
        th.Property("id", th.IntegerType, required=True),
        th.Property("count", th.IntegerType),
        th.Property("exact", th.NumberType),
        th.Property("flag", th.BooleanType),
        th.Property("text", th.StringType),
        th.Property("seen_at", th.DateTimeType),
        th.Property(
            "address",
            th.ObjectType(
                th.Property("city", th.StringType),
                th.Property("street", th.StringType),
                th.Property(
                    "position", th.ObjectType(th.Property("lat", th.NumberType), th.Property("lon", th.NumberType))
                ),
            ),
        ),
        th.Property("visits", th.ArrayType(th.ObjectType(th.Property("at", th.DateTimeType), nullable=True))),
        th.Property("tags", th.ArrayType(th.StringType)),
    ).to_dict()

    def get_records(self, context):
        """Give all."""
        for row in self.rows("facts"):
            yield {name: value for name, value in row.items() if name != "raw"}


class TapKit(Tap):
    """The tap."""

    name = "tap-kit"
    max_concurrency = 1  # one order of the streams in every run, the incremental one last
    config_jsonschema = th.PropertiesList(
        th.Property("source", th.StringType, required=True),
        th.Property("start_date", th.DateTimeType),
        th.Property("password", th.StringType, secret=True),
    ).to_dict()

    def discover_streams(self):
        """Give all four."""
        if not Path(self.config["source"]).is_dir():
            raise FileNotFoundError(2, "no such source", self.config["source"])
        return [Orders(self), OrderLines(self), People(self), Facts(self)]
