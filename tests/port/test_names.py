"""Every home that the tables name is there, and the names that connectors use most have one."""

from __future__ import annotations

from importlib import import_module

import pytest

from singerkit.compat.names import MODULES, NAMES, REFUSED
from singerkit.port.names import Home, Refusal, resolve

#: By module, the names that several published connectors import.
USED = {
    "singer_sdk": [
        "InlineMapper", "OpenAPISchema", "RESTStream", "SQLConnector", "SQLStream", "SQLTap", "SQLTarget",
        "SchemaDirectory", "Sink", "Stream", "StreamSchema", "Tap", "Target", "exceptions", "metrics", "typing",
    ],
    "singer_sdk.authenticators": [
        "APIAuthenticatorBase", "APIKeyAuthenticator", "BasicAuthenticator", "BearerTokenAuthenticator",
        "OAuthAuthenticator", "OAuthJWTAuthenticator", "SimpleAuthenticator", "SingletonMeta",
    ],
    "singer_sdk.connectors": ["SQLConnector"],
    "singer_sdk.connectors.sql": ["FullyQualifiedName", "JSONSchemaToSQL", "SQLConnector", "SQLToJSONSchema"],
    "singer_sdk.exceptions": [
        "ConfigValidationError", "FatalAPIError", "InvalidRecord", "InvalidStreamSortException",
        "MissingKeyPropertiesError", "RetriableAPIError",
    ],
    "singer_sdk.helpers": ["types"],
    "singer_sdk.helpers._batch": ["BaseBatchFileEncoding"],
    "singer_sdk.helpers._catalog": ["deselect_all_streams", "set_catalog_stream_selected"],
    "singer_sdk.helpers._classproperty": ["classproperty"],
    "singer_sdk.helpers._compat": ["final"],
    "singer_sdk.helpers._flattening": ["flatten_record"],
    "singer_sdk.helpers._singer": ["Catalog"],
    "singer_sdk.helpers._typing": ["TypeConformanceLevel", "append_type"],
    "singer_sdk.helpers._util": ["utc_now"],
    "singer_sdk.helpers.capabilities": ["CapabilitiesEnum", "PluginCapabilities", "TapCapabilities"],
    "singer_sdk.helpers.conform": ["TypeConformanceLevel"],
    "singer_sdk.helpers.jsonpath": ["extract_jsonpath"],
    "singer_sdk.helpers.types": ["Auth", "Context", "Record"],
    "singer_sdk.mapper": ["PluginMapper", "StreamMap"],
    "singer_sdk.mapper_base": ["InlineMapper"],
    "singer_sdk.metrics": ["Counter", "Metric", "Tag", "batch_counter", "http_request_counter"],
    "singer_sdk.pagination": [
        "BaseAPIPaginator", "BaseHATEOASPaginator", "BaseOffsetPaginator", "BasePageNumberPaginator",
        "HeaderLinkPaginator", "JSONPathPaginator", "OffsetPaginator", "PageNumberPaginator", "SimpleHeaderPaginator",
        "SinglePagePaginator",
    ],
    "singer_sdk.plugin_base": ["PluginBase"],
    "singer_sdk.schema.source": ["OpenAPISchema", "OpenAPISchemaNormalizer", "SchemaDirectory", "StreamSchema"],
    "singer_sdk.singerlib": [
        "ActivateVersionMessage", "Catalog", "CatalogEntry", "Message", "Metadata", "MetadataMapping", "RecordMessage",
        "SchemaMessage", "SingerMessageType", "StateMessage", "StreamMetadata", "resolve_schema_references",
    ],
    "singer_sdk._singerlib.messages": ["RecordMessage", "SchemaMessage"],
    "singer_sdk.singerlib.encoding.base": ["SingerMessageType"],
    "singer_sdk.sinks": ["BatchSink", "RecordSink", "SQLSink", "Sink"],
    "singer_sdk.sinks.sql": ["SQLSink"],
    "singer_sdk.sql": ["SQLConnector", "SQLSink", "SQLStream", "SQLTap", "SQLTarget"],
    "singer_sdk.sql.connector": ["FullyQualifiedName", "JSONSchemaToSQL", "SQLConnector", "SQLToJSONSchema"],
    "singer_sdk.sql.sink": ["SQLSink"],
    "singer_sdk.sql.stream": ["SQLStream"],
    "singer_sdk.sql.tap": ["SQLTap"],
    "singer_sdk.sql.target": ["SQLTarget"],
    "singer_sdk.streams": ["GraphQLStream", "RESTStream", "SQLStream", "Stream"],
    "singer_sdk.streams.core": [
        "REPLICATION_FULL_TABLE", "REPLICATION_INCREMENTAL", "REPLICATION_LOG_BASED", "Stream", "TypeConformanceLevel",
    ],
    "singer_sdk.streams.graphql": ["GraphQLStream"],
    "singer_sdk.streams.rest": ["HTTPRequest", "PageContext", "RESTStream"],
    "singer_sdk.streams.sql": ["SQLStream"],
    "singer_sdk.tap_base": ["SQLTap", "Tap"],
    "singer_sdk.target_base": ["SQLTarget", "Target"],
    "singer_sdk.testing": ["SuiteConfig", "get_standard_tap_tests", "get_tap_test_class", "get_target_test_class"],
    "singer_sdk.testing.legacy": ["get_standard_tap_tests"],
    "singer_sdk.testing.suites": ["SingerTestSuite", "TestSuite"],
    "singer_sdk.testing.target_tests": ["TargetArrayData"],
    "singer_sdk.testing.templates": ["TapTestTemplate", "TargetFileTestTemplate"],
    "singer_sdk.typing": [
        "AnyType", "ArrayType", "BooleanType", "CustomType", "DateTimeType", "DateType", "DecimalType",
        "DefaultInstanceProperty", "EmailType", "IntegerType", "JSONTypeHelper", "NumberType", "ObjectType", "OneOf",
        "PropertiesList", "Property", "RegexType", "StringType", "TimeType", "URIReferenceType", "URIType", "UUIDType",
    ],
}  # fmt: skip


@pytest.mark.parametrize("old", [f"{module}.{name}" for module, names in USED.items() for name in names])
def test_a_name_that_connectors_use_has_a_home(old: str) -> None:
    home = resolve(old)
    assert isinstance(home, Home), home
    module = import_module(home.module)
    assert not home.name or getattr(module, home.name) is not None


@pytest.mark.parametrize("new", sorted({*MODULES.values(), *NAMES.values()}))
def test_a_home_is_there(new: str) -> None:
    try:
        import_module(new)
    except ModuleNotFoundError:
        module, _, name = new.rpartition(".")
        assert hasattr(import_module(module), name)


def test_no_name_has_two_answers() -> None:
    assert not NAMES.keys() & REFUSED.keys()


@pytest.mark.parametrize("old", [*REFUSED, "singer_sdk.helpers._state.increment_state", "singer_sdk.no_such.thing"])
def test_a_name_without_a_home_has_a_reason(old: str) -> None:
    refusal = resolve(old)
    assert isinstance(refusal, Refusal)
    assert len(refusal.reason) > 15
