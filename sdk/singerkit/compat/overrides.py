"""Overrides that connectors bring, and that nothing here would call: refused when the class is defined.

A method that is never called is lost data that nobody notices. Each name has one of three answers: *bridge* (it is
called as before, and is not in these tables), *replace* (a public hook does the same; the message names it) and
*refuse* (there is no such thing; the message says why).
"""

from __future__ import annotations

from collections.abc import Mapping

from singerkit.errors import ConfigurationError

_PAGE = "docs/how-to/partitions-and-children.md"
_ENGINE_WRITES = "messages are written by the engine, many records at once"
_RECORDS = f"{_ENGINE_WRITES}: change records in post_process(row, context), or give them in get_records(context)"
_STATES = f"{_ENGINE_WRITES}: set STATE_MSG_FREQUENCY for how often a state comes"
_STATE_IS_READ = (
    "the state has one owner, which is not the stream: read get_context_state(context), choose the partitions with "
    "state_partitioning_keys"
)
_READING = "define get_records(context): the engine reads partitions and children by itself, several at a time"
_SELECTION = "the catalog decides it: set selected_by_default on the stream"
_STREAMS = "give the streams in discover_streams()"
_DRAINING = (
    "the engine decides when a batch is stored: set max_size or batch_size_rows, max_bytes and batch_wait_limit_seconds"
)
_SINKS = "the engine opens one sink a stream and schema: give its class in get_sink_class(stream_name)"
_VALIDATION = "records are validated a batch at a time: set validate_schema, or change them in preprocess_record"

_COMMAND = "the command is made from the class: its options are those of every connector"

#: Of ``Stream`` and its kinds.
STREAM_OVERRIDES: Mapping[str, str] = {
    "_sync_children": (
        f"override generate_child_contexts(record, context) or get_child_context(record, context), which may give None "
        f"to skip a record's children (see {_PAGE})"
    ),
    "_sync_records": _READING,
    "_sync_batches": "BATCH files are written from what get_records(context) gives, as batch_config says",
    "get_batches": "BATCH files are written from what get_records(context) gives, as batch_config says",
    "get_batch_config": "BATCH files are written from what get_records(context) gives, as batch_config says",
    "sync": _READING,
    "_generate_record_messages": _RECORDS,
    "_generate_schema_messages": f"{_ENGINE_WRITES}: override schema, or primary_keys",
    "_write_record_message": _RECORDS,
    "_write_schema_message": f"{_ENGINE_WRITES}: override schema, or primary_keys",
    "_write_state_message": _STATES,
    "_write_batch_message": _RECORDS,
    "_write_activate_version_message": "the setting emit_activate_version_messages says whether they are written",
    "_write_starting_replication_value": "override get_starting_replication_key_value(context) or compare_start_date",
    "_write_replication_key_signpost": "override get_replication_key_signpost(context)",
    "_get_state_partition_context": "set state_partitioning_keys",
    "_check_max_record_limit": "set ABORT_AT_RECORD_COUNT",
    "_write_record_count_log": "the engine counts records; the setting of the log level says what is shown",
    "finalize_state_progress_markers": (
        "a bookmark is finished when all records of its context and their children are written: bound it with "
        "get_replication_key_signpost(context)"
    ),
    "reset_state_progress_markers": "the state of an interrupted run is cleared when it is read",
    "get_context_state": _STATE_IS_READ,
    "stream_state": _STATE_IS_READ,
    "tap_state": _STATE_IS_READ,
    "apply_catalog": "the catalog is applied before the stream is read: declare primary_keys and replication_key",
    "selected": _SELECTION,
    "has_selected_descendents": _SELECTION,
    "stream_maps": "maps belong to the setting stream_maps: change records in post_process(row, context)",
    "effective_schema": "override schema: what is selected of it is decided by the catalog",
}

#: Of ``Tap``.
TAP_OVERRIDES: Mapping[str, str] = {
    "load_streams": _STREAMS,
    "load_state": "give the state to the class: it is read before the streams are made",
    "_reset_state_progress_markers": "the state of an interrupted run is cleared when it is read",
    "_set_compatible_replication_methods": "set ignore_parent_replication_key on the child stream",
    "setup_mapper": "the setting stream_maps says how records are mapped",
    "message_writer_class": f"{_ENGINE_WRITES}",
    "write_message": f"{_ENGINE_WRITES}",
    "get_singer_command": _COMMAND,
    "cb_discover": _COMMAND,
    "cb_test": _COMMAND,
}

#: Of ``Target``.
TARGET_OVERRIDES: Mapping[str, str] = {
    "_write_state_message": "a state is written when everything before it is durable: make process_batch durable",
    "_process_record_message": "define process_record or process_batch on the sink",
    "_process_schema_message": "define setup() on the sink, which has schema and key_properties",
    "_process_state_message": "a state is written when everything before it is durable",
    "_process_activate_version_message": "define activate_version(new_version) on the sink",
    "_process_batch_message": "define process_batch_files on the sink to take the files of a BATCH message",
    "_assert_sink_exists": _SINKS,
    "add_sink": _SINKS,
    "sink_exists": _SINKS,
    "drain_all": _DRAINING,
    "_drain_all": _DRAINING,
    "drain_one": _DRAINING,
    "drain_sink_class": _DRAINING,
    "_MAX_RECORD_AGE_IN_MINUTES": "set batch_wait_limit_seconds, in seconds",
    "_reset_max_record_age": _DRAINING,
    "get_singer_command": _COMMAND,
    "message_reader_class": "the input is read by the engine, strictly",
}

#: Of ``Sink`` and its kinds.
SINK_OVERRIDES: Mapping[str, str] = {
    "_validate_and_parse": _VALIDATION,
    "_singer_validate_message": _VALIDATION,
    "_validator": _VALIDATION,
    "_parse_timestamps_in_record": "dates are read before preprocess_record: set parse_datetimes",
    "datetime_error_treatment": "dates are read before preprocess_record: set parse_datetimes",
    "_add_sdc_metadata_to_record": "set include_sdc_metadata_properties",
    "_remove_sdc_metadata_from_record": "set include_sdc_metadata_properties",
    "_add_sdc_metadata_to_schema": "set include_sdc_metadata_properties",
    "_after_process_record": "do it in process_record or process_batch",
    "is_full": _DRAINING,
    "start_drain": _DRAINING,
    "mark_drained": _DRAINING,
    "_get_context": "start_batch(context) is given the batch's context",
    "get_sink_record_counter": "the engine counts records",
}

#: Of ``BatchSink`` and its kinds: these may say when a batch is full, and hear when it is stored.
BATCH_SINK_OVERRIDES: Mapping[str, str] = {
    name: why for name, why in SINK_OVERRIDES.items() if name not in {"is_full", "mark_drained"}
}

_BUILT_IN = "settings that come with a capability are added by themselves: name it in capabilities"
_ENGINE = "override create_engine(), or get_sqlalchemy_url(config)"

#: Of ``SQLConnector``.
SQL_CONNECTOR_OVERRIDES: Mapping[str, str] = {
    "create_sqlalchemy_engine": _ENGINE,
    "_cached_engine": _ENGINE,
    "connection": "connections are opened where they are used: override _connect(), a context manager",
    "prepare_primary_key": "a table's key stays as it was made: say it in create_empty_table",
    "_sort_types": "override merge_sql_types(sql_types), which gives the type that can hold what the others can",
    "_warn_no_view_detection": "views are told from tables in get_object_names(engine, inspected, schema_name)",
    "get_sqlalchemy_type": "override to_sql_type(jsonschema_type)",
}

#: Of ``SQLSink``, beside those of every sink.
SQL_SINK_OVERRIDES: Mapping[str, str] = {
    "connection": "connections are opened where they are used: override the connector's _connect()",
    "check_string_key_properties": _VALIDATION,
    "_check_conformed_names_not_duplicated": "two properties with one name are refused: change conform_name",
}

#: Of ``SQLStream``, beside those of every stream.
SQL_STREAM_OVERRIDES: Mapping[str, str] = {
    "_singer_catalog_entry": "give the entry to __init__: it is catalog_entry from then on",
    "_singer_catalog": "the tap's catalog is self._tap.catalog; a stream has its own catalog_entry",
    "get_selected_schema": _SELECTION,
    "apply_abort_query_limit": "override apply_query_limit(query)",
    "apply_replication_filter": "override apply_query_filters(query, table, context=context)",
}

#: Of ``SQLTap``, beside those of every tap.
SQL_TAP_OVERRIDES: Mapping[str, str] = {
    "_tap_connector": "override tap_connector, a property",
    "append_builtin_config": _BUILT_IN,
}

#: Of ``SQLTarget``, beside those of every target.
SQL_TARGET_OVERRIDES: Mapping[str, str] = {
    "add_sqlsink": _SINKS,
    "_target_connector": "override target_connector, a property",
    "append_builtin_config": _BUILT_IN,
}


def refuse_overrides(cls: type, answers: Mapping[str, str]) -> None:
    """Refuse a class whose author, or a mixin of theirs, overrides one of these names.

    Errors: ``ConfigurationError`` that says what to do instead.
    """
    for owner in cls.__mro__:
        if owner.__module__.split(".")[0] in {"singerkit", "builtins", "typing"}:
            continue
        for name in answers.keys() & vars(owner).keys():
            raise ConfigurationError(
                f"{owner.__name__}.{name} would never be called, so it is refused: {answers[name]}"
            )
