"""tap-sql: reads any database that SQLAlchemy has a dialect for, a stream for each table and view.

Which tables and columns, and which column orders the changes, the catalog says: ``--discover`` writes one, with every
table in full; ``replication-method`` and ``replication-key`` in a stream's metadata make it incremental.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from singerkit import typing as th
from singerkit.sql.connector import SQLConnector
from singerkit.sql_tap import SQLTap
from singerkit.streams.sql import SQLStream

#: The driver for a URL that names none: the one that the extras bring.
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg", "mysql": "mysql+pymysql"}


class Connector(SQLConnector):
    """Connects to what the setting says."""

    def get_sqlalchemy_url(self, config: Mapping[str, Any]) -> str:
        """Give the URL, with a driver."""
        scheme, separator, rest = super().get_sqlalchemy_url(config).partition("://")
        return f"{_DRIVERS.get(scheme, scheme)}{separator}{rest}"

    def get_schema_names(self, engine: Any, inspected: Any) -> list[str]:
        """Give the schemas that the setting names, else all."""
        wanted = self.config.get("schemas")
        return list(wanted) if wanted else super().get_schema_names(engine, inspected)


class TableStream(SQLStream):
    """A table or view."""

    connector_class = Connector


class TapSQL(SQLTap):
    """Reads any database that SQLAlchemy has a dialect for."""

    name = "tap-sql"
    default_stream_class = TableStream
    config_jsonschema = th.PropertiesList(
        th.Property(
            "sqlalchemy_url",
            th.StringType,
            required=True,
            secret=True,
            title="URL",
            description="The database, as SQLAlchemy writes it: postgresql://user:password@host/database, "
            "mysql://..., sqlite:////path, or any other whose driver is installed.",
        ),
        th.Property(
            "schemas",
            th.ArrayType(th.StringType),
            title="Schemas",
            description="The schemas to discover; all but the database's own if not set.",
        ),
        th.Property(
            "split_rows",
            th.IntegerType,
            default=500_000,
            title="Rows of a range",
            description="A table with a key of integers that is read in full is split in ranges of about so many "
            "rows, which are read at the same time; 0 never splits.",
        ),
        th.Property(
            "start_date",
            th.DateTimeType,
            title="Start date",
            description="Where streams begin whose replication key is a date-time and that have no bookmark yet.",
        ),
    ).to_dict()
