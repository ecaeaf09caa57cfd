"""The connectors that come with singerkit, by name: a table of words, so that every layer may ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Connector(NamedTuple):
    """A connector that comes with singerkit: ``module:Class``, imported when it is used, and what it does."""

    location: str
    sentence: str
    #: Only one process at a time may write to where this target writes.
    is_alone: bool = False


CONNECTORS: Mapping[str, Connector] = {
    "tap-csv": Connector("singerkit.connectors.tap_csv:TapCSV", "Reads CSV files."),
    "tap-sql": Connector("singerkit.connectors.tap_sql:TapSQL", "Reads any SQL database."),
    "target-jsonl": Connector(
        "singerkit.connectors.target_jsonl:TargetJSONL", "Writes JSON lines, a file a stream.", is_alone=True
    ),
    "target-csv": Connector(
        "singerkit.connectors.target_csv:TargetCSV", "Writes CSV files, one a stream.", is_alone=True
    ),
    "target-parquet": Connector(
        "singerkit.connectors.target_parquet:TargetParquet", "Writes Parquet files.", is_alone=True
    ),
    "target-sqlite": Connector(
        "singerkit.connectors.target_sqlite:TargetSQLite", "Loads a SQLite database.", is_alone=True
    ),
    "target-duckdb": Connector(
        "singerkit.connectors.target_duckdb:TargetDuckDB", "Loads a DuckDB database.", is_alone=True
    ),
    "target-postgres": Connector("singerkit.connectors.target_postgres:TargetPostgres", "Loads a PostgreSQL database."),
    "target-mysql": Connector("singerkit.connectors.target_mysql:TargetMySQL", "Loads a MariaDB or MySQL database."),
}
