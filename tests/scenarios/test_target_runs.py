"""A target from its command line: what is stored, what it lets out, how it ends."""

from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from child_processes import Ended, command, end, run, start
from engine_runs import activate_of, line_of, record_of, schema_of, state_of
from target_store import stored


def data_of(*messages: Any) -> bytes:
    return b"".join(map(line_of, messages))


def records(name: str, *numbers: int, **members: object) -> list[dict]:
    return [record_of(name, number, **members) for number in numbers]


class Store:
    """A target over a file of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "store.db"

    def words(self, **config: object) -> list[str]:
        return command("target_store", self.folder, path=str(self.path), **config)

    def load(self, *messages: Any, **config: object) -> Ended:
        return run(self.words(**config), data_of(*messages))

    def start(self, **config: object) -> subprocess.Popen[bytes]:
        return start(self.words(**config))

    def count(self) -> int:
        connection = sqlite3.connect(self.path, timeout=60)
        (rows,) = connection.execute("SELECT count(*) FROM rows").fetchone()
        connection.close()
        return rows

    def ids(self, name: str = "a") -> set[int]:
        return stored(self.path).get(name, set())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def wait_for(condition: Any, seconds: float = 40.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_records_are_stored_and_the_state_comes_out(store: Store) -> None:
    ended = store.load(schema_of("a"), *records("a", 1, 2), state_of({"n": 1.50}), *records("a", 3), state_of([2**70]))
    assert ended.code == 0, ended.log
    assert store.ids() == {1, 2, 3}
    assert ended.out.splitlines()[-1] == b"[1180591620717411303424]"


def test_a_record_sink_stores_too(store: Store) -> None:
    ended = store.load(schema_of("a"), *records("a", *range(20)), state_of(1), by_record=True)
    assert ended.code == 0, ended.log
    assert store.ids() == set(range(20))
    assert ended.released == [1]


def test_the_last_message_of_a_key_wins_across_batches_and_schemas(store: Store) -> None:
    text = {"type": "string"}
    messages = [schema_of("a", text=text), record_of("a", 1, text="old"), record_of("a", 2, text="old")]
    messages += [schema_of("a", text=text, more=text), record_of("a", 1, text="new", more="x")]
    messages += [record_of("a", 2, text="newer"), record_of("a", 2, text="newest")]
    for rows in (1, 2, 100):
        assert store.load(*messages, batch_size_rows=rows).code == 0
        connection = sqlite3.connect(store.path)
        found = {r["id"]: r["text"] for (t,) in connection.execute("SELECT record FROM rows") for r in [json.loads(t)]}
        connection.close()
        assert found == {1: "new", 2: "newest"}


def test_prints_of_connector_code_go_to_stderr(store: Store) -> None:
    ended = store.load(schema_of("a"), *records("a", 1), state_of(1), fault={"what": "print"})
    assert ended.code == 0
    assert ended.released == [1]
    for word in ("printed by setup", '{"bookmarks": "printed"}', '{"bookmarks": "written"}'):
        assert word in ended.log


# Waiting


def test_an_idle_target_drains_and_releases_within_its_wait_limit(store: Store) -> None:
    process = store.start(batch_wait_limit_seconds=0.5)
    process.stdin.write(data_of(schema_of("a"), *records("a", 1, 2), state_of({"n": 1})))
    assert b"printed by setup" in process.stderr.readline()
    started = time.monotonic()
    assert json.loads(process.stdout.readline()) == {"n": 1}
    assert time.monotonic() - started < 9
    assert store.ids() == {1, 2}
    assert end(process).code == 0


def test_a_stream_that_goes_on_does_not_hold_back_another_s_state(store: Store) -> None:
    process = store.start(batch_wait_limit_seconds=0.5)
    process.stdin.write(data_of(schema_of("a"), schema_of("b"), *records("b", 1), state_of("early")))
    deadline = time.monotonic() + 40
    os.set_blocking(process.stdout.fileno(), False)
    number, seen = 0, b""
    while b"early" not in seen:
        process.stdin.write(data_of(*records("a", number)))
        number += 1
        assert time.monotonic() < deadline
        time.sleep(0.02)
        seen += process.stdout.read() or b""
    assert store.ids("b") == {1}
    os.set_blocking(process.stdout.fileno(), True)
    assert end(process).code == 0


def test_states_come_out_on_the_way_and_are_never_ahead(store: Store) -> None:
    process = store.start(batch_size_rows=500)
    process.stdin.write(data_of(schema_of("a")))
    os.set_blocking(process.stdout.fileno(), False)
    released = 0
    for start_at in range(0, 32_000, 400):
        rows = range(start_at, start_at + 400)
        process.stdin.write(data_of(*records("a", *rows), state_of(rows.stop)))
        for line in (process.stdout.read() or b"").splitlines():
            released += 1
            assert store.count() >= int(line)
    assert released >= 2
    os.set_blocking(process.stdout.fileno(), True)
    ended = end(process)
    assert ended.code == 0
    assert ended.released[-1] == 32_000


def test_a_slow_sink_slows_the_tap_and_memory_stays_bounded(store: Store) -> None:
    """The target takes only a bounded part of what is offered while its sink is slow, and needs little memory."""
    text = "x" * 2000
    head = data_of(schema_of("a", text={"type": "string"}))
    block = data_of(*(record_of("a", number, text=text) for number in range(500)))
    process = store.start(slow_s=3.0, max_pending_mb=2, batch_size_rows=500)
    os.set_blocking(process.stdin.fileno(), False)
    process.stdin.write(head)
    taken, stalled = 0, time.monotonic()
    offered = block * 40  # 40 MB
    while time.monotonic() - stalled < 1.0:
        try:
            written = os.write(process.stdin.fileno(), offered[taken : taken + 65536])
        except BlockingIOError:
            time.sleep(0.01)
            continue
        taken += written
        stalled = time.monotonic()
    assert taken < 8_000_000
    status = Path(f"/proc/{process.pid}/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    assert peak < 150_000  # KiB
    process.kill()
    process.communicate()


# How it ends


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("busy", [True, False])
def test_a_signal_drains_releases_and_says_so(store: Store, number: int, code: int, *, busy: bool) -> None:
    process = store.start(slow_s=0.3 if busy else 0, batch_size_rows=10)
    process.stdin.write(data_of(schema_of("a"), *records("a", *range(35)), state_of({"n": 1}), *records("a", 35)))
    wait_for(lambda: store.path.exists() and 9 in store.ids())
    process.send_signal(number)
    ended = end(process, seconds=20)
    assert ended.code == code
    assert "Traceback" not in ended.log
    assert ended.released[-1:] in ([{"n": 1}], [])
    if ended.released:
        assert store.ids() >= set(range(35))
    if not busy:
        assert store.ids() == set(range(36))
        assert ended.released == [{"n": 1}]


def test_a_signal_before_any_input(store: Store) -> None:
    process = store.start()
    time.sleep(1.0)
    process.send_signal(signal.SIGTERM)
    ended = end(process, seconds=10)
    assert ended.code in (143, -signal.SIGTERM)
    assert ended.out == b""


def test_a_second_signal_ends_it_at_once_and_releases_nothing(store: Store) -> None:
    process = store.start(fault={"what": "hang"}, batch_size_rows=1)
    process.stdin.write(data_of(schema_of("a"), *records("a", 1), state_of(1)))
    assert b"printed by setup" in process.stderr.readline()
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert process.poll() is None  # the batch under way may still end
    process.send_signal(signal.SIGTERM)
    ended = end(process, seconds=10)
    assert ended.code == 143
    assert ended.out == b""


@pytest.mark.parametrize("what", ["fail", "bug", "disk full", "exit"])
@pytest.mark.parametrize("at", [1, 3])
def test_a_sink_that_fails_leaves_the_last_released_state_standing(store: Store, what: str, at: int) -> None:
    messages: list = [schema_of("a")]
    for number in range(50):
        messages += [*records("a", number), state_of(number)]
    ended = store.load(*messages, batch_size_rows=10, fault={"what": what, "at": at})
    assert ended.code == 1
    assert ended.log.count("CRITICAL") == 1
    assert "Traceback" not in ended.log
    released = [state for state in ended.released if isinstance(state, int)]
    assert store.ids() >= set(range(max(released, default=-1) + 1))
    assert max(released, default=-1) < (at - 1) * 10


def test_one_sink_that_fails_does_not_undo_another(store: Store) -> None:
    messages = [schema_of("good"), schema_of("bad"), *records("good", *range(5)), state_of("good is in")]
    messages += [*records("bad", 1), state_of("never")]
    process = store.start(batch_wait_limit_seconds=0.3, fault={"what": "fail", "stream": "bad"})
    process.stdin.write(data_of(*messages[:8]))
    assert json.loads(process.stdout.readline()) == "good is in"
    ended = end(process, data_of(*messages[8:]))
    assert ended.code == 1
    assert ended.out == b""
    assert store.ids("good") == set(range(5))
    assert "stream 'bad'" in ended.log


def test_a_full_disk_behind_stdout_is_one_clear_error(store: Store) -> None:
    with Path("/dev/full").open("wb") as full:
        process = start(store.words(), stdout=full)
        ended = end(process, data_of(schema_of("a"), *records("a", 1), state_of(1)))
    assert ended.code == 1
    assert "No space left" in ended.log
    assert ended.log.count("CRITICAL") == 1


def test_a_reader_of_states_that_goes_away_is_no_success(store: Store) -> None:
    process = store.start()
    process.stdout.close()
    process.stdout = None
    ended = end(process, data_of(schema_of("a"), *records("a", 1), state_of(1)))
    assert ended.code == 141
    assert store.ids() == {1}


@pytest.mark.parametrize("redirection", ["<&-", "< /dev/null", ">&-", "< /nowhere"])
def test_closed_and_empty_inputs(store: Store, redirection: str) -> None:
    line = " ".join(f"'{word}'" for word in store.words())
    found = subprocess.run(["sh", "-c", f"{line} {redirection}"], capture_output=True, timeout=30, check=False)
    assert found.stdout == b""
    assert b"internal error" not in found.stderr
    assert (found.returncode == 0) == (redirection == "< /dev/null")


@pytest.mark.parametrize("cut", [-1, -2, -10, -40])
def test_input_that_ends_within_a_line(store: Store, cut: int) -> None:
    data = data_of(schema_of("a"), *records("a", 1, 2), state_of(1), *records("a", 3), state_of({"n": 2}))[:cut]
    ended = run(store.words(batch_size_rows=1), data)
    if cut == -1:
        assert ended.code == 0
        assert ended.released[-1] == {"n": 2}
    else:
        assert ended.code == 4
        assert ended.released in ([], [1])
        assert "line 5" in ended.log or "line 6" in ended.log
    if ended.released:
        assert store.ids() >= {1, 2}


def test_input_may_be_a_file(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    path.write_bytes(data_of(schema_of("a"), *records("a", *range(5000)), state_of(1)))
    ended = run([*store.words(), "--input", str(path)])
    assert (ended.code, ended.released) == (0, [1])
    assert len(store.ids()) == 5000


# ACTIVATE_VERSION


def versioned(version: int, *numbers: int) -> list[dict]:
    return records("a", *numbers, version=version)


@pytest.fixture
def full_store(store: Store) -> Store:
    """Give a store that an earlier run has filled."""
    ended = store.load(
        schema_of("a"), *versioned(1, *range(50)), activate_of("a", 1), state_of(1), add_record_metadata=True
    )
    assert ended.code == 0
    assert store.ids() == set(range(50))
    return store


def test_older_rows_go_when_the_new_version_is_complete(full_store: Store) -> None:
    messages = [schema_of("a"), *versioned(2, 100, 101), activate_of("a", 2), state_of(2)]
    ended = full_store.load(*messages, add_record_metadata=True)
    assert ended.code == 0
    assert full_store.ids() == {100, 101}


@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("ends", [b"", b"broken\n"])
def test_a_tap_that_dies_early_loses_no_old_row(full_store: Store, rows: int, ends: bytes) -> None:
    messages = [schema_of("a"), activate_of("a", 2), *versioned(2, *range(100, 100 + rows)), ends]
    full_store.load(*messages, add_record_metadata=True)
    assert full_store.ids() >= set(range(50))


def test_an_empty_stream_empties_its_table_once_the_tap_went_on(full_store: Store) -> None:
    ended = full_store.load(schema_of("a"), activate_of("a", 2), state_of(2), add_record_metadata=True)
    assert ended.code == 0
    assert full_store.ids() == set()


# Limits


def test_a_line_of_70_mib_is_refused(store: Store) -> None:
    big = b'{"type":"RECORD","stream":"a","record":{"id":2,"text":"' + b"x" * (70 << 20) + b'"}}\n'
    refused = store.load(schema_of("a", text={"type": "string"}), *records("a", 1), state_of(1), big)
    assert refused.code == 4
    assert "max_line_mb" in refused.log
    assert "line 4" in refused.log
    assert len(refused.log) < 64 * 1024


@pytest.mark.parametrize(("limit", "code"), [(1, 4), (2, 0)])
def test_the_limit_of_a_line_is_a_setting(store: Store, limit: int, code: int) -> None:
    big = record_of("a", 2, text="x" * (3 << 19))
    ended = store.load(schema_of("a", text={"type": "string"}), *records("a", 1), big, max_line_mb=limit)
    assert ended.code == code


@pytest.mark.parametrize(
    ("value", "setting"),
    [
        (b"[" * 200_000 + b"]" * 200_000, "nest"),
        (b"1" * 5000, "digits"),
        (b"NaN", "JSON"),
    ],
)
@pytest.mark.parametrize("kind", ["RECORD", "STATE", "SCHEMA"])
def test_programs_in_disguise_are_refused(store: Store, value: bytes, setting: str, kind: str) -> None:
    lines = {
        "RECORD": b'{"type":"RECORD","stream":"a","record":{"id":2,"x":' + value + b"}}\n",
        "STATE": b'{"type":"STATE","value":{"x":' + value + b"}}\n",
        "SCHEMA": b'{"type":"SCHEMA","stream":"a","schema":{"properties":{},"x":' + value + b'},"key_properties":[]}\n',
    }
    started = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    ended = store.load(schema_of("a", x={}), *records("a", 1), state_of(1), lines[kind], state_of(2))
    assert ended.code in (1, 4)
    assert ended.log.count("CRITICAL") == 1
    assert "internal error" not in ended.log
    assert "Traceback" not in ended.log
    assert setting in ended.log
    assert "line 4" in ended.log
    assert 2 not in ended.released
    assert len(ended.log) < 8192
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - started < 10
