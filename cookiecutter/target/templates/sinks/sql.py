"""How the database is reached; tables, types and load methods come with `SQLSink`."""

from collections.abc import Mapping
from typing import Any

from singerkit import SQLConnector, SQLSink


class DatabaseConnector(SQLConnector):
    """Connects to the database that the config names."""

    def get_sqlalchemy_url(self, config: Mapping[str, Any]) -> str:
        """Give the database's URL; put it together here where the config has host, user and password apart."""
        return str(config["sqlalchemy_url"])


class DatabaseSink(SQLSink[DatabaseConnector]):
    """A table for each stream."""

    connector_class = DatabaseConnector
