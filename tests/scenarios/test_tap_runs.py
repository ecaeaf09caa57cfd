"""A tap from its command line: what it writes, what it says when something is wrong, how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from child_processes import Ended, command, end, run, start, write_state
from tap_family import expected, instant


def tap(folder: Path, *options: str, **config: object) -> Ended:
    return run(command("tap_family", folder, *options, **config))


def bookmark(ended: Ended, stream: str) -> str | None:
    return ended.state["bookmarks"].get(stream, {}).get("replication_key_value")


def assert_one_clear_error(ended: Ended, *words: str) -> None:
    """One CRITICAL message, no traceback, no value of a record."""
    assert ended.log.count("CRITICAL") == 1, ended.log
    assert "Traceback" not in ended.log
    assert "C4NARY" not in ended.log
    for word in words:
        assert word in ended.log
    assert len(ended.log) < 64 * 1024


# Full, incremental, unsorted, partitions, families


def test_a_full_run_then_an_incremental_one(tmp_path: Path) -> None:
    config = {"orders": 50, "events": 40, "countries": 3, "customers": 4, "parts": 20, "ties": 3}
    first = tap(tmp_path, **config)
    assert first.code == 0, first.log
    assert {name: set(first.ids(name)) for name in expected(config)} == expected(config)
    assert first.messages[-1]["type"] == "STATE"
    assert "progress" not in json.dumps(first.state)
    second = tap(tmp_path, *write_state(tmp_path, first.state), **config)
    assert second.code == 0
    assert set(second.ids("orders")) == {48, 49}  # the ties of the bookmark
    assert set(second.ids("events")) == {39}
    assert set(second.ids("countries")) == {0, 1, 2}
    assert len(second.ids("invoices")) < len(first.ids("invoices"))
    assert second.state == first.state


def test_what_is_new_is_picked_up_late_ties_too(tmp_path: Path) -> None:
    first = tap(tmp_path, orders=10, events=10, ties=4)
    again = tap(tmp_path, *write_state(tmp_path, first.state), orders=12, events=14, ties=4)
    assert {8, 9, 10, 11} <= set(again.ids("orders"))
    assert {8, 9, 10, 11, 12, 13} <= set(again.ids("events"))


def test_an_unsorted_stream_that_is_interrupted_is_read_again_from_its_old_bookmark(tmp_path: Path) -> None:
    state = {"bookmarks": {"events": {"replication_key": "at", "replication_key_value": instant(5)}}}
    fault = {"stream": "events", "at": 20, "what": "fail"}
    broken = tap(tmp_path, *write_state(tmp_path, state), events=60, fault=fault)
    assert broken.code == 1
    assert set(broken.ids("events")) == set(range(21, 60))
    assert bookmark(broken, "events") == instant(5)
    again = tap(tmp_path, *write_state(tmp_path, broken.state), events=60)
    assert set(again.ids("events")) == set(range(5, 60))
    assert bookmark(again, "events") == instant(59)


def test_a_sorted_stream_that_is_interrupted_goes_on_where_it_was(tmp_path: Path) -> None:
    fault = {"stream": "orders", "at": 400, "what": "fail"}
    broken = tap(tmp_path, orders=1000, fault=fault)
    assert broken.code == 1
    assert_one_clear_error(broken, "stream 'orders'", "the source broke")
    assert bookmark(broken, "orders") == instant(399)
    again = tap(tmp_path, *write_state(tmp_path, broken.state), orders=1000)
    assert again.ids("orders") == list(range(399, 1000))


def test_a_failing_child_does_not_stop_its_family_and_is_read_again(tmp_path: Path) -> None:
    config = {"customers": 30, "countries": 2}
    broken = tap(tmp_path, fault={"stream": "invoices", "at": 40, "what": "fail"}, **config)
    assert broken.code == 1
    assert_one_clear_error(broken, "stream 'invoices'")
    assert set(broken.ids("countries")) == {0, 1}
    again = tap(tmp_path, *write_state(tmp_path, broken.state), **config)
    assert again.code == 0
    for name, ids in expected(config).items():
        assert set(broken.ids(name)) | set(again.ids(name)) == ids


def test_every_state_on_the_way_resumes_to_everything(tmp_path: Path) -> None:
    config = {"orders": 60, "customers": 8, "parts": 32, "pause_s": 0.001}
    first = tap(tmp_path, **config)
    states = [(at, m["value"]) for at, m in enumerate(first.messages) if m["type"] == "STATE"]
    for at, state in states[:2] + states[-1:]:
        rest = tap(tmp_path, *write_state(tmp_path, state), **config)
        for name, ids in expected(config).items():
            before = {m["record"]["id"] for m in first.messages[:at] if m["type"] == "RECORD" and m["stream"] == name}
            assert before | set(rest.ids(name)) == ids


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda text: json.dumps(json.loads(text), sort_keys=True, indent=1),
        lambda text: json.dumps(json.loads(text)).replace("2024", "\\u00320\\u00324"),
        lambda text: "\ufeff" + text,
        lambda text: json.dumps({**json.loads(text), "currently_syncing": "orders", "unknown": [1.5]}),
    ],
)
def test_a_state_may_be_rewritten_by_other_tools(tmp_path: Path, rewrite) -> None:
    first = tap(tmp_path, orders=20)
    path = tmp_path / "state.json"
    path.write_text(rewrite(json.dumps(first.state)), encoding="utf-8")
    again = tap(tmp_path, "--state", str(path), orders=20)
    assert again.code == 0, again.log
    assert again.ids("orders") == [19]
    assert again.state["bookmarks"] == first.state["bookmarks"]


def test_bookmarks_of_streams_that_are_not_selected_stay(tmp_path: Path) -> None:
    catalog = json.loads(tap(tmp_path, "--discover", orders=5, events=5).out)
    for entry in catalog["streams"]:
        if entry["stream"] == "events":
            for part in entry["metadata"]:
                if not part["breadcrumb"]:
                    part["metadata"]["selected"] = False
    path = tmp_path / "catalog.json"
    path.write_text(json.dumps(catalog))
    state = {"bookmarks": {"events": {"replication_key": "at", "replication_key_value": instant(2)}}}
    ended = tap(tmp_path, "--catalog", str(path), *write_state(tmp_path, state), orders=5, events=5)
    assert ended.code == 0
    assert ended.ids("events") == []
    states = [m["value"] for m in ended.messages if m["type"] == "STATE"]
    assert all(found["bookmarks"]["events"] == state["bookmarks"]["events"] for found in states)


@pytest.mark.parametrize(
    "content",
    [b"", b"nope", b"[]", b"null", b'"x"', b'{"bookmarks": []}', b'{"bookmarks": {"orders": 5}}', b"\xff\xfe"],
)
def test_a_state_that_can_not_be_read_is_never_a_silent_full_sync(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(content)
    ended = tap(tmp_path, "--state", str(path), orders=5)
    assert ended.code == 2
    assert ended.out == b""
    assert_one_clear_error(ended, "state")


# Output


def test_prints_of_connector_code_go_to_stderr(tmp_path: Path) -> None:
    ended = tap(tmp_path, orders=5, fault={"stream": "orders", "at": 2, "what": "print"}, noisy_discovery=True)
    assert ended.code == 0, ended.log
    assert ended.ids("orders") == list(range(5))
    assert {message["type"] for message in ended.messages} == {"SCHEMA", "RECORD", "STATE"}
    for word in ("printed", "written", "from a child process"):
        assert word in ended.log


def test_prints_of_connector_code_do_not_get_into_the_catalog(tmp_path: Path) -> None:
    ended = tap(tmp_path, "--discover", orders=5, noisy_discovery=True)
    assert ended.code == 0
    assert [entry["stream"] for entry in json.loads(ended.out)["streams"]] == ["orders"]


def test_a_reader_that_goes_away_ends_it_quietly_but_not_well(tmp_path: Path) -> None:
    process = start(command("tap_family", tmp_path, orders=2_000_000, text_bytes=100), stdin=subprocess.DEVNULL)
    assert process.stdout.readline().startswith(b'{"type":"SCHEMA"')
    process.stdout.close()
    process.stdout = None
    ended = end(process, seconds=20)
    assert ended.code == 141
    assert "Traceback" not in ended.log
    assert "CRITICAL" not in ended.log


def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        ended = end(start(command("tap_family", tmp_path, orders=5000), stdout=full, stdin=subprocess.DEVNULL))
    assert ended.code == 1
    assert_one_clear_error(ended, "No space left")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- 2>&-"])
def test_closed_descriptors_do_not_confuse_it(tmp_path: Path, closed: str) -> None:
    words = command("tap_family", tmp_path, orders=5)
    line = " ".join(f"'{word}'" for word in words)
    found = subprocess.run(["sh", "-c", f"{line} {closed}"], capture_output=True, timeout=30, check=False)
    if ">&-" in closed.replace("2>&-", ""):
        assert found.returncode not in (0, -11)
        assert b"Traceback" not in found.stderr
        assert b"internal error" not in found.stderr
    else:
        assert found.returncode == 0, found.stderr
        assert [json.loads(line)["type"] for line in found.stdout.splitlines()][-1] == "STATE"


def test_lines_leave_within_a_second_or_so_while_the_source_is_slow(tmp_path: Path) -> None:
    process = start(command("tap_family", tmp_path, orders=50, pause_s=1.2), stdin=subprocess.DEVNULL)
    started = time.monotonic()
    lines = [process.stdout.readline() for _ in range(3)]
    assert json.loads(lines[-1])["type"] == "RECORD"
    assert time.monotonic() - started < 20
    process.kill()
    process.communicate()


# Failures of connector code


def test_a_bug_is_one_clear_error_without_values(tmp_path: Path) -> None:
    ended = tap(tmp_path, orders=50, countries=2, fault={"stream": "orders", "at": 30, "what": "bug"})
    assert ended.code == 1
    assert_one_clear_error(ended, "ValueError", "orders")
    assert ended.ids("countries") == [0, 1]
    assert ended.ids("orders") == list(range(30))


@pytest.mark.parametrize("code", [0, 7])
def test_connector_code_can_not_declare_success(tmp_path: Path, code: int) -> None:
    fault = {"stream": "orders", "at": 30, "what": "exit", "code": code}
    ended = run(command("tap_family", tmp_path, orders=50, fault=fault), seconds=20)
    assert ended.code == (code or 1)
    assert bookmark(ended, "orders") == instant(29)


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    ended = tap(tmp_path, "--log-level", "debug", orders=5, fault={"stream": "orders", "at": 3, "what": "fail"})
    assert ended.code == 1
    assert "Traceback" in ended.log


def test_a_stream_that_is_not_sorted_goes_back(tmp_path: Path) -> None:
    program = tmp_path / "tap_odd.py"
    program.write_text(
        "import sys\n"
        "from tap_family import Orders, TapFamily, instant\n"
        "class Odd(Orders):\n"
        "    def get_records(self, context):\n"
        "        for number in [*range(100), 5]:\n"
        "            yield {'id': number, 'at': instant(number)}\n"
        "class TapOdd(TapFamily):\n"
        "    def discover_streams(self): return [Odd(self)]\n"
        "TapOdd.cli()\n"
    )
    words = command("tap_family", tmp_path)
    words[1] = str(program)
    state = {"bookmarks": {"orders": {"replication_key": "at", "replication_key_value": instant(1)}}}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = run([*words, *write_state(tmp_path, state)], env=environment)
    assert ended.code == 1
    assert bookmark(ended, "orders") == instant(1)
    assert_one_clear_error(ended, "not sorted", "is_sorted")


# Signals


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_while_busy_stops_it_with_a_state_that_covers_what_is_written(
    tmp_path: Path, number: int, code: int
) -> None:
    process = start(command("tap_family", tmp_path, orders=5_000_000, customers=100_000), stdin=subprocess.DEVNULL)
    head = bytearray()
    # Streams are written in turns, and the machine decides whose comes first.
    while head.count(b'"stream":"orders"') < 1000:
        head += os.read(process.stdout.fileno(), 65536)
    process.send_signal(number)
    ended = end(process, seconds=20)
    ended.out = bytes(head) + ended.out
    assert ended.code == code
    assert ended.messages[-1]["type"] == "STATE"
    assert bookmark(ended, "orders") == instant(ended.ids("orders")[-1])
    assert "Traceback" not in ended.log
    customers = set(range(len(ended.ids("customers"))))
    past = bookmark(ended, "customers")
    if past is not None:
        behind = {n for n in customers if instant(n) < past}
        assert {i // 3 for i in ended.ids("invoices")} >= behind
        assert {i // 6 for i in ended.ids("lines")} >= behind


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_while_the_source_does_not_answer(tmp_path: Path, number: int, code: int) -> None:
    fault = {"stream": "orders", "at": 30, "what": "hang"}
    process = start(command("tap_family", tmp_path, orders=60, countries=3, fault=fault), stdin=subprocess.DEVNULL)
    assert process.stdout.readline()
    time.sleep(0.3)
    started = time.monotonic()
    process.send_signal(number)
    ended = end(process, seconds=20)
    assert time.monotonic() - started < 15
    assert ended.code == code
    assert ended.messages[-1]["type"] == "STATE"


def test_a_signal_during_a_slow_discovery_is_not_ignored(tmp_path: Path) -> None:
    process = start(command("tap_family", tmp_path, orders=5, slow_discovery_s=40), stdin=subprocess.DEVNULL)
    time.sleep(1.5)
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    ended = end(process, seconds=50)
    assert time.monotonic() - started < 20
    assert ended.code in (143, -signal.SIGTERM)
    assert b"RECORD" not in ended.out


def test_a_signal_while_the_reader_is_slow_leaves_whole_lines_and_a_state(tmp_path: Path) -> None:
    process = start(command("tap_family", tmp_path, orders=5_000_000, text_bytes=200), stdin=subprocess.DEVNULL)
    assert process.stdout.readline()
    time.sleep(0.5)  # the pipe is full now
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    ended = end(process, seconds=20)
    assert ended.code == 143
    assert ended.messages[-1]["type"] == "STATE"
    assert bookmark(ended, "orders") == instant(ended.ids("orders")[-1])


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    process = start(command("tap_family", tmp_path, orders=5_000_000, text_bytes=200), stdin=subprocess.DEVNULL)
    assert process.stdout.readline()
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143
    process.communicate()


# Trial runs


def test_a_trial_run_writes_nothing_and_ends_well(tmp_path: Path) -> None:
    ended = tap(tmp_path, "--test", orders=100_000, customers=5)
    assert ended.code == 0, ended.log
    assert ended.out == b""
    failed = tap(tmp_path, "--test", orders=5, fault={"stream": "orders", "at": 0, "what": "fail"})
    assert failed.code == 1
    assert "the source broke" in failed.log


def test_schemas_only(tmp_path: Path) -> None:
    ended = tap(tmp_path, "--test=schema", orders=5, customers=5)
    assert ended.code == 0
    assert [m["stream"] for m in ended.messages if m["type"] == "SCHEMA"] == [
        "customers",
        "invoices",
        "lines",
        "orders",
    ]
    assert {m["type"] for m in ended.messages} == {"SCHEMA"}


# Resources


def test_sixteen_partitions_go_side_by_side(tmp_path: Path) -> None:
    slow = {"parts": 64, "pause_s": 0.05}
    one = tap(tmp_path, **slow, max_concurrency=1)
    many = tap(tmp_path, **slow, max_concurrency=16)
    assert one.code == many.code == 0
    assert set(one.ids("parts")) == set(many.ids("parts")) == set(range(64))
    assert one.state == many.state


def test_memory_does_not_grow_with_the_number_of_records(tmp_path: Path) -> None:
    peaks = []
    for rows in (2_000, 150_000):
        words = command("tap_family", tmp_path, orders=rows, text_bytes=100)
        program = (
            "import resource, subprocess, sys\n"
            "code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode\n"
            "print('PEAK', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, code)\n"
        )
        found = subprocess.run(
            [sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=60, check=True
        )
        match = re.search(r"PEAK (\d+) 0", found.stdout)
        assert match, found
        peaks.append(int(match[1]))
    assert peaks[1] - peaks[0] < 25_000  # KiB
