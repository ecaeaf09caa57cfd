"""A target that loads SQLite, written with singer-sdk's SQL classes the way its documentation shows."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from singer_sdk import SQLConnector, SQLSink, SQLTarget
from singer_sdk import typing as th


class SQLiteConnector(SQLConnector):
    """Connects to the file."""

    allow_temp_tables = False
    allow_column_alter = False

    def get_sqlalchemy_url(self, config: dict[str, Any]) -> str:
        return f"sqlite:///{config['path_to_database']}"


class SQLiteSink(SQLSink):
    """Appends, as `SQLSink` does; SQLite's driver takes no objects and no decimals: they become JSON and floats."""

    connector_class = SQLiteConnector

    def preprocess_record(self, record: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
        for name, value in record.items():
            if isinstance(value, dict):
                record[name] = json.dumps(value)
            elif isinstance(value, Decimal):
                record[name] = float(value)
        return record


class TargetSQLite(SQLTarget):
    """The target that is measured."""

    name = "target-benchmark-sqlite"
    config_jsonschema = th.PropertiesList(th.Property("path_to_database", th.StringType)).to_dict()
    default_sink_class = SQLiteSink


if __name__ == "__main__":
    TargetSQLite.cli()
