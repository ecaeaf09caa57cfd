from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from singerkit_testing.once import Once


def test_threads_share_one_computation():
    once, calls = Once(), []

    def compute():
        calls.append(1)
        time.sleep(0.05)
        return len(calls)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: once("key", compute), range(8))) == [1] * 8


def test_a_failure_is_not_remembered():
    once = Once()
    with pytest.raises(ZeroDivisionError):
        once("key", lambda: 1 // 0)
    assert once("key", lambda: 7) == 7
    assert once("key", lambda: 8) == 7
