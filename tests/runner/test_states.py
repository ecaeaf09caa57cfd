"""How a new state joins the stored one, and what of it a tap is given to read some streams in full."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from singerkit.errors import StateError
from singerkit.runner.state_changes import changes
from singerkit.runner.states import merged, names_streams, without_streams
from singerkit.telemetry.redact import escape_controls


def at(value, **more):
    return {"replication_key": "updated_at", "replication_key_value": value, **more}


def part(name, value):
    return {"context": {"shop": name}, **at(value)}


@pytest.mark.parametrize(
    ("stored", "new", "result"),
    [
        # A stream's whole bookmark is replaced; streams that are not named stay.
        (
            {"bookmarks": {"a": at(1, replication_key_signpost=9), "b": at(2)}},
            {"bookmarks": {"a": at(3)}},
            {"bookmarks": {"a": at(3), "b": at(2)}},
        ),
        # Partitions are found by their context, whatever the order of its members.
        (
            {"bookmarks": {"a": {"partitions": [part("x", 1), part("y", 1)]}}},
            {"bookmarks": {"a": {"partitions": [part("y", 2), part("z", 2)]}}},
            {"bookmarks": {"a": {"partitions": [part("x", 1), part("y", 2), part("z", 2)]}}},
        ),
        (
            {"bookmarks": {"a": {"partitions": [{"context": {"p": 1, "q": [True]}, **at(1)}]}}},
            {"bookmarks": {"a": {"partitions": [{"context": {"q": [True], "p": 1}, **at(2)}]}}},
            {"bookmarks": {"a": {"partitions": [{"context": {"p": 1, "q": [True]}, **at(2)}]}}},
        ),
        # A stream that is partitioned no more, or was not before.
        (
            {"bookmarks": {"a": {"partitions": [part("x", 1)]}}},
            {"bookmarks": {"a": at(2)}},
            {"bookmarks": {"a": at(2)}},
        ),
        # A tap that has not come anywhere says nothing by that, and an empty state loses nothing.
        ({"bookmarks": {"a": at(1)}}, {"bookmarks": {"a": {}, "b": {}}}, {"bookmarks": {"a": at(1), "b": {}}}),
        ({"bookmarks": {"a": at(1)}}, {}, {"bookmarks": {"a": at(1)}}),
        (
            {"bookmarks": {"a": at(1)}},
            {"currently_syncing": "a"},
            {"currently_syncing": "a", "bookmarks": {"a": at(1)}},
        ),
        # Other members are those of the new state.
        (
            {"bookmarks": {"a": at(1)}, "currently_syncing": "a", "version": 1},
            {"bookmarks": {"a": at(2)}, "version": 2},
            {"bookmarks": {"a": at(2)}, "version": 2},
        ),
        # A value is its tap's own business.
        ({"last": 1, "page": 2}, {"last": 3}, {"last": 3}),
        ({"bookmarks": {"a": at(1)}}, {"last": 3}, {"last": 3}),
        ({"last": 3}, {"bookmarks": {"a": at(1)}}, {"bookmarks": {"a": at(1)}}),
        ({"last": 3}, {}, {"last": 3}),
        ({"bookmarks": ["a"]}, {"bookmarks": ["b"]}, {"bookmarks": ["b"]}),
        # Bookmarks in other forms are replaced as they are.
        (
            {"bookmarks": {"a": "2024", "b": None}},
            {"bookmarks": {"a": "2025"}},
            {"bookmarks": {"a": "2025", "b": None}},
        ),
        (
            {"bookmarks": {"a": {"partitions": ["odd"]}}},
            {"bookmarks": {"a": {"partitions": [part("x", 1)]}}},
            {"bookmarks": {"a": {"partitions": [part("x", 1)]}}},
        ),
    ],
)
def test_a_new_state_joins_the_stored_one(stored, new, result):
    assert merged(stored, new) == result
    assert merged({}, new) == new


ENTRIES = st.none() | st.text(max_size=2) | st.dictionaries(st.text(max_size=2), st.integers(), max_size=2)
CONTEXTS = st.dictionaries(st.sampled_from("pq"), st.integers(0, 2) | st.booleans(), min_size=1, max_size=2)
PARTITIONED = st.fixed_dictionaries(
    {"partitions": st.lists(st.fixed_dictionaries({"context": CONTEXTS, "n": st.integers()}), max_size=4)}
)
BOOKMARKS = st.fixed_dictionaries(
    {"bookmarks": st.dictionaries(st.sampled_from("abc"), ENTRIES | PARTITIONED, max_size=3)}
)
ANY_STATES = BOOKMARKS | st.dictionaries(st.text(max_size=3), st.integers(), max_size=3)


@example({}, {"bookmarks": {"a": {"partitions": [{"context": {"p": 0}, "n": 0}, {"context": {"p": 0}, "n": 1}]}}})
@given(ANY_STATES, ANY_STATES)
def test_what_is_merged_twice_is_merged(stored, new):
    once = merged(stored, new)
    assert merged(once, new) == once


@given(BOOKMARKS, BOOKMARKS)
def test_no_stream_is_lost_and_every_named_one_is_the_new_one(stored, new):
    result = merged(stored, new)["bookmarks"]
    assert set(result) == {*stored["bookmarks"], *new["bookmarks"]}
    for stream, entry in new["bookmarks"].items():
        if entry and not (isinstance(entry, dict) and "partitions" in entry):
            assert result[stream] == entry


@given(BOOKMARKS, st.sets(st.sampled_from("abcd"), min_size=1))
def test_a_full_refresh_of_some_streams_hides_exactly_these_and_loses_nothing(state, streams):
    given_to_tap = without_streams(state, streams)
    assert set(given_to_tap["bookmarks"]) == set(state["bookmarks"]) - streams
    assert merged(state, given_to_tap) == merged(state, {"bookmarks": given_to_tap["bookmarks"]})
    assert set(merged(state, given_to_tap)["bookmarks"]) == set(state["bookmarks"])


def test_a_full_refresh_of_all_streams_begins_from_nothing():
    assert without_streams({"bookmarks": {"a": at(1)}, "x": 1}, {"*"}) == {}
    assert without_streams({"last": 1}, {"*"}) == {}
    assert without_streams({"last": 1}, ()) == {"last": 1}
    assert without_streams({}, {"a"}) == {}


def test_a_stream_that_is_read_in_full_is_not_the_one_to_go_on_with():
    state = {"bookmarks": {"a": at(1), "b": at(1)}, "currently_syncing": "a"}
    assert without_streams(state, {"a"}) == {"bookmarks": {"b": at(1)}}
    assert without_streams(state, {"b"}) == {"bookmarks": {"a": at(1)}, "currently_syncing": "a"}


def test_streams_of_a_state_that_names_none_cannot_be_read_in_full():
    with pytest.raises(StateError, match=r"no bookmarks by stream.*'\*'"):
        without_streams({"last": 1}, {"a"})


def test_shapes_are_told_apart():
    assert all(map(names_streams, [{}, {"bookmarks": {}}, {"currently_syncing": None}, {"bookmarks": {}, "x": 1}]))
    assert not any(map(names_streams, [{"last": 1}, {"bookmarks": None}, {"bookmarks": [], "currently_syncing": "a"}]))


@given(BOOKMARKS, BOOKMARKS)
def test_a_difference_has_a_line_and_equal_states_have_none(before, after):
    lines = changes(before, after)
    assert bool(lines) == (without_nulls(before) != without_nulls(after))
    assert changes(before, before) == []
    assert all(escape_controls(line) == line for line in lines)


def without_nulls(state):
    return {stream: entry for stream, entry in state["bookmarks"].items() if entry is not None}


def test_differences_are_said_by_stream():
    before = {"bookmarks": {"a": at("2024-01-01"), "b": at(1), "c": {}}, "currently_syncing": "a"}
    after = {"bookmarks": {"a": at("2024-02-01"), "c": {"partitions": [part("x", "2024-01"), part("y", "2024-03")]}}}
    assert changes(before, after) == [
        "stream 'a': 2024-01-01 -> 2024-02-01",
        "stream 'b': 1 -> nothing",
        "stream 'c': {} -> 2 partitions (2024-01 to 2024-03)",
        "member 'currently_syncing': a -> nothing",
    ]
    assert changes(None, {"last": 1}) == ['the state: nothing -> {"last":1}']
    assert changes({"bookmarks": {"\n": at("\x1b")}}, None) == ["stream '\\n': \\x1b -> nothing"]
