"""Tap, mapper and target together, through real pipes into a real file."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest
from child_processes import command, end, pipe, run, start, write_state
from tap_family import expected
from target_store import stored

CONFIG = {"orders": 400, "events": 60, "countries": 4, "customers": 20, "parts": 64, "ties": 3, "text_bytes": 30}


def test_a_full_run_then_one_of_what_is_new(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    tap, target = pipe(
        command("tap_family", tmp_path, **CONFIG),
        command("target_store", tmp_path, path=str(store), batch_size_rows=50),
    )
    assert (tap.code, target.code) == (0, 0), tap.log + target.log
    assert stored(store) == expected(CONFIG)
    assert "progress" not in json.dumps(target.released[-1])
    more = {**CONFIG, "orders": 500, "parts": 96}
    tap, target = pipe(
        command("tap_family", tmp_path, *write_state(tmp_path, target.released[-1]), **more),
        command("target_store", tmp_path, path=str(store)),
    )
    assert (tap.code, target.code) == (0, 0)
    assert stored(store) == expected(more)
    written = {m["tags"]["stream"]: m["value"] for m in map(_metric, tap.log.splitlines()) if m}
    assert written["orders"] < 110


def _metric(line: str) -> dict | None:
    return json.loads(line.split("METRIC: ", 1)[1]) if "METRIC: " in line else None


def test_through_a_mapper(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    tap = start(command("tap_family", tmp_path, orders=100, text_bytes=3), stdin=subprocess.DEVNULL)
    mapper = start(command("mapper_upper", tmp_path), stdin=tap.stdout)
    target = start(command("target_store", tmp_path, path=str(store)), stdin=mapper.stdout)
    for process in (tap, mapper):
        process.stdout.close()
        process.stdout = None
    loaded = end(target)
    assert [end(process).code for process in (tap, mapper)] == [0, 0]
    assert loaded.code == 0
    assert stored(store)["orders"] == set(range(0, 100, 2))
    connection = sqlite3.connect(store)
    assert json.loads(connection.execute("SELECT record FROM rows").fetchone()[0])["text"] == "XXX"
    connection.close()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_mapper_ends_with_a_signal_too(tmp_path: Path, number: int, code: int) -> None:
    mapper = start(command("mapper_upper", tmp_path))
    mapper.stdin.write(b'{"type":"STATE","value":1}\n')
    assert mapper.stdout.readline() == b'{"type":"STATE","value":1}\n'
    mapper.send_signal(number)
    ended = end(mapper, seconds=10)
    assert (ended.code, ended.out) == (code, b"")


def test_a_mapper_whose_reader_goes_away(tmp_path: Path) -> None:
    mapper = start(command("mapper_upper", tmp_path))
    mapper.stdout.close()
    mapper.stdout = None
    ended = end(mapper, b'{"type":"STATE","value":1}\n' * 3)
    assert ended.code == 141
    assert "Traceback" not in ended.log


def test_interrupted_again_and_again_it_gets_there(tmp_path: Path) -> None:
    """SIGTERM to both after a while, as a runner does at its deadline; each time something more is acknowledged."""
    store, state = tmp_path / "store.db", None
    config = {**CONFIG, "pause_s": 0.02, "pause_every": 2}
    for _ in range(3):
        tap = start(command("tap_family", tmp_path, *write_state(tmp_path, state), **config), stdin=subprocess.DEVNULL)
        words = command("target_store", tmp_path, path=str(store), batch_size_rows=40, batch_wait_limit_seconds=0.1)
        target = start(words, stdin=tap.stdout)
        tap.stdout.close()
        tap.stdout = None
        before = store.stat().st_mtime_ns if store.exists() else 0
        while tap.poll() is None and (not store.exists() or store.stat().st_mtime_ns == before):
            time.sleep(0.02)  # until something new is stored
        tap.send_signal(signal.SIGTERM)
        first, second = end(tap), end(target)
        assert first.code in (0, 143), first.log
        assert second.code == 0, second.log
        state = second.released[-1] if second.released else state
        if first.code == 0:
            break
    pipe(command("tap_family", tmp_path, *write_state(tmp_path, state), **CONFIG), words)
    assert stored(store) == expected(CONFIG)


def test_a_target_that_fails_ends_the_tap(tmp_path: Path) -> None:
    tap, target = pipe(
        command("tap_family", tmp_path, orders=3_000_000),
        command("target_store", tmp_path, path=str(tmp_path / "store.db"), fault={"what": "fail", "at": 2}),
    )
    assert (tap.code, target.code) == (141, 1)
    assert "Traceback" not in tap.log + target.log


def test_a_tap_that_fails_leaves_what_it_wrote_stored(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    fault = {"stream": "orders", "at": 300, "what": "fail"}
    tap, target = pipe(
        command("tap_family", tmp_path, **CONFIG, fault=fault), command("target_store", tmp_path, path=str(store))
    )
    assert (tap.code, target.code) == (1, 0)
    assert stored(store)["orders"] == set(range(300))
    tap, target = pipe(
        command("tap_family", tmp_path, *write_state(tmp_path, target.released[-1]), **CONFIG),
        command("target_store", tmp_path, path=str(store)),
    )
    assert stored(store) == expected(CONFIG)


def test_full_tables_with_versions_replace_what_was_there(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    target = command("target_store", tmp_path, path=str(store), add_record_metadata=True)
    for count in (9, 4, 0):
        config = {"countries": count, "emit_activate_version_messages": True}
        if count:
            tap, loaded = pipe(command("tap_family", tmp_path, **config), target)
            assert (tap.code, loaded.code) == (0, 0)
            assert stored(store)["countries"] == set(range(count))
    fault = {"stream": "countries", "at": 2, "what": "fail"}
    config = {"countries": 3, "emit_activate_version_messages": True, "fault": fault}
    tap, loaded = pipe(command("tap_family", tmp_path, **config), target)
    assert (tap.code, loaded.code) == (1, 0)
    assert stored(store)["countries"] == set(range(4)), "a failed run must not remove rows"


def test_what_a_tap_writes_a_target_gets_unchanged(tmp_path: Path) -> None:
    tap = run(command("tap_family", tmp_path, orders=200, text_bytes=5))
    store = tmp_path / "store.db"
    assert run(command("target_store", tmp_path, path=str(store)), tap.out).code == 0
    connection = sqlite3.connect(store)
    found = {
        record["id"]: record
        for (text,) in connection.execute("SELECT record FROM rows")
        for record in [json.loads(text)]
    }
    connection.close()
    assert found == {m["record"]["id"]: m["record"] for m in tap.messages if m["type"] == "RECORD"}
