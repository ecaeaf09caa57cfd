"""A store in objects: a bucket (S3, Google Cloud Storage, Azure), or a folder that is laid out like one.

::

    store.json                       marks a store, with the version of its layout
    probe.json                       on which it was tried whether conditional writes are known there
    heads/KEY.json                   a key's newest state and its lease, together: it changes by compare-and-set only
    history/KEY/REVISION.json        the states before it
    runs/YEAR-MONTH/START-RUN~OF.json   a run; OF is a digest of its pipeline's name, so that others need not be read

Lease and state are in one object, so a writer whose lease was taken can't change the state: the object is not the one
that it has read. A state is copied to the history before another takes its place, so that the history is complete
whenever a writer dies. Leases compare the clocks of the machines: these have to agree to within a part of a lease's
length; one that runs ahead takes a lease too early, which costs the one that held it its run, and no data.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, TypeVar
from uuid import uuid4

import msgspec

from singerkit.clock import sleep, utc_now
from singerkit.digests import digest_of
from singerkit.runner.store import refusals
from singerkit.runner.store.base import Lease, RunRecord, State, StateStore, StoredState, StoreError, is_held
from singerkit.runner.store.encoding import checked_key, run_of, run_text, state_text, stored_of, whole
from singerkit.runner.store.places import Changed, Place

T = TypeVar("T")
_LAYOUT = 1
_MARK = "store.json"
_PROBE = "probe.json"
#: Several writers of one key are rare, and each wins in turn.
_TRIES = 50
_READERS = 16
_LONGEST_NAME = 120
_DIGITS = 12


class _Head(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a key's object holds. ``write`` is different each time, ``token`` that of the newest lease."""

    key: str
    write: str = ""
    revision: int = 0
    state: str | None = None
    digest: str | None = None
    at: datetime | None = None
    run: str = ""
    token: int = 0
    owner: str = ""
    expires: datetime | None = None


class ObjectStore(StateStore):
    """A store in objects.

    ``clock`` gives the current instant. Errors: ``StoreError`` for a place that holds no store but files like its own.
    """

    def __init__(self, place: Place, name: str, clock: Callable[[], datetime] = utc_now) -> None:
        self._place = place
        self._name = name
        self._clock = clock
        self._check()

    def close(self) -> None:
        """Do nothing: there is no connection that stays."""

    def get(self, key: str) -> StoredState | None:
        """Give the newest state of a key, or ``None``."""
        return _stored(self._head(checked_key(key))[0])

    def put(self, key: str, state: State, *, expected: int | None, lease: Lease, run: str) -> StoredState:
        """Persist a state as the key's next revision."""
        text = state_text(state)

        def change(head: _Head) -> _Head:
            _check_lease(head, key, lease)
            found = None if head.state is None else head.revision
            if found != expected:
                raise refusals.conflict(key, expected, found)
            self._keep_in_history(head)
            return self._next(head, text, run)

        head = self._changed(key, change)
        return StoredState(state, head.revision, head.at or self._clock(), run)

    def delete(self, key: str, *, lease: Lease, run: str) -> None:
        """Forget a key's state; its history stays."""

        def change(head: _Head) -> _Head:
            _check_lease(head, key, lease)
            if head.state is None:
                return head
            self._keep_in_history(head)
            return self._next(head, None, run)

        self._changed(key, change)

    def keys(self, prefix: str = "") -> list[str]:
        """Give the keys that have a state, sorted."""
        heads = self._read_all(self._place.names("heads"), self._head_of)
        return sorted(head.key for head in heads if head.state is not None and head.key.startswith(prefix))

    def history(self, key: str) -> list[StoredState]:
        """Give every state of a key, newest first."""
        heads = self._read_all(self._place.names(self._history(checked_key(key))), self._head_of)
        by_revision = {stored.revision: stored for stored in whole(_stored, [*heads, self._head(key)[0]])}
        return [by_revision[revision] for revision in sorted(by_revision, reverse=True)]

    def prune(self, key: str, keep: int) -> int:
        """Forget all but the newest states of a key's history."""
        head, _ = self._head(checked_key(key))
        is_newest = f"/{head.revision:0{_DIGITS}}.json"
        # The state itself is the newest one, and may be in the history too where a writer died.
        old = sorted(name for name in self._place.names(self._history(key)) if not name.endswith(is_newest))
        in_history = keep - (head.state is not None)
        return self._delete(old[: max(0, len(old) - in_history)])

    def acquire(self, key: str, owner: str, seconds: float, *, force: bool = False) -> Lease:
        """Take the lease of a key."""

        def change(head: _Head) -> _Head:
            now = self._clock()
            if head.expires is not None and is_held(head.expires, now) and not force:
                raise refusals.locked(key, head.owner, head.expires)
            return _with(head, owner=owner, token=head.token + 1, expires=now + timedelta(seconds=seconds))

        return _lease_of(self._changed(checked_key(key), change))

    def renew(self, lease: Lease, seconds: float) -> Lease:
        """Prolong a lease."""

        def change(head: _Head) -> _Head:
            _check_lease(head, lease.key, lease)
            return _with(head, expires=self._clock() + timedelta(seconds=seconds))

        return _lease_of(self._changed(lease.key, change))

    def release(self, lease: Lease) -> None:
        """Give a lease back."""

        def change(head: _Head) -> _Head:
            return _with(head, owner="", expires=None) if head.token == lease.token and head.expires else head

        self._changed(lease.key, change)

    def log(self, run: RunRecord) -> None:
        """Keep a run."""
        month, name = f"{run.started:%Y-%m}", f"{run.started:%Y%m%dT%H%M%S.%f}-{_file_name(run.id)}"
        self._place.replace(f"runs/{month}/{name}{_ending_of_runs(run.pipeline)}", run_text(run).encode())

    def runs(self, pipeline: str | None = None, *, limit: int = 100) -> list[RunRecord]:
        """Give runs, newest first."""
        found: list[RunRecord] = []
        names = iter(self._run_names(pipeline))
        while len(found) < limit and (some := list(islice(names, limit))):
            found += [run for run in self._read_all(some, run_of) if pipeline in (None, run.pipeline)]
        return found[:limit]

    def prune_runs(self, pipeline: str, keep: int, *, spare: str | None = None) -> int:
        """Forget all but the newest runs of a pipeline."""
        is_spared = f"-{_file_name(spare or '')}~"
        return self._delete([name for name in islice(self._run_names(pipeline), keep, None) if is_spared not in name])

    def run(self, id: str) -> RunRecord | None:
        """Give one run by its id."""
        is_it = f"-{_file_name(id)}~"
        some = (name for name in self._run_names() if is_it in name)
        return next((run for run in self._read_all(some, run_of) if run.id == id), None)

    def _run_names(self, pipeline: str | None = None) -> Iterator[str]:
        """Give the names of runs, newest first; months are listed when they are asked for."""
        ending = "" if pipeline is None else _ending_of_runs(pipeline)
        months = sorted(self._place.folders("runs"), reverse=True)
        names = (name for month in months for name in sorted(self._place.names(month), reverse=True))
        return (name for name in names if name.endswith(ending))

    def _delete(self, names: Sequence[str]) -> int:
        with ThreadPoolExecutor(_READERS) as pool:
            return sum(1 for _ in pool.map(self._place.delete, names))

    def _check(self) -> None:
        """Check that this is a store that we know, or make it one."""
        mark = self._place.read(_MARK)
        if mark is None:
            if any(True for _ in self._place.names("heads")):
                raise StoreError(
                    f"{self._name} holds states, but not the file '{_MARK}' that marks a state store: it is damaged, or"
                    " was copied in part"
                )
            self._check_conditions()
            mark = msgspec.json.encode({"format": "singerkit state store", "layout": _LAYOUT}), None
            try:
                self._place.write(_MARK, mark[0], None)
            except Changed:
                mark = self._place.read(_MARK) or mark
        try:
            layout = msgspec.json.decode(mark[0])["layout"]
            is_known = layout <= _LAYOUT
        except (msgspec.DecodeError, LookupError, TypeError):
            raise StoreError(f"'{_MARK}' in {self._name} is damaged: bring a backup back") from None
        if not is_known:
            raise StoreError(
                f"the state store in {self._name} was made by a newer singerkit (layout {layout}, and this one knows"
                f" {_LAYOUT}): upgrade singerkit"
            )

    def _check_conditions(self) -> None:
        """Check that conditional writes are conditional: some services ignore what they do not know.

        Errors: ``StoreError``, as a lease there would be no lease.
        """
        with suppress(Changed):  # whoever wrote it, it is there now
            self._place.write(_PROBE, uuid4().hex.encode(), None)
        old = self._place.read(_PROBE)
        self._place.replace(_PROBE, uuid4().hex.encode())
        refused = 0
        for version in (None, old[1] if old else None):
            try:
                self._place.write(_PROBE, uuid4().hex.encode(), version)
            except Changed:
                refused += 1
        if refused < 2:
            raise StoreError(
                f"{self._name} can't hold states: it does not know conditional writes, so it has no leases"
            )

    def _head(self, key: str) -> tuple[_Head, object | None]:
        """Give a key's object, an empty one where there is none, with its version."""
        found = self._place.read(f"heads/{_file_name(key)}.json")
        if found is None:
            return _Head(key), None
        head = self._head_of(found[0], f"the state of '{key}' in {self._name}")
        if head.key != key:
            raise StoreError(f"where the state of '{key}' should be in {self._name}, there is that of '{head.key}'")
        return head, found[1]

    def _head_of(self, content: bytes, where: str) -> _Head:
        try:
            return msgspec.json.decode(content, type=_Head)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StoreError(f"{where} is damaged ({error}): bring a backup back") from None

    def _changed(self, key: str, change: Callable[[_Head], _Head]) -> _Head:
        """Change a key's object by compare-and-set: read, change, write if nobody else wrote meanwhile, or again."""
        written = ""
        for attempt in range(_TRIES):
            head, version = self._head(key)
            if written and head.write == written:
                return head  # the answer to our write was lost, and it was asked for again
            changed = change(head)
            if changed is head:
                return head
            written = uuid4().hex
            changed = _with(changed, write=written)
            try:
                self._place.write(f"heads/{_file_name(key)}.json", msgspec.json.encode(changed), version)
            except Changed:
                sleep(random.random() * min(0.02 * attempt, 0.5))  # noqa: S311 - no secret
                continue
            return changed
        raise StoreError(f"'{key}' in {self._name} is changed by too many others at once: try again later")

    def _history(self, key: str) -> str:
        return f"history/{_file_name(key)}"

    def _keep_in_history(self, head: _Head) -> None:
        if head.state is not None:
            name = f"{self._history(head.key)}/{head.revision:0{_DIGITS}}.json"
            kept = _with(head, owner="", expires=None, token=0, write="")
            self._place.replace(name, msgspec.json.encode(kept))

    def _next(self, head: _Head, text: str | None, run: str) -> _Head:
        digest = None if text is None else digest_of(text)
        return _with(head, revision=head.revision + 1, state=text, digest=digest, at=self._clock(), run=run)

    def _read_all(self, names: Iterable[str], decode: Callable[[bytes, str], T]) -> list[T]:
        """Read files, many at a time, in the order of their names; those that go meanwhile are left out."""

        def read(name: str) -> T | None:
            found = self._place.read(name)
            return None if found is None else decode(found[0], f"'{name}' in {self._name}")

        with ThreadPoolExecutor(_READERS) as pool:
            return [content for content in pool.map(read, names) if content is not None]


def _with(head: _Head, **members: Any) -> _Head:
    return msgspec.structs.replace(head, **members)


def _stored(head: _Head) -> StoredState | None:
    if head.state is None or head.at is None:
        return None
    return stored_of(head.key, head.state, head.digest or "", head.revision, head.at, head.run)


def _check_lease(head: _Head, key: str, lease: Lease) -> None:
    if lease.key != key or head.token != lease.token or not head.expires:
        raise refusals.fenced(key, head.owner)


def _lease_of(head: _Head) -> Lease:
    return Lease(head.key, head.owner, head.token, head.expires or datetime.min.replace(tzinfo=UTC))


def _ending_of_runs(pipeline: str) -> str:
    return f"~{digest_of(pipeline)}.json"


def _file_name(text: str) -> str:
    """Give a name for any text, as no other has it: what a name can't hold as ``=XX``, a long one cut."""
    name = "".join(
        character if character.isascii() and (character.isalnum() or character in "_-.") else _escaped(character)
        for character in text
    )
    name = name.replace(".", "=2E", 1) if name.startswith(".") else name
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}={digest_of(text)}"


def _escaped(character: str) -> str:
    return "".join(f"={byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
