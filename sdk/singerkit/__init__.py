"""singerkit: write, test and run Singer taps and targets.

The names an author needs are here; each is imported when it is first used, so that a command which needs little
starts fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from singerkit.http.auth import (
        APIAuthenticatorBase,
        APIKeyAuthenticator,
        AWSSignatureAuthenticator,
        BasicAuthenticator,
        BearerTokenAuthenticator,
        DigestAuthenticator,
        HMACAuthenticator,
        JWTAuthenticator,
        OAuthAuthenticator,
        OAuthJWTAuthenticator,
        RotatingAuthenticator,
        RotatingTokenAuthenticator,
        SessionLoginAuthenticator,
        SimpleAuthenticator,
        SingletonMeta,
    )
    from singerkit.http.bodies import CSVFormat, JSONArrayFormat, JSONLinesFormat, XMLFormat
    from singerkit.http.export import ExportJob
    from singerkit.http.paginate import (
        BaseAPIPaginator,
        BaseHATEOASPaginator,
        BaseOffsetPaginator,
        BasePageNumberPaginator,
        DateWindowPaginator,
        HeaderLinkPaginator,
        JSONPathPaginator,
        KeysetPaginator,
        LegacyStreamPaginator,
        NextURLPaginator,
        OffsetPaginator,
        PageNumberPaginator,
        RelayPaginator,
        SimpleHeaderPaginator,
        SinglePagePaginator,
    )
    from singerkit.http.retry import RetryPolicy
    from singerkit.mappers import InlineMapper
    from singerkit.schema.graphql import GraphQLTypes
    from singerkit.schema.openapi import OpenAPISchema
    from singerkit.schema.sources import SchemaDirectory, SchemaSource, StreamSchema
    from singerkit.sinks import BatchSink, RecordSink, Sink
    from singerkit.sinks.arrow import ArrowSink
    from singerkit.sinks.sql import SQLSink
    from singerkit.sql.connector import FullyQualifiedName, JSONSchemaToSQL, SQLConnector, SQLToJSONSchema
    from singerkit.sql_tap import SQLTap
    from singerkit.sql_target import SQLTarget
    from singerkit.streams import GraphQLStream, RESTStream, Stream
    from singerkit.streams.graphql import QuerySchema
    from singerkit.streams.incremental import Incremental
    from singerkit.streams.sql import SQLStream
    from singerkit.taps import Tap
    from singerkit.targets import Target

__version__ = "0.1.0"

_HOME = {
    "APIAuthenticatorBase": "singerkit.http.auth",
    "APIKeyAuthenticator": "singerkit.http.auth",
    "AWSSignatureAuthenticator": "singerkit.http.auth",
    "ArrowSink": "singerkit.sinks.arrow",
    "BaseAPIPaginator": "singerkit.http.paginate",
    "BaseHATEOASPaginator": "singerkit.http.paginate",
    "BaseOffsetPaginator": "singerkit.http.paginate",
    "BasePageNumberPaginator": "singerkit.http.paginate",
    "BasicAuthenticator": "singerkit.http.auth",
    "BatchSink": "singerkit.sinks",
    "BearerTokenAuthenticator": "singerkit.http.auth",
    "CSVFormat": "singerkit.http.bodies",
    "DateWindowPaginator": "singerkit.http.paginate",
    "DigestAuthenticator": "singerkit.http.auth",
    "ExportJob": "singerkit.http.export",
    "FullyQualifiedName": "singerkit.sql.connector",
    "GraphQLStream": "singerkit.streams",
    "GraphQLTypes": "singerkit.schema.graphql",
    "HMACAuthenticator": "singerkit.http.auth",
    "HeaderLinkPaginator": "singerkit.http.paginate",
    "Incremental": "singerkit.streams.incremental",
    "InlineMapper": "singerkit.mappers",
    "JSONArrayFormat": "singerkit.http.bodies",
    "JSONLinesFormat": "singerkit.http.bodies",
    "JSONPathPaginator": "singerkit.http.paginate",
    "JSONSchemaToSQL": "singerkit.sql.connector",
    "JWTAuthenticator": "singerkit.http.auth",
    "KeysetPaginator": "singerkit.http.paginate",
    "LegacyStreamPaginator": "singerkit.http.paginate",
    "NextURLPaginator": "singerkit.http.paginate",
    "OAuthAuthenticator": "singerkit.http.auth",
    "OAuthJWTAuthenticator": "singerkit.http.auth",
    "OffsetPaginator": "singerkit.http.paginate",
    "OpenAPISchema": "singerkit.schema.openapi",
    "PageNumberPaginator": "singerkit.http.paginate",
    "QuerySchema": "singerkit.streams.graphql",
    "RESTStream": "singerkit.streams",
    "RecordSink": "singerkit.sinks",
    "RelayPaginator": "singerkit.http.paginate",
    "RetryPolicy": "singerkit.http.retry",
    "RotatingAuthenticator": "singerkit.http.auth",
    "RotatingTokenAuthenticator": "singerkit.http.auth",
    "SQLConnector": "singerkit.sql.connector",
    "SQLSink": "singerkit.sinks.sql",
    "SQLStream": "singerkit.streams.sql",
    "SQLTap": "singerkit.sql_tap",
    "SQLTarget": "singerkit.sql_target",
    "SQLToJSONSchema": "singerkit.sql.connector",
    "SchemaDirectory": "singerkit.schema.sources",
    "SchemaSource": "singerkit.schema.sources",
    "SessionLoginAuthenticator": "singerkit.http.auth",
    "SimpleAuthenticator": "singerkit.http.auth",
    "SimpleHeaderPaginator": "singerkit.http.paginate",
    "SinglePagePaginator": "singerkit.http.paginate",
    "SingletonMeta": "singerkit.http.auth",
    "Sink": "singerkit.sinks",
    "Stream": "singerkit.streams",
    "StreamSchema": "singerkit.schema.sources",
    "Tap": "singerkit.taps",
    "Target": "singerkit.targets",
    "XMLFormat": "singerkit.http.bodies",
}

__all__ = [
    "APIAuthenticatorBase",
    "APIKeyAuthenticator",
    "AWSSignatureAuthenticator",
    "ArrowSink",
    "BaseAPIPaginator",
    "BaseHATEOASPaginator",
    "BaseOffsetPaginator",
    "BasePageNumberPaginator",
    "BasicAuthenticator",
    "BatchSink",
    "BearerTokenAuthenticator",
    "CSVFormat",
    "DateWindowPaginator",
    "DigestAuthenticator",
    "ExportJob",
    "FullyQualifiedName",
    "GraphQLStream",
    "GraphQLTypes",
    "HMACAuthenticator",
    "HeaderLinkPaginator",
    "Incremental",
    "InlineMapper",
    "JSONArrayFormat",
    "JSONLinesFormat",
    "JSONPathPaginator",
    "JSONSchemaToSQL",
    "JWTAuthenticator",
    "KeysetPaginator",
    "LegacyStreamPaginator",
    "NextURLPaginator",
    "OAuthAuthenticator",
    "OAuthJWTAuthenticator",
    "OffsetPaginator",
    "OpenAPISchema",
    "PageNumberPaginator",
    "QuerySchema",
    "RESTStream",
    "RecordSink",
    "RelayPaginator",
    "RetryPolicy",
    "RotatingAuthenticator",
    "RotatingTokenAuthenticator",
    "SQLConnector",
    "SQLSink",
    "SQLStream",
    "SQLTap",
    "SQLTarget",
    "SQLToJSONSchema",
    "SchemaDirectory",
    "SchemaSource",
    "SessionLoginAuthenticator",
    "SimpleAuthenticator",
    "SimpleHeaderPaginator",
    "SinglePagePaginator",
    "SingletonMeta",
    "Sink",
    "Stream",
    "StreamSchema",
    "Tap",
    "Target",
    "XMLFormat",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'singerkit' has no attribute '{name}'")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value
