"""A clock that jumps: a lease may come too early or too late by that, and no state is lost or overwritten."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from singerkit.clock import utc_now, utc_text
from singerkit.runner.store.base import LONGEST_LEASE_S, FencedError, LockedError
from singerkit.runner.store.folder import Folder
from singerkit.runner.store.objects import ObjectStore
from singerkit.runner.store.postgresql import PostgreSQLStore
from singerkit.runner.store.sqlite import SQLiteStore


class Clock:
    def __init__(self):
        self.now = datetime(2024, 5, 1, tzinfo=UTC)

    def __call__(self):
        return self.now

    def jump(self, **by):
        self.now += timedelta(**by)


@pytest.fixture(params=["sqlite", "folder"])
def clocked(request, tmp_path):
    """Give a clock, and a function that opens one and the same store with it."""
    clock = Clock()
    if request.param == "sqlite":
        return clock, lambda: SQLiteStore(tmp_path / "state.db", clock)
    return clock, lambda: ObjectStore(Folder(tmp_path / "states"), "the folder", clock)


def test_a_clock_that_jumps_ahead_costs_the_holder_its_lease_and_nothing_else(clocked):
    clock, opened = clocked
    first, second = opened(), opened()
    lease = first.acquire("k", "first", 60)
    first.put("k", {"n": 1}, expected=None, lease=lease, run="r")
    clock.jump(hours=1)
    taken = second.acquire("k", "second", 60)
    with pytest.raises(FencedError, match="second has taken it since"):
        first.put("k", {"n": 2}, expected=1, lease=lease, run="r")
    with pytest.raises(FencedError):
        first.renew(lease, 60)
    assert second.put("k", {"n": 3}, expected=1, lease=taken, run="r").revision == 2


def test_a_clock_that_jumps_back_leaves_the_lease_with_its_holder(clocked):
    clock, opened = clocked
    first, second = opened(), opened()
    lease = first.acquire("k", "first", 60)
    clock.jump(hours=-1)
    with pytest.raises(LockedError, match=r"held by first, until 2024-05-01T00:01:00.000000Z"):
        second.acquire("k", "second", 60)
    lease = first.renew(lease, 60)
    assert lease.expires == clock.now + timedelta(seconds=60)
    clock.jump(seconds=61)
    assert second.acquire("k", "second", 60).token > lease.token


def test_a_clock_that_was_years_ahead_keeps_nobody_out(clocked):
    clock, opened = clocked
    first, second = opened(), opened()
    clock.jump(days=1000)
    lease = first.acquire("k", "first", 60)
    clock.jump(days=-1000)
    taken = second.acquire("k", "second", 60)
    with pytest.raises(FencedError, match="second has taken it since"):
        first.put("k", {"n": 1}, expected=None, lease=lease, run="r")
    assert second.put("k", {"n": 2}, expected=None, lease=taken, run="r").revision == 1


@pytest.mark.parametrize(("back_s", "is_held"), [(LONGEST_LEASE_S, True), (LONGEST_LEASE_S + 1, False)])
def test_the_longest_lease_stands_though_the_clock_goes_back_by_as_much(clocked, back_s, is_held):
    clock, opened = clocked
    first, second = opened(), opened()
    lease = first.acquire("k", "first", LONGEST_LEASE_S)
    clock.jump(seconds=-back_s)
    with pytest.raises(LockedError) if is_held else nullcontext():
        second.acquire("k", "second", 60)
    with nullcontext() if is_held else pytest.raises(FencedError, match="second has taken it since"):
        first.put("k", {"n": 1}, expected=None, lease=lease, run="r")


def test_a_lease_ends_at_its_last_instant(clocked):
    clock, opened = clocked
    first, second = opened(), opened()
    first.acquire("k", "first", LONGEST_LEASE_S)
    clock.jump(seconds=LONGEST_LEASE_S - 1)
    with pytest.raises(LockedError):
        second.acquire("k", "second", 60)
    clock.jump(seconds=1)
    assert second.acquire("k", "second", 60).token == 2


def test_a_server_whose_clock_was_set_back_keeps_nobody_out(postgresql_url):
    address, _, schema = postgresql_url.partition("?schema=")
    for days, is_held in ((1.9, True), (2.1, False)):
        store = PostgreSQLStore(postgresql_url)
        key = f"k{days}"
        store.acquire(key, "first", 60)
        with psycopg.connect(address) as connection:
            connection.execute(
                f"UPDATE {schema}.leases SET expires = %s WHERE key = %s",
                [utc_text(utc_now() + timedelta(days=days)), key],
            )
        with pytest.raises(LockedError) if is_held else nullcontext():
            store.acquire(key, "second", 60)
        store.close()


def test_states_keep_their_order_whatever_the_clock_says(clocked):
    clock, opened = clocked
    store = opened()
    lease = store.acquire("k", "first", 60)
    for number in range(3):
        store.put("k", {"n": number}, expected=number or None, lease=lease, run="r")
        clock.jump(days=-1)
    assert [stored.state["n"] for stored in store.history("k")] == [2, 1, 0]
    assert store.get("k").state == {"n": 2}


def test_postgresql_asks_the_server_what_time_it_is(postgresql_url, time_machine):
    store = PostgreSQLStore(postgresql_url)
    time_machine.move_to(datetime(2034, 1, 1, tzinfo=UTC), tick=False)
    lease = store.acquire("k", "first", 60)
    with psycopg.connect(postgresql_url.split("?")[0]) as connection:
        ((now,),) = connection.execute("SELECT clock_timestamp()").fetchall()
    assert timedelta(0) < lease.expires - now <= timedelta(seconds=60)
    assert store.put("k", {}, expected=None, lease=lease, run="r").at.year == now.year
    with pytest.raises(LockedError):
        store.acquire("k", "second", 60)
    store.close()
