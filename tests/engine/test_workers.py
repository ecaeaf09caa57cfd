from __future__ import annotations

import threading
import time

import pytest

from singerkit.engine.workers import Workers


def run(workers: Workers, tasks: int, work) -> None:
    """Run so many tasks to the end."""
    finished = threading.Event()
    done = [0]
    lock = threading.Lock()

    def task(index: int) -> None:
        work(index)
        with lock:
            done[0] += 1
            if done[0] == tasks:
                finished.set()

    for index in range(tasks):
        workers.submit(task, index)
    workers.run_until(finished, lambda: True)
    assert done[0] == tasks


@pytest.mark.parametrize("bound", [1, 3, 16])
def test_no_more_threads_than_the_bound_work_at_a_time(bound: int) -> None:
    lock, busy, most = threading.Lock(), [0], [0]

    def work(_: int) -> None:
        with lock:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
        time.sleep(0.01)
        with lock:
            busy[0] -= 1

    run(Workers(bound), 60, work)
    assert 1 <= most[0] <= bound
    if bound > 1:
        assert most[0] > 1


def test_tasks_that_wait_for_each_other_get_threads() -> None:
    together = threading.Barrier(4)
    run(Workers(4), 4, lambda _: together.wait(10))


def test_every_task_runs_once_and_in_order_on_one_thread() -> None:
    seen: list[int] = []
    run(Workers(1), 500, seen.append)
    assert seen == list(range(500))


def test_tasks_may_submit_tasks() -> None:
    workers = Workers(2)
    finished = threading.Event()
    seen: list[int] = []

    def work(depth: int) -> None:
        seen.append(depth)
        if depth == 50:
            finished.set()
        else:
            workers.submit(work, depth + 1)

    workers.submit(work, 0)
    workers.run_until(finished, lambda: True)
    assert seen == list(range(51))


def test_a_tick_that_says_no_ends_it_while_a_task_is_stuck() -> None:
    workers = Workers(1)
    stuck = threading.Event()
    ticks: list[int] = []

    def tick() -> bool:
        ticks.append(1)
        return len(ticks) < 3

    workers.submit(lambda _: stuck.wait(30), None)
    started = time.monotonic()
    workers.run_until(threading.Event(), tick)
    assert time.monotonic() - started < 10
    stuck.set()


def test_threads_end_when_closed() -> None:
    before = threading.active_count()
    run(Workers(4), 40, lambda _: time.sleep(0.002))
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_ensuring_threads_keeps_the_bound() -> None:
    workers = Workers(2)
    before = threading.active_count()
    workers.ensure(10)
    assert threading.active_count() - before == 2
    workers.close()


def test_threads_that_have_nothing_more_to_do_are_gone_at_the_end() -> None:
    """A process that ends while one still holds, say, a connection never closes that."""
    workers, finished = Workers(1), threading.Event()
    ended: list[str] = []

    def task(_: int) -> None:
        finished.set()
        time.sleep(0.05)
        ended.append(threading.current_thread().name)

    workers.submit(task, 0)
    workers.run_until(finished, lambda: True)
    assert ended == ["worker-1"]


def test_a_thread_that_is_stuck_holds_up_nobody() -> None:
    workers, stuck = Workers(1), threading.Event()
    workers.submit(lambda _: stuck.wait(30), 0)
    started = time.monotonic()
    workers.run_until(threading.Event(), lambda: False)
    workers.close(0.05)
    assert time.monotonic() - started < 10
    stuck.set()
