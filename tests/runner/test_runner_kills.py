"""Whoever is killed, whenever: no bookmark is ahead of the target's committed rows, and the series gets complete."""

from __future__ import annotations

import os
import random
import shlex
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from killing import kill_somebody, processes_with
from plain_programs import Bench

ROWS = 400
#: How many kills; `make test-runner-kills` does more.
KILLS = int(os.environ.get("SINGERKIT_RUNNER_KILLS", "6"))
#: A target of another SDK that takes `path_to_database` and loads a table `s` of SQLite, to be killed as well.
PEER = os.environ.get("SINGERKIT_PEER_TARGET")
#: A slow series: the bookmark is the last row's number.
TAP = f"""
begin = ((given("--state") or {{}}).get("bookmarks", {{}}).get("s") or {{}}).get("n", 0)
schema = {{"properties": {{"id": {{"type": "integer"}}}}}}
write({{"type": "SCHEMA", "stream": "s", "schema": schema, "key_properties": ["id"]}})
for n in range(begin + 1, {ROWS + 1}):
    write({{"type": "RECORD", "stream": "s", "record": {{"id": n}}}})
    if n % 10 == 0:
        write({{"type": "STATE", "value": {{"bookmarks": {{"s": {{"n": n}}}}}}}})
        time.sleep(0.01)
"""
#: Commits every ten rows, and vouches for them after that.
TARGET = """
import sqlite3
database = sqlite3.connect(option("--out"), isolation_level=None, timeout=30)
database.execute("CREATE TABLE IF NOT EXISTS s (id INTEGER PRIMARY KEY)")
rows = []
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "RECORD":
        rows.append((message["record"]["id"],))
    if message["type"] == "STATE":
        database.execute("BEGIN IMMEDIATE")
        database.executemany("INSERT OR REPLACE INTO s VALUES (?)", rows)
        database.execute("COMMIT")
        rows.clear()
        write(message["value"])
"""


def test_random_kills_lose_nothing(tmp_path):
    bench = Bench(tmp_path)
    own_sqlite = f"{shlex.quote(sys.executable)} -m singerkit target-sqlite --config {tmp_path / 'target.json'}"
    (tmp_path / "target.json").write_text(f'{{"path_to_database": "{bench.out}", "batch_size_rows": 10}}')
    tap = shlex.join(bench.program("tap", TAP).argv)
    targets = [shlex.join(bench.program("target", TARGET).argv), own_sqlite]
    if PEER:
        targets.append(f"{PEER} --config {tmp_path / 'target.json'}")
    lengths = {target: length_of_a_run(bench, number, tap, target) for number, target in enumerate(targets)}
    kills = series = 0
    seed = random.Random(17)
    while kills < KILLS:
        for path in tmp_path.glob("out.jsonl*"):
            path.unlink()
        series += 1
        key = f"p{series}"
        target = targets[seed.randrange(len(targets))]
        while True:
            hit = one_run(bench, key, tap, target, seed if kills < KILLS else None, lengths[target])
            kills += hit
            stored = bench.store.get(key)
            bookmark = stored.state["bookmarks"]["s"]["n"] if stored else 0
            ids = stored_ids(bench.out)
            assert set(range(1, bookmark + 1)) <= ids
            if not hit and bookmark == ROWS:
                break
        assert ids == set(range(1, ROWS + 1))
    bench.store.close()


def length_of_a_run(bench, number, tap, target):
    """Give how long a whole run takes (seconds), and a little more."""
    bench.out.unlink(missing_ok=True)
    began = time.monotonic()
    one_run(bench, f"whole{number}", tap, target, None)
    return 1.25 * (time.monotonic() - began)


def one_run(bench, key, tap, target, seed, within_s=None):
    """Run once; with ``seed`` kill somebody within so many seconds. Says whether somebody was hit."""
    runner = subprocess.Popen(
        [
            *(sys.executable, "-m", "singerkit", "run", tap, target),
            *("--state-url", bench.url, "--state-key", key, "--wait", "60"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "SINGERKIT_LEASE_SECONDS": "1", "XDG_STATE_HOME": str(bench.folder)},
        cwd=bench.folder,
    )
    hit = False
    if seed is not None:
        hit = kill_somebody(runner, seed, within_s)
    log = runner.communicate(timeout=120)[1].decode()
    until = time.monotonic() + 30
    while time.monotonic() < until and (left := processes_with(str(bench.folder))):
        time.sleep(0.1)
    assert not left, left
    assert hit or runner.returncode == 0, log
    return hit


def stored_ids(path):
    if not path.exists():
        return set()
    with closing(sqlite3.connect(path)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        return {row[0] for row in database.execute("SELECT id FROM s")} if "s" in tables else set()


pytestmark = [
    pytest.mark.kill,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes below /proc"),
]
