"""A tap for the demo's API of flights: five streams, three ways of paging, parents and children, two that go on.

    python demo/tap_flights.py --config config.json | singerkit target-duckdb --config target.json

What the API asks of a client is in `flights_api`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singerkit import (
    BearerTokenAuthenticator,
    HeaderLinkPaginator,
    Incremental,
    JSONPathPaginator,
    PageNumberPaginator,
    RESTStream,
    SinglePagePaginator,
    Tap,
)
from singerkit import typing as th

if TYPE_CHECKING:
    from singerkit import Stream
    from singerkit.http.page_request import HTTPRequest, PageContext
    from singerkit.types import Context, Record


class FlightsAPIStream(RESTStream):
    """What all streams of this API have in common.

    Nothing here knows about 429 and Retry-After, connections that break, or tokens in redirects: RESTStream does.
    """

    url_base = "{api_url}/v1"
    auth = BearerTokenAuthenticator(token="{api_token}")
    records_jsonpath = "$.data[*]"

    def get_http_request(self, *, page: PageContext[Any]) -> HTTPRequest:
        """Ask for pages of the size that the user chose; a link to the next page says it already."""
        request = super().get_http_request(page=page)
        if "page_size=" not in request.url and not isinstance(self.paginator, SinglePagePaginator):
            request.params = {"page_size": self.config["page_size"], **request.params}
        return request


class Airlines(FlightsAPIStream):
    """The airlines: few enough for one answer, and each has planes."""

    name = "airlines"
    path = "/airlines"
    primary_keys = ("code",)
    paginator = SinglePagePaginator()  # the API refuses parameters that it does not know
    schema = th.PropertiesList(
        th.Property("code", th.StringType, required=True, description="IATA code, such as UA"),
        th.Property("name", th.StringType),
    ).to_dict()

    def get_child_context(self, record: Record, context: Context | None) -> dict[str, Any]:
        """Give what `Planes` has to know of an airline."""
        return {"carrier": record["code"]}


class Planes(FlightsAPIStream):
    """The planes of each airline. A plane may have flown for two, so its tail number alone is no key."""

    name = "planes"
    path = "/airlines/{carrier}/planes"
    parent_stream_type = Airlines
    primary_keys = ("carrier", "tail_number")
    paginator = PageNumberPaginator(1, param="page", total_pages_at="$.meta.total_pages")
    schema = th.PropertiesList(
        th.Property("carrier", th.StringType, required=True, description="The airline; from the context"),
        th.Property("tail_number", th.StringType, required=True),
        th.Property("year_built", th.IntegerType),
        th.Property("type", th.StringType),
        th.Property("manufacturer", th.StringType),
        th.Property("model", th.StringType),
        th.Property(
            "engine",
            th.ObjectType(th.Property("type", th.StringType), th.Property("count", th.IntegerType)),
        ),
        th.Property("seats", th.IntegerType),
    ).to_dict()


class Airports(FlightsAPIStream):
    """The airports, three of which have a weather station."""

    name = "airports"
    path = "/airports"
    primary_keys = ("faa",)
    paginator = PageNumberPaginator(1, param="page", total_pages_at="$.meta.total_pages")
    schema = th.PropertiesList(
        th.Property("faa", th.StringType, required=True, description="FAA code, such as JFK"),
        th.Property("name", th.StringType),
        th.Property(
            "location",
            th.ObjectType(
                th.Property("latitude", th.NumberType),
                th.Property("longitude", th.NumberType),
                th.Property("altitude_feet", th.IntegerType),
            ),
        ),
        th.Property("time_zone", th.StringType),
        th.Property("has_weather_station", th.BooleanType),
    ).to_dict()

    def get_child_context(self, record: Record, context: Context | None) -> dict[str, Any] | None:
        """Give what `Weather` has to know of an airport; without a station there is nothing to ask for."""
        return {"station": record["faa"]} if record["has_weather_station"] else None


class Weather(FlightsAPIStream):
    """The hourly weather of each station, which each has a bookmark of its own."""

    name = "weather"
    path = "/airports/{station}/weather"
    parent_stream_type = Airports
    primary_keys = ("station", "observed_at")
    replication_key = "observed_at"
    is_sorted = True  # a run that is stopped half way goes on from there
    incremental = Incremental(param="observed_since")
    paginator = HeaderLinkPaginator()
    schema = th.PropertiesList(
        th.Property("station", th.StringType, required=True),
        th.Property("observed_at", th.DateTimeType, required=True),
        th.Property("temperature_f", th.NumberType),
        th.Property("dew_point_f", th.NumberType),
        th.Property("humidity_percent", th.NumberType),
        th.Property(
            "wind",
            th.ObjectType(
                th.Property("direction_degrees", th.IntegerType),
                th.Property("speed_mph", th.NumberType),
                th.Property("gust_mph", th.NumberType),
            ),
        ),
        th.Property("precipitation_inches", th.NumberType),
        th.Property("pressure_millibars", th.NumberType),
        th.Property("visibility_miles", th.NumberType),
    ).to_dict()


#: One end of a flight. Delays are in minutes, negative when early.
FLIGHT_END = th.ObjectType(
    th.Property("airport", th.StringType),
    th.Property("scheduled", th.DateTimeType),
    th.Property("actual", th.DateTimeType),
    th.Property("delay_minutes", th.IntegerType),
)


class Flights(FlightsAPIStream):
    """The flights, in the order of their last change."""

    name = "flights"
    path = "/flights"
    primary_keys = ("id",)
    replication_key = "updated_at"
    is_sorted = True
    incremental = Incremental(param="updated_since")
    paginator = JSONPathPaginator("$.meta.next_cursor", param="cursor")
    schema = th.PropertiesList(
        th.Property("id", th.StringType, required=True),
        th.Property("carrier", th.ObjectType(th.Property("code", th.StringType), th.Property("name", th.StringType))),
        th.Property("flight_number", th.IntegerType),
        th.Property("tail_number", th.StringType),
        th.Property("status", th.StringType, allowed_values=["arrived", "cancelled", "diverted"]),
        th.Property("departure", FLIGHT_END),
        th.Property("arrival", FLIGHT_END),
        th.Property("distance_miles", th.IntegerType),
        th.Property("air_time_minutes", th.IntegerType),
        th.Property("revision", th.IntegerType, description="Grows with every amendment"),
        th.Property("updated_at", th.DateTimeType, required=True),
    ).to_dict()


class TapFlights(Tap):
    """Reads the demo's API."""

    name = "tap-flights"
    config_jsonschema = th.PropertiesList(
        th.Property("api_url", th.URIType, required=True, description="Such as http://127.0.0.1:8013"),
        th.Property("api_token", th.StringType, required=True, secret=True),
        th.Property("page_size", th.IntegerType(minimum=1, maximum=5_000), default=1_000, description="Records a page"),
        th.Property("start_date", th.DateTimeType, description="Where to begin when there is no state"),
    ).to_dict()

    def discover_streams(self) -> list[Stream]:
        """Give the five streams."""
        return [stream(self) for stream in (Airlines, Planes, Airports, Weather, Flights)]


if __name__ == "__main__":
    TapFlights.cli()
