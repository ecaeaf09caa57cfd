"""The connectors that come with singerkit, by name: a table of words, so that every layer may ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Connector(NamedTuple):
    """A connector that comes with singerkit: ``module:Class``, imported when it is used, and what it does."""

    location: str
    sentence: str


CONNECTORS: Mapping[str, Connector] = {
    "tap-csv": Connector("singerkit.connectors.tap_csv:TapCSV", "Reads CSV files."),
    "tap-sql": Connector("singerkit.connectors.tap_sql:TapSQL", "Reads any SQL database."),
    "target-jsonl": Connector("singerkit.connectors.target_jsonl:TargetJSONL", "Writes JSON lines, a file a stream."),
    "target-csv": Connector("singerkit.connectors.target_csv:TargetCSV", "Writes CSV files, one a stream."),
    "target-parquet": Connector("singerkit.connectors.target_parquet:TargetParquet", "Writes Parquet files."),
    "target-sqlite": Connector("singerkit.connectors.target_sqlite:TargetSQLite", "Loads a SQLite database."),
    "target-duckdb": Connector("singerkit.connectors.target_duckdb:TargetDuckDB", "Loads a DuckDB database."),
    "target-postgres": Connector("singerkit.connectors.target_postgres:TargetPostgres", "Loads a PostgreSQL database."),
    "target-mysql": Connector("singerkit.connectors.target_mysql:TargetMySQL", "Loads a MariaDB or MySQL database."),
}
