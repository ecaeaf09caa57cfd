from __future__ import annotations

import pytest

from singerkit.state.gate import StateGate


def test_a_state_with_nothing_before_it_leaves_at_once() -> None:
    gate = StateGate()
    assert gate.hold(b"1") == b"1"
    assert not gate.holds


def test_a_state_waits_for_all_streams_before_it() -> None:
    gate = StateGate()
    gate.received("a", 2)
    gate.received("b", 1)
    assert gate.hold(b"1") is None
    assert gate.durable({"a": 2}) is None
    assert gate.holds
    assert gate.durable({"b": 1}) == b"1"
    assert not gate.holds


def test_records_after_a_state_do_not_hold_it_back() -> None:
    gate = StateGate()
    gate.received("a", 1)
    gate.hold(b"1")
    gate.received("a", 5)
    gate.received("b", 5)
    gate.hold(b"2")
    assert gate.durable({"a": 1}) == b"1"
    assert gate.durable({"a": 5}) is None
    assert gate.durable({"b": 5}) == b"2"


def test_only_the_newest_due_state_leaves() -> None:
    gate = StateGate()
    gate.received("a", 1)
    gate.hold(b"1")
    gate.hold(b"2")
    gate.received("a", 1)
    gate.hold(b"3")
    gate.received("a", 1)
    gate.hold(b"4")
    assert gate.durable({"a": 2}) == b"3"
    assert gate.durable({"a": 1}) == b"4"


def test_a_part_of_the_records_is_not_enough() -> None:
    gate = StateGate()
    gate.received("a", 10)
    gate.hold(b"1")
    for _ in range(9):
        assert gate.durable({"a": 1}) is None
    assert gate.durable({"a": 1}) == b"1"


def test_what_is_durable_of_one_stream_does_not_count_for_another() -> None:
    gate = StateGate()
    gate.received("a", 1)
    gate.received("b", 1)
    gate.hold(b"1")
    assert gate.durable({"a": 1}) is None
    gate.received("a", 1)
    assert gate.durable({"a": 1}) is None
    assert gate.durable({"b": 1}) == b"1"


@pytest.mark.parametrize("state", [b"{}", b"null", b"0", b'""', b"[]", b"false"])
def test_odd_states_leave_like_any_other(state: bytes) -> None:
    gate = StateGate()
    gate.received("a", 1)
    assert gate.hold(state) is None
    assert gate.durable({"a": 1}) == state
