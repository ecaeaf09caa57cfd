"""A tap that reads an API page by page: one stream by offset, or many partitions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from singerkit import OffsetPaginator, PageNumberPaginator, RESTStream, Tap
from singerkit import typing as th

PROPERTIES = (
    th.Property("id", th.IntegerType, required=True),
    th.Property("at", th.DateTimeType),
    th.Property("text", th.StringType),
)


class _FromTheApi(RESTStream):
    primary_keys = ("id",)
    records_jsonpath = "$.data[*]"
    schema = th.PropertiesList(*PROPERTIES).to_dict()

    @property
    def url_base(self) -> str:
        return self.config["url"]


class Offset(_FromTheApi):
    """One stream whose pages are all known once the first one has come."""

    name = "offset"
    path = "/offset"
    paginator = OffsetPaginator(0, 10, param="offset", size_param="size", total_records_at="$.total")


class Partitions(_FromTheApi):
    """Many parts with a few pages each."""

    name = "partitions"
    path = "/number/{partition}"
    paginator = PageNumberPaginator(1, param="page", more_at="$.more")
    schema = th.PropertiesList(*PROPERTIES, th.Property("partition", th.StringType)).to_dict()

    @property
    def partitions(self) -> Iterable[dict[str, Any]]:
        return [{"partition": str(number)} for number in range(self.config["partitions"])]


class TapPaging(Tap):
    """The tap that is measured."""

    name = "tap-paging"
    config_jsonschema = th.PropertiesList(
        th.Property("stream", th.StringType, required=True),
        th.Property("partitions", th.IntegerType),
        th.Property("url", th.StringType, required=True),
    ).to_dict()

    def discover_streams(self) -> list[Any]:
        return [kind(self) for kind in (Offset, Partitions) if kind.name == self.config["stream"]]


if __name__ == "__main__":
    TapPaging.cli()
