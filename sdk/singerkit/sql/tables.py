"""A table a stream: what any database has to be able to do with one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from singerkit.errors import ConfigurationError, DataError, FatalSyncError
from singerkit.records.columns import Values
from singerkit.sql.names import ANY_NAME, NameLimits, table_name

_Result = TypeVar("_Result")

APPEND, UPSERT, OVERWRITE = "append-only", "upsert", "overwrite"
#: What happens when a table lacks a column, or has one that is too narrow: it is changed; that is an error; what it
#: can't hold is dropped and counted.
EVOLVE, FREEZE, IGNORE = "evolve", "freeze", "ignore"
VERSION, DELETED_AT = "_sdc_table_version", "_sdc_deleted_at"


@dataclass(frozen=True)
class TablePlan:
    """What a stream's table has to be for what is to come.

    Shape: ``kinds`` is property name to column kind (see ``column_kinds``), ``scales`` to the digits behind the point
    where they are known; ``keys`` are the properties by which a record replaces a row, empty where every record is a
    row of its own. ``policy`` says what happens where a table that is there lacks something.
    """

    kinds: dict[str, str]
    scales: dict[str, int | None]
    keys: tuple[str, ...]
    policy: str = EVOLVE


@dataclass
class Rows:
    """Values on their way into a table.

    Shape: ``values`` are those of each of the ``columns``, as they came; ``keys`` are the columns by which a row
    replaces another, ``json_keys`` those of them that may hold values of several types. ``removes_by``: the column that
    marks rows as deleted, where such rows are to go. ``fitted``: the values as the database takes them, where they were
    fitted to the column types that the table has now.
    """

    columns: tuple[str, ...]
    values: list[Values]
    keys: tuple[str, ...] = ()
    json_keys: frozenset[str] = frozenset()
    removes_by: str | None = None
    fitted: Any = None


class RefusedRow(DataError):
    """The database refuses a row; ``column`` is the one whose value it is about, where the server says it."""

    def __init__(self, message: str, column: str | None = None) -> None:
        """Keep the column."""
        super().__init__(message)
        self.column = column


class Table(ABC):
    """A stream's table in the database. One thread at a time.

    Shape: ``columns`` is property to column, for the properties whose values are stored; ``unfit`` counts, by column,
    the values that were dropped because their column can't hold them.
    """

    columns: Mapping[str, str]

    def __init__(self) -> None:
        self.unfit: Counter[str] = Counter()

    @abstractmethod
    def adapt(self, plan: TablePlan) -> None:
        """Make the table, or add what it lacks."""

    @abstractmethod
    def store(self, records: Sequence[dict[str, Any]], *, remove_deleted: bool) -> None:
        """Store records in one transaction; the last one of a key wins.

        ``remove_deleted`` lets those go that are marked as deleted.
        """

    @abstractmethod
    def retire(self, version: int, *, deleted_at: str | None) -> None:
        """Mark the rows of older versions, or of none, as deleted at that time; without a time remove them."""

    # For a transaction with other tables' rows: see singerkit.sql.kept_states.

    def prepare(self, records: Sequence[dict[str, Any]], *, remove_deleted: bool) -> Rows:
        """Make the table hold what is to come, and give the records as rows for :meth:`write`."""
        raise ConfigurationError(_NO_STATES)

    def write(self, cursor: Any, rows: Rows) -> None:
        """Put rows into the table, in the transaction of the cursor; the last one of a key wins."""
        raise ConfigurationError(_NO_STATES)

    def retire_by(self, cursor: Any, version: int, *, deleted_at: str | None) -> None:
        """Do what :meth:`retire` does, in the transaction of the cursor."""
        raise ConfigurationError(_NO_STATES)

    def located(self, error: RefusedRow, rows: Rows) -> DataError:
        """Say which column refuses what kind of value."""
        return error


class Database(ABC):
    """An open database, for all streams."""

    @abstractmethod
    def table(self, stream: str, *, overwrite: bool) -> Table:
        """Give a stream's table; ``overwrite``: a new one beside it, that :meth:`publish` puts in its place."""

    @abstractmethod
    def publish(self) -> None:
        """Put the new tables in the place of the old ones."""

    @abstractmethod
    def close(self) -> None:
        """Close it."""

    # For states that are kept in the database: see singerkit.sql.kept_states.

    def run(self, work: Callable[[Any], _Result]) -> _Result:
        """Do ``work(cursor)`` in one transaction; more than once, perhaps, with the effect of the last time only."""
        raise ConfigurationError(_NO_STATES)

    def query(self, cursor: Any, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute a statement with a ``?`` for each value, and give the rows that it finds."""
        raise ConfigurationError(_NO_STATES)

    def has_table(self, cursor: Any, name: str) -> bool:
        """Tell whether there is a table of this name, beside those of streams."""
        raise ConfigurationError(_NO_STATES)

    def qualified(self, name: str) -> str:
        """Give the name of a table as it stands in a statement.

        Errors: ``ConfigurationError`` for what can't be a table's name.
        """
        raise ConfigurationError(_NO_STATES)

    def column_type(self, kind: str, *, is_key: bool = False) -> str:
        """Give the type of a new column."""
        raise ConfigurationError(_NO_STATES)


_NO_STATES = "state_key: this target's database has no place for states: remove the setting"


def changed_meanwhile(table: str) -> FatalSyncError:
    """Give the error for rows that were fitted to a table which is another one now."""
    return FatalSyncError(f"the table {table} was changed by another program while rows waited for it; run again")


def plain_name(name: str, limits: NameLimits = ANY_NAME) -> str:
    """Give a name that a setting gives to a table.

    Errors: ``ConfigurationError`` where it can't be one.
    """
    if table_name(name, (), limits) != name:
        raise ConfigurationError(f"state_table: '{name}' can't be the name of a table in this database")
    return name


def settled(
    plan: TablePlan,
    existing: Mapping[str, str],
    columns: dict[str, str],
    wanted: dict[str, str],
    wider: Callable[[str, str], str],
) -> tuple[dict[str, str], dict[str, str]]:
    """Give the columns and their wanted types as the plan's policy lets them be, in a table that exists.

    Shape: ``existing`` and ``wanted`` are column to type, ``columns`` is property to column.

    Errors: ``DataError`` where a change is needed and the policy is ``freeze``, or ``ignore`` and it is about a key.
    """
    missing = [name for name, column in columns.items() if column not in existing]
    narrow = [
        name
        for name, column in columns.items()
        if column in existing and wider(existing[column], wanted[column]) != existing[column]
    ]
    if plan.policy == EVOLVE or not (missing or narrow):
        return columns, wanted
    refused = missing + narrow if plan.policy == FREEZE else [name for name in missing if name in plan.keys]
    if refused:
        what = "has no column for" if refused[0] in missing else "has too narrow a column for"
        raise DataError(
            f"the table {what} the property '{refused[0]}', and on_schema_change is '{plan.policy}': change the table, "
            "deselect the property, or set on_schema_change to 'evolve'"
        )
    kept = {name: column for name, column in columns.items() if name not in missing}
    return kept, {column: existing[column] if name in narrow else wanted[column] for name, column in kept.items()}


def fitting(
    values: Sequence[Any], column: str, column_type: str, fits: Callable[[Sequence[Any]], bool], policy: str
) -> list[Any]:
    """Give values with null for those that their column can't hold, where the policy is ``ignore``.

    Errors: ``DataError`` where it is ``freeze``.
    """
    kept = [value if value is None or fits([value]) else None for value in values]
    if policy == FREEZE:
        refused = next(value for value, fit in zip(values, kept, strict=True) if fit is None and value is not None)
        raise DataError(
            f"the column '{column}' ({column_type}) can't hold a value of type {type(refused).__name__} that came, and "
            "on_schema_change is 'freeze'"
        )
    return kept


def located(error: RefusedRow, types: Mapping[str, str], columns: Sequence[Sequence[Any]]) -> DataError:
    """Say which column refuses what kind of value, as the database does not know what came.

    Shape: ``types`` is column to type, ``columns`` the values of each, in the same order.
    """
    if error.column is None or error.column not in types:
        return error
    came = set(map(type, columns[list(types).index(error.column)])) - {type(None)}
    names = " or ".join(sorted(kind.__name__ for kind in came)) or "null"
    return DataError(
        f"the column '{error.column}' ({types[error.column]}) can't hold a value of type {names} that came: {error}"
    )
