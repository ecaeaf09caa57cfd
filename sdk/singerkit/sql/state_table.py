"""The table in which a database keeps the states of the pipelines that load it, a row a pipeline.

A state is stored in the transaction that stores the rows before it, so both are there or neither is. A row counts how
often its state was stored: a run that finds another count than the one it left knows that another run of the pipeline
came between, and stores nothing. Each try to store has a token of its own, by which the next try sees whether a commit
whose answer was lost has happened.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar
from uuid import uuid4

from singerkit import clock
from singerkit.errors import ConfigurationError, DataError, FatalSyncError, RetriableSyncError, StateError
from singerkit.sql import kinds
from singerkit.sql.tables import Database

#: The form of a row; a row with a greater one was written by a later version, which may mean something else by it.
_FORMAT = 1
_COLUMNS = ("pipeline", "format", "commits", "token", "digest", "state", "stored_at")
_KINDS = {"format": kinds.INTEGER, "commits": kinds.INTEGER}
_LONGEST_KEY = 255
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class KeptState:
    """A pipeline's row. ``text`` is the JSON of the state, ``None`` before the first was stored."""

    commits: int
    token: str
    text: str | None


class StateTable:
    """The row of one pipeline."""

    def __init__(self, database: Database, name: str, pipeline: str) -> None:
        """Take the names, without asking the database.

        Errors: ``ConfigurationError`` for names that can't be.
        """
        if not 0 < len(pipeline) <= _LONGEST_KEY:
            raise ConfigurationError(f"state_key: has to have 1 to {_LONGEST_KEY} characters")
        self._database = database
        self._plain_name = name
        self._name = database.qualified(name)
        if "?" in self._name:  # it marks a value in statements
            raise ConfigurationError("state_table: the names of the table and its schema can't have a question mark")
        self._pipeline = pipeline
        self._commits = 0
        self._tokens: set[str] = set()

    def read(self) -> KeptState | None:
        """Give the pipeline's row, if there is one.

        Errors: ``StateError`` for one that is damaged or of a later version.
        """

        def look(cursor: Any) -> KeptState | None:
            return self._row(cursor) if self._database.has_table(cursor, self._plain_name) else None

        return self._explained(lambda: self._database.run(look))

    def open(self, started_from: bytes | None = None) -> None:
        """Make the table and the row if they are not there, and note where this run begins.

        ``started_from``: the JSON of the state that the tap was started with, where that is known.

        Errors: as for :meth:`read`; ``StateError`` when the tap was started with another state.
        """
        found = self.read()
        if found is None:
            with suppress(DataError):  # another run made the row at the same time
                self._explained(lambda: self._database.run(self._make))
            found = self.read()
        self._commits = 0 if found is None else found.commits
        if started_from is not None:
            self._compare(started_from, "{}" if found is None or found.text is None else found.text)

    def _compare(self, started_from: bytes, kept: str) -> None:
        try:
            given = json.loads(started_from or b"{}", parse_float=Decimal)
        except ValueError:
            raise StateError("--started-from: the file does not hold JSON") from None
        if given != json.loads(kept, parse_float=Decimal):
            raise StateError(
                f"the tap was started with a state that is not the one in the table {self._name} for the pipeline "
                f"'{self._pipeline}', so what it sends could be there already: start it with what --print-state shows"
            )

    def store(self, state: bytes, write: Callable[[Any], None]) -> None:
        """Store a state and, in the same transaction, what ``write(cursor)`` does.

        Errors: ``FatalSyncError`` when another run of the pipeline stored a state since this one began; what ``write``
        raises.
        """
        self._tokens.clear()
        self._database.run(lambda cursor: self._store(cursor, state, write))
        self._commits += 1

    def _store(self, cursor: Any, state: bytes, write: Callable[[Any], None]) -> None:
        token = uuid4().hex
        changes = ", ".join(f'"{column}" = ?' for column in _COLUMNS[1:])
        values = [_FORMAT, self._commits + 1, token, _digest(state), state.decode(), _now()]
        # First of all: the row is locked from here on, for this transaction and against an earlier one's late commit.
        self._database.query(
            cursor,
            f'UPDATE {self._name} SET {changes} WHERE "pipeline" = ? AND "commits" = ?',  # noqa: S608 - quoted
            [*values, self._pipeline, self._commits],
        )
        found = self._row(cursor)
        if found is None or found.commits != self._commits + 1 or found.token not in {token, *self._tokens}:
            raise FatalSyncError(
                f"another run of the pipeline '{self._pipeline}' has stored a state since this one began, so nothing "
                "more of this one is stored: let one run at a time, and run again from the state that is there"
            )
        if found.token == token:
            self._tokens.add(token)
            write(cursor)

    def _make(self, cursor: Any) -> None:
        if not self._database.has_table(cursor, self._plain_name):
            columns = [
                f'"{column}" {self._database.column_type(_KINDS.get(column, kinds.TEXT), is_key=column == "pipeline")}'
                for column in _COLUMNS
            ]
            self._database.query(cursor, f'CREATE TABLE {self._name} ({", ".join(columns)}, PRIMARY KEY ("pipeline"))')
        self._database.query(
            cursor,
            f'INSERT INTO {self._name} ("pipeline", "format", "commits", "token", "stored_at") '  # noqa: S608 - quoted
            "VALUES (?, ?, ?, ?, ?)",
            [self._pipeline, _FORMAT, 0, "", _now()],
        )

    def _row(self, cursor: Any) -> KeptState | None:
        # By the table's name: SQLite takes a quoted name that is no column's for a text.
        listed = ", ".join(f'kept."{column}"' for column in _COLUMNS[1:-1])
        rows = self._database.query(
            cursor,
            f'SELECT {listed} FROM {self._name} AS kept WHERE kept."pipeline" = ?',  # noqa: S608 - quoted
            [self._pipeline],
        )
        if not rows:
            return None
        if len(rows) > 1:
            raise self._damaged("there are several rows of it")
        return self._checked(*rows[0])

    def _checked(self, version: Any, commits: Any, token: Any, digest: Any, text: Any) -> KeptState:
        if isinstance(version, int) and version > _FORMAT:
            raise StateError(
                f"the state of the pipeline '{self._pipeline}' in the table {self._name} was stored by a later version "
                f"of singerkit (format {version}): use that one"
            )
        if version != _FORMAT or not isinstance(commits, int) or commits < 0 or not isinstance(token, str):
            raise self._damaged("its row is not one that was stored here")
        if commits == 0 and text is None and digest is None:
            return KeptState(commits, token, None)
        if commits == 0:
            raise self._damaged("its row is not one that was stored here")
        if not isinstance(text, str) or digest != _digest(text.encode("utf-8", "surrogatepass")):
            raise self._damaged("its digest does not match")
        try:
            json.loads(text)
        except ValueError:
            raise self._damaged("it is not JSON") from None
        return KeptState(commits, token, text)

    def _damaged(self, problem: str) -> StateError:
        return StateError(
            f"the state of the pipeline '{self._pipeline}' in the table {self._name} is damaged: {problem}. Restore "
            "the row from a backup of the database; to load everything anew, remove the row and what the pipeline "
            "has stored"
        )

    def _explained(self, work: Callable[[], _Result]) -> _Result:
        try:
            return work()
        except (FatalSyncError, RetriableSyncError) as error:
            error.args = (f"the table of states, {self._name}, can't be used: {error}",)
            raise


def _digest(state: bytes) -> str:
    return hashlib.sha256(state).hexdigest()


def _now() -> str:
    return clock.utc_now().isoformat()
