"""Making and changing tables by hooks that an author may override, each in the shape that connectors know.

The order in which a sink that loads through these hooks calls them::

    prepare_schema(schema_name)                 > schema_exists > create_schema
    prepare_table(full_table_name, ...)         > table_exists > create_empty_table, once
      prepare_column(full_table_name, ...)      each property, where the table is there already
        _create_empty_column                    > get_column_add_ddl
        _adapt_column_type                      > _get_column_type > merge_sql_types > get_column_alter_ddl
    _adapt_key(full_table_name, ...)            where the sink merges rows by key

They change the database at once, each in a transaction of its own. A sink calls them only where one is overridden: see
:mod:`singerkit.sinks.hook_loading`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from singerkit.errors import DataError
from singerkit.sql.column_types import JSONSchemaToSQL, widest
from singerkit.sql.full_names import quoted_part
from singerkit.sql.names import marked, quoted
from singerkit.sql.table_lookup import TableLookup, TableName

if TYPE_CHECKING:
    from sqlalchemy import MetaData, Table
    from sqlalchemy.sql import Executable
    from sqlalchemy.types import TypeEngine

    from singerkit.types import Schema


#: The longest text of a key: databases can't index texts of any length.
_KEY_LENGTH = 255
#: Where a new name without a schema would be one in the connection's own.
_RENAME_IN_FULL = frozenset({"mysql", "mariadb"})
_CHANGING_HOOKS = ("prepare_column", "_create_empty_column", "_adapt_column_type", "rename_column")
_RENAME = "ALTER TABLE %(before)s RENAME TO %(after)s"


class TableMaking(TableLookup):
    """Makes and changes tables."""

    #: Whether columns may be added.
    allow_column_add: bool = True
    #: Whether columns may be renamed.
    allow_column_rename: bool = True
    #: Whether columns may be changed to a wider type.
    allow_column_alter: bool = False
    #: Whether rows may be merged by key through a second table; without it they are inserted.
    allow_merge_upsert: bool = True
    #: Whether a new table may take an old one's place.
    allow_overwrite: bool = True
    #: Whether temporary tables may be made.
    allow_temp_tables: bool = True
    #: The longest text of a column; ``None``: texts of any length.
    max_varchar_length: int | None = None
    #: What gives the types of columns.
    jsonschema_to_sql_converter: ClassVar[type[JSONSchemaToSQL]] = JSONSchemaToSQL

    # Types

    @cached_property
    def jsonschema_to_sql(self) -> JSONSchemaToSQL:
        """What gives the types of columns; override it to register types of your own."""
        return self.jsonschema_to_sql_converter.from_config(self.config, max_varchar_length=self.max_varchar_length)

    def to_sql_type(self, jsonschema_type: Schema) -> TypeEngine[Any]:
        """Give the type of the column for a property's schema."""
        return self.jsonschema_to_sql.to_sql_type(jsonschema_type)

    def merge_sql_types(self, sql_types: Sequence[TypeEngine[Any]]) -> TypeEngine[Any]:
        """Give the type that can hold what columns of these types can; the first is the existing one."""
        return widest(sql_types)

    @staticmethod
    def remove_collation(column_type: TypeEngine[Any]) -> str | None:
        """Take the collation out of a type, and give it."""
        collation: str | None = getattr(column_type, "collation", None)
        if collation:
            column_type.collation = None  # type: ignore[attr-defined]  # it has one
        return collation

    @staticmethod
    def update_collation(column_type: TypeEngine[Any], collation: str | None) -> None:
        """Put a collation into a type that has a place for one."""
        if collation and hasattr(column_type, "collation"):
            column_type.collation = collation

    # Making

    def prepare_schema(self, schema_name: str) -> None:
        """Make a schema, unless it is there."""
        if not self.schema_exists(schema_name):
            self.create_schema(schema_name)

    def create_schema(self, schema_name: str) -> None:
        """Make a schema."""
        import sqlalchemy

        self._change(sqlalchemy.schema.CreateSchema(schema_name))

    def prepare_table(
        self,
        full_table_name: TableName,
        schema: Schema,
        primary_keys: Sequence[str],
        partition_keys: list[str] | None = None,
        as_temp_table: bool = False,
    ) -> None:
        """Make a table, or give the one that is there the columns and types that it needs."""
        if not self.table_exists(full_table_name=full_table_name):
            self.create_empty_table(
                full_table_name=full_table_name,
                schema=schema,
                primary_keys=primary_keys,
                partition_keys=partition_keys,
                as_temp_table=as_temp_table,
            )
            return
        keys = {*primary_keys, *self._key_of(full_table_name)[0]}
        # An author's way to change a table is not seen here, so that is asked about again and again.
        is_seen = all(getattr(type(self), name) is getattr(TableMaking, name) for name in _CHANGING_HOOKS)
        with self._looking_once() if is_seen else nullcontext():
            for name, property_schema in schema["properties"].items():
                sql_type = self.to_sql_type(property_schema)
                self.prepare_column(full_table_name, name, _indexable(sql_type) if name in keys else sql_type)

    def create_empty_table(
        self,
        full_table_name: TableName,
        schema: Schema,
        primary_keys: Sequence[str] | None = None,
        partition_keys: list[str] | None = None,
        as_temp_table: bool = False,
    ) -> None:
        """Make a table.

        Errors: ``NotImplementedError`` for partition keys, and a temporary table where there are none.
        """
        import sqlalchemy

        if partition_keys:
            raise NotImplementedError("partition_keys: override create_empty_table, which knows no partitions")
        if as_temp_table and not self.allow_temp_tables:
            raise NotImplementedError("allow_temp_tables is False, so there is no temporary table")
        _, schema_name, table_name = self.parse_full_table_name(full_table_name)
        keys = list(primary_keys or ())
        metadata: MetaData = sqlalchemy.MetaData()
        types = {name: self.to_sql_type(property_schema) for name, property_schema in schema["properties"].items()}
        columns = [
            sqlalchemy.Column(
                name,
                _indexable(sql_type) if name in keys else sql_type,
                primary_key=name in keys,
                autoincrement=False,
            )
            for name, sql_type in types.items()
        ]
        prefixes = ["TEMPORARY"] if as_temp_table else []
        table = sqlalchemy.Table(table_name, metadata, *columns, schema=schema_name, prefixes=prefixes)
        with self._connect() as connection, connection.begin():
            metadata.create_all(connection, tables=[table], checkfirst=False)

    def remove_table(self, full_table_name: TableName) -> None:
        """Drop a table, if it is there."""
        import sqlalchemy

        name = self._as_table(full_table_name)
        self._change(sqlalchemy.schema.DropTable(name, if_exists=True))

    def replace_table(self, full_table_name: TableName, replacement: TableName) -> None:
        """Put a table in the place of another, which goes only when the new one has its name.

        In one transaction, where the database has those for tables.
        """
        import sqlalchemy

        database, schema, table = self.parse_full_table_name(full_table_name)
        old = self.get_fully_qualified_name(marked(f"_old_{table}"), schema, database)
        final = self.get_fully_qualified_name(table, schema, database)
        renames = [(replacement, final)]
        if self.table_exists(full_table_name):
            self.remove_table(old)
            renames.insert(0, (full_table_name, old))
        in_full = self._dialect.name in _RENAME_IN_FULL
        with self._connect() as connection, connection.begin():
            for before, after in renames:
                new_name = str(after) if in_full else quoted_part(self._dialect, after.table)
                connection.execute(_ddl(_RENAME, before=before, after=new_name))
            connection.execute(sqlalchemy.schema.DropTable(self._as_table(old), if_exists=True))

    # Changing

    def prepare_column(self, full_table_name: TableName, column_name: str, sql_type: TypeEngine[Any]) -> None:
        """Add a column, or widen the one that is there."""
        if not self.column_exists(full_table_name, column_name):
            self._create_empty_column(full_table_name=full_table_name, column_name=column_name, sql_type=sql_type)
            return
        self._adapt_column_type(full_table_name, column_name=column_name, sql_type=sql_type)

    def rename_column(self, full_table_name: TableName, old_name: str, new_name: str) -> None:
        """Give a column another name.

        Errors: ``NotImplementedError`` where ``allow_column_rename`` is False.
        """
        if not self.allow_column_rename:
            raise NotImplementedError("allow_column_rename is False")
        self._change(
            self.get_column_rename_ddl(table_name=full_table_name, column_name=old_name, new_column_name=new_name)
        )

    def _create_empty_column(self, full_table_name: TableName, column_name: str, sql_type: TypeEngine[Any]) -> None:
        if not self.allow_column_add:
            raise DataError(f"the table has no column '{column_name}', and allow_column_add is False: add it yourself")
        self._change(self.get_column_add_ddl(table_name=full_table_name, column_name=column_name, column_type=sql_type))

    def _adapt_column_type(self, full_table_name: TableName, column_name: str, sql_type: TypeEngine[Any]) -> None:
        existing = self._get_column_type(full_table_name, column_name)
        collation = self.remove_collation(existing)
        if self._written(existing) == self._written(sql_type):
            return
        merged = self.merge_sql_types([existing, sql_type])
        if self._written(merged) == self._written(existing):
            return
        self.update_collation(merged, collation)
        if not self.allow_column_alter:
            raise DataError(
                f"the column '{column_name}' ({self._written(existing)}) has to become {self._written(merged)}, and "
                "allow_column_alter is False: change it yourself"
            )
        self._change(self.get_column_alter_ddl(table_name=full_table_name, column_name=column_name, column_type=merged))

    def _adapt_key(self, full_table_name: TableName, primary_keys: Sequence[str], schema: Schema) -> None:
        """Drop the key of a table where it does not let rows be that differ in the stream's key.

        Errors: ``DataError`` where ``allow_column_alter`` is False, or the key has no name by which to drop it.
        """
        existing, name = self._key_of(full_table_name)
        if not existing or set(existing) >= set(primary_keys) or not set(existing) <= set(schema["properties"]):
            return
        if not self.allow_column_alter or not name:
            why = "this database has no name for it" if self.allow_column_alter else "allow_column_alter is False"
            raise DataError(
                f"the key of the table ({', '.join(existing)}) has to give way to that of the stream "
                f"({', '.join(primary_keys)}), and {why}: change it yourself"
            )
        self._change(
            _ddl(
                "ALTER TABLE %(table)s DROP CONSTRAINT %(name)s",
                table=full_table_name,
                name=quoted_part(self._dialect, name),
            )
        )

    def _key_of(self, full_table_name: TableName) -> tuple[Sequence[str], str | None]:
        """Give the columns of a table's key, and the key's name where it has one."""
        import sqlalchemy

        _, schema, table = self.parse_full_table_name(full_table_name)
        with suppress(NotImplementedError):  # databases without keys
            found = sqlalchemy.inspect(self._engine).get_pk_constraint(table, schema)
            return found["constrained_columns"], found.get("name")
        return (), None

    def get_column_add_ddl(self, table_name: TableName, column_name: str, column_type: TypeEngine[Any]) -> Executable:
        """Give the statement that adds a column."""
        return _ddl(
            "ALTER TABLE %(table)s ADD COLUMN %(column)s %(type)s",
            table=table_name,
            column=quoted_part(self._dialect, column_name),
            type=self._written(column_type),
        )

    @staticmethod
    def get_column_rename_ddl(table_name: TableName, column_name: str, new_column_name: str) -> Executable:
        """Give the statement that renames a column, in standard SQL."""
        return _ddl(
            "ALTER TABLE %(table)s RENAME COLUMN %(old)s TO %(new)s",
            table=table_name,
            old=_quoted_for(table_name, column_name),
            new=_quoted_for(table_name, new_column_name),
        )

    @staticmethod
    def get_column_alter_ddl(table_name: TableName, column_name: str, column_type: TypeEngine[Any]) -> Executable:
        """Give the statement that changes a column's type, in standard SQL."""
        return _ddl(
            "ALTER TABLE %(table)s ALTER COLUMN %(column)s SET DATA TYPE %(type)s",
            table=table_name,
            column=_quoted_for(table_name, column_name),
            type=column_type.compile(dialect=getattr(table_name, "dialect", None)),
        )

    def delete_old_versions(
        self, *, full_table_name: TableName, version_column_name: str, current_version: int
    ) -> None:
        """Remove the rows of older versions, or of none."""
        import sqlalchemy

        table = self._as_table(full_table_name, version_column_name)
        version = table.columns[version_column_name]
        self._change(sqlalchemy.delete(table).where((version < current_version) | version.is_(None)))

    def _change(self, statement: Any) -> None:
        with self._connect() as connection, connection.begin():
            connection.execute(statement)
        self._look_again()

    def _as_table(self, full_table_name: TableName, *columns: str) -> Table:
        import sqlalchemy

        _, schema, table = self.parse_full_table_name(full_table_name)
        return sqlalchemy.Table(
            table, sqlalchemy.MetaData(), *(sqlalchemy.Column(name) for name in columns), schema=schema
        )

    def _written(self, sql_type: TypeEngine[Any]) -> str:
        return str(sql_type.compile(dialect=self._dialect))


_NO_HOOKS = {
    *("_change", "_as_table", "_written", "quote", "get_table", "remove_table", "_key_of"),
    *("_found_columns", "_looking_once", "_look_again", "_looking"),
}
#: Hooks that change how rows are stored, where an author overrides one.
TABLE_HOOKS: tuple[str, ...] = tuple(
    name
    for name in (*vars(TableLookup), *vars(TableMaking))
    if not name.startswith(("__", "allow_")) and name not in _NO_HOOKS
)


def _indexable(sql_type: TypeEngine[Any]) -> TypeEngine[Any]:
    from sqlalchemy import types

    unbounded = isinstance(sql_type, types.Text) or (type(sql_type) is types.VARCHAR and sql_type.length is None)
    return types.String(_KEY_LENGTH) if unbounded else sql_type


def _quoted_for(table_name: TableName, column_name: str) -> str:
    """Give a column's name quoted as the database of a table's name asks for, if the name says which."""
    dialect = getattr(table_name, "dialect", None)
    return quoted(column_name) if dialect is None else quoted_part(dialect, column_name)


def _ddl(statement: str, **parts: Any) -> Executable:
    """Give a statement with parts that are quoted already."""
    import sqlalchemy

    return sqlalchemy.DDL(statement, parts)  # type: ignore[no-untyped-call]


def column_types(connector: TableMaking, schema: Mapping[str, Any]) -> dict[str, TypeEngine[Any]]:
    """Give the SQLAlchemy type of each of a schema's properties."""
    return {name: connector.to_sql_type(member) for name, member in schema["properties"].items()}
