"""A tap over generated orders: from memory, from an HTTP API, or as parents with children."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chosen_sdk import sdk, th
from orders import ORDER_LINES_SCHEMA, ORDERS_SCHEMA, generate_children, generate_records


class MemoryOrders(sdk.Stream):
    """Orders that are made as they are read."""

    name = "orders"
    primary_keys = ("id",)
    schema = ORDERS_SCHEMA

    def get_records(self, context: Any) -> Iterable[dict[str, Any]]:
        return generate_records(self.config["records"])


class IncrementalOrders(MemoryOrders):
    """The same orders with a bookmark."""

    replication_key = "updated_at"


class ApiOrders(sdk.RESTStream):
    """The same orders from an HTTP API, a thousand a page; the body names the next page."""

    name = "orders"
    path = "/orders"
    primary_keys = ("id",)
    schema = ORDERS_SCHEMA
    records_jsonpath = "$.data[*]"
    next_page_token_jsonpath = "$.next_page"

    @property
    def url_base(self) -> str:
        return self.config["api_url"]

    def get_url_params(self, context: Any, next_page_token: Any) -> dict[str, Any]:
        return {"page": next_page_token or 1, "records": self.config["records"]}


class ParentOrders(MemoryOrders):
    """Orders that each have lines below them."""

    def get_child_context(self, record: dict[str, Any], context: Any) -> dict[str, Any]:
        return {"parent_id": record["id"]}


class OrderLines(sdk.Stream):
    """The lines of one order per context."""

    name = "order_lines"
    parent_stream_type = ParentOrders
    primary_keys = ("id",)
    schema = ORDER_LINES_SCHEMA

    def get_records(self, context: Any) -> Iterable[dict[str, Any]]:
        return generate_children(context["parent_id"], self.config["children"])


class IncrementalOrderLines(OrderLines):
    """The same lines with a bookmark for each order."""

    replication_key = "updated_at"


STREAM_TYPES = {
    "memory": (MemoryOrders,),
    "incremental": (IncrementalOrders,),
    "rest": (ApiOrders,),
    "parents": (ParentOrders, OrderLines),
    "incremental-parents": (ParentOrders, IncrementalOrderLines),
}


class TapBenchmark(sdk.Tap):
    """The tap that is measured."""

    name = "tap-benchmark"
    config_jsonschema = th.PropertiesList(
        th.Property("source", th.StringType, default="memory", allowed_values=list(STREAM_TYPES)),
        th.Property("records", th.IntegerType, default=0),
        th.Property("children", th.IntegerType, default=0),
        th.Property("api_url", th.StringType),
    ).to_dict()

    def discover_streams(self) -> list[Any]:
        return [stream_type(self) for stream_type in STREAM_TYPES[self.config["source"]]]


if __name__ == "__main__":
    TapBenchmark.cli()
