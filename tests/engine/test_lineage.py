from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singerkit.engine.lineage import ContextRun
from singerkit.state.bookmarks import Bookmark
from singerkit.state.replication_key import NUMBER


class Settled:
    """What hears that a run is settled."""

    def __init__(self) -> None:
        self.heard: list[bool] = []

    def __call__(self, succeeded: bool) -> None:
        self.heard.append(succeeded)


def sorted_bookmark(entry: dict, *, is_sorted: bool = True) -> Bookmark:
    return Bookmark(entry, "k", NUMBER, None, is_sorted)


def opened(*, is_sorted: bool = True) -> tuple[ContextRun, Bookmark, dict, Settled]:
    entry: dict = {}
    settled = Settled()
    run = ContextRun(None, None, settled)
    run.bookmark = sorted_bookmark(entry, is_sorted=is_sorted)
    return run, run.bookmark, entry, settled


def test_without_children_the_bookmark_advances_at_once() -> None:
    run, bookmark, entry, settled = opened()
    run.advance(bookmark, 5)
    assert entry["replication_key_value"] == 5
    run.settle(True)
    assert settled.heard == [True]


def test_a_bookmark_waits_for_the_blocks_before_it() -> None:
    run, bookmark, entry, settled = opened()
    first = run.open_block(1, bookmark, 1)
    second = run.open_block(2, bookmark, 2)
    run.advance(bookmark, 3)
    run.settle(True)
    run.settle_child(second, True)
    run.settle_child(second, True)
    assert entry == {}
    assert settled.heard == []
    run.settle_child(first, True)
    assert entry["replication_key_value"] == 3
    assert settled.heard == [True]


def test_after_a_failure_below_the_bookmark_stays_before_those_records() -> None:
    run, bookmark, entry, settled = opened()
    blocks = [run.open_block(1, bookmark, value) for value in (1, 2, 3)]
    run.settle_child(blocks[0], True)
    run.settle_child(blocks[1], False)
    run.settle_child(blocks[2], True)
    run.advance(bookmark, 4)
    run.settle(True)
    assert entry["replication_key_value"] == 1
    assert settled.heard == [False]


def test_an_unsorted_bookmark_is_finished_only_when_everything_succeeded() -> None:
    for succeeded in (True, False):
        run, bookmark, entry, _ = opened(is_sorted=False)
        block = run.open_block(1, bookmark, 7)
        run.settle(True)
        run.settle_child(block, succeeded)
        assert entry.get("replication_key_value") == (7 if succeeded else None)


def test_failures_travel_up_from_grandchildren() -> None:
    run, bookmark, entry, settled = opened()
    block = run.open_block(1, bookmark, 1)
    run.settle(True)
    child = ContextRun({"parent": 1}, block)
    inner = child.open_block(1, None, None)
    child.settle(True)
    grandchild = ContextRun({"parent": 2}, inner)
    assert settled.heard == []
    grandchild.settle(False)
    assert settled.heard == [False]
    assert entry == {}


def test_a_run_that_failed_does_not_advance_any_more() -> None:
    run, bookmark, entry, _ = opened()
    block = run.open_block(1, bookmark, 1)
    run.settle(False)
    run.settle_child(block, True)
    assert entry == {}


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=8),
    st.randoms(use_true_random=False),
    st.sets(st.integers(0, 30), max_size=3),
    st.integers(0, 30),
)
def test_whatever_settles_first_no_bookmark_passes_a_gap(blocks, random, failing, read_at) -> None:
    """Blocks with some children each settle in any order; after each step the bookmark covers settled blocks only."""
    run, bookmark, entry, settled = opened()
    waiting, left = [], {}
    for value, children in enumerate(blocks, start=1):
        if children:
            block = run.open_block(children, bookmark, value)
            waiting += [(value, block)] * children
            left[value] = children
        else:
            run.advance(bookmark, value)
    random.shuffle(waiting)
    waiting.insert(min(read_at, len(waiting)), None)
    failed = False
    bad: set[int] = set()
    for step, item in enumerate(waiting):
        if item is None:
            run.settle(True)
        else:
            value, block = item
            succeeded = step not in failing
            failed = failed or not succeeded
            bad |= set() if succeeded else {value}
            left[value] -= 1
            run.settle_child(block, succeeded)
        unsafe = [value for value, count in left.items() if count or value in bad]
        assert entry.get("replication_key_value", 0) < min(unsafe, default=len(blocks) + 1)
    assert settled.heard == [not failed]
    if not failed:
        assert entry["replication_key_value"] == len(blocks)


@pytest.mark.parametrize("succeeded", [True, False])
def test_a_root_is_settled_once(*, succeeded: bool) -> None:
    settled = Settled()
    ContextRun({"a": 1}, None, settled).settle(succeeded)
    assert settled.heard == [succeeded]
