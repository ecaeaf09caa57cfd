"""What a database has: its tables and views as catalog entries.

All tables of a schema are asked for at once, so that a thousand of them cost a few queries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from singerkit.sql.json_types import nullable
from singerkit.types import Schema

if TYPE_CHECKING:
    from sqlalchemy.engine.reflection import Inspector

    from singerkit.protocol.catalog import CatalogEntry


@dataclass(frozen=True)
class FoundTable:
    """A table or view as the database declares it; ``columns`` as SQLAlchemy's inspector gives them."""

    schema: str | None
    name: str
    is_view: bool
    columns: Sequence[Mapping[str, Any]]
    keys: tuple[str, ...]

    @property
    def stream_id(self) -> str:
        """The stream's id: schema and table, the table alone where there are no schemas."""
        return f"{self.schema}-{self.name}" if self.schema else self.name


def discovered_tables(inspector: Inspector, schema: str | None) -> Iterator[FoundTable]:
    """Give the tables and views of a schema, sorted by name."""
    from sqlalchemy.engine.reflection import ObjectKind

    columns = inspector.get_multi_columns(schema, kind=ObjectKind.ANY)
    keys = inspector.get_multi_pk_constraint(schema, kind=ObjectKind.TABLE)
    indexes = inspector.get_multi_indexes(schema, kind=ObjectKind.TABLE)
    views = {*_names(inspector.get_view_names, schema), *_names(inspector.get_materialized_view_names, schema)}
    for where in sorted(columns, key=lambda place: place[1]):
        primary = tuple((keys.get(where) or {}).get("constrained_columns") or ())  # type: ignore[call-overload]
        required = {column["name"] for column in columns[where] if not column["nullable"]}
        yield FoundTable(
            schema=schema,
            name=where[1],
            is_view=where[1] in views,
            columns=columns[where],
            keys=primary or _unique_key(indexes.get(where) or [], required),
        )


def discovered_objects(inspector: Inspector, schema: str | None) -> list[tuple[str, bool]]:
    """Give the tables and views of a schema by name, each with whether it is a view."""
    tables = _names(inspector.get_table_names, schema)
    views = [*_names(inspector.get_view_names, schema), *_names(inspector.get_materialized_view_names, schema)]
    return [*((name, False) for name in tables), *((name, True) for name in views)]


def found_table(inspector: Inspector, schema: str | None, name: str, *, is_view: bool) -> FoundTable:
    """Give one table or view."""
    columns = inspector.get_columns(name, schema)
    required = {column["name"] for column in columns if not column["nullable"]}
    primary = () if is_view else tuple(inspector.get_pk_constraint(name, schema)["constrained_columns"])
    indexes: Sequence[Any] = [] if is_view else inspector.get_indexes(name, schema)
    return FoundTable(schema, name, is_view, columns, primary or _unique_key(indexes, required))


def _names(names_of: Callable[[str | None], list[str]], schema: str | None) -> list[str]:
    try:
        return names_of(schema)
    except NotImplementedError:  # the database has none of the kind
        return []


def _unique_key(indexes: Sequence[Mapping[str, Any]], required: set[str]) -> tuple[str, ...]:
    """Give the columns of the smallest unique index without nulls: as good as a primary key."""
    unique = [
        tuple(index["column_names"])
        for index in indexes
        if index.get("unique") and None not in index["column_names"] and required >= set(index["column_names"])
    ]
    return min(unique, key=lambda names: (len(names), names), default=())


def catalog_entry(table: FoundTable, type_of: Callable[[Any], Schema]) -> CatalogEntry:
    """Give a table's catalog entry; ``type_of`` gives the JSON Schema for a SQLAlchemy type, null aside."""
    from singerkit.protocol.catalog import CatalogEntry, discovered_metadata

    properties = {}
    for column in table.columns:
        schema = type_of(column["type"])
        properties[str(column["name"])] = nullable(schema) if column["nullable"] or table.is_view else schema
    schema = {"type": "object", "properties": properties, "required": list(table.keys)}
    # Nothing says which columns order the changes: the user chooses one.
    metadata = discovered_metadata(
        schema,
        key_properties=table.keys,
        replication_keys=[],
        forced_replication_method=None,
        selected_by_default=True,
    )
    metadata.root["schema-name"] = table.schema or ""
    metadata.root["is-view"] = table.is_view
    return CatalogEntry(
        tap_stream_id=table.stream_id,
        schema=schema,
        key_properties=list(table.keys),
        metadata=metadata,
        replication_method="FULL_TABLE",
        table_name=table.name,
        is_view=table.is_view,
    )
