from __future__ import annotations

import json
import threading
from datetime import UTC, datetime

import pytest

from singerkit.errors import DataError, StateError
from singerkit.state.bookmarks import Bookmark, Bookmarks
from singerkit.state.replication_key import DATE, INSTANT, NUMBER, TEXT


def value_of(bookmarks: Bookmarks) -> dict:
    return json.loads(bookmarks.snapshot())


def bookmark(entry: dict, *, kind: object = NUMBER, signpost: object = None, is_sorted: bool = True) -> Bookmark:
    return Bookmark(entry, "k", kind, signpost, is_sorted)


# One bookmark


def test_a_sorted_stream_advances_its_bookmark_as_it_goes() -> None:
    entry: dict = {}
    mark = bookmark(entry)
    mark.advance(3)
    assert entry == {"replication_key": "k", "replication_key_value": 3}
    mark.advance(5)
    mark.finish()
    assert entry == {"replication_key": "k", "replication_key_value": 5}


def test_an_unsorted_stream_keeps_its_progress_apart_until_all_is_read() -> None:
    entry = {"replication_key": "k", "replication_key_value": 2}
    mark = bookmark(entry, is_sorted=False)
    mark.advance(9)
    mark.advance(4)
    assert entry["replication_key_value"] == 2
    assert entry["progress_markers"]["replication_key_value"] == 9
    mark.finish()
    assert entry == {"replication_key": "k", "replication_key_value": 9}


@pytest.mark.parametrize("is_sorted", [True, False])
def test_a_bookmark_does_not_go_back(*, is_sorted: bool) -> None:
    entry = {"replication_key": "k", "replication_key_value": 7}
    mark = bookmark(entry, is_sorted=is_sorted)
    mark.advance(3)
    mark.finish()
    assert entry["replication_key_value"] == 7


@pytest.mark.parametrize("is_sorted", [True, False])
def test_finishing_without_records_changes_nothing(*, is_sorted: bool) -> None:
    for entry in ({}, {"replication_key": "k", "replication_key_value": 7}):
        before = dict(entry)
        bookmark(entry, is_sorted=is_sorted).finish()
        assert entry == before


@pytest.mark.parametrize("is_sorted", [True, False])
@pytest.mark.parametrize("before", [{}, {"replication_key": "k", "replication_key_value": 2}])
def test_reverting_goes_back_to_where_the_run_began(before: dict, *, is_sorted: bool) -> None:
    entry = dict(before)
    mark = bookmark(entry, is_sorted=is_sorted)
    mark.advance(9)
    mark.revert()
    assert entry == before


@pytest.mark.parametrize("is_sorted", [True, False])
def test_a_bookmark_does_not_pass_the_signpost(*, is_sorted: bool) -> None:
    entry: dict = {}
    mark = bookmark(entry, kind=INSTANT, signpost="2024-06-01T00:00:00Z", is_sorted=is_sorted)
    mark.advance("2999-01-01T00:00:00Z")
    mark.finish()
    assert INSTANT.compare_key(entry["replication_key_value"]) == datetime(2024, 6, 1, tzinfo=UTC)


def test_a_bookmark_in_the_future_comes_back_to_the_signpost() -> None:
    entry = {"replication_key": "k", "replication_key_value": "2999-01-01"}
    mark = bookmark(entry, kind=DATE, signpost="2024-06-01")
    mark.advance("2024-05-01")
    assert entry["replication_key_value"] == "2024-06-01"


def test_a_bookmark_of_another_replication_key_is_not_compared_with() -> None:
    entry = {"replication_key": "other", "replication_key_value": "zzz"}
    mark = bookmark(entry)
    mark.advance(3)
    assert entry == {"replication_key": "k", "replication_key_value": 3}


def test_instants_compare_as_instants() -> None:
    entry = {"replication_key": "k", "replication_key_value": "2024-01-01T00:00:00Z"}
    mark = bookmark(entry, kind=INSTANT)
    mark.advance("2024-01-01T00:30:00+01:00")  # half an hour earlier
    assert entry["replication_key_value"] == "2024-01-01T00:00:00Z"
    mark.advance(datetime(2024, 1, 1, 0, 0, 1))
    assert entry["replication_key_value"] == "2024-01-01T00:00:01+00:00"


def test_a_bookmark_that_can_not_be_compared_is_an_error() -> None:
    mark = bookmark({"replication_key": "k", "replication_key_value": "not a number"})
    with pytest.raises(DataError):
        mark.advance(3)


# The whole state


@pytest.mark.parametrize("state", [[], 5, "x", True])
def test_a_state_that_is_no_object_is_an_error(state: object) -> None:
    with pytest.raises(StateError):
        Bookmarks(state)


@pytest.mark.parametrize(
    "state",
    [
        {"bookmarks": []},
        {"bookmarks": None},
        {"bookmarks": {"a": None}},
        {"bookmarks": {"a": 5}},
        {"bookmarks": {"a": {"partitions": None}}},
        {"bookmarks": {"a": {"partitions": 5}}},
        {"bookmarks": {"a": {"partitions": {"context": {}}}}},
        {"bookmarks": {"a": {"partitions": [5]}}},
        {"bookmarks": {"a": {"partitions": [{}]}}},
    ],
)
def test_a_state_that_is_malformed_is_an_error_and_never_a_silent_full_sync(state: dict) -> None:
    with pytest.raises(StateError):
        Bookmarks(state).find("a", {"id": 1})


@pytest.mark.parametrize("state", [None, {}, {"bookmarks": {}}])
def test_no_state_is_the_beginning(state: dict | None) -> None:
    bookmarks = Bookmarks(state)
    assert bookmarks.find("a", None) == bookmarks.find("a", {"id": 1}) == {}
    assert value_of(bookmarks) == {"bookmarks": {}}


def test_what_the_state_holds_of_others_is_kept() -> None:
    state = {
        "bookmarks": {
            "gone": {"replication_key": "x", "replication_key_value": 1.5, "partitions": []},
            "odd": {"any": [1]},
        },
        "other": {"tool": "wrote this"},
    }
    bookmarks = Bookmarks(state)
    bookmarks.entry("new", None)["x"] = 1
    assert value_of(bookmarks) == {**state, "bookmarks": {**state["bookmarks"], "new": {"x": 1}}}
    assert "new" not in state["bookmarks"]


def test_finding_adds_nothing() -> None:
    state = {"bookmarks": {"a": {"partitions": [{"context": {"id": 1}}]}}}
    bookmarks = Bookmarks(state)
    assert bookmarks.find("a", {"id": 2}) == bookmarks.find("b", {"id": 2}) == bookmarks.find("b", None) == {}
    assert value_of(bookmarks) == state


def test_what_was_in_progress_is_forgotten() -> None:
    progress = {
        "progress_markers": {"replication_key_value": 9},
        "replication_key_signpost": 1,
        "starting_replication_value": 0,
    }
    state = {
        "currently_syncing": "a",
        "bookmarks": {
            "a": {"replication_key": "k", "replication_key_value": 2, **progress},
            "b": {"partitions": [{"context": {"id": 1}, "replication_key_value": 3, **progress}]},
        },
    }
    assert value_of(Bookmarks(state)) == {
        "bookmarks": {
            "a": {"replication_key": "k", "replication_key_value": 2},
            "b": {"partitions": [{"context": {"id": 1}, "replication_key_value": 3}]},
        }
    }


def test_an_empty_context_is_the_whole_stream() -> None:
    bookmarks = Bookmarks()
    assert bookmarks.entry("a", {}) is bookmarks.entry("a", None)


def test_values_survive_a_round_trip() -> None:
    state = {"bookmarks": {"a": {"replication_key_value": 2**70, "u": "\u2028\ud800", "f": 1.5, "n": None}}}
    assert value_of(Bookmarks(json.loads(json.dumps(state)))) == state


def test_a_decimal_bookmark_keeps_its_digits() -> None:
    bookmarks = Bookmarks()
    from decimal import Decimal

    bookmark(bookmarks.entry("a", None)).advance(Decimal("12345678901234567890.10"))
    assert b"12345678901234567890.10" in bookmarks.snapshot()


def test_threads_that_open_partitions_at_the_same_time_make_no_entry_twice() -> None:
    bookmarks = Bookmarks()
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        for index in range(200):
            bookmarks.find("a", {"id": index})
            bookmarks.entry("a", {"id": index})

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(value_of(bookmarks)["bookmarks"]["a"]["partitions"]) == 200


def test_text_keys_compare_as_text() -> None:
    entry: dict = {}
    mark = bookmark(entry, kind=TEXT)
    mark.advance("9")
    mark.advance("10")
    assert entry["replication_key_value"] == "9"


def test_forgetting_a_stream_drops_its_bookmark_and_partitions() -> None:
    bookmarks = Bookmarks({"bookmarks": {"a": {"partitions": [{"context": {"id": 1}, "x": 1}]}, "b": {}}})
    assert bookmarks.find("a", {"id": 1}) == {"context": {"id": 1}, "x": 1}
    bookmarks.forget("a")
    assert bookmarks.find("a", {"id": 1}) == {}
    assert value_of(bookmarks) == {"bookmarks": {"b": {}}}
