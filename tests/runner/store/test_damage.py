"""One state that is damaged: it is never taken for another, everything else goes on, and it can be mended by hand."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from plain_programs import Bench

from singerkit.runner.keeper import Keeper
from singerkit.runner.store.base import DamagedStateError
from singerkit.runner.store.open import open_store

ONE, TWO = {"bookmarks": {"orders": {"n": 1}}}, {"bookmarks": {"orders": {"n": 2}}}


@pytest.fixture
def damaged(tmp_path):
    """Give the URL of a store in which the newest state of `shop` is not what was stored; that of `other` is."""
    url = f"sqlite:///{tmp_path}/state.db"
    with closing(open_store(url)) as store:
        for key in ("shop", "other"):
            lease = store.acquire(key, "tests", 60)
            store.put(key, ONE, expected=None, lease=lease, run="r")
            store.put(key, TWO, expected=1, lease=lease, run="r")
            store.release(lease)
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        database.execute("UPDATE states SET state = '{}' WHERE key = 'shop' AND revision = 2")
        database.commit()
    return url


@pytest.fixture
def singerkit(damaged, tmp_path):
    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "singerkit", *words, "--state-url", damaged],
            cwd=tmp_path,
            env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
        )

    return run


def test_it_is_an_error_that_says_what_to_do(singerkit):
    ended = singerkit("state", "show", "shop")
    assert ended.returncode == 2
    assert "revision 2 of 'shop' is damaged" in ended.stderr
    assert "singerkit state restore shop" in ended.stderr


@pytest.mark.parametrize(
    ("words", "state"),
    [(("restore", "shop", "1"), ONE), (("set", "shop", "new.json"), {"n": 3}), (("clear", "shop"), None)],
)
def test_it_can_be_mended(singerkit, damaged, tmp_path, words, state):
    (tmp_path / "new.json").write_text('{"n": 3}')
    ended = singerkit("state", *words)
    assert ended.returncode == 0, ended.stderr
    with closing(open_store(damaged)) as store:
        stored = store.get("shop")
    assert (stored and stored.state) == state


def test_the_history_shows_the_others(singerkit):
    ended = singerkit("state", "history", "shop", "--json")
    assert [entry["revision"] for entry in json.loads(ended.stdout)] == [1]


def test_a_list_shows_all_and_which_is_damaged(singerkit):
    ended = singerkit("state", "list")
    other, shop = ended.stdout.splitlines()[1:]
    assert ended.returncode == 0
    assert shop.endswith("damaged")
    assert other.endswith("1")


def test_a_run_of_it_leaves_no_lease_behind(damaged, tmp_path):
    bench = Bench(tmp_path)
    with closing(open_store(damaged)) as store:
        for _ in range(2):
            with pytest.raises(DamagedStateError):
                Keeper(store, bench.job(state_key="shop"), run="r", listener=bench.shown)
    bench.store.close()
