"""What one kind of database server does its own way, and how it says what went wrong."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from singerkit.errors import DataError, SingerKitError
from singerkit.records.columns import Values
from singerkit.sql.delimited import Texts
from singerkit.sql.names import ANY_NAME, NameLimits


@dataclass(frozen=True)
class Layout:
    """How a table is declared: column to type, the primary key, and the columns that refuse null.

    ``merges_by_others``: the server's one statement for a merge would also replace a row by one that is like it in
    other columns than the primary key.
    """

    types: Mapping[str, str]
    primary_key: tuple[str, ...] = ()
    required: frozenset[str] = frozenset()
    merges_by_others: bool = False


class Dialect(ABC):
    """How one kind of server does what all of them can do. Cursors are those of its driver (PEP 249)."""

    names: ClassVar[NameLimits] = ANY_NAME

    @abstractmethod
    def connect(self) -> Any:
        """Open a connection that begins transactions by itself; identifiers are quoted with ``"``, the zone is UTC.

        Errors: ``ConfigurationError`` where the server does not let us in; those of the driver.
        """

    @abstractmethod
    def explain(self, error: Exception) -> SingerKitError | None:
        """Give our error for one of the driver's, without values; ``None`` for any other error.

        For a row that the server refuses it is a :class:`RefusedRow`.
        """

    @abstractmethod
    def is_lost(self, error: Exception) -> bool:
        """Tell whether an error means that the connection is gone: of a commit under way nothing is known then."""

    def is_undone(self, error: Exception) -> bool:
        """Tell whether the server itself undid the transaction, and another try may succeed.

        That is so after a deadlock, and where another program made the same table or column at the same time.
        """
        return False

    def query(self, cursor: Any, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Execute a statement with a ``?`` for each value, none of them in a name; give the rows that it finds."""
        cursor.execute(statement.replace("%", "%%").replace("?", "%s") if values else statement, values or None)
        return list(cursor.fetchall()) if cursor.description else []

    @abstractmethod
    def use_schema(self, cursor: Any, name: str | None) -> str:
        """Give the schema (or database) for the tables, the connection's own if none is named; make it if need be."""

    @abstractmethod
    def tables(self, cursor: Any, schema: str) -> Sequence[str]:
        """Give the names of all tables and views of a schema."""

    @abstractmethod
    def layout(self, cursor: Any, schema: str, table: str) -> Layout:
        """Read how a table is declared; one that is not there has no columns."""

    @abstractmethod
    def type_of_kind(self, kind: str, scale: int | None, *, is_key: bool) -> str:
        """Give the type of a new column."""

    @abstractmethod
    def wider(self, existing: str, wanted: str) -> str:
        """Give the type that can hold what both can."""

    @abstractmethod
    def fitted(self, values: Values, column_type: str) -> tuple[Texts, str]:
        """Give the values as the server reads them, and the type that their column needs to hold them exactly."""

    @abstractmethod
    def change_type(self, table: str, column: str, before: str, after: str) -> str:
        """Give the statement that changes a column's type and keeps its values."""

    def type_keeping_values(self, cursor: Any, table: str, column: str, before: str, after: str) -> str:
        """Give the type that a column becomes to hold what ``after`` holds: a wider one, where that would round."""
        return after

    @abstractmethod
    def allow_null(self, table: str, column: str, column_type: str) -> str:
        """Give the statement that lets a column hold null."""

    @abstractmethod
    def drop_primary_key(self, cursor: Any, schema: str, table: str) -> None:
        """Let a table have no primary key."""

    @abstractmethod
    def stage(self, cursor: Any, table: str, columns: Sequence[str]) -> str:
        """Make an empty temporary table with these columns of a table, and give its name, quoted."""

    @abstractmethod
    def unstage(self, cursor: Any, staged: str) -> None:
        """Drop a staging table."""

    @abstractmethod
    def fill(self, cursor: Any, table: str, columns: Sequence[str], texts: Sequence[Texts]) -> None:
        """Put rows into a table, all of them unchanged, or raise."""

    @abstractmethod
    def merge(self, table: str, staged: str, columns: Sequence[str], keys: Sequence[str], *, unique: bool) -> list[str]:
        """Give the statements that replace rows by those of a staging table and add the others.

        ``unique``: the keys are the table's primary key.
        """

    @abstractmethod
    def swap(self, cursor: Any, schema: str, tables: Mapping[str, str]) -> None:
        """Put tables in the place of others, all at once: new name to old name."""


@contextmanager
def refusing_half_characters(database: str) -> Iterator[None]:
    """Say what text can't be stored.

    Errors: ``DataError`` for a text with a lone surrogate.
    """
    try:
        yield
    except UnicodeEncodeError:
        raise DataError(f"a text holds half a character (a lone surrogate), which {database} can't hold") from None
