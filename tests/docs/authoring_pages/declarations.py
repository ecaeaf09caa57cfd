"""What the pages on classes show, and what each member of a class is: declared, called, or there to be read."""

from __future__ import annotations

from typing import NamedTuple


class HookClass(NamedTuple):
    """A class whose hooks are shown as they are called.

    ``scenarios``: the runs in which they are; ``cases`` says what each of several is. ``per``: what so many calls mean
    in them. ``on_demand``: hooks that none of the runs calls, and when they are. ``has_callers``: hooks of other
    classes that call them are shown, in brackets.
    ``engine``: public members for the engine, of which an author needs nothing.
    """

    name: str
    scenarios: tuple[str, ...]
    per: dict[int, str] = {}  # noqa: RUF012 - a declaration
    on_demand: dict[str, str] = {}  # noqa: RUF012
    engine: frozenset[str] = frozenset()
    cases: tuple[str, ...] = ()
    has_callers: bool = False
    package: str = "singerkit"


class Page(NamedTuple):
    """A page of classes: those with hooks first, then the others, described by their docstrings."""

    title: str
    lead: str
    hooks: tuple[HookClass, ...]
    others: tuple[str, ...] = ()


STREAM_PER = {1: "", 3: "each context", 18: "each record"}
HTTP_PER = {
    3: "each context",
    9: "each page",
    11: "each try",
    12: "each request sent",
    18: "each record",
    2: "each try that failed",
}
SINK_PER = {3: "each batch", 9: "each record"}
PLUGIN = frozenset({"kind", "settings_schema", "sdk_version"})

PAGES = {
    "taps": Page(
        "Taps",
        "A tap gives its streams; the command line, the catalog, the state and the run come with it.",
        (
            HookClass(
                "Tap",
                ("stream",),
                on_demand={},
                engine=PLUGIN | {"plan", "units", "sync_unit", "preview", "stream_id_of", "metadata_of", "is_selected"},
            ),
        ),
    ),
    "streams": Page(
        "Streams",
        "A stream declares what it is, and gives records.",
        (
            HookClass(
                "Stream",
                ("stream",),
                STREAM_PER,
                engine=frozenset({"spec", "has_schema", "assume_schema", "state_context"}),
            ),
        ),
        ("Incremental",),
    ),
    "rest-streams": Page(
        "REST streams",
        "A stream of an HTTP API. Declare what it is like; override a hook where that is not enough.",
        (
            HookClass(
                "RESTStream",
                ("rest",),
                HTTP_PER,
                on_demand={
                    "get_next_page_token": "The older way to say where the next page is: called once a page where it "
                    "is overridden, instead of a paginator.",
                    "backoff_runtime": "For `backoff_wait_generator` to return.",
                },
                engine=frozenset({"spec", "record_pages", "logger"}),
            ),
        ),
        ("RetryPolicy", "JSONLinesFormat", "JSONArrayFormat", "CSVFormat", "XMLFormat", "ExportJob"),
    ),
    "graphql-streams": Page(
        "GraphQL streams",
        "A REST stream whose request is a query with variables.",
        (HookClass("GraphQLStream", ("graphql",), HTTP_PER),),
        ("GraphQLTypes", "QuerySchema"),
    ),
    "paginators": Page(
        "Paginators",
        "A paginator says where the next page is; a stream makes one for each context.",
        (
            HookClass(
                "BaseAPIPaginator",
                ("rest",),
                HTTP_PER,
                on_demand={
                    "tokens_ahead": "Asked once a context, where nobody looks at records on their way, so that several "
                    "pages may be asked for at the same time.",
                    "continue_if_empty": "Asked after a page without records.",
                    "empty_pages_allowed": "Asked after a page without records that is not the last.",
                },
            ),
        ),
        (
            "SinglePagePaginator",
            "PageNumberPaginator",
            "BasePageNumberPaginator",
            "OffsetPaginator",
            "BaseOffsetPaginator",
            "JSONPathPaginator",
            "SimpleHeaderPaginator",
            "HeaderLinkPaginator",
            "NextURLPaginator",
            "BaseHATEOASPaginator",
            "RelayPaginator",
            "KeysetPaginator",
            "DateWindowPaginator",
            "LegacyStreamPaginator",
        ),
    ),
    "authenticators": Page(
        "Authenticators",
        "An authenticator puts credentials on each request, one worker at a time, and gets new ones.",
        (
            HookClass(
                "APIAuthenticatorBase",
                ("rest",),
                {**HTTP_PER, 1: "when it happens"},
                on_demand={"for_config": "Called once a tap, for an authenticator that a stream declares."},
            ),
            HookClass("OAuthAuthenticator", ("graphql",), {**HTTP_PER, 1: "when it happens", 24: ""}),
        ),
        (
            "SimpleAuthenticator",
            "APIKeyAuthenticator",
            "BasicAuthenticator",
            "BearerTokenAuthenticator",
            "OAuthJWTAuthenticator",
            "JWTAuthenticator",
            "SessionLoginAuthenticator",
            "DigestAuthenticator",
            "AWSSignatureAuthenticator",
            "HMACAuthenticator",
            "RotatingAuthenticator",
            "RotatingTokenAuthenticator",
            "SingletonMeta",
        ),
    ),
    "schemas": Page(
        "Where schemas come from",
        "A stream's `schema` is a JSON Schema, or one of these.",
        (),
        ("StreamSchema", "SchemaSource", "SchemaDirectory", "OpenAPISchema"),
    ),
    "targets": Page(
        "Targets and sinks",
        "A target gives a class of sinks; a sink stores one stream, batch by batch or record by record.",
        (
            HookClass("Target", ("batch",), engine=PLUGIN),
            HookClass(
                "BatchSink",
                ("batch", "files"),
                SINK_PER,
                engine=frozenset({"process", "takes_structs", "takes_raw", "start_drain"}),
                on_demand={
                    "settle": "Called where `settle_seconds` is set; see ArrowSink.",
                    "is_settled": "Asked where `settle_seconds` is set; see ArrowSink.",
                },
                cases=("Records:", "A BATCH message, where `process_batch_files` is overridden:"),
            ),
            HookClass("RecordSink", ("record",), SINK_PER, engine=frozenset({"process"})),
            HookClass("ArrowSink", ("arrow",), SINK_PER, engine=frozenset({"process", "takes_structs"})),
        ),
        ("Sink",),
    ),
    "sql-taps": Page(
        "SQL taps",
        "A stream for each table and view of a database.",
        (
            HookClass("SQLTap", ("sql-tap",), engine=frozenset()),
            HookClass("SQLStream", ("sql-tap",), {9: "each record"}, engine=frozenset({"spec"})),
        ),
    ),
    "sql-targets": Page(
        "SQL targets",
        "A table for each stream of a database.",
        (
            HookClass(
                "SQLTarget",
                ("sql-target",),
                {2: "each schema"},
                on_demand={
                    "open_dialect": "Instead of a connector: how the database does what all can do. Called once, when "
                    "the database is opened.",
                    "open_database": "Instead of a connector: the database itself. Called once.",
                    "open_table": "Called once a stream, where there is a dialect or a database.",
                },
                engine=frozenset({"keeps_states", "started_from", "has_own_database"}),
            ),
            HookClass(
                "SQLSink",
                ("sql-target",),
                {2: "each schema", 6: "each batch", 18: "each record"},
                engine=frozenset({"takes_structs", "is_beside", "inserts_by_itself", "stores_by_itself"}),
            ),
        ),
    ),
    "sql-connectors": Page(
        "SQL connectors",
        "A connector reaches a database through SQLAlchemy; a tap reads by it, a target makes and fills tables by it.",
        (
            HookClass(
                "SQLConnector",
                ("sql-tap", "sql-target"),
                on_demand={
                    "schema_exists": "Called by `prepare_schema`, where streams have a database schema.",
                    "prepare_schema": "Called before `prepare_table`, where the stream has a database schema.",
                    "create_schema": "Called by `prepare_schema`, where the schema is missing.",
                    "rename_column": "Called where an author asks for it.",
                    "get_column_rename_ddl": "Called by `rename_column`.",
                    "replace_table": "Called at the end of a run, with `load_method` `overwrite`.",
                    "serialize_json": "Called for each value of a JSON column that is written.",
                    "deserialize_json": "Called for each value of a JSON column that is read.",
                },
                has_callers=True,
                cases=(
                    "A tap discovers and reads:",
                    "A target makes a table, changes it for a second schema, fills it:",
                ),
            ),
        ),
        ("SQLToJSONSchema", "JSONSchemaToSQL", "FullyQualifiedName"),
    ),
    "mappers": Page(
        "Mappers",
        "A mapper rewrites messages between a tap and a target.",
        (
            HookClass(
                "InlineMapper",
                ("mapper",),
                {1: "each message of the kind", 9: "each message of the kind"},
                on_demand={"map_batch_message": "Called for each BATCH message."},
                engine=PLUGIN,
            ),
        ),
        ("singerkit.records.stream_maps.PluginMapper", "singerkit.records.stream_maps.StreamMap"),
    ),
    "testing": Page(
        "Testing",
        "What a connector's own tests import from `singerkit_testing`; see "
        "[Check a connector](../../how-to/check-a-connector.md).",
        (HookClass("TestTemplate", ("tests",), engine=frozenset({"run"}), package="singerkit_testing"),),
        tuple(
            f"singerkit_testing.{name}"
            for name in (
                "get_tap_test_class",
                "get_target_test_class",
                "get_mapper_test_class",
                "SuiteConfig",
                "SingerTestSuite",
                "TestSuite",
                "TapTestTemplate",
                "StreamTestTemplate",
                "AttributeTestTemplate",
                "TargetTestTemplate",
                "TargetFileTestTemplate",
                "MapperTestTemplate",
                "SingerTestRunner",
                "TapTestRunner",
                "TargetTestRunner",
                "MapperTestRunner",
                "get_standard_tap_tests",
                "get_standard_target_tests",
                "tap_sync_test",
                "target_sync_test",
                "tap_to_target_sync_test",
                "sync_end_to_end",
            )
        ),
    ),
}
