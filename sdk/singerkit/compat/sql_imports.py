"""Where the names of SQL connectors live that authors import from other places."""

from __future__ import annotations

from collections.abc import Mapping

_MODULES: Mapping[str, tuple[str, ...]] = {
    "singer_sdk.SQLConnector": ("singer_sdk.connectors", "singer_sdk.connectors.sql", "singer_sdk.sql.connector"),
    "singer_sdk.SQLSink": ("singer_sdk.sinks", "singer_sdk.sinks.sql", "singer_sdk.sql.sink"),
    "singer_sdk.SQLStream": ("singer_sdk.streams", "singer_sdk.streams.sql", "singer_sdk.sql.stream"),
    "singer_sdk.SQLTap": ("singer_sdk.tap_base", "singer_sdk.sql.tap"),
    "singer_sdk.SQLTarget": ("singer_sdk.target_base", "singer_sdk.sql.target"),
}
_OF_CONNECTOR = ("FullyQualifiedName", "JSONSchemaToSQL", "SQLToJSONSchema")


def _places() -> dict[str, str]:
    places = {}
    for known, modules in _MODULES.items():
        name = known.rpartition(".")[2]
        for module in ("singer_sdk", "singer_sdk.sql", *modules):
            places[f"{module}.{name}"] = f"singerkit.{name}"
    for name in _OF_CONNECTOR:
        for module in ("singer_sdk.connectors.sql", "singer_sdk.sql.connector"):
            places[f"{module}.{name}"] = f"singerkit.{name}"
    return places


#: Full name as it is imported, to its full name here.
SQL_IMPORTS: Mapping[str, str] = _places()
