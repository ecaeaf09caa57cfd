"""A tap for :mod:`faulty_api`: five streams, each paged and written in its own way, eight workers, short waits."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import backoff

from singerkit import RESTStream, RetryPolicy, Tap
from singerkit import typing as th
from singerkit.http.bodies import CSVFormat, JSONLinesFormat
from singerkit.http.paginate import JSONPathPaginator, PageNumberPaginator, SimpleHeaderPaginator, SinglePagePaginator


class FaultyStream(RESTStream):
    """What all streams have in common."""

    records_jsonpath = "$.data[*]"
    primary_keys = ("id",)
    retry = RetryPolicy(max_tries=7, total_s=60)
    timeout = 1.5
    schema = th.PropertiesList(
        th.Property("id", th.IntegerType, required=True),
        th.Property("kind", th.StringType),
        th.Property("text", th.StringType),
        th.Property("updated_at", th.DateTimeType),
    ).to_dict()

    @property
    def url_base(self) -> str:
        return self.config["url"]

    def backoff_wait_generator(self) -> Iterator[float]:
        return backoff.constant(0.01)

    def backoff_jitter(self, value: float) -> float:
        return random.uniform(0, value)


class Pages(FaultyStream):
    name, path = "pages", "/pages"
    paginator = PageNumberPaginator(0, param="page")
    replication_key = "updated_at"
    is_sorted = True


class Cursors(FaultyStream):
    name, path = "cursors", "/cursors"
    paginator = JSONPathPaginator("$.next", param="page")


class Lines(FaultyStream):
    name, path = "lines", "/lines"
    paginator = SimpleHeaderPaginator("X-Next-Page", param="page")
    body_format = JSONLinesFormat()


class Rows(FaultyStream):
    name, path = "rows", "/rows"
    paginator = SinglePagePaginator()
    body_format = CSVFormat()


class Parts(FaultyStream):
    name, path = "parts", "/parts/{part}"
    partitions = [{"part": number} for number in range(4)]  # noqa: RUF012
    state_partitioning_keys = ()
    paginator = PageNumberPaginator(0, param="page")

    def post_process(self, row: dict[str, Any], context: Any = None) -> dict[str, Any]:
        row.pop("part", None)
        return row


class TapFaults(Tap):
    """Reads the faulty API."""

    name = "tap-faults"
    max_concurrency = 8
    config_jsonschema = th.PropertiesList(th.Property("url", th.StringType, required=True)).to_dict()

    def discover_streams(self) -> list[FaultyStream]:
        return [Pages(self), Cursors(self), Lines(self), Rows(self), Parts(self)]


if __name__ == "__main__":
    TapFaults.cli()
