"""Taps whose hooks are all overridden, run by the tests: ``python traced_taps.py SCENARIO CALLS_FILE [option]...``."""

from __future__ import annotations

import sys

from calls import Calls, traced

from singerkit import (
    APIAuthenticatorBase,
    GraphQLStream,
    OAuthAuthenticator,
    PageNumberPaginator,
    RelayPaginator,
    RESTStream,
    RetryPolicy,
    SQLConnector,
    SQLStream,
    SQLTap,
    Stream,
    Tap,
)
from singerkit import typing as th

CALLS = Calls()
SCHEMA = th.PropertiesList(
    th.Property("id", th.IntegerType), th.Property("at", th.DateTimeType), th.Property("who", th.StringType)
).to_dict()
QUICK = RetryPolicy(max_tries=5)

STREAM_HOOKS = (
    "partitions",
    "compare_start_date",
    "get_replication_key_signpost",
    "get_records",
    "post_process",
    "generate_child_contexts",
    "get_child_context",
)
REST_HOOKS = (
    "get_records",
    "request_records",
    "get_new_paginator",
    "request_decorator",
    "backoff_max_tries",
    "backoff_wait_generator",
    "backoff_jitter",
    "backoff_handler",
    "prepare_request",
    "get_http_request",
    "get_url",
    "http_method",
    "http_headers",
    "get_url_params",
    "prepare_request_payload",
    "build_prepared_request",
    "requests_session",
    "user_agent",
    "timeout",
    "authenticator",
    "validate_response",
    "response_error_message",
    "update_sync_costs",
    "calculate_sync_cost",
    "parse_response",
    "post_process",
)
PAGINATOR_HOOKS = (
    "start_from",
    "url_params",
    "tokens_ahead",
    "observe",
    "continue_if_empty",
    "empty_pages_allowed",
    "advance",
    "has_more",
    "get_next",
)
AUTHENTICATOR_HOOKS = ("authenticate_request", "auth_headers", "auth_params", "refresh_credentials", "take_pause")
OAUTH_HOOKS = (
    "authenticate_request",
    "is_token_valid",
    "update_access_token",
    "auth_endpoint",
    "oauth_request_payload",
    "oauth_request_body",
    "client_id",
    "client_secret",
    "oauth_scopes",
    "auth_headers",
    "refresh_credentials",
)


class Three:
    """Gives three contexts."""

    @property
    def partitions(self):
        return [{"who": who} for who in ("a", "b", "c")]


class Impatient:
    """Waits no longer than the server asks for."""

    def backoff_jitter(self, value):
        super().backoff_jitter(value)
        return 0


class Plain(Stream):
    name, schema, primary_keys, replication_key = "plain", SCHEMA, ["id"], "at"

    @property
    def partitions(self):
        return [{"who": who} for who in ("a", "b", "c")]

    def get_records(self, context):
        start = self.get_starting_replication_key_value(context)
        for number in range(6):
            yield {"id": number, "at": start, "who": context["who"]}


class Below(Stream):
    name, schema, primary_keys, parent_stream_type = "below", SCHEMA, ["id"], Plain
    state_partitioning_keys = ()

    def get_records(self, context):
        return []


def plain_streams(tap):
    top = traced(Plain, STREAM_HOOKS, CALLS, "Stream")
    below = type("Below", (Below,), {"parent_stream_type": top})
    return [top(tap), below(tap)]


def rest_streams(tap):
    auth = traced(APIAuthenticatorBase, AUTHENTICATOR_HOOKS, CALLS, "APIAuthenticatorBase")

    class Auth(auth):
        def refresh_credentials(self, refused, response=None):
            super().refresh_credentials(refused, response)
            return True

    numbers = traced(PageNumberPaginator, PAGINATOR_HOOKS, CALLS, "BaseAPIPaginator")

    class Orders(Three, Impatient, traced(RESTStream, REST_HOOKS, CALLS, "RESTStream")):
        name, schema, primary_keys, path = "orders", SCHEMA, ["id"], "/orders/{who}"
        url_base, auth, retry = "{url}", Auth(), QUICK
        records_jsonpath = "$.data[*]"
        paginator = numbers(1, param="page", more_at="$.more")

    return [Orders(tap)]


def graphql_streams(tap):
    oauth = traced(OAuthAuthenticator, OAUTH_HOOKS, CALLS, "OAuthAuthenticator")

    class Auth(oauth):
        @property
        def oauth_request_body(self):
            return super().oauth_request_body

    hooks = (*REST_HOOKS, "records_jsonpath")

    class Orders(Three, Impatient, traced(GraphQLStream, hooks, CALLS, "GraphQLStream")):
        name, schema, primary_keys = "orders", SCHEMA, ["id"]
        query = "query ($after: String) { orders(after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }"
        url_base, retry = "{url}/graphql", QUICK
        auth = Auth(auth_endpoint="{url}/token", client_id="me", client_secret="s3cret")
        records_jsonpath = "$.data.orders.nodes[*]"
        paginator = RelayPaginator("$.data.orders.pageInfo")

    return [Orders(tap)]


class TracedTap(traced(Tap, ["discover_streams"], CALLS, "Tap")):
    name = "tap-traced"
    config_jsonschema = th.PropertiesList(
        th.Property("url", th.StringType), th.Property("start_date", th.DateTimeType)
    ).to_dict()
    max_concurrency = 1
    streams_of = staticmethod(plain_streams)

    def discover_streams(self):
        try:
            super().discover_streams()
        except NotImplementedError:
            return self.streams_of(self)


CONNECTOR_READS = (
    "get_sqlalchemy_url",
    "create_engine",
    "get_schema_names",
    "get_object_names",
    "discover_catalog_entries",
    "discover_catalog_entry",
    "to_jsonschema_type",
    "get_fully_qualified_name",
    "get_table",
    "quote",
    "serialize_json",
    "deserialize_json",
)
SQL_STREAM_HOOKS = (
    "partitions",
    "get_records",
    "build_query",
    "apply_query_filters",
    "apply_query_limit",
    "table_name",
    "schema_name",
    "fully_qualified_name",
    "post_process",
)


def sql_tap():
    connector = traced(SQLConnector, CONNECTOR_READS, CALLS, "SQLConnector")
    stream = traced(SQLStream, SQL_STREAM_HOOKS, CALLS, "SQLStream")

    class Table(stream):
        connector_class = connector

    class TapTraced(traced(SQLTap, ["discover_streams", "tap_connector"], CALLS, "SQLTap")):
        name, default_stream_class, max_concurrency = "tap-traced", Table, 1
        config_jsonschema = th.PropertiesList(th.Property("sqlalchemy_url", th.StringType)).to_dict()

    return TapTraced


def main() -> None:
    scenario, path, *options = sys.argv[1:]
    streams = {"stream": plain_streams, "rest": rest_streams, "graphql": graphql_streams}
    tap = sql_tap() if scenario == "sql" else TracedTap
    if scenario in streams:
        tap.streams_of = staticmethod(streams[scenario])
    try:
        tap.cli.main(options)
    finally:
        CALLS.write(path)


if __name__ == "__main__":
    main()
