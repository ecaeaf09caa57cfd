"""A store in a SQLite file: the default, for one machine.

What is committed is on the disk (``synchronous=FULL``); readers are not kept waiting by a writer (WAL). A new store is
made as another file and put in its place when it is complete, so that an empty file is never one of ours: it is what is
left of a damaged one. Leases compare this machine's clock. The file must not be on a network file system, since SQLite
can't lock it there.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from singerkit.clock import utc_now
from singerkit.runner.store.base import StoreAwayError, StoredState, StoreError
from singerkit.runner.store.durable import synchronize_folder
from singerkit.runner.store.sql import TABLES, VERSION, Execute, SQLStore

T = TypeVar("T")
#: In the header of each of our files: SQLite's ``application_id``.
_OURS = 0x53474B54
_PATIENCE_S = 60.0
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
#: What SQLite wants beside a store to use it at all (bytes).
_ROOM = 128 * 1024


class SQLiteStore(SQLStore):
    """A store in a file; made with its folder when it is missing. For any thread and any number of processes.

    ``clock`` gives the current instant. Errors: ``StoreError`` for a file that is not a store, or a damaged one.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime] = utc_now) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._is_whole = False
        with self._explained():
            self._make_if_missing()
            self._database = _connected(path)
            self._file = _identity(path)
            try:
                self._check()
            except BaseException:
                self._database.close()
                raise

    def close(self) -> None:
        """Close the file."""
        with self._lock, self._explained():
            self._database.close()

    def get(self, key: str) -> StoredState | None:
        """Give the newest state of a key, or ``None``: that only where the file is whole, as damage can hide a row."""
        found = super().get(key)
        if found is None and not self._is_whole:
            self._read(_check_whole)
            self._is_whole = True
        return found

    def _read(self, work: Callable[[Execute], T]) -> T:
        with self._lock, self._explained():
            return work(self._execute)

    def _write(self, work: Callable[[Execute], T], *, may_repeat: bool = True) -> T:
        with self._lock, self._explained(), _transaction(self._database):
            result = work(self._execute)
            self._check_place()
            return result

    def _now(self, execute: Execute) -> datetime:
        return self._clock()

    def _execute(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        return self._database.execute(_for_sqlite(statement), values).fetchall()

    def _make_if_missing(self) -> None:
        if self._path.exists():
            return
        for ending in ("-wal", "-journal"):
            beside = self._path.with_name(self._path.name + ending)
            if beside.exists():
                raise StoreError(
                    f"the state store '{self._path}' is missing, but '{beside.name}' beside it holds changes to it:"
                    " bring the file back, or remove that one too to begin with an empty store"
                )
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._make()

    def _make(self) -> None:
        """Make a complete file and give it its name, unless another process was first."""
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}.{threading.get_ident()}")
        with suppress(FileNotFoundError):
            draft.unlink()
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        try:
            with _closed_at_end(_connected(draft)) as database, _transaction(database):
                database.execute(f"PRAGMA application_id = {_OURS}")
                database.execute(f"PRAGMA user_version = {VERSION}")
                for statement in (*TABLES, "CREATE INDEX {schema}.runs_newest ON runs (started, id)"):
                    database.execute(_for_sqlite(statement))
            with suppress(FileExistsError):
                os.link(draft, self._path)
        finally:
            draft.unlink()
        synchronize_folder(self._path.parent)

    def _check(self) -> None:
        if not self._path.stat().st_size:
            raise StoreError(
                f"the state store '{self._path}' is an empty file, so what it held is lost: bring a backup back, or"
                " remove the file to begin with an empty store"
            )
        (application,) = self._database.execute("PRAGMA application_id").fetchone()
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if application != _OURS:
            raise StoreError(f"'{self._path}' is a SQLite database, but no state store: name another file")
        if version > VERSION:
            raise StoreError(
                f"the state store '{self._path}' was made by a newer singerkit (version {version} of its tables, and"
                f" this one knows {VERSION}): upgrade singerkit"
            )
        self._database.execute("PRAGMA journal_mode = WAL").fetchall()
        self._database.execute("PRAGMA synchronous = FULL")

    def _check_place(self) -> None:
        """Check that what is written is found again: a file that was removed meanwhile can still be written."""
        if not self._path.exists() or _identity(self._path) != self._file:
            raise StoreError(f"the state store '{self._path}' was removed or replaced while it was used: run again")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say what is wrong with the file.

        Errors: ``StoreError``.
        """
        try:
            yield
        except sqlite3.ProgrammingError:
            raise StoreError(f"the state store '{self._path}' is closed") from None
        except sqlite3.Error as error:
            kind = StoreAwayError if _code(error) in _BUSY else StoreError
            raise kind(f"the state store '{self._path}' {_problem(error, self._path.parent)}") from None
        except OSError as error:
            raise StoreError(f"the state store '{self._path}' can't be used: {error.strerror}") from None


def _connected(path: Path) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?mode=rw"  # "rw": a file that has gone meanwhile is not made anew
    return sqlite3.connect(address, uri=True, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False)


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


@contextmanager
def _closed_at_end(database: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        yield database
    finally:
        database.close()


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _check_whole(execute: Execute) -> None:
    """Look at all of the file.

    Errors: ``sqlite3.DatabaseError`` for the first thing that is wrong with it.
    """
    ((said,),) = execute("PRAGMA integrity_check(1)")
    if said != "ok":
        error = sqlite3.DatabaseError(said.splitlines()[-1])
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def _for_sqlite(statement: str) -> str:
    return statement.format(schema="main", for_update="")


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _problem(error: sqlite3.Error, folder: Path) -> str:
    text = str(error)
    code = _code(error)
    if code == sqlite3.SQLITE_NOTADB:
        return "is no SQLite database, or damaged: bring a backup back, or name another file"
    if code == sqlite3.SQLITE_CORRUPT:
        return f"is damaged ({text}): bring a backup back"
    if code in _BUSY:
        return f"has been held by another process for {_PATIENCE_S:.0f} seconds: try again later"
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) and _is_full(folder):
        return f"can't be used, as its disk is full: make room where '{folder}' is"
    if code == sqlite3.SQLITE_READONLY:
        return f"can't be written ({text}): this user has to be allowed to write it, and its folder"
    return f"can't be used: {text}"


def _is_full(folder: Path) -> bool:
    """Tell whether there is no room for the files that SQLite keeps beside a store."""
    with suppress(OSError):
        return shutil.disk_usage(folder).free < _ROOM
    return False
