"""A target's run, with functions for sinks: what is stored, when a state leaves, what happens when something fails."""

from __future__ import annotations

import os
import threading
import time

import pytest
from engine_runs import (
    Stop,
    TargetOutcome,
    activate_of,
    line_of,
    record_of,
    run_target,
    schema_of,
    state_of,
)

from singerkit.errors import (
    DataError,
    InvalidInputLine,
    MissingKeyPropertiesError,
    ProtocolError,
    RecordsWithoutSchemaException,
    SyncError,
)
from singerkit.protocol.reader import ReaderLimits


def records(name: str, *numbers: int, **members: object) -> list[dict]:
    return [record_of(name, number, **members) for number in numbers]


def order(outcome: TargetOutcome) -> list[tuple]:
    return [(kind, where) for kind, where, _ in outcome.events]


# What is stored, and when a state leaves


def test_records_are_stored_before_their_state_leaves() -> None:
    outcome = run_target([schema_of("a"), *records("a", 1, 2), state_of({"n": 1})])
    assert outcome.failure is None
    assert order(outcome) == [("open", "a"), ("batch", "a"), ("state", ""), ("clean up", "a")]
    assert outcome.ids("a") == [1, 2]
    assert outcome.states == [{"n": 1}]


def test_a_state_waits_for_every_stream_before_it() -> None:
    messages = [schema_of("a"), schema_of("b"), *records("b", 1), state_of(1)]
    for number in range(50):
        messages += [*records("a", number), state_of(number + 2)]
    outcome = run_target(messages, max_rows=5)
    stored = {"a": 0, "b": 0}
    for kind, where, what in outcome.events:
        if kind == "batch":
            stored[where] += len(what)
        elif kind == "state":
            assert stored["b"] == 1
            assert stored["a"] >= int(what) - 1
    assert outcome.states[-1] == 51


def test_states_without_records_leave_at_once_and_in_order() -> None:
    outcome = run_target([state_of(1), schema_of("a"), state_of(2), state_of(2), state_of(1)])
    assert outcome.states == [1, 2, 2, 1]


@pytest.mark.parametrize(
    "text",
    [
        b"{}",
        b"[]",
        b"0",
        b'""',
        b"null",
        b"42",
        b'"text"',
        b"1.50",
        b"1e21",
        b"1180591620717411303424",
        '"\u2028"'.encode(),
    ],
)
@pytest.mark.parametrize("waits", [True, False])
def test_a_state_leaves_as_the_very_bytes_that_came(text: bytes, *, waits: bool) -> None:
    left: list[bytes] = []
    before = [schema_of("a"), *records("a", 1)] if waits else []
    line = b'{"type": "STATE", "value":  ' + text + b" }\n"
    outcome = run_target([*before, line], write_state=left.append)
    assert outcome.failure is None
    assert left == [text]


def test_the_last_state_leaves_also_when_records_follow_it() -> None:
    outcome = run_target([schema_of("a"), *records("a", 1), state_of(1), *records("a", 2)])
    assert outcome.states == [1]
    assert outcome.ids("a") == [1, 2]


def test_batches_are_bounded_by_rows_and_by_bytes() -> None:
    messages = [schema_of("a"), *records("a", *range(95))]
    assert [len(batch) for batch in run_target(messages, max_rows=10).batches("a")] == [10] * 9 + [5]
    size = len(line_of(record_of("a", 10)))
    by_bytes = run_target(messages, max_bytes=size * 7).batches("a")
    assert max(map(len, by_bytes)) <= 8
    assert [number for batch in by_bytes for number in batch] == list(range(95))


def test_streams_drain_side_by_side_but_each_one_batch_at_a_time() -> None:
    lock, busy, most, overlap = threading.Lock(), [], [0], [0]

    def before(name: str, _: list) -> None:
        with lock:
            overlap[0] += name in busy
            busy.append(name)
            most[0] = max(most[0], len(busy))
        time.sleep(0.02)
        with lock:
            busy.remove(name)

    messages = [schema_of(name) for name in "abcdef"]
    messages += [record_of(name, number) for number in range(12) for name in "abcdef"]
    outcome = run_target(messages, before=before, max_rows=3, max_parallelism=3)
    assert overlap[0] == 0
    assert 1 < most[0] <= 3
    assert all(outcome.ids(name) == list(range(12)) for name in "abcdef")


def test_a_schema_that_changes_drains_first_what_came_under_the_old_one() -> None:
    outcome = run_target(
        [
            schema_of("a"),
            *records("a", 1, 2),
            schema_of("a", new={"type": "string"}),
            record_of("a", 1, new="x"),
            state_of(1),
        ],
        before=lambda name, batch: time.sleep(0.05 if "new" not in batch[0] else 0),
    )
    assert [(kind, what) for kind, where, what in outcome.events] == [
        ("open", ["id"]),
        ("batch", [1, 2]),
        ("clean up", None),
        ("open", ["id", "new"]),
        ("batch", [1]),
        ("state", b"1"),
        ("clean up", None),
    ]


def test_a_schema_that_comes_again_unchanged_changes_nothing() -> None:
    outcome = run_target([schema_of("a"), *records("a", 1), schema_of("a"), *records("a", 2), schema_of("a")])
    assert order(outcome) == [("open", "a"), ("batch", "a"), ("clean up", "a")]
    assert outcome.batches("a") == [[1, 2]]


def test_other_key_properties_are_another_schema() -> None:
    other = {**schema_of("a", other={"type": "integer"}), "key_properties": ["other"]}
    outcome = run_target([schema_of("a", other={"type": "integer"}), record_of("a", 1, other=1), other])
    assert [kind for kind, _, _ in outcome.events] == ["open", "batch", "clean up", "open", "clean up"]


def test_types_are_read_whatever_their_case() -> None:
    messages = [
        {**schema_of("a"), "type": "schema"},
        {**record_of("a", 1), "type": "record"},
        {**record_of("a", 2), "type": "Record"},
        record_of("a", 3),
        {**state_of(1), "type": "State"},
    ]
    outcome = run_target(messages)
    assert outcome.failure is None
    assert outcome.ids("a") == [1, 2, 3]
    assert outcome.states == [1]


def test_unknown_messages_are_skipped_with_one_warning(caplog) -> None:
    outcome = run_target([{"type": "HELLO"}, schema_of("a"), {"type": "hello", "x": 1}, *records("a", 1), state_of(1)])
    assert outcome.failure is None
    assert outcome.states == [1]
    assert caplog.text.count("HELLO") == 1


def test_a_mark_crlf_blank_lines_and_a_missing_end_are_tolerated() -> None:
    lines = [line_of(message).rstrip() for message in (schema_of("a"), *records("a", 1, 2), state_of({"s": 1}))]
    outcome = run_target(b"\xef\xbb\xbf" + b"\r\n\r\n \n".join(lines))
    assert outcome.failure is None
    assert outcome.ids("a") == [1, 2]
    assert outcome.states == [{"s": 1}]


# Waiting


def test_a_target_that_idles_drains_and_releases_within_its_wait_limit() -> None:
    reader, writer = os.pipe()
    left = threading.Event()
    data = b"".join(map(line_of, [schema_of("a"), *records("a", 1, 2), state_of(1)]))
    os.write(writer, data)
    found: list = []
    runs = threading.Thread(
        target=lambda: found.append(run_target(reader, max_age_s=0.2, write_state=lambda text: left.set()))
    )
    started = time.monotonic()
    runs.start()
    assert left.wait(20)
    assert time.monotonic() - started < 10
    os.close(writer)
    runs.join(10)
    assert found[0].ids("a") == [1, 2]


def test_reading_pauses_while_too_much_is_pending() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    release = threading.Event()
    found: list = []
    runs = threading.Thread(
        target=lambda: found.append(
            run_target(
                reader, before=lambda name, batch: release.wait(20), max_rows=10, max_pending_bytes=300_000, seconds=40
            )
        )
    )
    runs.start()
    data = line_of(schema_of("a", text={"type": "string"}))
    data += b"".join(line_of(record_of("a", number, text="x" * 1000)) for number in range(4000))
    sent, stalled_since = 0, time.monotonic()
    while time.monotonic() - stalled_since < 0.5:
        try:
            sent += os.write(writer, data[sent : sent + 65536])
            stalled_since = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
    assert sent < 1_500_000 < len(data)
    release.set()
    os.set_blocking(writer, True)
    while sent < len(data):
        sent += os.write(writer, data[sent : sent + 65536])
    os.close(writer)
    runs.join(30)
    assert found[0].failure is None
    assert found[0].ids("a") == list(range(4000))


# Failures


@pytest.mark.parametrize("fails_at", [1, 2, 3, 5])
def test_after_the_nth_batch_failed_nothing_more_is_released(fails_at: int) -> None:
    batches = [0]

    def before(name: str, batch: list) -> None:
        batches[0] += 1
        if batches[0] >= fails_at:
            raise SyncError("can't store")

    messages = [schema_of("a")]
    for number in range(50):
        messages += [*records("a", number), state_of(number)]
    outcome = run_target(messages, before=before, max_rows=10)
    assert str(outcome.failure) == "can't store"
    assert outcome.failure.stream == "a"
    stored = outcome.ids("a")
    assert stored == list(range((fails_at - 1) * 10))
    assert outcome.states[-1:] == ([stored[-1]] if stored else [])
    assert ("clean up", "a") not in order(outcome)


def test_one_sink_that_fails_stops_the_run_while_the_others_finish_their_batch() -> None:
    started = threading.Event()

    def before(name: str, batch: list) -> None:
        if name == "bad":
            started.wait(5)
            raise ValueError("broken sink")
        started.set()
        time.sleep(0.2)

    messages = [schema_of("good"), schema_of("bad"), *records("good", 1), *records("bad", 1), state_of(1)]
    outcome = run_target(messages, before=before, max_rows=1)
    assert isinstance(outcome.failure, ValueError)
    assert "stream 'bad'" in " ".join(outcome.failure.__notes__)
    assert outcome.ids("good") == [1]
    assert outcome.states == []


@pytest.mark.parametrize("code", [None, 0, 3, "text"])
def test_a_sink_that_ends_the_process_ends_the_run_and_does_not_hang_it(code: object) -> None:
    def before(name: str, batch: list) -> None:
        raise SystemExit(code)

    outcome = run_target([schema_of("a"), *records("a", 1), state_of(1)], before=before, seconds=10)
    assert isinstance(outcome.failure, SystemExit | SyncError)
    assert outcome.states == []


BAD_LINES = [
    (b"nonsense\n", InvalidInputLine),
    (b"[1]\n", InvalidInputLine),
    (b'{"type":"RECORD","stream":"a","record":{"id":1}\n', InvalidInputLine),
    (b'{"type":"RECORD","stream":"a","record":{"id":NaN}}\n', InvalidInputLine),
    (b'{"type":"RECORD","stream":"a"}\n', InvalidInputLine),
    (b'{"type":"RECORD","stream":"nobody","record":{}}\n', RecordsWithoutSchemaException),
    (b'{"type":"RECORD","stream":"a","record":{"id":"text"}}\n', DataError),
    (b'{"type":"RECORD","stream":"a","record":{}}\n', MissingKeyPropertiesError),
    (b'{"type":"RECORD","stream":"a","record":{"id":null}}\n', MissingKeyPropertiesError),
    (b'{"type":"SCHEMA","stream":"a"}\n', InvalidInputLine),
    (b'{"type":"SCHEMA","schema":{}}\n', InvalidInputLine),
    (b'{"type":"SCHEMA","stream":"b","schema":{},"key_properties":"id"}\n', InvalidInputLine),
    (b'{"type":"SCHEMA","stream":"b","schema":{"properties":{}},"key_properties":["id"]}\n', InvalidInputLine),
    (b'{"type":"SCHEMA","stream":"b","schema":{"properties":{"x":{"type":"strnig"}}}}\n', DataError),
    (b'{"type":"STATE"}\n', InvalidInputLine),
    (b'{"type":"STATE","value":1e999999999999999999999}\n', ProtocolError),
    (b'{"type":"ACTIVATE_VERSION","stream":"a"}\n', InvalidInputLine),
    (b'{"type":"ACTIVATE_VERSION","stream":"nobody","version":1}\n', ProtocolError),
    (b'{"type":"BATCH","stream":"a","encoding":{},"manifest":["file:///etc/passwd"]}\n', InvalidInputLine),
    (b'{"type":"RECORD","stream":"a","record":{"id":' + b"9" * 5000 + b"}}\n", SyncError | ProtocolError),
    (
        b'{"type":"RECORD","stream":"a","record":{"id":1,"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}}\n",
        SyncError | ProtocolError,
    ),
]


@pytest.mark.parametrize(("line", "kind"), BAD_LINES)
@pytest.mark.parametrize("position", [1, 2, 4, 9])
def test_a_bad_line_at_any_position_is_named_and_nothing_after_it_counts(
    line: bytes, kind: type, position: int
) -> None:
    messages: list = [schema_of("a", x={})]
    for number in range(4):
        messages += [*records("a", number), state_of(number)]
    messages.insert(position, line)
    outcome = run_target(messages, max_rows=1)
    assert isinstance(outcome.failure, kind)
    assert outcome.failure.line_number in (position + 1, None)
    assert outcome.failure.line_number or isinstance(outcome.failure, DataError)
    if not isinstance(outcome.failure, InvalidInputLine) or b'"RECORD"' in line:
        assert outcome.failure.stream
    allowed = [message["value"] for message in messages[:position] if isinstance(message, dict) and "value" in message]
    assert set(outcome.states) <= set(allowed)
    assert len(outcome.failure.describe()) < 2000


def test_nothing_is_released_after_a_bad_line_also_when_its_batch_comes_later() -> None:
    messages = [schema_of("a"), *records("a", 1), b'{"type":"RECORD","stream":"a","record":{"id":"x"}}\n', state_of(1)]
    outcome = run_target([*messages, *records("a", 2), state_of(2)])
    assert isinstance(outcome.failure, DataError)
    assert outcome.failure.line_number == 3
    assert outcome.states == []
    assert outcome.ids("a") == []


def test_every_rule_that_a_record_breaks_is_named_but_not_its_values() -> None:
    schema = {
        "type": "SCHEMA",
        "stream": "a",
        "key_properties": [],
        "schema": {
            "properties": {
                "name": {"type": "string", "maxLength": 3},
                "size": {"type": "integer"},
                "home": {"properties": {"zip": {"type": "string"}}},
            }
        },
    }
    bad = {"type": "RECORD", "stream": "a", "record": {"name": "Jane Roe", "size": "C4NARY", "home": {"zip": 90210}}}
    outcome = run_target([schema, bad])
    shown = outcome.failure.describe()
    for pointer in ("/name", "/size", "/home/zip"):
        assert pointer in shown
    for value in ("Jane", "C4NARY", "90210"):
        assert value not in shown


def test_a_limit_on_lines_can_be_raised() -> None:
    long = record_of("a", 1, text="x" * 5000)
    messages = [schema_of("a", text={"type": "string"}), long]
    assert isinstance(run_target(messages, limits=ReaderLimits(max_line_bytes=4000)).failure, InvalidInputLine)
    assert run_target(messages, limits=ReaderLimits(max_line_bytes=6000)).ids("a") == [1]


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_an_output_that_fails_ends_the_run(fails_at: int) -> None:
    calls = [0]

    def write_state(text: bytes) -> None:
        calls[0] += 1
        if calls[0] == fails_at:
            raise SyncError("no space")

    outcome = run_target([state_of(number) for number in range(10)], write_state=write_state)
    assert str(outcome.failure) == "no space"
    assert calls[0] == fails_at


# Signals


def test_a_signal_drains_and_releases_what_was_read() -> None:
    reader, writer = os.pipe()
    stop = Stop()
    messages = [schema_of("a"), *records("a", 1, 2), state_of(1), *records("a", 3)]
    os.write(writer, b"".join(map(line_of, messages)) + b'{"type":"RECORD","stream":"a","rec')
    threading.Timer(0.2, stop.now).start()
    outcome = run_target(reader, max_age_s=0.25, stop=stop)
    os.close(writer)
    assert outcome.failure is None
    assert outcome.ids("a") == [1, 2, 3]
    assert outcome.states == [1]
    assert ("clean up", "a") not in order(outcome)


def test_a_signal_while_a_batch_is_stored_lets_it_end() -> None:
    stop = Stop()

    def before(name: str, batch: list) -> None:
        stop.now()
        time.sleep(0.2)

    outcome = run_target([schema_of("a"), *records("a", 1), state_of(1)], before=before, max_rows=1, stop=stop)
    assert outcome.failure is None
    assert outcome.states in ([1], [])
    assert outcome.ids("a") == [1]


# ACTIVATE_VERSION


def activations(outcome: TargetOutcome) -> list[int]:
    return [what for kind, _, what in outcome.events if kind == "activate"]


def versioned(version: int, *numbers: int) -> list[dict]:
    return records("a", *numbers, version=version)


def test_a_version_is_activated_after_its_records_are_stored() -> None:
    outcome = run_target([schema_of("a"), *versioned(2, 1, 2), activate_of("a", 2), state_of(1)])
    assert order(outcome) == [("open", "a"), ("batch", "a"), ("activate", "a"), ("state", ""), ("clean up", "a")]
    assert activations(outcome) == [2]


def test_a_version_that_comes_before_its_records_deletes_nothing_yet() -> None:
    died = run_target([schema_of("a"), activate_of("a", 2)])
    assert activations(died) == []
    half = run_target([schema_of("a"), activate_of("a", 2), *versioned(2, 1), b"broken\n"])
    assert activations(half) == []
    both = run_target([schema_of("a"), activate_of("a", 2), *versioned(2, 1, 2), activate_of("a", 2), state_of(1)])
    assert activations(both) == [2]
    assert [kind for kind, _ in order(both)].index("activate") > [kind for kind, _ in order(both)].index("batch")


def test_an_empty_stream_s_version_is_activated_when_the_tap_went_on_to_a_state() -> None:
    assert activations(run_target([schema_of("a"), activate_of("a", 2), state_of(1)])) == [2]


def test_an_old_version_is_not_activated_by_a_new_one_s_marker() -> None:
    outcome = run_target([schema_of("a"), *versioned(1, 1), activate_of("a", 2)])
    assert activations(outcome) == []


def test_a_version_survives_a_change_of_schema() -> None:
    outcome = run_target(
        [schema_of("a"), *versioned(2, 1), schema_of("a", n={}), *versioned(2, 2), activate_of("a", 2), state_of(1)]
    )
    assert activations(outcome) == [2]


def test_nothing_is_activated_when_it_is_turned_off() -> None:
    messages = [schema_of("a"), *versioned(2, 1), activate_of("a", 2), state_of(1)]
    assert activations(run_target(messages, activate_versions=False)) == []


def test_a_version_that_waits_is_not_activated_after_a_signal() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"".join(map(line_of, [schema_of("a"), activate_of("a", 2), *versioned(1, 1), state_of(1)])))
    stop = Stop()
    outcome = run_target(reader, stop=stop, max_age_s=0.1, write_state=lambda text: stop.now())
    os.close(writer)
    assert outcome.failure is None
    assert activations(outcome) == []
