"""What every store promises, whatever it stores in."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from singerkit.runner.store.base import ConflictError, FencedError, LockedError, RunRecord, StoreError
from singerkit.runner.store.open import open_store

ONE, TWO, THREE = ({"bookmarks": {"orders": {"replication_key_value": n}}} for n in (1, 2, 3))
KEY = "prod/shop: orders"
LONG_S = 600.0


@pytest.fixture
def lease(store):
    return store.acquire(KEY, "tests", LONG_S)


def put(store, lease, *states, expected=None, run="r"):
    for state in states:
        expected = store.put(lease.key, state, expected=expected, lease=lease, run=run).revision
    return expected


def test_a_new_store_is_empty(store):
    assert (store.get(KEY), store.keys(), store.history(KEY), store.runs(), store.run("x")) == (None, [], [], [], None)


def test_a_state_is_read_back_as_it_was_put(store, lease):
    state = {
        "bookmarks": {"ö\u2028\U0001f600": {"replication_key_value": 12345678901234567890123}, "": {}},
        "price": Decimal("0.10000000000000000000000001"),
        "text": '\x00"\\\ud800',
        "none": None,
    }
    before = datetime.now(tz=UTC)
    stored = store.put(KEY, state, expected=None, lease=lease, run="run-1")
    assert (stored.state, stored.revision, stored.run) == (state, 1, "run-1")
    assert abs(stored.at - before) < timedelta(seconds=60)
    assert store.get(KEY) == stored
    assert store.history(KEY) == [stored]
    assert store.keys() == [KEY]


def test_another_process_sees_what_was_put(store, lease, url):
    put(store, lease, ONE, TWO)
    again = open_store(url)
    assert again.get(KEY).state == TWO
    again.close()


def test_every_state_is_kept_newest_first(store, lease):
    put(store, lease, ONE, TWO, THREE)
    assert [(stored.revision, stored.state) for stored in store.history(KEY)] == [(3, THREE), (2, TWO), (1, ONE)]


@pytest.mark.parametrize("expected", [None, 1, 3])
def test_a_state_that_somebody_else_changed_is_not_overwritten(store, lease, expected):
    put(store, lease, ONE, TWO)
    with pytest.raises(ConflictError, match="revision 2 was found"):
        store.put(KEY, THREE, expected=expected, lease=lease, run="r")
    assert store.get(KEY).state == TWO
    assert len(store.history(KEY)) == 2


def test_the_same_state_put_twice_from_one_revision_is_a_conflict_too(store, lease):
    put(store, lease, ONE)
    with pytest.raises(ConflictError):
        put(store, lease, ONE)


def test_a_deleted_state_is_gone_and_its_history_stays(store, lease):
    put(store, lease, ONE, TWO)
    store.delete(KEY, lease=lease, run="r")
    store.delete(KEY, lease=lease, run="r")
    assert (store.get(KEY), store.keys()) == (None, [])
    assert [stored.state for stored in store.history(KEY)] == [TWO, ONE]
    with pytest.raises(ConflictError, match="no state was found"):
        store.put(KEY, THREE, expected=2, lease=lease, run="r")
    assert store.put(KEY, THREE, expected=None, lease=lease, run="r").revision == 4
    assert [stored.revision for stored in store.history(KEY)] == [4, 2, 1]
    assert store.keys() == [KEY]


def test_old_states_are_forgotten_and_the_newest_stays(store, lease):
    put(store, lease, ONE, TWO, THREE, ONE)
    assert store.prune(KEY, 9) == 0
    assert store.prune(KEY, 2) == 2
    assert [stored.revision for stored in store.history(KEY)] == [4, 3]
    assert store.prune(KEY, 1) == 1
    assert store.get(KEY).revision == 4
    assert put(store, lease, TWO, expected=4) == 5
    store.delete(KEY, lease=lease, run="r")
    assert store.prune(KEY, 1) == 1
    assert [stored.revision for stored in store.history(KEY)] == [5]
    assert put(store, lease, THREE) == 7
    assert store.prune("never", 1) == 0


@pytest.mark.parametrize("keep", range(1, 8))
def test_what_is_to_be_kept_stays_whatever_there_is(store, lease, keep):
    for number in range(4):
        put(store, lease, {"n": number}, expected=number or None)
    assert store.prune(KEY, keep) == max(0, 4 - keep)
    assert [stored.revision for stored in store.history(KEY)] == [4, 3, 2, 1][:keep]


def test_keys_are_told_apart_and_listed(store):
    names = ["a", "A", "a/b", "a.b", "a=2Fb", ".hidden", "..", "ä%", "x" * 500, "x" * 499 + "y"]
    for number, name in enumerate(names):
        lease = store.acquire(name, "tests", LONG_S)
        store.put(name, {"n": number}, expected=None, lease=lease, run="r")
    assert store.keys() == sorted(names)
    assert store.keys("a") == sorted(name for name in names if name.startswith("a"))
    assert [store.get(name).state["n"] for name in names] == list(range(len(names)))


@pytest.mark.parametrize("key", ["", "x" * 501, "a\nb", "a\0b", " a"])
def test_a_key_that_not_every_store_could_hold_is_refused(store, key):
    with pytest.raises(StoreError, match="can't be a state key"):
        store.acquire(key, "tests", LONG_S)
    with pytest.raises(StoreError, match="can't be a state key"):
        store.get(key)


@pytest.mark.parametrize("state", [[], None, {"a": object()}, {"a": Decimal("NaN")}])
def test_what_is_no_json_object_is_refused(store, lease, state):
    with pytest.raises(StoreError):
        store.put(KEY, state, expected=None, lease=lease, run="r")
    assert store.get(KEY) is None


# -- leases ------------------------------------------------------------------------------------------------------------


def test_a_lease_is_held_by_one(store, lease):
    with pytest.raises(LockedError, match="'prod/shop: orders' is held by tests, until 2") as caught:
        store.acquire(KEY, "others", LONG_S)
    assert caught.value.exit_code == 75
    assert store.acquire("another key", "others", LONG_S).owner == "others"
    store.release(lease)
    later = store.acquire(KEY, "others", LONG_S)
    assert later.token > lease.token
    assert later.expires > datetime.now(tz=UTC)


def test_who_lost_the_lease_is_fenced(store, lease):
    put(store, lease, ONE)
    taken = store.acquire(KEY, "others", LONG_S, force=True)
    for act in (
        lambda: store.put(KEY, TWO, expected=1, lease=lease, run="r"),
        lambda: store.delete(KEY, lease=lease, run="r"),
        lambda: store.renew(lease, LONG_S),
    ):
        with pytest.raises(FencedError, match="others has taken it since"):
            act()
    store.release(lease)
    with pytest.raises(LockedError):
        store.acquire(KEY, "third", LONG_S)
    assert store.put(KEY, TWO, expected=1, lease=taken, run="r").revision == 2


def test_a_lease_that_was_given_back_is_no_lease(store, lease):
    store.release(lease)
    store.release(lease)
    with pytest.raises(FencedError, match="given back"):
        store.put(KEY, ONE, expected=None, lease=lease, run="r")
    with pytest.raises(FencedError):
        store.renew(lease, LONG_S)


def test_a_lease_is_for_its_key_only(store, lease):
    with pytest.raises(FencedError):
        store.put("another", ONE, expected=None, lease=lease, run="r")


def test_a_lease_that_has_expired_is_anybodys(store):
    before = store.acquire(KEY, "paused", 0.0)
    # Nobody has taken it since, so nothing can have been lost by the pause.
    put(store, before, ONE)
    after = store.acquire(KEY, "next", LONG_S)
    with pytest.raises(FencedError, match="next has taken it"):
        store.put(KEY, TWO, expected=1, lease=before, run="r")
    assert store.put(KEY, THREE, expected=1, lease=after, run="r").revision == 2


def test_a_lease_that_is_renewed_does_not_expire(store):
    lease = store.acquire(KEY, "tests", 0.0)
    renewed = store.renew(lease, LONG_S)
    assert (renewed.token, renewed.owner) == (lease.token, "tests")
    assert renewed.expires > lease.expires
    with pytest.raises(LockedError):
        store.acquire(KEY, "others", LONG_S)
    put(store, lease, ONE)  # the lease as it was first is the same one


def test_of_many_at_once_one_gets_the_lease(store):
    gate = threading.Barrier(8)
    won, refused = [], []

    def compete(name):
        gate.wait()
        try:
            won.append(store.acquire(KEY, name, LONG_S))
        except LockedError:
            refused.append(name)

    threads = [threading.Thread(target=compete, args=(f"n{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(refused)) == (1, 7)


# -- runs --------------------------------------------------------------------------------------------------------------


def record(number, pipeline="p", **members):
    started = datetime(2024, 1, 30, tzinfo=UTC) + timedelta(days=number)
    return RunRecord(id=f"run/{number}", pipeline=pipeline, state_key=KEY, started=started, **members)


def test_a_run_is_kept_in_place_of_what_was_kept_of_it_before(store):
    store.log(record(1))
    ended = record(
        1,
        ended=datetime(2024, 2, 1, tzinfo=UTC),
        status="target_failed",
        exit_code=1,
        attempt=2,
        streams={"orders": {"records": 12, "bytes": 3000}},
        revision_before=None,
        revision_after=7,
        failure="disk full",
        last_lines={"tap": ["a", "b\u2028"]},
        facts={"waits": {"tap": 0.25}, "labels": {"team": "ö"}},
    )
    store.log(ended)
    assert store.run("run/1") == ended
    assert store.runs() == [ended]


def test_runs_are_given_newest_first(store):
    runs = [record(number, pipeline="pq"[number % 2]) for number in range(5)]
    for run in (runs[3], runs[0], runs[4], runs[1], runs[2]):
        store.log(run)
    assert store.runs() == runs[::-1]
    assert store.runs(limit=2) == [runs[4], runs[3]]
    assert store.runs("p", limit=2) == [runs[4], runs[2]]
    assert store.runs("p") == [runs[4], runs[2], runs[0]]
    assert store.runs("none") == []
    assert store.run("run/3") == runs[3]
    assert store.run("3") is None


def test_old_runs_of_a_pipeline_are_forgotten(store):
    runs = [record(number, pipeline="pq"[number % 2]) for number in range(9)]
    for run in runs:
        store.log(run)
    assert store.prune_runs("p", 9) == 0
    assert store.prune_runs("p", 2, spare="run/2") == 2
    assert store.runs("p") == [runs[8], runs[6], runs[2]]
    assert store.prune_runs("p", 2) == 1
    assert store.prune_runs("none", 1) == 0
    assert store.runs("q") == runs[7::-2]


@pytest.mark.parametrize("failures", [0, 3, 25])
def test_the_newest_success_is_found_however_many_failed_since(store, failures):
    assert store.newest_success("p", KEY) is None
    for number in range(2):
        store.log(record(number, status="success"))
    for number in range(2, failures + 2):
        store.log(record(number, status="tap_failed"))
    store.log(record(99, pipeline="q", status="success"))
    assert store.newest_success("p", KEY).id == "run/1"
