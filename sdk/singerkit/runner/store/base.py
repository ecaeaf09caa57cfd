"""What every state store does: bookmarks that change by compare-and-set, leases that fence, a log of runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from singerkit.errors import SingerKitError

State = dict[str, Any]
#: No lease is longer (seconds).
LONGEST_LEASE_S = 86_400


class StoreError(SingerKitError):
    """The store can't be read or written, or what it holds is damaged; never taken for an empty one."""

    exit_code = 2


class StoreAwayError(StoreError):
    """The store does not answer at the moment; nothing is wrong with it that somebody would have to mend."""

    exit_code = 1


class DamagedStateError(StoreError):
    """A state is not what was stored; other revisions of its key may be whole."""

    def __init__(self, message: str, revision: int, at: datetime, run: str) -> None:
        super().__init__(message)
        self.revision = revision
        self.at = at
        self.run = run

    def __reduce__(self) -> tuple[type[DamagedStateError], tuple[str, int, datetime, str]]:
        """Give what makes it again, where it goes from one process to another."""
        return type(self), (str(self), self.revision, self.at, self.run)


class LockedError(SingerKitError):
    """Another run holds the lease of a key."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: try again later


class FencedError(StoreError):
    """The lease was lost: another run has taken the key since, so nothing may be written under it."""

    exit_code = 1


class ConflictError(StoreError):
    """Somebody else has changed the state since it was read."""

    exit_code = 1


@dataclass(frozen=True)
class StoredState:
    """A state as it was persisted.

    Units: ``revision`` counts a key's states from 1, ``at`` is in UTC; ``run`` is the id of the run that wrote it, or
    a word for what else did ("import", "restore").
    """

    state: State
    revision: int
    at: datetime
    run: str


@dataclass(frozen=True)
class Lease:
    """The right to write under a key until ``expires`` (UTC); ``token`` grows with each lease of the key."""

    key: str
    owner: str
    token: int
    expires: datetime


def is_held(expires: datetime, now: datetime) -> bool:
    """Tell whether a lease that ends at ``expires`` still stands.

    One that would last for twice as long as any lease is of a clock that has been set back since: it binds nobody.
    """
    return now < expires <= now + timedelta(seconds=2 * LONGEST_LEASE_S)


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One run, as it is kept and shown.

    Shape: ``status`` is "running" while it lasts, then one of the statuses of supervision; ``streams`` maps a stream's
    name to its counts ("records", "bytes"); ``revision_before`` and ``revision_after`` are of the state (None: no
    state); ``failure`` is one sentence, ``last_lines`` the ends of the programs' logs by program, redacted;
    ``attempt`` counts from 1; ``facts`` holds what else is to be shown (waits by side, labels), JSON values only.
    Units: UTC, bytes.
    """

    id: str
    pipeline: str
    state_key: str
    started: datetime
    ended: datetime | None = None
    status: str = "running"
    exit_code: int | None = None
    attempt: int = 1
    streams: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    revision_before: int | None = None
    revision_after: int | None = None
    failure: str | None = None
    last_lines: Mapping[str, Sequence[str]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


class StateStore(ABC):
    """Holds states, leases and runs. For any thread.

    Errors: each method raises ``StoreError`` where the store can't be reached or is damaged.
    """

    @abstractmethod
    def get(self, key: str) -> StoredState | None:
        """Give the newest state of a key, or ``None`` where there never was one or it was deleted.

        Errors: ``DamagedStateError`` where it is not what was stored.
        """

    @abstractmethod
    def put(self, key: str, state: State, *, expected: int | None, lease: Lease, run: str) -> StoredState:
        """Persist a state, durably, as the key's next revision.

        ``expected`` is the revision that was read before (``None``: there was none).

        Errors: ``ConflictError`` where the newest revision is another; ``FencedError`` where the lease is lost.
        """

    @abstractmethod
    def delete(self, key: str, *, lease: Lease, run: str) -> None:
        """Forget a key's state; its history stays and can be restored. No state at all is no error.

        Takes a revision number, so that no two contents of a key ever have the same.

        Errors: ``FencedError`` where the lease is lost.
        """

    @abstractmethod
    def keys(self, prefix: str = "") -> list[str]:
        """Give the keys that have a state, sorted."""

    @abstractmethod
    def history(self, key: str) -> list[StoredState]:
        """Give every state that was persisted under a key, newest first; not those that were pruned or are damaged."""

    @abstractmethod
    def prune(self, key: str, keep: int) -> int:
        """Forget all but the newest ``keep`` (1 at least) states of a key's history; gives how many were forgotten.

        The newest state always stays, so this needs no lease.
        """

    @abstractmethod
    def acquire(self, key: str, owner: str, seconds: float, *, force: bool = False) -> Lease:
        """Take the lease of a key; with ``force`` also from one who holds it, whose next ``put`` is then refused.

        Errors: ``LockedError`` naming its holder and until when, while another's lease has not expired.
        """

    @abstractmethod
    def renew(self, lease: Lease, seconds: float) -> Lease:
        """Prolong a lease.

        One that has expired, and that nobody has taken since, is prolonged like any other.

        Errors: ``FencedError`` where it was lost.
        """

    @abstractmethod
    def release(self, lease: Lease) -> None:
        """Give a lease back; one that was lost already is no error."""

    @abstractmethod
    def log(self, run: RunRecord) -> None:
        """Keep a run, in place of what was kept under its id before."""

    @abstractmethod
    def runs(self, pipeline: str | None = None, *, limit: int = 100) -> list[RunRecord]:
        """Give runs, newest first."""

    @abstractmethod
    def prune_runs(self, pipeline: str, keep: int, *, spare: str | None = None) -> int:
        """Forget all but the newest ``keep`` (1 at least) runs of a pipeline, and the one with the id ``spare``.

        Gives how many were forgotten.
        """

    def newest_success(self, pipeline: str, state_key: str) -> RunRecord | None:
        """Give the newest run of a pipeline with this state that succeeded, however many have failed since."""
        limit = 10
        while True:
            found = self.runs(pipeline, limit=limit)
            own = (run for run in found if run.state_key == state_key)
            success = next((run for run in own if run.status == "success"), None)
            if success is not None or len(found) < limit:
                return success
            limit *= 10

    @abstractmethod
    def run(self, id: str) -> RunRecord | None:
        """Give one run by its id."""

    @abstractmethod
    def close(self) -> None:
        """Let go of connections and files."""
