"""What connectors override: called as before, or refused with the name of what does the same. Never ignored."""

from __future__ import annotations

import pytest
from engine_runs import Stop, TapOutcome, within

from singerkit import BatchSink, RecordSink, RESTStream, Sink, Stream, Tap, Target
from singerkit import typing as th
from singerkit.compat.overrides import (
    BATCH_SINK_OVERRIDES,
    SINK_OVERRIDES,
    STREAM_OVERRIDES,
    TAP_OVERRIDES,
    TARGET_OVERRIDES,
)
from singerkit.errors import ConfigurationError, InvalidStreamSortException
from singerkit.protocol.writer import MessageWriter

REFUSED = [
    (Stream, STREAM_OVERRIDES),
    (RESTStream, STREAM_OVERRIDES),
    (Tap, TAP_OVERRIDES),
    (Target, TARGET_OVERRIDES),
    (Sink, SINK_OVERRIDES),
    (RecordSink, SINK_OVERRIDES),
    (BatchSink, BATCH_SINK_OVERRIDES),
]


@pytest.mark.parametrize(("base", "name"), [(base, name) for base, answers in REFUSED for name in sorted(answers)])
def test_an_override_that_nothing_calls_is_refused_when_the_class_is_defined(base: type, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"Mine.{name} would never be called") as refused:
        type("Mine", (base,), {name: lambda self: None})
    assert len(str(refused.value).split(": ", 1)[1]) > 15, "it says what to do instead"


def test_a_mixin_s_override_is_refused_too() -> None:
    class SkipsMissing:
        def _sync_children(self, child_context):
            pass

    with pytest.raises(ConfigurationError, match=r"SkipsMissing\._sync_children.*get_child_context"):
        type("Companies", (SkipsMissing, Stream), {"name": "companies"})


# What is called as before


class Rows(Stream):
    name, primary_keys, replication_key = "rows", ("id",), "at"
    schema = th.PropertiesList(th.Property("id", th.IntegerType), th.Property("at", th.IntegerType)).to_dict()
    values: tuple = (3, 9, 5)

    def get_records(self, context):
        for number, value in enumerate(self.values):
            yield {"id": number, "at": value}


def run(*kinds: type[Stream], state=None) -> TapOutcome:
    class TapRows(Tap):
        name = "tap-rows"

        def discover_streams(self):
            return [kind(self) for kind in kinds]

    tap = TapRows(state=state)
    output = bytearray()
    failure = within(20, lambda: tap._sync(MessageWriter(output.extend), Stop()))
    return TapOutcome(bytes(output), failure, tap.bookmarks)


def bookmark(outcome: TapOutcome, name: str = "rows"):
    return outcome.state["bookmarks"].get(name, {}).get("replication_key_value")


def test_an_increment_that_looks_at_each_record_and_calls_the_usual_one() -> None:
    class Nulls(Rows):
        values = (3, None, 9, None, 5)

        def _increment_stream_state(self, latest_record, *, context=None):
            if latest_record.get(self.replication_key) is None:
                return
            super()._increment_stream_state(latest_record, context=context)

    outcome = run(Nulls, state={"bookmarks": {"rows": {"replication_key": "at", "replication_key_value": 4}}})
    assert outcome.failure is None
    assert outcome.ids("rows") == [0, 1, 2, 3, 4]
    assert bookmark(outcome) == 9
    assert "progress_markers" not in outcome.state["bookmarks"]["rows"]


def test_an_increment_that_does_nothing_leaves_the_bookmark_to_get_records() -> None:
    class Own(Rows):
        def get_records(self, context):
            yield from super().get_records(context)
            self.get_context_state(context)["replication_key_value"] = 77

        def _increment_stream_state(self, latest_record, *, context=None):
            pass

    assert bookmark(run(Own)) == 77


def test_an_increment_of_a_log_based_stream_keeps_its_position() -> None:
    class Log(Rows):
        replication_method = "LOG_BASED"

        def _increment_stream_state(self, latest_record, *, context=None):
            entry = self.get_context_state(context)
            entry["replication_key"] = self.replication_key
            entry["replication_key_value"] = latest_record[self.replication_key]

        def get_records(self, context):
            start = self.get_starting_replication_key_value(context) or 0
            return ({"id": value, "at": value} for value in range(start, 6))

    first = run(Log)
    assert (first.ids("rows"), bookmark(first)) == ([0, 1, 2, 3, 4, 5], 5)
    assert run(Log, state=first.state).ids("rows") == [5]


def test_an_increment_waits_for_the_children() -> None:
    class Parents(Rows):
        values, is_sorted = (1, 2, 3), True

        def _increment_stream_state(self, latest_record, *, context=None):
            super()._increment_stream_state(latest_record, context=context)

        def get_child_context(self, record, context):
            return {"parent": record["id"]}

    class Children(Rows):
        name, replication_key, parent_stream_type = "children", None, Parents

        def get_records(self, context):
            if context["parent"] == 1:
                raise RuntimeError("the source broke")
            return [{"id": context["parent"]}]

    outcome = run(Parents, Children)
    assert isinstance(outcome.failure, RuntimeError)
    assert bookmark(outcome) in {None, 1}


def test_an_increment_that_fails_fails_its_stream_and_nothing_else() -> None:
    class Broken(Rows):
        name = "broken"

        def _increment_stream_state(self, latest_record, *, context=None):
            raise KeyError("x")

    outcome = run(Broken, Rows)
    assert isinstance(outcome.failure, KeyError)
    assert (outcome.ids("rows"), bookmark(outcome)) == ([0, 1, 2], 9)


def test_a_sorted_stream_that_is_not_is_noticed_under_an_increment_of_one_s_own() -> None:
    class Sorted(Rows):
        is_sorted = True

        def _increment_stream_state(self, latest_record, *, context=None):
            super()._increment_stream_state(latest_record, context=context)

    outcome = run(Sorted)
    assert isinstance(outcome.failure, InvalidStreamSortException)
    assert bookmark(outcome) is None


def test_start_values_of_an_author_s_own_are_what_the_stream_reads_from() -> None:
    class Own(Rows):
        def get_starting_replication_key_value(self, context):
            return 42

        def get_records(self, context):
            yield {"id": 1, "at": self.get_starting_replication_key_value(context)}

    assert bookmark(run(Own)) == 42


def test_an_attribute_that_happens_to_be_called_incremental_is_the_author_s_own() -> None:
    class Own(Rows):
        incremental = True

    outcome = run(Own)
    assert outcome.failure is None
    assert bookmark(outcome) == 9


def test_the_state_can_be_read_as_before() -> None:
    class Reads(Rows):
        def get_records(self, context):
            entry = {"replication_key": "at", "replication_key_value": 4}
            assert self.stream_state == entry
            assert self.tap_state["bookmarks"]["rows"] == entry
            assert self.get_context_state(context) == entry
            return []

    outcome = run(Reads, state={"bookmarks": {"rows": {"replication_key": "at", "replication_key_value": 4}}})
    assert outcome.failure is None
