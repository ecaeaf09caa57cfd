"""target-sqlite: loads a SQLite database, a table for each stream.

How values are stored: integers as such, those beyond 64 bits as text with every digit (their column becomes TEXT);
``number`` as a double, until one comes that no double holds (then the column becomes TEXT, with every digit); decimals
(``multipleOf`` below 1, the decimal formats) as text with every digit; booleans as 0 and 1; dates and times as the text
that came, with its offset; objects and arrays as JSON text; values of a property that may be of several types as they
are. A batch is one transaction, with the write-ahead log flushed to the disk when it ends.
"""

from __future__ import annotations

from typing import Any

from singerkit import typing as th
from singerkit.sinks.sql import SQLSink
from singerkit.sql.dialects.sqlite import SQLiteDatabase
from singerkit.sql_target import LOAD_METHOD, ON_SCHEMA_CHANGE, STATE_KEY, STATE_TABLE, SQLTarget, path_in


class SQLiteSink(SQLSink[Any]):
    """Loads the records of a stream into its table."""

    exact_numbers = True
    parse_datetimes = False


class TargetSQLite(SQLTarget):
    """Loads a SQLite database, a table for each stream."""

    name = "target-sqlite"
    default_sink_class = SQLiteSink
    config_jsonschema = th.PropertiesList(
        th.Property(
            "path_to_database",
            th.StringType,
            title="Database",
            description="The path of the database file; it is made if it is not there. This or `database` is required.",
        ),
        th.Property("database", th.StringType, title="Database", description="Another name for `path_to_database`."),
        th.Property(
            "busy_timeout_seconds",
            th.NumberType,
            default=30,
            title="Busy timeout",
            description="How long to wait while another program has locked the database.",
        ),
        LOAD_METHOD,
        ON_SCHEMA_CHANGE,
        STATE_KEY,
        STATE_TABLE,
    ).to_dict()

    def open_database(self) -> SQLiteDatabase:
        """Open the database of the config."""
        timeout_s = self.config.get("busy_timeout_seconds")
        return SQLiteDatabase(self._path, 30.0 if timeout_s is None else float(timeout_s))

    def check_settings(self) -> None:
        """See which file it is."""
        self._path = path_in(self.config, "path_to_database", "database")
