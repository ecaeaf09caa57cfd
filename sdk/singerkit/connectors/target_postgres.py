"""target-postgres: loads a PostgreSQL database, a table for each stream.

How values are stored: integers as ``bigint``, beyond 64 bits as ``numeric``; other numbers as ``numeric``, which keeps
every digit; instants as ``timestamptz`` (microseconds), dates as ``date``; a time of day as text, with its offset;
objects, arrays and values of several types as ``jsonb``. A text with a NUL character is refused, as PostgreSQL has no
place for one. A batch is one transaction: rows come by COPY, into a temporary table first where they replace others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from singerkit import typing as th
from singerkit.errors import ConfigurationError
from singerkit.sinks.sql import SQLSink
from singerkit.sql.dialects.postgresql import PostgreSQL
from singerkit.sql.server import ServerDatabase
from singerkit.sql_target import LOAD_METHOD, ON_SCHEMA_CHANGE, STATE_KEY, STATE_TABLE, SQLTarget

#: Setting to parameter of libpq.
_PARAMETERS = {
    "host": "host",
    "port": "port",
    "user": "user",
    "password": "password",
    "database": "dbname",
    "dbname": "dbname",
    "ssl_mode": "sslmode",
    "ssl_certificate_authority": "sslrootcert",
}


class PostgresSink(SQLSink[Any]):
    """Loads the records of a stream into its table."""

    exact_numbers = True


class TargetPostgres(SQLTarget):
    """Loads a PostgreSQL database, a table for each stream."""

    name = "target-postgres"
    #: The driver and a batch on its way to the server take about 60 MB, and it all has to stay below 100.
    max_pending_mb = 12
    default_sink_class = PostgresSink
    capabilities = (*SQLTarget.capabilities, "target-schema")
    config_jsonschema = th.PropertiesList(
        th.Property(
            "sqlalchemy_url",
            th.StringType,
            secret=True,
            title="URL",
            description="postgresql://user:password@host:port/database, instead of the settings one by one.",
        ),
        th.Property("host", th.StringType, title="Host", description="The server's name or address."),
        th.Property("port", th.IntegerType, title="Port", description="The server's port; 5432 if not set."),
        th.Property("user", th.StringType, title="User", description="Who connects."),
        th.Property("password", th.StringType, secret=True, title="Password", description="The password of the user."),
        th.Property("database", th.StringType, title="Database", description="The name of the database."),
        th.Property("dbname", th.StringType, title="Database", description="Another name for `database`."),
        th.Property(
            "ssl_mode",
            th.StringType,
            allowed_values=["disable", "allow", "prefer", "require", "verify-ca", "verify-full"],
            title="TLS",
            description="How much of TLS is asked for, as libpq's sslmode.",
        ),
        th.Property(
            "ssl_certificate_authority",
            th.StringType,
            title="Certificate authority",
            description="The path of a file with the certificates to trust.",
        ),
        LOAD_METHOD,
        ON_SCHEMA_CHANGE,
        STATE_KEY,
        STATE_TABLE,
    ).to_dict()

    def open_database(self) -> ServerDatabase:
        """Open the database of the config."""
        return ServerDatabase(PostgreSQL(self._parameters), self.config.get("default_target_schema"))

    def check_settings(self) -> None:
        """See which database it is."""
        self._parameters = _parameters_of(self.config)


def _parameters_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Give what libpq is to be told."""
    url = config.get("sqlalchemy_url")
    if url:
        scheme, _, rest = url.partition("://")
        if not scheme.startswith("postgres") or not rest:
            raise ConfigurationError("sqlalchemy_url: has to begin with postgresql://")
        return {"conninfo": f"postgresql://{rest}"}
    given = {name: config[setting] for setting, name in _PARAMETERS.items() if config.get(setting)}
    if "dbname" not in given:
        raise ConfigurationError("database: is required: the name of the database (or sqlalchemy_url)")
    return given
