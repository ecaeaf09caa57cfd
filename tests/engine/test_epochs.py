"""A target's run whose states are stored with the rows before them: all of those, and nothing else."""

from __future__ import annotations

import os
import threading
import time

import pytest
from engine_runs import Stop, activate_of, line_of, record_of, run_target, schema_of, state_of
from hypothesis import given, settings
from hypothesis import strategies as st

from singerkit.errors import DataError, SyncError


def kept(outcome):
    """Give each state that was kept, with the rows that the sinks had been given until then, by stream."""
    rows, found = {}, []
    for kind, stream, what in outcome.events:
        if kind == "batch":
            rows.setdefault(stream, []).extend(what)
        elif kind == "keep":
            found.append((int(what), {name: list(ids) for name, ids in rows.items()}))
    return found


def test_a_state_is_kept_with_its_rows_and_leaves_after_that():
    outcome = run_target([schema_of("a"), record_of("a", 1), state_of(1)], keeps_states=True)
    assert outcome.failure is None
    kinds = [kind for kind, _, _ in outcome.events]
    assert kinds == ["open", "batch", "clean up", "keep", "state"]
    assert kept(outcome) == [(1, {"a": [1]})]


events = st.lists(st.tuples(st.sampled_from(["a", "b", "state", "schema"]), st.integers(1, 7)), max_size=40)


@settings(max_examples=60, deadline=None)
@given(events, st.integers(1, 6), st.integers(0, 400))
def test_what_a_state_is_kept_with_is_what_came_before_it(chosen, max_rows, age_ms):
    messages, number, states, before = [schema_of("a"), schema_of("b")], 0, 0, {}
    rows = {"a": [], "b": []}
    for kind, count in chosen:
        if kind == "state":
            states += 1
            before[states] = {name: list(ids) for name, ids in rows.items() if ids}
            messages.append(state_of(states))
        elif kind == "schema":
            messages.append(schema_of("a", **{f"p{len(messages)}": {"type": "string"}}))
        else:
            for _ in range(count):
                number += 1
                rows[kind].append(number)
                messages.append(record_of(kind, number))
    outcome = run_target(messages, keeps_states=True, max_rows=max_rows, max_age_s=age_ms / 1000)
    for state, given_rows in kept(outcome):
        assert given_rows == before[state]
    everything = {name: ids for name, ids in rows.items() if ids}
    assert [state for state, _ in kept(outcome)][-1:] == ([states] if states else [])
    if before.get(states, {}) != everything:
        assert isinstance(outcome.failure, SyncError)
    else:
        assert outcome.failure is None
    assert outcome.states == [state for state, _ in kept(outcome)]


def test_records_behind_the_last_state_are_not_stored_and_the_run_fails():
    messages = [schema_of("a"), record_of("a", 1), state_of(1), record_of("a", 2), record_of("a", 3)]
    outcome = run_target(messages, keeps_states=True)
    assert kept(outcome) == [(1, {"a": [1]})]
    assert outcome.states == [1]
    assert isinstance(outcome.failure, SyncError)
    assert "(2)" in str(outcome.failure)


def test_a_tap_without_states_stores_nothing_and_the_run_fails():
    outcome = run_target([schema_of("a"), record_of("a", 1)], keeps_states=True)
    assert kept(outcome) == []
    assert isinstance(outcome.failure, SyncError)


def test_an_empty_input_is_no_failure():
    assert run_target([schema_of("a")], keeps_states=True).failure is None


@pytest.mark.parametrize("then", ["nothing", "a record"])
def test_a_state_is_kept_while_the_input_is_silent(then):
    reader, writer = os.pipe()
    first = [schema_of("a"), record_of("a", 1), state_of(1)]
    os.write(writer, b"".join(map(line_of, [*first, record_of("a", 2)] if then == "a record" else first)))
    left = threading.Event()

    def end():
        left.wait(20)
        os.write(writer, b"".join(map(line_of, [record_of("a", 3), state_of(2)])))
        os.close(writer)

    ending = threading.Thread(target=end)
    ending.start()
    outcome = run_target(reader, keeps_states=True, max_age_s=0.05, write_state=lambda text: left.set())
    ending.join()
    rows = [1, 2, 3] if then == "a record" else [1, 3]
    assert kept(outcome) == [(1, {"a": [1]}), (2, {"a": rows})]


def test_large_epochs_end_at_the_next_state():
    messages = [schema_of("a")]
    for number in range(25_000):
        messages.append(record_of("a", number))
        if number % 100 == 99:
            messages.append(state_of(number))
    outcome = run_target(messages, keeps_states=True, max_rows=4_000)
    assert [state for state, _ in kept(outcome)] == [9_999, 19_999, 24_999]


def test_a_failure_keeps_nothing_more():
    def before(stream, records):
        if any(record["id"] == 3 for record in records):
            raise DataError("no")

    messages = [schema_of("a"), record_of("a", 1), state_of(1), schema_of("a", x={}), record_of("a", 3), state_of(2)]
    outcome = run_target(messages, keeps_states=True, before=before)
    assert kept(outcome) == [(1, {"a": [1]})]
    assert isinstance(outcome.failure, DataError)


def test_a_signal_keeps_the_last_state_and_nothing_after_it():
    stop = Stop()
    reader, writer = os.pipe()
    messages = [schema_of("a"), record_of("a", 1), state_of(1), record_of("a", 2)]
    os.write(writer, b"".join(map(line_of, messages)))

    def signal():
        time.sleep(0.3)
        stop.now()
        os.write(writer, b"\n")

    signalling = threading.Thread(target=signal)
    signalling.start()
    outcome = run_target(reader, keeps_states=True, stop=stop)
    signalling.join()
    os.close(writer)
    assert outcome.failure is None
    assert kept(outcome) in ([], [(1, {"a": [1]})])
    assert outcome.states == [state for state, _ in kept(outcome)]


def test_an_activation_is_kept_with_a_state_too():
    messages = [schema_of("a"), activate_of("a", 2), record_of("a", 1, version=2), state_of(1)]
    outcome = run_target(messages, keeps_states=True)
    kinds = [kind for kind, _, _ in outcome.events]
    assert kinds.index("activate") < len(kinds) - 1 - kinds[::-1].index("keep")
