"""Random faults of the server: every run ends, and what the target holds is what the API has, once.

``SINGERKIT_FAULT_RUNS`` says how many runs (a few by default), ``SINGERKIT_FAULT_SEED`` repeats one.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections import Counter
from pathlib import Path

import pytest
from child_processes import command, pipe, write_state
from faulty_api import FAULTS, FaultyAPI, expected

pytestmark = pytest.mark.faults

RUNS = int(os.environ.get("SINGERKIT_FAULT_RUNS", "6"))
SEED = os.environ.get("SINGERKIT_FAULT_SEED")
SEEDS = [int(SEED)] if SEED else range(4000, 4000 + RUNS)
#: A run that failed is repeated from its last state, as a scheduler would.
MOST_ATTEMPTS = 12
#: What one attempt may take; it takes a second or two.
SECONDS = 60

injected: Counter[str] = Counter()


def target(folder: Path, kind: str) -> list[str]:
    settings = {
        "sqlite": {"path_to_database": str(folder / "store.db")},
        "jsonl": {"destination_path": str(folder / "out")},
    }
    path = folder / "target.json"
    path.write_text(json.dumps(settings[kind]))
    return [sys.executable, "-m", "singerkit", f"target-{kind}", "--config", str(path)]


def stored(folder: Path, kind: str) -> dict[str, list[tuple[int, str]]]:
    """Give the ids and texts that the target holds."""
    if kind == "jsonl":
        lines = {path.name.split(".")[0]: path.read_text().splitlines() for path in (folder / "out").glob("*.jsonl")}
        return {name: [(r["id"], r["text"]) for r in map(json.loads, text)] for name, text in lines.items()}
    connection = sqlite3.connect(folder / "store.db")
    try:
        return {name: connection.execute(f'SELECT id, text FROM "{name}"').fetchall() for name in expected()}
    finally:
        connection.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_faulty_server(tmp_path: Path, seed: int) -> None:
    print(f"SINGERKIT_FAULT_SEED={seed}")
    kind = "sqlite" if seed % 2 else "jsonl"
    api = FaultyAPI(seed, share=0.35 if seed % 3 else 0.5)
    state, codes, logs = None, [], []
    try:
        for _ in range(MOST_ATTEMPTS):
            words = command("tap_faults", tmp_path, *write_state(tmp_path, state), url=api.url)
            tap, loaded = pipe(words, target(tmp_path, kind), SECONDS)
            codes.append(tap.code)
            logs.append(tap.log + loaded.log)
            assert loaded.code == 0, loaded.log
            assert tap.code in (0, 1), tap.log
            assert "Traceback" not in tap.log
            state = loaded.released[-1] if loaded.released else state
            if tap.code == 0:
                break
    finally:
        api.close()
    assert codes[-1] == 0, logs[-1]
    found = stored(tmp_path, kind)
    assert {name: dict(rows) for name, rows in found.items()} == expected()
    # A repeated run gives records again, which only a target with keys stores once.
    if kind == "sqlite" or len(codes) == 1:
        assert all(len(rows) == len(dict(rows)) for rows in found.values())
    injected.update(api.injected)
    print(f"{api.requests} requests, {sum(api.injected.values())} faults, {len(codes)} attempts")


def test_faults_of_every_kind_were_injected() -> None:
    """Over enough runs; a fault that never came was not tested."""
    print(dict(injected))
    assert RUNS < 50 or SEED or set(injected) == set(FAULTS)
    assert SEED or sum(injected.values()) >= 10 * RUNS
