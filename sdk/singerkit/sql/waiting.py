"""Rows that wait for their state, to be stored with it in one transaction."""

from __future__ import annotations

import pickle
from tempfile import SpooledTemporaryFile
from threading import Lock
from typing import Any

from singerkit.errors import DataError, FatalSyncError, SingerKitError
from singerkit.sql.tables import RefusedRow, Rows, Table

#: Bytes of rows that wait in memory; more go to a file that has no name and is gone with the process.
_IN_MEMORY = 16 * 1024 * 1024

#: The version of a stream whose older rows go, and when they are marked as deleted; without a time they are removed.
_Retirement = tuple[int, str | None]


class Waiting:
    """Rows and removals of all tables, in the order in which they came; from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._tables: list[tuple[str, Table]] = []
        self._pieces = 0
        self._file: SpooledTemporaryFile[bytes] | None = None
        self._under_way: tuple[str, Table, Rows | None] | None = None

    def add_rows(self, stream: str, table: Table, rows: Rows) -> None:
        """Let rows wait.

        Errors: ``FatalSyncError`` when the disk is full.
        """
        # Fitted again when they are written: their columns may have become wider by then.
        self._add(stream, table, Rows(rows.columns, rows.values, rows.keys, rows.json_keys, rows.removes_by))

    def add_retirement(self, stream: str, table: Table, version: int, deleted_at: str | None) -> None:
        """Let the removal of older versions' rows wait.

        Errors: ``FatalSyncError`` when the disk is full.
        """
        self._add(stream, table, (version, deleted_at))

    def write(self, cursor: Any) -> None:
        """Do everything that waits, in the transaction of a cursor; it goes on waiting until :meth:`clear`.

        Errors: what the tables raise.
        """
        self._under_way = None
        if self._file is None:
            return
        self._file.seek(0)
        for _ in range(self._pieces):
            number, piece = pickle.load(self._file)  # noqa: S301 - written here, to a file that nobody else can open
            stream, table = self._tables[number]
            self._under_way = (stream, table, piece if isinstance(piece, Rows) else None)
            if isinstance(piece, Rows):
                table.write(cursor, piece)
            else:
                version, deleted_at = piece
                table.retire_by(cursor, version, deleted_at=deleted_at)
        self._under_way = None

    def located(self, error: SingerKitError) -> SingerKitError:
        """Say which stream's rows an error is about, and which column, where it is about rows."""
        if self._under_way is None or not isinstance(error, DataError):
            return error
        stream, table, rows = self._under_way
        located = table.located(error, rows) if isinstance(error, RefusedRow) and rows is not None else error
        located.stream = located.stream or stream
        return located

    def clear(self) -> None:
        """Forget what was stored."""
        if self._file is not None:
            self._file.close()
        self._file, self._tables, self._pieces, self._under_way = None, [], 0, None

    def _add(self, stream: str, table: Table, piece: Rows | _Retirement) -> None:
        with self._lock:
            if (stream, table) not in self._tables:
                self._tables.append((stream, table))
            number = self._tables.index((stream, table))
            if self._file is None:
                self._file = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by clear
            try:
                pickle.dump((number, piece), self._file, pickle.HIGHEST_PROTOCOL)
            except OSError as problem:
                raise FatalSyncError(
                    f"rows that wait for their state can't be written to a temporary file: {problem.strerror} (the "
                    "folder of TMPDIR has to have room for the rows between two states)"
                ) from problem
            self._pieces += 1
