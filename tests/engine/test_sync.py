"""A tap's run, with functions for streams: order, bounds, failures, what a state covers."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter

import pytest
from engine_runs import Stop, TapOutcome, run_tap, stream

from singerkit.errors import (
    DataError,
    FatalSyncError,
    InvalidStreamSortException,
    MissingKeyPropertiesError,
    OutputClosed,
    SkippableSyncError,
    SyncError,
)


def rows(*numbers: int, **members: object) -> list[dict]:
    return [{"id": number, "at": number, **members} for number in numbers]


def value_of(outcome: TapOutcome, name: str, context: dict | None = None) -> object:
    """Give a stream's or partition's bookmark in the last state."""
    entry = outcome.state["bookmarks"].get(name, {})
    if context is not None:
        entry = next(e for e in entry["partitions"] if e["context"] == context)
    return entry.get("replication_key_value")


# Messages and their order


def test_schema_then_records_then_state() -> None:
    outcome = run_tap(stream("a", rows(1, 2, 3), key="at", is_sorted=True))
    assert outcome.failure is None
    assert outcome.kinds() == ["SCHEMA", "RECORD", "STATE"]
    assert outcome.ids("a") == [1, 2, 3]
    assert outcome.state == {"bookmarks": {"a": {"replication_key": "at", "replication_key_value": 3}}}
    assert outcome.lines[0]["bookmark_properties"] == ["at"]
    assert outcome.counts == {"a": 3}


def test_an_empty_stream_has_a_schema_and_a_state() -> None:
    assert run_tap(stream("a", [])).kinds() == ["SCHEMA", "STATE"]


def test_no_streams_give_a_state_only() -> None:
    assert run_tap().kinds() == ["STATE"]


def test_a_stream_s_schema_comes_before_any_of_its_records_also_when_it_is_a_grandchild() -> None:
    outcome = run_tap(
        stream("a", rows(1, 2)), stream("b", lambda c: rows(1), parent="a"), stream("c", lambda c: rows(1), parent="b")
    )
    seen = set()
    for line in outcome.lines:
        if line["type"] == "SCHEMA":
            seen.add(line["stream"])
        elif line["type"] == "RECORD":
            assert line["stream"] in seen


def test_versions_are_activated_after_the_last_record_and_before_the_last_state() -> None:
    outcome = run_tap(stream("a", rows(1)), stream("b", []), versions={"a": 5, "b": 5})
    kinds = [(line["type"], line.get("stream")) for line in outcome.lines]
    assert kinds.index(("ACTIVATE_VERSION", "a")) > kinds.index(("RECORD", "a"))
    assert ("ACTIVATE_VERSION", "b") in kinds
    assert kinds[-1] == ("STATE", None)


def test_what_the_state_had_of_other_streams_is_kept_in_every_state() -> None:
    state = {"bookmarks": {"gone": {"replication_key_value": 9}}, "note": [1.5]}
    outcome = run_tap(stream("a", rows(1), key="at"), state=state, state_frequency=1)
    assert all(found["bookmarks"]["gone"] == {"replication_key_value": 9} for found in outcome.states)
    assert outcome.state["note"] == [1.5]


def test_the_last_state_has_nothing_in_progress() -> None:
    outcome = run_tap(stream("a", rows(3, 1, 2), key="at"), state_frequency=1)
    assert outcome.state == {"bookmarks": {"a": {"replication_key": "at", "replication_key_value": 3}}}


def test_states_are_never_ahead_of_the_records_before_them() -> None:
    def slowly(context):
        for row in rows(*range(60)):
            time.sleep(0.0005)
            yield row

    specs = [stream(name, slowly, key="at", is_sorted=True) for name in "abcd"]
    outcome = run_tap(*specs, state_frequency=1)
    written = dict.fromkeys("abcd", -1)
    for line in outcome.lines:
        if line["type"] == "RECORD":
            written[line["stream"]] = line["record"]["at"]
        elif line["type"] == "STATE":
            for name, entry in line["value"]["bookmarks"].items():
                assert entry.get("replication_key_value", -1) <= written[name]
    assert [value_of(outcome, name) for name in "abcd"] == [59] * 4


# Concurrency


@pytest.mark.parametrize("bound", [1, 3, 16])
def test_sixteen_partitions_run_within_the_bound_and_each_keeps_its_order(bound: int) -> None:
    lock, busy, most = threading.Lock(), [0], [0]

    def read(context):
        with lock:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
        for number in range(20):
            time.sleep(0.0005)
            yield {"id": number, "at": number, "parent": context["parent"]}
        with lock:
            busy[0] -= 1

    contexts = [{"parent": number} for number in range(16)]
    spec = stream("a", read, key="at", is_sorted=True, partitions=lambda: contexts)
    outcome = run_tap(spec, max_concurrency=bound)
    assert most[0] <= bound
    assert most[0] > 1 or bound == 1
    for context in contexts:
        mine = [record["id"] for record in outcome.records("a") if record["parent"] == context["parent"]]
        assert mine == list(range(20))
        assert value_of(outcome, "a", context) == 19


def test_children_run_within_the_bound_too() -> None:
    lock, busy, most = threading.Lock(), [0], [0]

    def read(context):
        with lock:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
        time.sleep(0.002)
        with lock:
            busy[0] -= 1
        return rows(context["parent"])

    outcome = run_tap(stream("a", rows(*range(50))), stream("b", read, parent="a"), max_concurrency=3)
    assert sorted(outcome.ids("b")) == list(range(50))
    assert 1 < most[0] <= 3


def test_thousands_of_partitions_are_all_read() -> None:
    spec = stream("a", lambda c: rows(c["parent"]), partitions=lambda: ({"parent": n} for n in range(3000)))
    outcome = run_tap(spec)
    assert sorted(outcome.ids("a")) == list(range(3000))


def test_a_child_is_read_after_its_parent_s_record_is_written() -> None:
    outcome = run_tap(stream("a", rows(*range(40))), stream("b", lambda c: rows(c["parent"]), parent="a"))
    seen: set[int] = set()
    for line in outcome.lines:
        if line["type"] == "RECORD" and line["stream"] == "a":
            seen.add(line["record"]["id"])
        elif line["type"] == "RECORD":
            assert line["record"]["parent"] in seen


def test_grandchildren_get_their_contexts_from_children() -> None:
    outcome = run_tap(
        stream("a", rows(1, 2)),
        stream("b", lambda c: rows(c["parent"] * 10, c["parent"] * 10 + 1), parent="a"),
        stream("c", lambda c: rows(c["parent"] * 10), parent="b"),
    )
    assert sorted(outcome.ids("c")) == [100, 110, 200, 210]


def test_records_and_child_contexts_may_come_in_pairs() -> None:
    outcome = run_tap(
        stream("a", lambda c: [(row, {"parent": row["id"] * 7}) for row in rows(1, 2)]),
        stream("b", lambda c: rows(c["parent"]), parent="a"),
    )
    assert outcome.ids("a") == [1, 2]
    assert sorted(outcome.ids("b")) == [7, 14]


def test_a_parent_that_is_not_selected_is_read_but_not_written() -> None:
    catalog = {
        "streams": [
            {
                "tap_stream_id": name,
                "stream": name,
                "schema": {},
                "metadata": [{"breadcrumb": [], "metadata": {"selected": selected}}],
            }
            for name, selected in (("a", False), ("b", True))
        ]
    }
    outcome = run_tap(stream("a", rows(1, 2)), stream("b", lambda c: rows(c["parent"]), parent="a"), catalog=catalog)
    assert outcome.ids("a") == []
    assert sorted(outcome.ids("b")) == [1, 2]
    assert {line["stream"] for line in outcome.lines if line["type"] == "SCHEMA"} == {"b"}


def test_one_thread_reads_children_as_they_come_so_that_the_parent_s_bookmark_follows() -> None:
    specs = stream("a", rows(*range(2000)), key="at", is_sorted=True), stream("b", lambda c: rows(1), parent="a")
    outcome = run_tap(*specs, max_concurrency=1, state_frequency=100)
    last = bookmark = -1
    for line in outcome.lines:
        if line["type"] == "STATE":
            bookmark = line["value"]["bookmarks"]["a"].get("replication_key_value", -1)
        elif line["type"] == "RECORD" and line["stream"] == "a":
            last = line["record"]["at"]
            assert last - bookmark < 1100
    assert bookmark == last == 1999


# Failures


def failing(after: int, error: BaseException, *, start: int = 0):
    def read(context):
        yield from rows(*range(start, start + after))
        raise error

    return read


@pytest.mark.parametrize("after", [0, 1, 2, 7, 300])
def test_a_stream_that_fails_keeps_what_it_wrote_and_does_not_stop_the_others(after: int) -> None:
    error = FatalSyncError("source is down")
    outcome = run_tap(
        stream("bad", failing(after, error), key="at", is_sorted=True), stream("good", rows(*range(5)), key="at")
    )
    assert outcome.failure is error
    assert error.stream == "bad"
    assert outcome.ids("bad") == list(range(after))
    assert value_of(outcome, "good") == 4
    assert value_of(outcome, "bad") == (after - 1 if after else None)


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("k"), RecursionError(), MemoryError(), StopIteration()])
def test_any_exception_of_author_s_code_is_that_stream_s_failure(error: Exception) -> None:
    outcome = run_tap(stream("bad", failing(1, error)), stream("good", rows(1)))
    assert outcome.failure is not None
    assert "stream 'bad'" in " ".join(getattr(outcome.failure, "__notes__", []))
    assert outcome.ids("good") == [1]


@pytest.mark.parametrize("code", [None, 0, 1, "text"])
def test_code_that_ends_the_process_ends_the_run_and_does_not_hang_it(code: object) -> None:
    for specs in (
        [stream("bad", failing(1, SystemExit(code)))],
        [stream("a", rows(1)), stream("bad", failing(1, SystemExit(code)), parent="a")],
        [stream("bad", rows(1), partitions=lambda: (_ for _ in ()).throw(SystemExit(code)))],
        [stream("bad", rows(1), post_process=lambda r, c: (_ for _ in ()).throw(SystemExit(code)))],
    ):
        outcome = run_tap(*specs, stream("good", rows(1)), seconds=10)
        assert outcome.failure is not None
        assert outcome.ids("good") == [1]


def test_partitions_that_can_not_be_told_are_the_stream_s_failure() -> None:
    def partitions():
        yield {"parent": 1}
        raise FatalSyncError("no list")

    outcome = run_tap(stream("bad", lambda c: rows(1), partitions=partitions), stream("good", rows(1)))
    assert str(outcome.failure) == "no list"
    assert outcome.ids("good") == [1]


def test_several_failures_the_first_stream_s_is_raised_and_the_others_logged(caplog) -> None:
    outcome = run_tap(stream("a", failing(0, FatalSyncError("one"))), stream("b", failing(0, FatalSyncError("two"))))
    assert str(outcome.failure) == "one"
    assert "two" in caplog.text


def test_what_can_be_left_out_is_left_out(caplog) -> None:
    def read(context):
        if context["parent"] == 2:
            raise SkippableSyncError("gone at the source")
        return rows(context["parent"])

    outcome = run_tap(stream("a", read, partitions=lambda: [{"parent": n} for n in (1, 2, 3)]))
    assert outcome.failure is None
    assert sorted(outcome.ids("a")) == [1, 3]
    assert "gone at the source" in caplog.text


def test_a_failing_child_holds_its_parent_s_bookmark_before_that_record() -> None:
    def read(context):
        if context["parent"] == 30:
            raise FatalSyncError("child")
        return rows(context["parent"])

    outcome = run_tap(stream("a", rows(*range(60)), key="at", is_sorted=True), stream("b", read, parent="a"))
    assert str(outcome.failure) == "child"
    assert outcome.ids("a") == list(range(60))
    assert (value_of(outcome, "a") or -1) < 30
    assert outcome.failure.context == {"parent": 30}


def test_a_failing_grandchild_holds_the_grandparent_s_bookmark() -> None:
    def read(context):
        if context["parent"] == 25:
            raise FatalSyncError("grandchild")
        return []

    outcome = run_tap(
        stream("a", rows(*range(60)), key="at", is_sorted=True),
        stream("b", lambda c: rows(c["parent"]), parent="a"),
        stream("c", read, parent="b"),
    )
    assert (value_of(outcome, "a") or -1) < 25
    again = run_tap(
        stream("a", lambda c: rows(*range((value_of(outcome, "a") or -1) + 1, 60)), key="at", is_sorted=True),
        stream("b", lambda c: rows(c["parent"]), parent="a"),
        stream("c", lambda c: rows(c["parent"]), parent="b"),
        state=outcome.state,
    )
    assert set(again.ids("c")) >= set(range(25, 60))


def test_an_unsorted_stream_that_fails_is_not_finished() -> None:
    state = {"bookmarks": {"a": {"replication_key": "at", "replication_key_value": 1}}}
    outcome = run_tap(stream("a", failing(9, FatalSyncError("x")), key="at"), state=state)
    assert value_of(outcome, "a") == 1


def test_versions_of_streams_that_failed_or_lie_below_one_are_not_activated() -> None:
    outcome = run_tap(
        stream("a", failing(1, FatalSyncError("x"))),
        stream("b", lambda c: rows(1), parent="a"),
        stream("c", rows(1)),
        versions=dict.fromkeys("abc", 5),
    )
    assert [line["stream"] for line in outcome.lines if line["type"] == "ACTIVATE_VERSION"] == ["c"]


@pytest.mark.parametrize("position", [0, 1, 5, 300])
def test_a_stream_that_is_not_sorted_goes_back_to_where_it_began(position: int) -> None:
    numbers = [*range(10, 10 + position), 500, 3, *range(501, 520)]
    state = {"bookmarks": {"a": {"replication_key": "at", "replication_key_value": 2}}}
    outcome = run_tap(stream("a", rows(*numbers), key="at", is_sorted=True), state=state, state_frequency=1)
    assert isinstance(outcome.failure, InvalidStreamSortException)
    assert value_of(outcome, "a") == 2
    fresh = run_tap(stream("a", rows(*numbers), key="at", is_sorted=True), state_frequency=1)
    assert value_of(fresh, "a") is None


def test_going_back_is_not_undone_by_children_that_end_later() -> None:
    release = threading.Event()

    def parents(context):
        yield from rows(10, 11, 12)
        threading.Timer(0.05, release.set).start()
        yield from rows(5)

    def children(context):
        release.wait(5)
        return rows(context["parent"])

    for _ in range(5):
        release.clear()
        outcome = run_tap(stream("a", parents, key="at", is_sorted=True), stream("b", children, parent="a"))
        assert isinstance(outcome.failure, InvalidStreamSortException)
        assert value_of(outcome, "a") is None


@pytest.mark.parametrize("bad", [{"id": 5}, {"id": 5, "at": "x"}, {"id": 5, "at": True}])
def test_a_replication_key_that_is_missing_or_odd_is_an_error(bad: dict) -> None:
    outcome = run_tap(stream("a", [*rows(1, 2), bad, *rows(6)], key="at"))
    assert isinstance(outcome.failure, DataError)
    assert outcome.failure.stream == "a"
    assert value_of(outcome, "a") is None


def test_a_record_without_its_key_property_is_an_error() -> None:
    outcome = run_tap(stream("a", [*rows(1, 2), {"at": 3}], key="at", is_sorted=True))
    assert isinstance(outcome.failure, MissingKeyPropertiesError)
    assert (value_of(outcome, "a") or 0) <= 2


def test_a_limit_of_records_stops_a_stream_with_an_error() -> None:
    outcome = run_tap(stream("a", (row for row in iter(lambda: {"id": 1}, None)), record_limit=500))
    assert isinstance(outcome.failure, FatalSyncError)
    assert 500 < len(outcome.ids("a")) < 1500


def test_a_trial_run_reads_a_few_of_each_and_ends_well() -> None:
    endless = ({"id": 1, "at": 1} for _ in iter(int, 1))
    outcome = run_tap(stream("a", endless, key="at"), stream("b", rows(1, 2, 3)), record_limit=1)
    assert outcome.failure is None
    assert (len(outcome.ids("a")), len(outcome.ids("b"))) == (1, 1)


# Output


@pytest.mark.parametrize("fails_at", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("error", [OutputClosed("gone"), SyncError("disk full")])
def test_the_nth_write_fails_and_the_run_ends_at_once_with_that(fails_at: int, error: Exception) -> None:
    calls = [0]

    def write(data: bytes) -> None:
        calls[0] += 1
        if calls[0] >= fails_at:
            raise error

    endless = ({"id": 1, "at": 1, "text": "x" * 500} for _ in iter(int, 1))
    outcome = run_tap(
        stream("a", endless, key="at", is_sorted=True),
        stream("b", lambda c: rows(*range(50)), parent="a"),
        write=write,
        state_frequency=10,
        seconds=20,
    )
    assert outcome.failure is error
    assert calls[0] == fails_at


# Signals


def test_a_signal_stops_at_a_boundary_and_the_state_says_how_far_it_came() -> None:
    stop = Stop()

    def endless(context):
        for number in range(10**9):
            if number == 5000:
                stop.now()
            yield {"id": number, "at": number}

    outcome = run_tap(stream("a", endless, key="at", is_sorted=True), stop=stop)
    assert outcome.failure is None
    assert stop.exit_code == 143
    assert outcome.lines[-1]["type"] == "STATE"
    assert value_of(outcome, "a") == outcome.ids("a")[-1]


def test_a_signal_while_the_source_does_not_answer_stops_it_soon() -> None:
    stop, stuck = Stop(), threading.Event()

    def read(context):
        yield from rows(1, 2, 3)
        threading.Timer(0.1, stop.now).start()
        stuck.wait(30)

    started = time.monotonic()
    outcome = run_tap(stream("a", read, key="at", is_sorted=True), stop=stop)
    stuck.set()
    assert time.monotonic() - started < 5
    assert set(outcome.ids("a")) <= {1, 2, 3}
    assert (value_of(outcome, "a") or 0) <= max(outcome.ids("a"), default=0)


def test_after_a_signal_nothing_is_finished_that_was_not_read() -> None:
    stop = Stop()

    def unsorted(context):
        yield from rows(9, 4)
        stop.now()
        time.sleep(0.6)
        yield from rows(7)

    outcome = run_tap(stream("a", unsorted, key="at"), stop=stop, versions={})
    assert value_of(outcome, "a") is None
    full = run_tap(stream("a", unsorted), stop=stop, versions={"a": 5})
    assert "ACTIVATE_VERSION" not in full.kinds()


# State: how much, how often


def test_a_state_comes_every_so_many_records() -> None:
    many = stream("a", rows(*range(20_000), text="x" * 100), key="at", is_sorted=True)
    outcome = run_tap(many, state_frequency=1000)
    values = [state["bookmarks"]["a"].get("replication_key_value", -1) for state in outcome.states]
    assert values == sorted(values)
    assert max(later - earlier for earlier, later in zip([-1, *values], values, strict=False)) < 2600


def test_a_state_that_says_nothing_new_is_written_only_at_the_end() -> None:
    outcome = run_tap(stream("a", rows(*range(5000))), state_frequency=10)
    assert 1 <= len(outcome.states) <= 2
    assert outcome.kinds()[-1] == "STATE"


def test_contexts_that_share_a_bookmark_are_finished_together() -> None:
    spec = stream(
        "a",
        lambda c: rows(c["parent"]),
        key="at",
        is_sorted=True,
        state_partitioning_keys=(),
        partitions=lambda: [{"parent": n} for n in (5, 9, 7)],
    )
    outcome = run_tap(spec)
    assert outcome.state["bookmarks"]["a"] == {"replication_key": "at", "replication_key_value": 9}


def test_a_bookmark_that_contexts_share_stays_when_one_of_them_fails() -> None:
    def read(context):
        if context["parent"] == 2:
            raise FatalSyncError("x")
        return rows(context["parent"])

    contexts = [{"parent": n} for n in (1, 2, 9)]
    shared = {"state_partitioning_keys": (), "partitions": lambda: contexts}
    outcome = run_tap(stream("a", read, key="at", **shared))
    assert value_of(outcome, "a") is None


def test_ten_thousand_parents_with_three_children_cost_little_state() -> None:
    """The promise: STATE lines take at most 5 % of the record bytes, and a partition is found at once."""
    parents = [{"id": number, "at": number, "text": "parent"} for number in range(10_000)]

    def children(context):
        start = context["parent"] * 3
        return [{"id": start + n, "at": start + n, "parent": context["parent"], "text": "child"} for n in range(3)]

    for keys in ({}, {"state_partitioning_keys": (), "key": "at"}):
        declared = dict(keys)
        key = declared.pop("key", None)
        outcome = run_tap(
            stream("a", parents, key="at", is_sorted=True), stream("b", children, key=key, parent="a", **declared)
        )
        assert outcome.failure is None
        assert len(outcome.ids("b")) == 30_000
        sizes: Counter[str] = Counter()
        for line in outcome.output.splitlines():
            sizes["STATE" if line.startswith(b'{"type":"STATE"') else "RECORD"] += len(line)
        assert sizes["STATE"] <= 0.05 * sizes["RECORD"]


def test_ten_thousand_partitions_with_bookmarks_of_their_own_are_written_once_in_full() -> None:
    """Their state is large by its format, so it has to be rare: what is written on the way stays below 5 %."""
    parents = [{"id": number, "at": number} for number in range(10_000)]
    outcome = run_tap(
        stream("a", parents, key="at", is_sorted=True),
        stream("b", lambda c: rows(*range(3), text="x" * 60), key="at", is_sorted=True, parent="a"),
        seconds=60,
    )
    assert len(outcome.state["bookmarks"]["b"]["partitions"]) == 10_000
    lines = outcome.output.splitlines()
    states = [len(line) for line in lines if line.startswith(b'{"type":"STATE"')]
    assert sum(states[:-1]) <= 0.05 * sum(len(line) for line in lines if b'"RECORD"' in line[:20])
    assert json.loads(lines[-1])["type"] == "STATE"


TEN_FIELDS = {
    "name": "customer",
    "email": "user@example.com",
    "amount": 1.25,
    "score": 0.142857,
    "active": True,
    "created_at": "2024-01-01T00:00:00Z",
    "note": "lorem ipsum dolor sit amet, consectetur adipiscing elit",
    "address": {"street": "1 Main St", "city": "Springfield", "zip": "12345"},
}
TEN_FIELD_SCHEMA = {
    "properties": {
        **{name: {"type": "integer"} for name in ("id", "at", "parent")},
        **{name: {"type": "string"} for name in ("name", "email", "note")},
        **{name: {"type": "number"} for name in ("amount", "score")},
        "active": {"type": "boolean"},
        "created_at": {"type": "string", "format": "date-time"},
        "address": {"type": "object", "properties": {name: {"type": "string"} for name in ("street", "city", "zip")}},
    }
}


@pytest.mark.skipif("SINGERKIT_MEASURE" not in os.environ, reason="set SINGERKIT_MEASURE to compare CPU times")
@pytest.mark.parametrize("children", [{}, {"key": "at", "is_sorted": True}], ids=["full", "incremental"])
def test_a_record_of_ten_thousand_contexts_costs_at_most_twice_the_cpu_of_a_flat_one(children: dict) -> None:
    def some(count: int):
        return lambda context: ({"id": n, "at": n, **TEN_FIELDS} for n in range(count))

    def cpu_s(*specs) -> float:
        times = []
        for _ in range(7):
            started = time.process_time()
            run_tap(*specs)
            times.append(time.process_time() - started)
        return min(times)

    parent = {"key": "at", "is_sorted": True, "schema": TEN_FIELD_SCHEMA}
    flat = cpu_s(stream("a", some(40_000), **parent))
    family = cpu_s(
        stream("a", some(10_000), **parent), stream("b", some(3), parent="a", schema=TEN_FIELD_SCHEMA, **children)
    )
    assert family <= 2 * flat, f"{family / flat:.2f} times"
