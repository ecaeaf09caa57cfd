"""target-mysql: loads a MariaDB or MySQL database, a table for each stream.

How values are stored: integers as ``bigint``, beyond 64 bits as ``decimal(65,0)``; other numbers as ``double``, and
as ``decimal(65,30)`` or text as soon as one comes that a double can't hold; instants as ``datetime(6)`` in UTC, dates
as ``date``; a time of day as text, with its offset; objects, arrays and values of several types as ``json``. Texts are
``longtext``, or ``varchar(255)`` where they are keys, compared by every character.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from singerkit import typing as th
from singerkit.errors import ConfigurationError
from singerkit.sinks.sql import SQLSink
from singerkit.sql.dialects.mysql import MySQL
from singerkit.sql.server import ServerDatabase
from singerkit.sql_target import LOAD_METHOD, ON_SCHEMA_CHANGE, STATE_KEY, STATE_TABLE, SQLTarget


class MySQLSink(SQLSink[Any]):
    """Loads the records of a stream into its table."""

    exact_numbers = True


class TargetMySQL(SQLTarget):
    """Loads a MariaDB or MySQL database, a table for each stream."""

    name = "target-mysql"
    #: The driver and a batch on its way to the server take about 60 MB, and it all has to stay below 100.
    max_pending_mb = 12
    capabilities = (*SQLTarget.capabilities, "target-schema")
    default_sink_class = MySQLSink
    config_jsonschema = th.PropertiesList(
        th.Property(
            "sqlalchemy_url",
            th.StringType,
            secret=True,
            title="URL",
            description="mysql://user:password@host:port/database, instead of the settings one by one.",
        ),
        th.Property("host", th.StringType, title="Host", description="The server's name or address."),
        th.Property("port", th.IntegerType, title="Port", description="The server's port; 3306 if not set."),
        th.Property("user", th.StringType, title="User", description="Who connects."),
        th.Property("password", th.StringType, secret=True, title="Password", description="The password of the user."),
        th.Property("database", th.StringType, title="Database", description="The name of the database."),
        th.Property(
            "ssl_ca", th.StringType, title="Certificate authority", description="A file with certificates to trust."
        ),
        LOAD_METHOD,
        ON_SCHEMA_CHANGE,
        STATE_KEY,
        STATE_TABLE,
    ).to_dict()

    def check_settings(self) -> None:
        """See which database it is."""
        self._parameters = _parameters_of(self.config)

    def open_database(self) -> ServerDatabase:
        """Open the database of the config."""
        return ServerDatabase(MySQL(self._parameters), self.config.get("default_target_schema"))


def _parameters_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Give what PyMySQL is to be told."""
    names = ("host", "port", "user", "password", "database", "ssl_ca")
    given = {name: config[name] for name in names if config.get(name)}
    url = config.get("sqlalchemy_url")
    if url:
        parts = urlsplit(url)
        if not parts.scheme.startswith(("mysql", "mariadb")) or not parts.hostname:
            raise ConfigurationError("sqlalchemy_url: has to begin with mysql:// and a host")
        _check_port(parts)
        found = {
            "host": parts.hostname,
            "port": parts.port,
            "user": unquote(parts.username or ""),
            "password": unquote(parts.password or ""),
            "database": unquote(parts.path.removeprefix("/")),
        }
        given |= {name: value for name, value in found.items() if value}
    if "database" not in given and not config.get("default_target_schema"):
        raise ConfigurationError("database: is required: the name of the database (or sqlalchemy_url)")
    return given


def _check_port(parts: SplitResult) -> None:
    """See that the port is one: a password that is not encoded can look like it, so it is not shown."""
    try:
        _ = parts.port
    except ValueError:
        raise ConfigurationError(
            "sqlalchemy_url: has no valid port: characters such as @ : / % in a user or password have to be "
            "percent-encoded"
        ) from None
