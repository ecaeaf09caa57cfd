"""Windows in the engine: which records go on, and how far the bookmark comes."""

from __future__ import annotations

import pytest
from engine_runs import TapOutcome, run_tap, stream

from singerkit.engine import sieve
from singerkit.engine.sieve import Boundary
from singerkit.engine.spec import RangeSpec, StreamSpec
from singerkit.errors import FatalSyncError, SkippableSyncError
from singerkit.state.bounds import Bounds

WINDOWS = [Bounds(0, 10), Bounds(10, 20), Bounds(20, 30)]


def windowed(name: str = "a", *, values=(3, 1, 12, 11, 25), fails_at: int | None = None, **declared) -> StreamSpec:
    """Declare a stream of three windows, not sorted within them; reading the n-th fails before its last record."""

    def read(context):
        window = WINDOWS[context["window"]]
        chosen = [value for value in values if window.start <= value < window.end]
        for position, value in enumerate(chosen):
            if context["window"] == fails_at and position == len(chosen) - 1:
                raise declared.get("error", FatalSyncError("the source broke"))
            yield {"id": value, "at": value}

    ranges = RangeSpec(
        slices=lambda context: (({**(context or {}), "window": n}, bounds) for n, bounds in enumerate(WINDOWS)),
        is_windowed=True,
    )
    given = {key: value for key, value in declared.items() if key != "error"}
    return stream(name, read, key="at", ranges=ranges, **given)


def value_of(outcome: TapOutcome, name: str = "a"):
    return outcome.state["bookmarks"].get(name, {}).get("replication_key_value")


@pytest.mark.parametrize(("fails_at", "expected"), [(0, None), (1, 3), (2, 12), (None, 25)])
def test_the_bookmark_stops_before_the_window_that_failed(fails_at: int | None, expected: int | None) -> None:
    outcome = run_tap(windowed(fails_at=fails_at))
    assert (outcome.failure is None) == (fails_at is None)
    assert value_of(outcome) == expected


def test_what_was_left_out_keeps_the_windows_before_it() -> None:
    outcome = run_tap(windowed(fails_at=1, error=SkippableSyncError("gone")))
    assert outcome.failure is None
    assert outcome.ids("a") == [3, 1, 12]
    assert value_of(outcome) == 3


@pytest.mark.parametrize(("parent", "expected"), [(1, None), (11, 3), (25, 12)])
def test_a_window_is_not_finished_before_its_children_are(parent: int, expected: int | None) -> None:
    def children(context):
        if context["parent"] == parent:
            raise FatalSyncError("the child broke")
        return [{"id": context["parent"]}]

    outcome = run_tap(windowed(), stream("b", children, parent="a"), max_concurrency=1)
    assert outcome.failure is not None
    assert value_of(outcome) == expected


def test_contexts_that_share_a_bookmark_do_not_finish_it_window_by_window() -> None:
    """The windows of one context say nothing of the other's."""
    contexts = [{"parent": 1}, {"parent": 2}]
    spec = windowed(fails_at=2, state_partitioning_keys=(), partitions=lambda: contexts)
    assert value_of(run_tap(spec)) is None


def test_a_boundary_remembers_only_so_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve, "_MOST_REMEMBERED", 3)
    boundary = Boundary(("id",))
    edge = [{"id": number} for number in range(5)]
    assert all(boundary.is_new(record, is_late=True) for record in edge)
    boundary.turn()
    assert [boundary.is_new(record, is_late=False) for record in edge] == [False, False, False, True, True]


def test_what_has_no_key_or_can_not_be_compared_goes_on() -> None:
    for keys, record in (((), {"id": 1}), (("id",), {"id": object()}), (("id",), {"id": 1, "odd": object()})):
        boundary = Boundary(keys)
        for _ in range(2):
            assert boundary.is_new(record, is_late=True)
            boundary.turn()
