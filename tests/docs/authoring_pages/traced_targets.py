"""Targets and a mapper whose hooks are all overridden: ``python traced_targets.py SCENARIO CALLS_FILE [option]...``."""

from __future__ import annotations

import sys
from contextlib import suppress

import sqlalchemy
from calls import Calls, note_in_place, traced

from singerkit import ArrowSink, BatchSink, InlineMapper, RecordSink, SQLConnector, SQLSink, SQLTarget, Target
from singerkit import typing as th

CALLS = Calls()

SINK_HOOKS = ("setup", "preprocess_record", "activate_version", "clean_up")
TARGET_HOOKS = ("get_sink_class", "get_sink", "publisher", "state_keeper")


def target_of(sink_class):
    class TargetTraced(traced(Target, TARGET_HOOKS, CALLS, "Target")):
        name, default_sink_class = "target-traced", sink_class

    return TargetTraced


def batch_target():
    hooks = (*SINK_HOOKS, "start_batch", "process_record", "is_full", "process_batch", "mark_drained")

    class Sink(traced(BatchSink, hooks, CALLS, "BatchSink")):
        MAX_SIZE_DEFAULT = 3

        def process_batch(self, context):
            try:
                super().process_batch(context)
            except NotImplementedError:
                assert context["records"]

    return target_of(Sink)


def record_target():
    class Sink(traced(RecordSink, (*SINK_HOOKS, "process_record"), CALLS, "RecordSink")):
        MAX_SIZE_DEFAULT = 3

        def process_record(self, record, context):
            try:
                super().process_record(record, context)
            except NotImplementedError:
                assert record

    return target_of(Sink)


def arrow_target():
    hooks = (*SINK_HOOKS, "process_table", "settle", "is_settled")

    class Sink(traced(ArrowSink, hooks, CALLS, "ArrowSink")):
        MAX_SIZE_DEFAULT, settle_seconds = 3, 60.0
        waiting = 0

        def process_table(self, table):
            self.waiting += len(table)
            with suppress(NotImplementedError):
                super().process_table(table)

        def settle(self):
            super().settle()
            self.waiting = 0

        @property
        def is_settled(self):
            return super().is_settled and not self.waiting

    return target_of(Sink)


def files_target():
    class Sink(traced(BatchSink, ("setup", "process_batch_files", "clean_up"), CALLS, "BatchSink")):
        def process_batch(self, context):
            raise AssertionError("the files are handed over unread")

    return target_of(Sink)


CONNECTOR_WRITES = (
    "get_sqlalchemy_url",
    "create_engine",
    "get_fully_qualified_name",
    "parse_full_table_name",
    "quote",
    "prepare_schema",
    "schema_exists",
    "create_schema",
    "prepare_table",
    "table_exists",
    "create_empty_table",
    "get_table_columns",
    "prepare_column",
    "column_exists",
    "get_column_add_ddl",
    "to_sql_type",
    "merge_sql_types",
    "delete_old_versions",
    "remove_table",
    "get_table",
)
SQL_SINK_HOOKS = (
    "setup",
    "activate_version",
    "clean_up",
    "conform_name",
    "conform_schema",
    "conform_record",
    "table_name",
    "schema_name",
    "database_name",
    "full_table_name",
    "full_schema_name",
    "staging_table_name",
    "key_properties",
    "generate_insert_statement",
    "merge_upsert_from_table",
)


def sql_target():
    # Where they are overridden, the author decides what becomes of rows with the same key.
    note_in_place(SQLSink, ["process_batch", "bulk_insert_records"], CALLS, "SQLSink")

    class Connector(traced(SQLConnector, CONNECTOR_WRITES, CALLS, "SQLConnector")):
        allow_column_alter = True

        @staticmethod
        def get_column_alter_ddl(table_name, column_name, column_type):
            SQLConnector.get_column_alter_ddl(table_name, column_name, column_type)
            return sqlalchemy.text("select 1")  # SQLite has no such statement, and takes texts in any column

    note_in_place(Connector, ["get_column_alter_ddl"], CALLS, "SQLConnector")

    class Sink(traced(SQLSink, SQL_SINK_HOOKS, CALLS, "SQLSink")):
        connector_class = Connector
        MAX_SIZE_DEFAULT = 3

    hooks = ("check_settings", "target_connector", "get_sink_class", "get_sink", "publisher", "state_keeper")

    class TargetTraced(traced(SQLTarget, hooks, CALLS, "SQLTarget")):
        name, default_sink_class = "target-traced", Sink
        config_jsonschema = th.PropertiesList(th.Property("sqlalchemy_url", th.StringType)).to_dict()

    return TargetTraced


def mapper():
    hooks = [f"map_{kind}_message" for kind in ("schema", "record", "state", "activate_version", "batch")]

    class MapperTraced(traced(InlineMapper, hooks, CALLS, "InlineMapper")):
        name = "mapper-traced"

    return MapperTraced


SCENARIOS = {
    "batch": batch_target,
    "record": record_target,
    "arrow": arrow_target,
    "files": files_target,
    "sql-target": sql_target,
    "mapper": mapper,
}


def main() -> None:
    scenario, path, *options = sys.argv[1:]
    plugin = SCENARIOS[scenario]()
    try:
        plugin.cli.main(options)
    finally:
        CALLS.write(path)


if __name__ == "__main__":
    main()
