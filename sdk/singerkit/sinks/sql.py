"""The class an author subclasses to load a table a stream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from singerkit.compat.overrides import SQL_SINK_OVERRIDES, refuse_overrides
from singerkit.errors import ConfigurationError
from singerkit.records.columns import LeftOut
from singerkit.sinks.core import BatchSink
from singerkit.sinks.direct_loading import DirectLoading
from singerkit.sinks.hook_loading import HookLoading, HookTables, merges_by_key
from singerkit.sql.connector import SQLConnector
from singerkit.sql.full_names import FullyQualifiedName
from singerkit.sql.names import ANY_NAME, marked
from singerkit.sql.statements import ColumnTypes, bound_rows, merge_statements, table_clause
from singerkit.sql.table_making import TABLE_HOOKS, column_types
from singerkit.types import Record, Schema

if TYPE_CHECKING:
    from sqlalchemy import TableClause
    from sqlalchemy.sql import Executable

    from singerkit.targets import Target


_Connector = TypeVar("_Connector", bound=SQLConnector)


class SQLSink(BatchSink, Generic[_Connector]):
    """Loads the records of a stream into its table.

    ``connector_class`` says how the database is reached, for a target that has no dialect of its own. Where an author
    overrides one of the hooks for names, statements or tables, here or in the connector, everything is stored through
    these hooks: see :mod:`singerkit.sinks.hook_loading`.
    """

    #: What connects to the database.
    connector_class: ClassVar[type[SQLConnector]] = SQLConnector
    #: The column that says when a row was deleted at the source.
    soft_delete_column_name: str = "_sdc_deleted_at"
    #: The column that says which version of its table a row is of.
    version_column_name: str = "_sdc_table_version"
    #: Whether the sink fills a new table beside the one that it is to replace.
    is_beside: bool = False

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Refuse overrides of what is not called here, instead of ignoring them."""
        super().__init_subclass__(**keywords)
        refuse_overrides(cls, SQL_SINK_OVERRIDES)

    def __init__(
        self,
        target: Target,
        stream_name: str,
        schema: dict[str, Any],
        key_properties: Sequence[str] | None = None,
        connector: SQLConnector | None = None,
    ) -> None:
        """Take what the stream's SCHEMA message says; ``connector``: the target's, if not given."""
        super().__init__(target, stream_name, schema, key_properties)
        self._connector = connector or self._connector_of(target)
        self._left_out = LeftOut(self.logger, schema.get("properties") or {})

    def _connector_of(self, target: Target) -> SQLConnector:
        shared: Any = getattr(target, "target_connector", None)
        return shared if isinstance(shared, self.connector_class) else self.connector_class(dict(target.config))

    @property
    def takes_structs(self) -> bool:  # type: ignore[override]  # what an author overrides decides
        """Whether records go straight into the table."""
        is_plain = type(self).process_batch is SQLSink.process_batch and not self._removes_deleted
        return is_plain and isinstance(self._loading, DirectLoading)

    @property
    def connector(self) -> SQLConnector:
        """The connector, which the target's sinks share."""
        return self._connector

    # Names, for the hooks

    @property
    def table_name(self) -> str:
        """The table's name: the stream's, without what stands before a hyphen in it, which is the schema's."""
        return self._beside(self.conform_name(self.stream_name.rpartition("-")[2] or self.stream_name, "table"))

    @property
    def schema_name(self) -> str | None:
        """The name of the schema: that of the setting, else what the stream's name has before the table's."""
        configured: str | None = self.config.get("default_target_schema")
        before = self.stream_name.split("-")[:-1]
        found = self.conform_name(before[-1], "schema") if len(before) in (1, 2) and before[-1] else None
        return configured or found

    @property
    def database_name(self) -> str | None:
        """The name of the database; ``None``: that of the connection."""
        return None

    @property
    def full_table_name(self) -> FullyQualifiedName:
        """The table's name as it stands in a statement."""
        return self.connector.get_fully_qualified_name(self.table_name, self.schema_name, self.database_name)

    @property
    def full_schema_name(self) -> FullyQualifiedName:
        """The schema's name as it stands in a statement."""
        return self.connector.get_fully_qualified_name(schema_name=self.schema_name, db_name=self.database_name)

    @property
    def staging_table_name(self) -> FullyQualifiedName:
        """The name of the table through which rows are merged."""
        name = marked(f"_incoming_{self.table_name}", ANY_NAME)
        return self.connector.get_fully_qualified_name(name, self.schema_name, self.database_name)

    @property
    def key_properties(self) -> Sequence[str]:
        """The columns that make a row unique; empty: every record is a new row."""
        return [self.conform_name(name, "column") for name in self.record_keys]

    @property
    def record_keys(self) -> Sequence[str]:
        """The properties of a record that are its key."""
        return self._key_properties

    def conform_name(self, name: str, object_type: str | None = None) -> str:
        """Give the name of a column, table or schema (``object_type``) for a property or stream: the same."""
        return name

    def conform_schema(self, schema: Schema) -> Schema:
        """Give the schema with the columns' names.

        Errors: ``ConfigurationError`` when two properties would have the same column.
        """
        names = {name: self.conform_name(name, "column") for name in schema["properties"]}
        if len(set(names.values())) < len(names):
            taken = sorted(name for name in names if list(names.values()).count(names[name]) > 1)
            raise ConfigurationError(f"conform_name gives the same column to several properties: {', '.join(taken)}")
        return {**schema, "properties": {names[name]: member for name, member in schema["properties"].items()}}

    def conform_record(self, record: Record) -> Record:
        """Give a record with the columns' names."""
        return {self.conform_name(name, "column"): value for name, value in record.items()}

    def _beside(self, name: str) -> str:
        return marked(f"_new_{name}", ANY_NAME) if self.is_beside else name

    # What the engine calls

    def setup(self) -> None:
        """Make the table what the schema needs."""
        self._loading.set_up()

    def process_batch(self, context: dict[str, Any]) -> None:
        """Store the records, and wait until they are on the disk."""
        records = context["records"]
        self._left_out.look_at(records)
        self._loading.store(records, removes_deleted=self._removes_deleted)

    def activate_version(self, new_version: int) -> None:
        """Remove the rows of older versions, or of none, or mark them as deleted."""
        if self.version_column_name not in self._properties:
            self.logger.warning(
                "Rows of before version %d stay: without `add_record_metadata` a row's version is not known",
                new_version,
            )
            return
        self._loading.retire(new_version, hard=bool(self.config.get("hard_delete")))

    def clean_up(self) -> None:
        """Say what was left out."""
        self._left_out.report()
        for name, count in self._loading.dropped().items():
            self.logger.warning("Dropped %d values of '%s', which the table can't hold (on_schema_change)", count, name)

    # Storing, for the hooks

    def bulk_insert_records(
        self, full_table_name: str | FullyQualifiedName, schema: Schema, records: Iterable[Record]
    ) -> int | None:
        """Insert records into a table, in one transaction; gives their number, or ``None`` if it is not known."""
        statement = self.generate_insert_statement(full_table_name, schema)
        types = column_types(self.connector, self.conform_schema(schema))
        renamed = _overridden(type(self), SQLSink, ("conform_record", "conform_name"))
        rows = bound_rows([self.conform_record(record) for record in records] if renamed else list(records), types)
        if not rows:
            return 0
        if isinstance(statement, str):
            import sqlalchemy

            statement = sqlalchemy.text(statement)
        with self.connector._connect() as connection, connection.begin():
            connection.execute(statement, rows)
        return len(rows)

    def generate_insert_statement(self, full_table_name: str | FullyQualifiedName, schema: Schema) -> str | Executable:
        """Give the statement that inserts a row, with a parameter of each column's name."""
        import sqlalchemy

        types = column_types(self.connector, self.conform_schema(schema))
        return sqlalchemy.insert(self.table_clause(full_table_name, types))

    def merge_upsert_from_table(
        self,
        target_table_name: str | FullyQualifiedName,
        from_table_name: str | FullyQualifiedName,
        join_keys: list[str],
    ) -> int | None:
        """Replace rows of a table by those of another with the same key, and add the others, in one transaction."""
        import sqlalchemy

        found = self.connector.get_table_columns(from_table_name)
        types = {name: column.type for name, column in found.items()}
        target, staged = (self.table_clause(name, types) for name in (target_table_name, from_table_name))
        with self.connector._connect() as connection, connection.begin():
            for statement in merge_statements(target, staged, join_keys):
                connection.execute(statement)
            count: int = connection.execute(sqlalchemy.select(sqlalchemy.func.count()).select_from(staged)).scalar_one()
        return count

    def table_clause(self, full_table_name: str | FullyQualifiedName, types: ColumnTypes | None = None) -> TableClause:
        """Give a table as statements of SQLAlchemy name it; its columns are the stream's, if not given."""
        if types is None:
            types = column_types(self.connector, self.conform_schema(self.schema))
        return table_clause(*self.connector.parse_full_table_name(full_table_name), types)

    @property
    def inserts_by_itself(self) -> bool:
        """Whether the author says how records are inserted, and so what becomes of those with the same key."""
        return bool(_overridden(type(self), SQLSink, ("bulk_insert_records",)))

    @property
    def stores_by_itself(self) -> bool:
        """Whether the author says how a batch is stored."""
        return bool(_overridden(type(self), SQLSink, _STORING_HOOKS))

    @property
    def _properties(self) -> Mapping[str, Any]:
        return self.schema.get("properties") or {}

    @property
    def _removes_deleted(self) -> bool:
        return bool(self.config.get("hard_delete")) and self.soft_delete_column_name in self._properties

    @cached_property
    def _loading(self) -> DirectLoading | HookLoading:
        hooks = _overridden(type(self), SQLSink, _SINK_HOOKS)
        hooks += _overridden(type(self.connector), SQLConnector, TABLE_HOOKS)
        target: Any = self._target
        keeps_state = getattr(target, "waiting", None) is not None
        if keeps_state and (
            own := [*hooks, *_overridden(type(self), SQLSink, (*_STORING_HOOKS, "process_batch_files"))]
        ):
            raise ConfigurationError(
                f"state_key: {own[0]} stores rows by itself, so they can't be in one transaction with the state: "
                "remove the setting"
            )
        if getattr(target, "has_own_database", False):
            if hooks:
                raise ConfigurationError(
                    f"{hooks[0]} would never be called: {type(target).__name__} says with open_dialect or "
                    "open_database how rows are stored"
                )
            return DirectLoading(self, target)
        is_sql_target = hasattr(target, "open_table")
        if not hooks and is_sql_target and self.connector.allow_column_add and not self.stores_by_itself:
            return DirectLoading(self, target)
        if self.config.get("load_method") == "overwrite" and not self._can_overwrite:
            raise ConfigurationError(
                "load_method: 'overwrite' is not possible: the target names or fills tables itself"
            )
        tables = target.hook_tables if is_sql_target else HookTables()
        return HookLoading(self, tables, merges=merges_by_key(self))

    @property
    def _can_overwrite(self) -> bool:
        names = ("table_name", "full_table_name", "process_batch", "setup")
        return (
            self.connector.allow_overwrite
            and not _overridden(type(self), SQLSink, names)
            and hasattr(self._target, "hook_tables")
        )


_STORING_HOOKS = ("bulk_insert_records", "process_batch")
#: Hooks that say how rows are stored, where an author overrides one.
_SINK_HOOKS = (
    "bulk_insert_records",
    "conform_name",
    "conform_record",
    "conform_schema",
    "database_name",
    "full_schema_name",
    "full_table_name",
    "generate_insert_statement",
    "merge_upsert_from_table",
    "schema_name",
    "soft_delete_column_name",
    "table_name",
    "version_column_name",
)


def _overridden(cls: type, base: type, names: Sequence[str]) -> list[str]:
    """Give the names that a class has otherwise than its base."""
    return [f"{cls.__name__}.{name}" for name in names if getattr(cls, name) is not getattr(base, name)]
