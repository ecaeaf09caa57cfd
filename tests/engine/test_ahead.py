from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singerkit.engine.ahead import WorkersAhead
from singerkit.engine.workers import Workers

SMALL = 1


def on_workers(bound: int, work):
    """Run ``work(ahead)`` on a worker, beside others, and give its result."""
    workers = Workers(bound)
    ahead = WorkersAhead(workers, bound)
    finished = threading.Event()
    outcome: list = []

    def task(_):
        try:
            outcome.append(work(ahead))
        except BaseException as failure:  # noqa: BLE001  # the test raises it
            outcome.append(failure)
        finally:
            finished.set()

    workers.submit(task, None)
    workers.ensure(bound)
    workers.run_until(finished, lambda: True)
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


@given(st.lists(st.integers(), max_size=40), st.integers(1, 6), st.sampled_from([SMALL, 10**6, 10**9]))
def test_results_come_once_and_in_order(items, bound, result_bytes):
    double = on_workers(bound, lambda ahead: list(ahead(lambda item: item * 2, items, result_bytes=result_bytes)))
    assert double == [item * 2 for item in items]


@given(st.integers(0, 20), st.integers(1, 5))
def test_what_was_raised_comes_in_its_turn(failing, bound):
    taken: list[int] = []

    def function(item):
        if item == failing:
            raise LookupError(item)
        return item

    def work(ahead):
        taken.extend(ahead(function, range(30), result_bytes=SMALL))

    with pytest.raises(LookupError):
        on_workers(bound, work)
    taken_until = len(taken)
    assert taken_until in {0, failing}


def test_results_before_a_failure_are_given():
    taken: list[int] = []

    def function(item):
        if item == 7:
            raise LookupError
        return item

    def work(ahead):
        for item in ahead(function, range(30), result_bytes=SMALL):
            taken.append(item)  # extend() would lose them

    with pytest.raises(LookupError):
        on_workers(3, work)
    assert taken == list(range(7))


@pytest.mark.parametrize("readers", [1, 2, 5])
def test_readers_on_all_workers_at_once_do_not_wait_for_each_other_for_ever(readers):
    workers = Workers(readers)
    ahead = WorkersAhead(workers, readers)
    finished = threading.Event()
    results: dict[int, list[int]] = {}
    together = threading.Barrier(readers)

    def read(number):
        together.wait(10)  # now all workers are taken by readers
        results[number] = list(ahead(lambda item: item, range(50), result_bytes=SMALL))
        if len(results) == readers:
            finished.set()

    for number in range(readers):
        workers.submit(read, number)
    workers.ensure(readers)
    deadline = time.monotonic() + 20
    workers.run_until(finished, lambda: time.monotonic() < deadline)
    assert results == {number: list(range(50)) for number in range(readers)}


@pytest.mark.parametrize(("result_bytes", "most"), [(SMALL, 8), (16 * 1024 * 1024, 2), (10**9, 1)])
def test_large_results_are_held_in_small_numbers(result_bytes, most):
    started: list[int] = []

    def work(ahead):
        results = ahead(lambda item: started.append(item) or item, range(100), result_bytes=result_bytes)
        next(results)
        time.sleep(0.1)  # the others run ahead as far as they may
        count = len(started)
        results.close()
        return count

    assert on_workers(4, work) <= most + 1


def test_what_is_given_up_is_not_started_and_its_room_is_free_again():
    started: list[int] = []

    def work(ahead):
        blocked = threading.Event()
        held = [ahead(lambda item: blocked.wait(5) and item, range(10), result_bytes=SMALL) for _ in range(1)]
        blocked.set()
        assert next(held[0]) == 0
        held[0].close()
        assert ahead._free_bytes == WorkersAhead(Workers(1), 1)._free_bytes
        return list(ahead(lambda item: started.append(item) or item, range(5), result_bytes=SMALL))

    assert on_workers(3, work) == [0, 1, 2, 3, 4]
    assert sorted(started) == [0, 1, 2, 3, 4]
