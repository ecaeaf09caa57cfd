"""How the database is reached, and how its tables are read."""

from collections.abc import Mapping
from typing import Any

from singerkit import SQLConnector, SQLStream


class DatabaseConnector(SQLConnector):
    """Connects to the database that the config names."""

    def get_sqlalchemy_url(self, config: Mapping[str, Any]) -> str:
        """Give the database's URL; put it together here where the config has host, user and password apart."""
        return str(config["sqlalchemy_url"])


class DatabaseStream(SQLStream):
    """A table or a view; its columns, types and keys come from the database."""

    connector_class = DatabaseConnector
