"""The `singerkit` command: by name the connectors that come with it, and its own verbs."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from singerkit.cli.run import boundary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


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


def main(args: Sequence[str] | None = None) -> None:
    """Hand over to the connector or the verb that is named; ends the process."""
    name, *rest = (sys.argv[1:] if args is None else args) or ["--help"]
    if name in CONNECTORS:
        run_connector(name, rest)
    # Imported here: a connector's command line needs none of it.
    from singerkit.cli.verbs import verbs

    verbs.main([name, *rest], "singerkit")


def run_connector(name: str, args: Sequence[str]) -> None:
    """Run a connector that comes with singerkit, with its command line; ends the process."""
    loaded: list[Any] = []
    code = boundary(name, lambda: loaded.append(_load(CONNECTORS[name].location)))
    if code:
        sys.exit(code)
    loaded[0].cli.main(list(args), f"singerkit {name}")


def _load(location: str) -> Any:
    module, _, attribute = location.partition(":")
    return getattr(import_module(module), attribute)
