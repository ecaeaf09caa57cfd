"""The contract of stores in the SQL that SQLite and PostgreSQL have in common.

Three tables: ``states`` has a row for each revision of a key, which is never changed again (a revision without a state
says that it was deleted); ``leases`` one for each key; ``runs`` one for each run. A writer holds the row of the lease
from the moment it looks at it until it has committed, so what it saw of lease and state is still so. Instants are RFC
3339 text in UTC, which sorts as they do.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from singerkit.clock import instant_of, utc_text
from singerkit.digests import digest_of
from singerkit.runner.store import refusals
from singerkit.runner.store.base import Lease, RunRecord, State, StateStore, StoredState, is_held
from singerkit.runner.store.encoding import checked_key, run_of, run_text, state_text, stored_of, whole

T = TypeVar("T")

#: The version of the tables; a store with a higher one is refused.
VERSION = 1
#: What a new store begins with. ``{schema}`` is the database's; ``:name`` in a statement is a value.
TABLES = (
    "CREATE TABLE {schema}.states (key TEXT NOT NULL, revision BIGINT NOT NULL, state TEXT, digest TEXT,"
    " at TEXT NOT NULL, run TEXT NOT NULL, PRIMARY KEY (key, revision))",
    "CREATE TABLE {schema}.leases (key TEXT NOT NULL PRIMARY KEY, owner TEXT NOT NULL, token BIGINT NOT NULL,"
    " expires TEXT NOT NULL)",
    "CREATE TABLE {schema}.runs (id TEXT NOT NULL PRIMARY KEY, pipeline TEXT NOT NULL, started TEXT NOT NULL,"
    " record TEXT NOT NULL)",
)
_NOBODY = ""
_NEVER = "0001-01-01T00:00:00.000000Z"


class Execute(Protocol):
    """Runs a statement with its values by name and gives the rows that it found."""

    def __call__(self, statement: str, **values: Any) -> Sequence[Sequence[Any]]:
        """Run it."""


class SQLStore(StateStore):
    """A store in a database; its subclasses connect, and say what differs between databases."""

    @abstractmethod
    def _read(self, work: Callable[[Execute], T]) -> T:
        """Do work that changes nothing."""

    @abstractmethod
    def _write(self, work: Callable[[Execute], T], *, may_repeat: bool = True) -> T:
        """Do the work in a transaction that is durable when this returns: all of it, or nothing.

        ``may_repeat``: it is right also where it was done once before and the database's answer was lost.
        """

    @abstractmethod
    def _now(self, execute: Execute) -> datetime:
        """Ask what time it is: the database, where it has a clock."""

    def get(self, key: str) -> StoredState | None:
        """Give the newest state of a key, or ``None``."""
        checked_key(key)
        row = self._read(lambda execute: _newest(execute, key))
        return None if row is None or row[1] is None else _stored(key, row)

    def put(self, key: str, state: State, *, expected: int | None, lease: Lease, run: str) -> StoredState:
        """Persist a state as the key's next revision."""
        text = state_text(state)
        tried: list[int] = []

        def work(execute: Execute) -> tuple[int, datetime]:
            _hold(execute, key, lease)
            row = _newest(execute, key)
            if tried and row is not None and (row[0], row[1], row[4]) == (tried[0], text, run):
                return row[0], instant_of(row[3])  # it was committed, and only the answer was lost
            found = None if row is None or row[1] is None else row[0]
            if found != expected:
                raise refusals.conflict(key, expected, found)
            tried[:] = [_next(row)]
            now = self._now(execute)
            _insert(execute, key, _next(row), text, now, run)
            return _next(row), now

        revision, at = self._write(work)
        return StoredState(state, revision, at, run)

    def delete(self, key: str, *, lease: Lease, run: str) -> None:
        """Forget a key's state; its history stays."""

        def work(execute: Execute) -> None:
            _hold(execute, key, lease)
            row = _newest(execute, key)
            if row is not None and row[1] is not None:
                _insert(execute, key, _next(row), None, self._now(execute), run)

        self._write(work)

    def keys(self, prefix: str = "") -> list[str]:
        """Give the keys that have a state, sorted."""
        statement = (
            "SELECT key FROM {schema}.states AS newest WHERE state IS NOT NULL"
            " AND revision = (SELECT MAX(revision) FROM {schema}.states WHERE key = newest.key)"
        )
        rows = self._read(lambda execute: execute(statement))
        return sorted(key for (key,) in rows if key.startswith(prefix))

    def history(self, key: str) -> list[StoredState]:
        """Give every state of a key, newest first."""
        statement = (
            "SELECT revision, state, digest, at, run FROM {schema}.states"
            " WHERE key = :key AND state IS NOT NULL ORDER BY revision DESC"
        )
        rows = self._read(lambda execute: execute(statement, key=key))
        return list(whole(lambda row: _stored(key, row), rows))

    def prune(self, key: str, keep: int) -> int:
        """Forget all but the newest states of a key's history."""
        oldest = (
            "SELECT revision FROM {schema}.states WHERE key = :key AND state IS NOT NULL"
            " ORDER BY revision DESC LIMIT 1 OFFSET :skipped"
        )
        older = "FROM {schema}.states WHERE key = :key AND revision < :oldest"

        def work(execute: Execute) -> int:
            rows = execute(oldest, key=key, skipped=keep - 1)
            if not rows:
                return 0
            values = {"key": key, "oldest": rows[0][0]}
            ((count,),) = execute(f"SELECT COUNT(*) {older} AND state IS NOT NULL", **values)
            execute(f"DELETE {older}", **values)
            return int(count)

        return self._write(work)

    def acquire(self, key: str, owner: str, seconds: float, *, force: bool = False) -> Lease:
        """Take the lease of a key."""
        checked_key(key)

        def work(execute: Execute) -> Lease:
            execute(
                "INSERT INTO {schema}.leases (key, owner, token, expires) VALUES (:key, :owner, 0, :expires)"
                " ON CONFLICT (key) DO NOTHING",
                key=key,
                owner=_NOBODY,
                expires=_NEVER,
            )
            holder, token, expires = _lease_row(execute, key)
            now = self._now(execute)
            if holder != _NOBODY and is_held(instant_of(expires), now) and not force:
                raise refusals.locked(key, holder, instant_of(expires))
            lease = Lease(key, owner, token + 1, now + timedelta(seconds=seconds))
            _keep(execute, lease)
            return lease

        return self._write(work, may_repeat=False)

    def renew(self, lease: Lease, seconds: float) -> Lease:
        """Prolong a lease."""

        def work(execute: Execute) -> Lease:
            _hold(execute, lease.key, lease)
            renewed = Lease(lease.key, lease.owner, lease.token, self._now(execute) + timedelta(seconds=seconds))
            _keep(execute, renewed)
            return renewed

        return self._write(work)

    def release(self, lease: Lease) -> None:
        """Give a lease back."""
        statement = "UPDATE {schema}.leases SET owner = :nobody, expires = :never WHERE key = :key AND token = :token"
        values = {"nobody": _NOBODY, "never": _NEVER, "key": lease.key, "token": lease.token}
        self._write(lambda execute: execute(statement, **values))

    def log(self, run: RunRecord) -> None:
        """Keep a run."""
        statement = (
            "INSERT INTO {schema}.runs (id, pipeline, started, record) VALUES (:id, :pipeline, :started, :record)"
            " ON CONFLICT (id) DO UPDATE SET pipeline = excluded.pipeline, started = excluded.started,"
            " record = excluded.record"
        )
        values = {"id": run.id, "pipeline": run.pipeline, "started": utc_text(run.started), "record": run_text(run)}
        self._write(lambda execute: execute(statement, **values))

    def runs(self, pipeline: str | None = None, *, limit: int = 100) -> list[RunRecord]:
        """Give runs, newest first."""
        statement = (
            "SELECT record, id FROM {schema}.runs WHERE pipeline = :pipeline OR :every = 1"
            " ORDER BY started DESC, id DESC LIMIT :limit"
        )
        values = {"pipeline": pipeline or "", "every": int(pipeline is None), "limit": limit}
        rows = self._read(lambda execute: execute(statement, **values))
        return [run_of(record, f"run '{id}'") for record, id in rows]

    def prune_runs(self, pipeline: str, keep: int, *, spare: str | None = None) -> int:
        """Forget all but the newest runs of a pipeline."""
        of_it = "FROM {schema}.runs WHERE pipeline = :pipeline"
        newest = f"SELECT started, id {of_it} ORDER BY started DESC, id DESC LIMIT 1 OFFSET :skipped"
        older = f"{of_it} AND id <> :spare AND (started, id) < ({newest})"
        values = {"pipeline": pipeline, "spare": spare or "", "skipped": keep - 1}

        def work(execute: Execute) -> int:
            ((count,),) = execute(f"SELECT COUNT(*) {older}", **values)
            execute(f"DELETE {older}", **values)
            return int(count)

        return self._write(work)

    def run(self, id: str) -> RunRecord | None:
        """Give one run by its id."""
        rows = self._read(lambda execute: execute("SELECT record FROM {schema}.runs WHERE id = :id", id=id))
        return run_of(rows[0][0], f"run '{id}'") if rows else None


def _newest(execute: Execute, key: str) -> Sequence[Any] | None:
    rows = execute(
        "SELECT revision, state, digest, at, run FROM {schema}.states WHERE key = :key ORDER BY revision DESC LIMIT 1",
        key=key,
    )
    return rows[0] if rows else None


def _next(row: Sequence[Any] | None) -> int:
    return 1 if row is None else row[0] + 1


def _stored(key: str, row: Sequence[Any]) -> StoredState:
    revision, text, digest, at, run = row
    return stored_of(key, text, digest, revision, instant_of(at), run)


def _insert(execute: Execute, key: str, revision: int, text: str | None, at: datetime, run: str) -> None:
    execute(
        "INSERT INTO {schema}.states (key, revision, state, digest, at, run)"
        " VALUES (:key, :revision, :state, :digest, :at, :run)",
        key=key,
        revision=revision,
        state=text,
        digest=None if text is None else digest_of(text),
        at=utc_text(at),
        run=run,
    )


def _lease_row(execute: Execute, key: str) -> Sequence[Any]:
    """Give owner, token and end of a key's lease, which nobody else can change until this transaction ends."""
    rows = execute("SELECT owner, token, expires FROM {schema}.leases WHERE key = :key {for_update}", key=key)
    return rows[0] if rows else (_NOBODY, 0, _NEVER)


def _hold(execute: Execute, key: str, lease: Lease) -> None:
    """Check that a lease stands, and keep it from being lost until this transaction ends."""
    owner, token, _ = _lease_row(execute, key)
    if lease.key != key or token != lease.token or owner == _NOBODY:
        raise refusals.fenced(key, owner)


def _keep(execute: Execute, lease: Lease) -> None:
    execute(
        "UPDATE {schema}.leases SET owner = :owner, token = :token, expires = :expires WHERE key = :key",
        owner=lease.owner,
        token=lease.token,
        expires=utc_text(lease.expires),
        key=lease.key,
    )
