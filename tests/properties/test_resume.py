"""Whatever happens to a run, and whichever of its states the next one goes on from, nothing is lost."""

from __future__ import annotations

import pytest
from engine_runs import Stop, TapOutcome, run_tap
from family_source import NAMES, Faults, Shape, family
from hypothesis import given, settings
from hypothesis import strategies as st

from singerkit.errors import FatalSyncError, OutputClosed, SkippableSyncError

SHAPES = st.builds(Shape, st.integers(1, 12), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))
KEYS = st.fixed_dictionaries({name: st.sampled_from(["at", None]) for name in NAMES})


def raises(error: BaseException):
    def happen():
        raise error

    return happen


FAULTS = {
    "error": lambda stop: raises(FatalSyncError("source")),
    "bug": lambda stop: raises(KeyError("x")),
    "exit": lambda stop: raises(SystemExit(0)),
    "signal": lambda stop: stop.now,
    "not sorted": lambda stop: lambda: {"id": 0, "at": -1, "parent": 0},
    "no replication key": lambda stop: lambda: {"id": 0, "parent": 0},
    "no primary key": lambda stop: lambda: {"at": 10**6, "parent": 0},
    "nothing": lambda stop: lambda: None,
}
REPLACING = {"not sorted", "no replication key", "no primary key"}


def emitted(outcome: TapOutcome, upto: int | None = None) -> dict[str, set[int]]:
    """Give the ids of each stream in the first so many lines."""
    found: dict[str, set[int]] = {name: set() for name in NAMES}
    for line in outcome.lines[:upto]:
        if line["type"] == "RECORD":
            found[line["stream"]].add(line["record"]["id"])
    return found


def assert_nothing_is_lost(
    shape: Shape, before: dict[str, set[int]], state: dict | None, keys: dict, is_sorted: bool
) -> None:
    rest = run_tap(*family(shape, state, Faults(), keys=keys, is_sorted=is_sorted), state=state)
    assert rest.failure is None
    after = emitted(rest)
    for name in NAMES:
        assert before[name] | after[name] == shape.ids(name), (name, state)


@settings(max_examples=120)
@given(
    SHAPES,
    KEYS,
    st.sampled_from(sorted(FAULTS)),
    st.integers(1, 150),
    st.sampled_from([1, 2, 8]),
    st.sampled_from([1, 3, 50]),
    st.booleans(),
)
def test_after_any_fault_the_last_state_resumes_to_everything(
    shape: Shape, keys: dict, fault: str, at: int, bound: int, frequency: int, is_sorted: bool
) -> None:
    stop = Stop()
    specs = family(shape, None, Faults(at, FAULTS[fault](stop)), keys=keys, is_sorted=is_sorted)
    outcome = run_tap(*specs, stop=stop, max_concurrency=bound, state_frequency=frequency)
    if outcome.failure is None and fault in REPLACING:
        return  # the odd record stood in for another one, and nobody could know
    size = len(outcome.output)
    for position, line in enumerate(outcome.lines):
        if line["type"] == "STATE" and position % 7 == 0:
            if fault == "not sorted":
                continue  # a source that is not sorted though it says so: only the last state goes back
            assert_nothing_is_lost(shape, emitted(outcome, position), line["value"], keys, is_sorted)
    assert_nothing_is_lost(shape, emitted(outcome), outcome.state, keys, is_sorted)
    assert len(outcome.output) == size, "something was written after the run had ended"


@settings(max_examples=60)
@given(SHAPES, KEYS, st.integers(0, 100_000), st.sampled_from([1, 4]), st.booleans())
def test_a_crash_at_any_byte_resumes_from_the_last_whole_state(
    shape: Shape, keys: dict, at: int, bound: int, is_sorted: bool
) -> None:
    specs = family(shape, None, Faults(), keys=keys, is_sorted=is_sorted)
    outcome = run_tap(*specs, max_concurrency=bound, state_frequency=1)
    crashed = TapOutcome(outcome.output[: at % (len(outcome.output) + 1)], None, outcome.bookmarks)
    states = crashed.states
    assert_nothing_is_lost(shape, emitted(crashed), states[-1] if states else None, keys, is_sorted)


@settings(max_examples=40)
@given(SHAPES, KEYS, st.integers(1, 20), st.sampled_from([1, 4]))
def test_an_output_that_breaks_at_any_write_resumes(shape: Shape, keys: dict, fails_at: int, bound: int) -> None:
    written = bytearray()
    calls = [0]

    def write(data: bytes) -> None:
        calls[0] += 1
        if calls[0] == fails_at:
            raise OutputClosed("gone")
        written.extend(data)

    outcome = run_tap(*family(shape, None, Faults(), keys=keys), write=write, max_concurrency=bound, state_frequency=5)
    outcome.output = bytes(written)
    states = outcome.states
    assert_nothing_is_lost(shape, emitted(outcome), states[-1] if states else None, keys, True)


@pytest.mark.parametrize("is_sorted", [True, False])
def test_a_crash_at_every_record_loses_nothing(*, is_sorted: bool) -> None:
    shape = Shape(4, 2, 2, ties=2)
    keys = {"customers": "at", "invoices": "at", "lines": None}
    for at in range(1, 4 + 8 + 16 + 2):
        outcome = run_tap(
            *family(shape, None, Faults(at, raises(FatalSyncError("x"))), keys=keys, is_sorted=is_sorted),
            state_frequency=1,
        )
        assert_nothing_is_lost(shape, emitted(outcome), outcome.state, keys, is_sorted)


def test_many_crashes_in_a_row_get_there_in_the_end() -> None:
    shape = Shape(30, 3, 2)
    keys = dict.fromkeys(NAMES, "at")
    state, found = None, {name: set() for name in NAMES}
    for _ in range(200):
        faults = Faults(25, raises(FatalSyncError("again")))
        outcome = run_tap(*family(shape, state, faults, keys=keys), state=state, state_frequency=1, max_concurrency=1)
        for name, ids in emitted(outcome).items():
            found[name] |= ids
        state = outcome.state
        if outcome.failure is None:
            break
    assert outcome.failure is None
    assert {name: shape.ids(name) for name in NAMES} == found


def test_a_context_that_is_left_out_does_not_hold_up_its_parent() -> None:
    shape = Shape(5, 2, 1)
    keys = dict.fromkeys(NAMES, "at")
    outcome = run_tap(*family(shape, None, Faults(3, raises(SkippableSyncError("gone"))), keys=keys))
    assert outcome.failure is None
    assert outcome.state["bookmarks"]["customers"]["replication_key_value"] >= 0
