"""Processes that compete for a lease, are paused with it, or are killed with it or while they write.

``SINGERKIT_KILLS`` says how often, as for ``make test-kill``.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from singerkit.runner.store.base import LockedError
from singerkit.runner.store.open import open_store

WRITER = str(Path(__file__).parent / "writer_process.py")
KILLS = int(os.environ.get("SINGERKIT_KILLS", "6")) // 3
SHORT_S = 2.0


@contextmanager
def process(*words):
    child = subprocess.Popen(
        [sys.executable, WRITER, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def acquired(store, key):
    """Take a lease as soon as it is free."""
    while True:
        try:
            return store.acquire(key, "next", 600)
        except LockedError:
            time.sleep(0.1)


def test_of_processes_that_compete_exactly_one_holds_the_lease(url):
    open_store(url).close()
    children = [
        subprocess.Popen(
            [sys.executable, WRITER, url, "k", "--hold", "600"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [child.communicate("\n", timeout=120) for child in children]
    assert sorted(out for out, _ in outputs) == ["", "held\nput\n"]
    assert sum("LockedError" in err and "held by holder" in err for _, err in outputs) == 1
    with closing(open_store(url)) as store:
        assert len(store.history("k")) == 1


def test_a_killed_holders_lease_expires(url):
    with closing(open_store(url)) as store, process(url, "k", "--hold", str(SHORT_S)) as holder:
        assert holder.stdout.readline() == "held\n"
        holder.kill()
        holder.wait()
        assert acquired(store, "k").token == 2


def test_a_paused_holder_that_comes_back_is_fenced(url):
    with closing(open_store(url)) as store, process(url, "k", "--hold", str(SHORT_S)) as holder:
        assert holder.stdout.readline() == "held\n"
        holder.send_signal(signal.SIGSTOP)
        lease = acquired(store, "k")
        holder.send_signal(signal.SIGCONT)
        assert holder.communicate("\n", timeout=60)[0] == "FencedError\n"
        assert store.get("k") is None
        assert store.put("k", {"by": "next"}, expected=None, lease=lease, run="r").revision == 1


@pytest.mark.kill
def test_a_writer_that_is_killed_leaves_the_old_state_or_the_new_one(url):
    """What was acknowledged is there; at most one state more; nothing in between is missing or damaged."""
    chance = random.Random(int(os.environ.get("SINGERKIT_KILL_SEED", "7")))
    with closing(open_store(url)) as store:
        for _ in range(KILLS):
            with process(url, "k") as writer:
                assert writer.stdout.readline() == "ready\n"
                for _ in range(chance.randrange(1, 6)):
                    acknowledged = writer.stdout.readline()
                time.sleep(chance.random() * 0.01)
                writer.kill()
                rest = writer.stdout.readlines()  # not communicate(), which forgets what readline() had read ahead
            whole = [line for line in [acknowledged, *rest] if line.endswith("\n")]
            revision, number = map(int, whole[-1].split())
            stored = store.get("k")
            assert stored.revision in (revision, revision + 1)
            assert stored.state["n"] == number + stored.revision - revision
        history = store.history("k")
        assert [old.revision for old in history] == list(range(len(history), 0, -1))
        assert [old.state["n"] for old in history] == list(range(len(history), 0, -1))
        assert all(old.state["text"] == str(old.state["n"]) * 3000 for old in history)


@pytest.mark.parametrize("kind", ["sqlite", "folder"])
def test_a_full_disk_is_an_error_and_the_old_state_stays(kind, tmp_path):
    url = f"sqlite:///{tmp_path}/state.db" if kind == "sqlite" else f"file://{tmp_path}/states"
    code = (
        "import resource, sys; from singerkit.runner.store.open import open_store\n"
        "from singerkit.runner.store.base import StoreError\n"
        "store = open_store(sys.argv[1]); lease = store.acquire('k', 'tests', 600)\n"
        "store.put('k', {'n': 1}, expected=None, lease=lease, run='r')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "try: store.put('k', {'n': 'x' * 400_000}, expected=1, lease=lease, run='r')\n"
        "except StoreError as error: print(error)\n"
        "assert store.get('k').state == {'n': 1}\n"
        "store.put('k', {'n': 2}, expected=1, lease=lease, run='r')"
    )
    done = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "can't be used: " in done.stdout
    with closing(open_store(url)) as store:
        assert [stored.state["n"] for stored in store.history("k")] == [2, 1]
