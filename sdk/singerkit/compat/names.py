"""Where the names live that connectors import from ``singer_sdk``: data, read by ``singerkit port``.

A full name (``singer_sdk.helpers.types.Context``) is looked up in :data:`NAMES`, in :data:`REFUSED`, among the names of
``singerkit`` itself, and then in the module that :data:`MODULES` or :data:`PACKAGES` names.
"""

from __future__ import annotations

from collections.abc import Mapping

OLD = "singer_sdk"

_CATALOG = "singerkit.protocol.catalog"
_MESSAGES = "singerkit.protocol.messages"
_BATCHES = "singerkit.files.batches"
_SETTINGS = "singerkit.config.settings"

#: Modules, to the module that has their names.
MODULES: Mapping[str, str] = {
    "singer_sdk": "singerkit",
    "singer_sdk.authenticators": "singerkit.http.auth",
    "singer_sdk.connectors": "singerkit",
    "singer_sdk.connectors.sql": "singerkit",
    "singer_sdk.exceptions": "singerkit.errors",
    "singer_sdk.helpers._catalog": _CATALOG,
    "singer_sdk.helpers._flattening": "singerkit.records.flatten",
    "singer_sdk.helpers._singer": _CATALOG,
    "singer_sdk.helpers._typing": "singerkit.typing",
    "singer_sdk.helpers._util": "singerkit.clock",
    "singer_sdk.helpers.capabilities": _SETTINGS,
    "singer_sdk.helpers.conform": "singerkit.types",
    "singer_sdk.helpers.jsonpath": "singerkit.http.extract",
    "singer_sdk.helpers.types": "singerkit.types",
    "singer_sdk.mapper_base": "singerkit.mappers",
    "singer_sdk.metrics": "singerkit.telemetry.metrics",
    "singer_sdk.pagination": "singerkit.http.paginate",
    "singer_sdk.plugin_base": "singerkit.plugins",
    "singer_sdk.schema": "singerkit",
    "singer_sdk.schema.source": "singerkit.schema.sources",
    "singer_sdk.singerlib": "singerkit.protocol",
    "singer_sdk.singerlib.catalog": _CATALOG,
    "singer_sdk.singerlib.encoding.base": _MESSAGES,
    "singer_sdk.singerlib.messages": _MESSAGES,
    "singer_sdk.singerlib.schema": "singerkit.schema.refs",
    "singer_sdk.sinks": "singerkit.sinks",
    "singer_sdk.sinks.batch": "singerkit.sinks",
    "singer_sdk.sinks.core": "singerkit.sinks.core",
    "singer_sdk.sinks.record": "singerkit.sinks",
    "singer_sdk.sinks.sql": "singerkit.sinks.sql",
    "singer_sdk.sql": "singerkit",
    "singer_sdk.sql.connector": "singerkit.sql.connector",
    "singer_sdk.sql.sink": "singerkit.sinks.sql",
    "singer_sdk.sql.stream": "singerkit.streams.sql",
    "singer_sdk.sql.tap": "singerkit.sql_tap",
    "singer_sdk.sql.target": "singerkit.sql_target",
    "singer_sdk.streams": "singerkit.streams",
    "singer_sdk.streams.core": "singerkit.streams.core",
    "singer_sdk.streams.graphql": "singerkit.streams.graphql",
    "singer_sdk.streams.rest": "singerkit.streams.rest",
    "singer_sdk.streams.sql": "singerkit.streams.sql",
    "singer_sdk.tap_base": "singerkit.taps",
    "singer_sdk.target_base": "singerkit.targets",
    "singer_sdk.testing.pytest_plugin": "singerkit_testing.plugin",
    "singer_sdk.typing": "singerkit.typing",
}

#: Packages whose modules have the same names here.
PACKAGES: Mapping[str, str] = {"singer_sdk.testing": "singerkit_testing"}

#: Modules that had another name in older versions.
RENAMED_MODULES: Mapping[str, str] = {
    "singer_sdk._singerlib": "singer_sdk.singerlib",
    "singer_sdk._singerlib.catalog": "singer_sdk.singerlib.catalog",
    "singer_sdk._singerlib.messages": "singer_sdk.singerlib.messages",
    "singer_sdk._singerlib.schema": "singer_sdk.singerlib.schema",
}

_OF_CATALOGS = ("Catalog", "CatalogEntry", "Metadata", "MetadataMapping", "StreamMetadata")
_OF_MESSAGES = (
    "ActivateVersionMessage",
    "Message",
    "RecordMessage",
    "SchemaMessage",
    "SingerMessageType",
    "StateMessage",
)

#: Names that are called differently, or live apart from the others of their module.
NAMES: Mapping[str, str] = {
    **{f"singer_sdk.singerlib.{name}": f"{_CATALOG}.{name}" for name in _OF_CATALOGS},
    **{f"singer_sdk.singerlib.{name}": f"{_MESSAGES}.{name}" for name in _OF_MESSAGES},
    "singer_sdk.PluginBase": "singerkit.plugins.Plugin",
    "singer_sdk.exceptions.InvalidRecord": "singerkit.errors.DataError",
    "singer_sdk.exceptions.MapExpressionError": "singerkit.errors.MappingError",
    "singer_sdk.exceptions.SingerSDKError": "singerkit.errors.SingerKitError",
    "singer_sdk.exceptions.SkippableAPIError": "singerkit.errors.SkippableSyncError",
    "singer_sdk.exceptions.StreamMapConfigError": "singerkit.errors.MappingError",
    "singer_sdk.exceptions.TapStreamConnectionFailure": "singerkit.errors.SyncError",
    "singer_sdk.helpers._batch.BaseBatchFileEncoding": f"{_BATCHES}.BatchEncoding",
    "singer_sdk.helpers._catalog.deselect_all_streams": f"{_CATALOG}.deselect_all",
    "singer_sdk.helpers._catalog.set_catalog_stream_selected": f"{_CATALOG}.set_selected",
    "singer_sdk.helpers._classproperty.classproperty": "singerkit.plugins.ClassValue",
    "singer_sdk.helpers._compat.final": "typing.final",
    "singer_sdk.helpers._typing.TypeConformanceLevel": "singerkit.types.TypeConformanceLevel",
    "singer_sdk.mapper.PluginMapper": "singerkit.records.stream_maps.PluginMapper",
    "singer_sdk.mapper.StreamMap": "singerkit.records.stream_maps.StreamMap",
    "singer_sdk.plugin_base.PluginBase": "singerkit.plugins.Plugin",
    "singer_sdk.schema.source.OpenAPISchemaNormalizer": "singerkit.schema.openapi_dialect.OpenAPISchemaNormalizer",
    "singer_sdk.singerlib.resolve_schema_references": "singerkit.schema.refs.resolve_references",
    "singer_sdk.singerlib.schema.resolve_schema_references": "singerkit.schema.refs.resolve_references",
    "singer_sdk.streams.core.TypeConformanceLevel": "singerkit.types.TypeConformanceLevel",
    "singer_sdk.testing.legacy.get_standard_tap_tests": "singerkit_testing.legacy.get_standard_tap_tests",
}

_MAPS = (
    "stream maps are compiled from the setting stream_maps, and there are no kinds of them to subclass: change records "
    "in post_process(row, context), or make a mapper of its own with singerkit.InlineMapper"
)
_BATCH_FILES = "BATCH files are written and read by the engine, as the setting batch_config says"
_STATE = "the state has one owner, which is not the stream: give records in order, and set replication_key"
_WRITES = "messages are written by the engine, many records at once"
_CONFORMS = "records are conformed by the engine, as the schema says"

#: Names, and modules with all their names, that have no counterpart: the reason, and what to do instead.
REFUSED: Mapping[str, str] = {
    "singer_sdk.batch": _BATCH_FILES,
    "singer_sdk.cli": "the command is made from the class: its options are those of every connector",
    "singer_sdk.contrib.batch_encoder_jsonl": _BATCH_FILES,
    "singer_sdk.contrib.batch_encoder_parquet": _BATCH_FILES,
    "singer_sdk.contrib.filesystem": "there is no folder tap to subclass: give a stream a file in discover_streams()",
    "singer_sdk.contrib.msgspec": "messages are always read and written with msgspec",
    "singer_sdk.helpers._batch.BatchConfig": _BATCH_FILES,
    "singer_sdk.helpers._batch.BatchFileFormat": _BATCH_FILES,
    "singer_sdk.helpers._batch.JSONLinesEncoding": _BATCH_FILES,
    "singer_sdk.helpers._batch.ParquetEncoding": _BATCH_FILES,
    "singer_sdk.helpers._batch.StorageTarget": _BATCH_FILES,
    "singer_sdk.helpers._catalog.pop_deselected_record_properties": "what is not selected is left out by the engine",
    "singer_sdk.helpers._compat": "it is in the standard library by now: datetime.fromisoformat(), importlib.metadata",
    "singer_sdk.helpers._flattening.FlatteningOptions": "records are flattened by the engine, as flattening_* say",
    "singer_sdk.helpers._flattening.flatten_schema": (
        "singerkit.records.flatten.flatten_schema(schema, FlattenOptions(max_depth, separator)) takes other arguments; "
        "the settings flattening_enabled and flattening_max_depth make the engine do it"
    ),
    "singer_sdk.helpers._flattening.get_flattening_options": "use singerkit.records.flatten.flatten_options(config)",
    "singer_sdk.helpers._state": _STATE,
    "singer_sdk.helpers._typing.conform_record_data_types": _CONFORMS,
    "singer_sdk.helpers._util.read_json_file": "use json.loads(Path(path).read_text())",
    "singer_sdk.helpers.capabilities.AlertingLevel": "it has gone from singer_sdk too",
    "singer_sdk.mapper": _MAPS,
    "singer_sdk.singerlib.format_message": f"{_WRITES}: singerkit.protocol.codec encodes one",
    "singer_sdk.singerlib.messages.format_message": f"{_WRITES}: singerkit.protocol.codec encodes one",
    "singer_sdk.singerlib.messages.write_message": _WRITES,
    "singer_sdk.singerlib.write_message": _WRITES,
}

#: Class attributes that name how messages are read or written, which is no longer chosen: dropped.
CHOSEN_NO_LONGER = frozenset({"message_reader_class", "message_writer_class"})
