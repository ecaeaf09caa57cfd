"""target-duckdb: loads a DuckDB database, a table for each stream.

How values are stored: integers as BIGINT, longer ones as HUGEINT or text; ``number`` as DOUBLE, until one comes that no
double holds (then the column becomes VARCHAR, with every digit); decimals as DECIMAL(38, ...), those that do not fit as
text; instants as TIMESTAMPTZ; dates as DATE; times of day as text, with their offset; objects, arrays and properties of
several types as JSON. A column that is too narrow for a value is widened first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from singerkit import typing as th
from singerkit.sinks.sql import SQLSink
from singerkit.sql.dialects.duckdb import DuckDBDatabase
from singerkit.sql_target import LOAD_METHOD, ON_SCHEMA_CHANGE, STATE_KEY, STATE_TABLE, SQLTarget, path_in


class DuckDBSink(SQLSink[Any]):
    """Loads the records of a stream into its table."""

    exact_numbers = True


class TargetDuckDB(SQLTarget):
    """Loads a DuckDB database, a table for each stream."""

    name = "target-duckdb"
    default_sink_class = DuckDBSink
    capabilities: ClassVar[Sequence[str]] = (*SQLTarget.capabilities, "target-schema")
    config_jsonschema = th.PropertiesList(
        th.Property(
            "path",
            th.StringType,
            title="Database",
            description="The path of the database file; it is made if it is not there. This or `filepath` is required.",
        ),
        th.Property("filepath", th.StringType, title="Database", description="Another name for `path`."),
        th.Property(
            "threads",
            th.IntegerType(minimum=1),
            default=1,
            title="Threads",
            description="How many threads DuckDB uses for a statement. Streams are loaded at the same time anyhow; "
            "more help where rows of very large tables are replaced.",
        ),
        LOAD_METHOD,
        ON_SCHEMA_CHANGE,
        STATE_KEY,
        STATE_TABLE,
    ).to_dict()

    def open_database(self) -> DuckDBDatabase:
        """Open the database of the config."""
        return DuckDBDatabase(
            self._path, self.config.get("default_target_schema") or "", threads=self.config.get("threads") or 1
        )

    def check_settings(self) -> None:
        """See which file it is."""
        self._path = path_in(self.config, "path", "filepath")
