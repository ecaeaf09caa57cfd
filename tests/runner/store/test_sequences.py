"""Any sequence of operations leaves a store as a plain model of it says."""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from singerkit.protocol.codec import encode
from singerkit.runner.store.base import ConflictError, FencedError, LockedError
from singerkit.runner.store.folder import Folder
from singerkit.runner.store.objects import ObjectStore
from singerkit.runner.store.sqlite import SQLiteStore

KEYS = st.sampled_from(["a", "a/b", "ö"])
VALUES = st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | st.text()
STATES = st.dictionaries(st.text(max_size=5), VALUES | st.lists(VALUES, max_size=3), max_size=4)
LEASE_S = 60


class Stores(RuleBasedStateMachine):
    """Two processes' views of one store, leases that are taken, expire and come back, and a model of what holds."""

    leases = Bundle("leases")

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp())
        self.now = datetime(2024, 5, 1, tzinfo=UTC)
        self.stores = [self.opened(), self.opened()]
        self.states = {}  # key: [(revision, text or None)]
        self.holders = {}  # key: (token, end or None)

    def opened(self):
        return SQLiteStore(self.folder / "state.db", lambda: self.now)

    def teardown(self):
        for store in self.stores:
            store.close()
        shutil.rmtree(self.folder)

    def newest(self, key):
        entries = self.states.get(key, [])
        return entries[-1] if entries else (0, None)

    def is_held_by(self, lease):
        token, end = self.holders[lease.key]
        return token == lease.token and end is not None

    @rule(target=leases, key=KEYS, who=st.integers(0, 1), force=st.booleans())
    def acquire(self, key, who, force):
        token, end = self.holders.get(key, (0, None))
        is_held = end is not None and end > self.now
        try:
            lease = self.stores[who].acquire(key, f"owner {who}", LEASE_S, force=force)
        except LockedError:
            assert is_held and not force
            return None
        assert not is_held or force
        assert lease.token > token
        self.holders[key] = lease.token, lease.expires
        return lease

    @rule(lease=leases, who=st.integers(0, 1), state=STATES, off=st.sampled_from([0, 0, 0, 1, None]))
    def put(self, lease, who, state, off):
        if lease is None:
            return
        revision, text = self.newest(lease.key)
        right = revision if text is not None else None
        expected = right if off == 0 else None if off is None else (right or 0) + off
        try:
            stored = self.stores[who].put(lease.key, state, expected=expected, lease=lease, run="r")
        except FencedError:
            assert not self.is_held_by(lease)
        except ConflictError:
            assert expected != right
        else:
            assert self.is_held_by(lease)
            assert (expected, stored.revision) == (right, revision + 1)
            self.states.setdefault(lease.key, []).append((stored.revision, encode(state)))

    @rule(lease=leases, who=st.integers(0, 1))
    def delete(self, lease, who):
        if lease is None:
            return
        try:
            self.stores[who].delete(lease.key, lease=lease, run="r")
        except FencedError:
            assert not self.is_held_by(lease)
            return
        assert self.is_held_by(lease)
        revision, text = self.newest(lease.key)
        if text is not None:
            self.states[lease.key].append((revision + 1, None))

    @rule(lease=leases, who=st.integers(0, 1))
    def renew(self, lease, who):
        if lease is None:
            return
        try:
            renewed = self.stores[who].renew(lease, LEASE_S)
        except FencedError:
            assert not self.is_held_by(lease)
            return
        assert self.is_held_by(lease)
        assert renewed.expires == self.now + timedelta(seconds=LEASE_S)
        self.holders[lease.key] = lease.token, renewed.expires

    @rule(lease=consumes(leases), who=st.integers(0, 1))
    def release(self, lease, who):
        if lease is None:
            return
        self.stores[who].release(lease)
        if self.is_held_by(lease):
            self.holders[lease.key] = lease.token, None

    @rule(seconds=st.sampled_from([-30, 30, 61]))
    def wait(self, seconds):
        self.now += timedelta(seconds=seconds)

    @rule(who=st.integers(0, 1))
    def reopen(self, who):
        self.stores[who].close()
        self.stores[who] = self.opened()

    @invariant()
    def holds_what_was_put(self):
        for store in getattr(self, "stores", []):
            assert store.keys() == sorted(key for key in self.states if self.newest(key)[1] is not None)
            for key, entries in self.states.items():
                kept = [(stored.revision, encode(stored.state)) for stored in store.history(key)]
                assert kept == [entry for entry in reversed(entries) if entry[1] is not None]
                stored = store.get(key)
                assert (encode(stored.state) if stored else None) == entries[-1][1]


class Folders(Stores):
    """The same over objects in a folder."""

    def opened(self):
        return ObjectStore(Folder(self.folder / "states"), "the folder", lambda: self.now)


TestSQLite = Stores.TestCase
TestFolder = Folders.TestCase
TestSQLite.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
TestFolder.settings = settings(max_examples=8, stateful_step_count=20, deadline=None)
