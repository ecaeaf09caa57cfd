"""A database through SQLAlchemy: connected to, asked what it has, read, and given tables.

An author's subclass says how to get from the config to a URL (:meth:`SQLConnector.get_sqlalchemy_url`), and overrides
what its database does its own way. How it is reached is in :mod:`singerkit.sql.connect`, how tables are made in
:mod:`singerkit.sql.table_making`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from singerkit.compat.overrides import SQL_CONNECTOR_OVERRIDES, refuse_overrides
from singerkit.errors import DiscoveryError, FatalSyncError, SyncError
from singerkit.sql.column_types import JSONSchemaToSQL
from singerkit.sql.connect import FETCHED_ROWS
from singerkit.sql.discover import FoundTable, catalog_entry, discovered_objects, discovered_tables, found_table
from singerkit.sql.full_names import FullyQualifiedName
from singerkit.sql.json_types import SQLToJSONSchema
from singerkit.sql.table_making import TableMaking

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.engine import Engine
    from sqlalchemy.engine.reflection import Inspector

    from singerkit.protocol.catalog import CatalogEntry
    from singerkit.types import Schema

__all__ = ["FETCHED_ROWS", "FullyQualifiedName", "JSONSchemaToSQL", "SQLConnector", "SQLToJSONSchema"]

#: Schemas that hold what a database says of itself.
SYSTEM_SCHEMAS = frozenset({"information_schema", "pg_catalog", "pg_toast", "mysql", "performance_schema", "sys"})


class SQLConnector(TableMaking):
    """Connects to a database, discovers, reads and makes its tables.

    ``config`` is the plugin's; ``sqlalchemy_url`` wins over what the config says.
    """

    #: Schemas whose tables are not discovered.
    hidden_schemas: ClassVar[frozenset[str]] = SYSTEM_SCHEMAS
    #: What gives the schemas of columns.
    sql_to_jsonschema_converter: ClassVar[type[SQLToJSONSchema]] = SQLToJSONSchema

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Refuse overrides of what is not called here, instead of ignoring them."""
        super().__init_subclass__(**keywords)
        refuse_overrides(cls, SQL_CONNECTOR_OVERRIDES)

    # Types

    @cached_property
    def sql_to_jsonschema(self) -> SQLToJSONSchema:
        """What gives the schemas of columns."""
        return self.sql_to_jsonschema_converter.from_config(self.config)

    def to_jsonschema_type(self, sql_type: Any) -> Schema:
        """Give the JSON Schema of a column's values, null aside, from its SQLAlchemy type, its class or its name."""
        from sqlalchemy import types

        if isinstance(sql_type, str):
            sql_type = getattr(types, sql_type.partition("(")[0].strip().upper(), types.String)
        return self.sql_to_jsonschema.to_jsonschema(sql_type() if isinstance(sql_type, type) else sql_type)

    # Discovery

    def get_schema_names(self, engine: Engine, inspected: Inspector) -> list[str]:
        """Give the schemas to discover: all but those of the database itself."""
        return [name for name in inspected.get_schema_names() if name not in self.hidden_schemas]

    def get_object_names(self, engine: Engine, inspected: Inspector, schema_name: str) -> list[tuple[str, bool]]:
        """Give the tables and views of a schema, each with whether it is a view."""
        return discovered_objects(inspected, schema_name)

    def discover_catalog_entry(
        self, engine: Engine, inspected: Inspector, schema_name: str | None, table_name: str, is_view: bool
    ) -> CatalogEntry:
        """Give the catalog entry of a table or view."""
        return self._entry(found_table(inspected, schema_name, table_name, is_view=is_view))

    def discover_catalog_entries(
        self, *, exclude_schemas: Sequence[str] = (), reflect_indices: bool = True
    ) -> list[dict[str, Any]]:
        """Give the catalog entry of every table and view, as objects.

        Errors: ``DiscoveryError`` when the database can't be asked.
        """
        return [entry.to_dict() for entry in self.discover(exclude_schemas)]

    def discover(self, exclude_schemas: Sequence[str] = ()) -> list[CatalogEntry]:
        """Give the catalog entry of every table and view.

        Errors: ``DiscoveryError`` when the database can't be asked.
        """
        import sqlalchemy

        try:
            with self.explained():
                inspected = sqlalchemy.inspect(self._engine)
                schemas: Sequence[Any] = self.get_schema_names(self._engine, inspected)
                if inspected.dialect.name == "sqlite":
                    schemas = [None]  # attached files are not this database's
                wanted = [schema for schema in schemas if schema not in exclude_schemas]
                return [entry for schema in wanted for entry in self._entries(inspected, schema)]
        except SyncError as error:
            raise DiscoveryError(f"can't ask what there is: {error}") from error

    def _entries(self, inspected: Inspector, schema: Any) -> list[CatalogEntry]:
        if self._is_own("get_object_names") and self._is_own("discover_catalog_entry"):
            return [self._entry(table) for table in discovered_tables(inspected, schema)]
        return [
            self.discover_catalog_entry(self._engine, inspected, schema, name, is_view)
            for name, is_view in self.get_object_names(self._engine, inspected, schema)
        ]

    def _entry(self, table: FoundTable) -> CatalogEntry:
        return catalog_entry(table, self.to_jsonschema_type)

    def _is_own(self, hook: str) -> bool:
        """Tell whether a hook is the one of this class: no author overrides it."""
        return getattr(type(self), hook) is getattr(SQLConnector, hook)

    # Reading

    def table(self, schema: str | None, name: str, columns: Iterable[str]) -> Table:
        """Give a table as the database declares it now.

        Errors: ``FatalSyncError`` when it is gone, or one of the columns that the catalog has.
        """
        import sqlalchemy

        with self.explained():
            try:
                table = sqlalchemy.Table(name, sqlalchemy.MetaData(), schema=schema, autoload_with=self._engine)
            except sqlalchemy.exc.NoSuchTableError:
                raise FatalSyncError("the catalog's table is not in the database: discover again") from None
        missing = [column for column in columns if column not in table.columns]
        if missing:
            raise FatalSyncError(f"the catalog's column '{missing[0]}' is not in the table: discover again")
        return table
