"""DuckDB's module, and what it refuses in our words: its own messages quote values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from singerkit.errors import FatalSyncError, MissingExtraError, RetriableSyncError
from singerkit.sql.tables import RefusedRow

if TYPE_CHECKING:
    import duckdb

#: How the field of a line is named whose value can't become its column's type; the value stands before it.
_FIELD = re.compile(r"when casting from source column (c\d+)\b")
#: What it says of a file that another program has; there is no class or code for that.
_LOCKED = "Could not set lock on file"
#: Messages about a constraint that name the table's parts only.
_WITHOUT_VALUES = re.compile(r"Constraint Error: ((?:CHECK|NOT NULL) constraint failed.*)")


def import_duckdb() -> Any:
    """Give DuckDB's compiled module: nothing of the package around it is used, which takes 0.2 CPU seconds to import.

    Errors: ``MissingExtraError``.
    """
    try:
        import _duckdb as compiled
    except ImportError:  # of releases that call it otherwise
        try:
            import duckdb as compiled  # type: ignore[no-redef]
        except ImportError:
            raise MissingExtraError("target-duckdb needs DuckDB: pip install 'singerkit[duckdb]'") from None
    return compiled


@contextmanager
def explained(path: str) -> Iterator[None]:
    """Say what DuckDB refuses, without the values that its messages quote.

    Errors: ``FatalSyncError``; ``RetriableSyncError`` where another program has the file; ``RefusedRow`` where it is
    about a value, its ``column`` the field of the line.
    """
    duckdb = import_duckdb()
    try:
        yield
    except (duckdb.DataError, duckdb.IntegrityError, duckdb.InvalidInputException) as error:
        raise _refused(error) from None
    except duckdb.Error as error:
        first_line = str(error).partition("\n")[0]
        kind = RetriableSyncError if _LOCKED in first_line else FatalSyncError
        raise kind(f"'{path}': {first_line}") from error
    except OSError as error:
        raise FatalSyncError(f"'{path}': {error.strerror}") from error


def _refused(error: duckdb.Error) -> RefusedRow:
    text = str(error)
    constraint = _WITHOUT_VALUES.match(text)
    if constraint:
        return RefusedRow(f"the database refuses a row: {constraint[1]}")
    if text.startswith("Constraint Error: Duplicate key"):
        return RefusedRow("the database refuses a row: another one has the same values where they have to be unique")
    fields = _FIELD.findall(text)
    return RefusedRow(f"the database refuses a value ({type(error).__name__})", fields[-1] if fields else None)
