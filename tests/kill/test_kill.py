"""SIGKILL at random moments: after resuming from the last state that the target let out, nothing is missing.

``SINGERKIT_KILLS`` says how often (a few by default, which takes seconds), ``SINGERKIT_KILL_SEED`` repeats one run.
Each run kills the tap, the target, or both, again and again, until the data has come through; then the file has to hold
exactly what the source has. What goes wrong prints the seed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from child_processes import command, write_state
from tap_family import expected
from target_store import stored

pytestmark = pytest.mark.kill

KILLS = int(os.environ.get("SINGERKIT_KILLS", "6"))
SEED = os.environ.get("SINGERKIT_KILL_SEED")
SEEDS = [int(SEED)] if SEED else range(1000, 1000 + max(1, KILLS // 3))

SOURCE = {"orders": 3000, "events": 300, "countries": 5, "customers": 80, "parts": 160, "ties": 3, "text_bytes": 60}
BETWEEN_KILLS = 3


class Chain:
    """``tap | target``, run again and again over one file and from the last state that came out."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.store = folder / "store.db"
        self.out = folder / "states.jsonl"

    @property
    def state(self) -> object:
        """The last whole state that the target let out."""
        lines = self.out.read_bytes().split(b"\n")[:-1] if self.out.exists() else []
        return json.loads(lines[-1]) if lines else None

    def start(self, *, pause_s: float) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]:
        """Start both; the tap goes on from the state."""
        tap = command(
            "tap_family", self.folder, *write_state(self.folder, self.state), **SOURCE, pause_s=pause_s, pause_every=40
        )
        target = command(
            "target_store", self.folder, path=str(self.store), batch_size_rows=200, batch_wait_limit_seconds=0.05
        )
        log = (self.folder / "log.txt").open("ab")
        first = subprocess.Popen(tap, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        with self.out.open("ab") as out:
            second = subprocess.Popen(target, stdin=first.stdout, stdout=out, stderr=log)
        first.stdout.close()
        log.close()
        return first, second

    def kill_once(self) -> None:
        """Let both run for a random time, then kill the tap, the target, or both."""
        before = self.store.stat().st_mtime_ns if self.store.exists() else 0
        tap, target = self.start(pause_s=0.002)
        deadline = time.monotonic() + 10
        while tap.poll() is None and time.monotonic() < deadline:  # let it get past its start
            if self.store.exists() and self.store.stat().st_mtime_ns != before:
                break
            time.sleep(0.005)
        time.sleep(self.random.choice([0, self.random.uniform(0, 0.05), self.random.uniform(0, 0.4)]))
        victims = self.random.choice([[tap], [target], [tap, target], [target, tap]])
        for victim in victims:
            victim.send_signal(signal.SIGKILL)
        for process in (tap, target):
            process.wait(30)
        # 141: its reader was killed first. 4: its input ended within a line. 0: it was through already.
        assert tap.returncode in (-signal.SIGKILL, 0, 141), self.log
        assert target.returncode in (-signal.SIGKILL, 0, 4), self.log

    @property
    def log(self) -> str:
        """The end of what both have logged."""
        return (self.folder / "log.txt").read_text()[-3000:]

    def run_to_the_end(self) -> None:
        """Let both run undisturbed."""
        tap, target = self.start(pause_s=0)
        assert (tap.wait(60), target.wait(60)) == (0, 0), self.log


def acknowledged(state: object) -> int:
    """Give how far the state says that the orders have come, in seconds since the beginning."""
    from datetime import datetime

    bookmarks = state["bookmarks"] if isinstance(state, dict) else {}
    value = bookmarks.get("orders", {}).get("replication_key_value")
    return -1 if value is None else int(datetime.fromisoformat(value).timestamp()) - 1_704_067_200


@pytest.mark.parametrize("seed", SEEDS)
def test_after_kills_the_store_holds_what_the_source_has(tmp_path: Path, seed: int) -> None:
    print(f"SINGERKIT_KILL_SEED={seed}")
    chain = Chain(tmp_path, seed)
    for _ in range(BETWEEN_KILLS):
        before = acknowledged(chain.state)
        chain.kill_once()
        after = acknowledged(chain.state)
        assert after >= before, "the state went back"
        orders = stored(chain.store).get("orders", set())
        missing = set(range(max(0, after) * SOURCE["ties"])) - orders
        assert not missing, f"acknowledged and not stored: {len(missing)} orders"
    chain.run_to_the_end()
    assert stored(chain.store) == expected(SOURCE)
    assert acknowledged(chain.state) == (SOURCE["orders"] - 1) // SOURCE["ties"]
