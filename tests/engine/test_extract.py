from __future__ import annotations

from datetime import UTC, datetime

import pytest
from engine_runs import stream

from singerkit.engine.extract import BlockSize, blocks_of, take_in
from singerkit.engine.plan import StreamPlan, plan_tap
from singerkit.engine.progress import Progress
from singerkit.errors import DataError, InvalidStreamSortException


def plan(**declared) -> StreamPlan:
    return plan_tap([stream("s", **declared)], None).streams[0]


# Blocks


@pytest.mark.parametrize("count", [0, 1, 2, 3, 255, 256, 257, 5000])
def test_blocks_hold_every_record_in_order(count: int) -> None:
    blocks = list(blocks_of(range(count), BlockSize()))
    assert [record for block in blocks for record in block] == list(range(count))
    assert all(blocks)


def test_the_first_record_leaves_alone_so_that_something_is_seen_soon() -> None:
    assert [len(block) for block in blocks_of(range(7), BlockSize())][:3] == [1, 2, 4]


@pytest.mark.parametrize("fails_at", range(12))
def test_what_came_before_a_failure_is_given(fails_at: int) -> None:
    def records():
        yield from range(fails_at)
        raise RuntimeError("source")

    found = []
    with pytest.raises(RuntimeError, match="source"):
        for block in blocks_of(records(), BlockSize()):
            found += block
    assert found == list(range(fails_at))


def test_blocks_of_large_records_are_small() -> None:
    size = BlockSize()
    for _ in range(20):
        size.learn(0)
    many = size.next()
    size.average_bytes = 512 * 1024
    assert size.next() <= 2 < many
    size.average_bytes = 100 * 1024 * 1024
    assert size.next() == 1


def test_blocks_shrink_while_the_source_is_slow() -> None:
    size = BlockSize()
    for _ in range(20):
        size.learn(0)
    before = size.next()
    for _ in range(20):
        size.learn(1.0)
    assert size.next() == 1 < before


# Taking in


def taken(given, context=None, **declared) -> list[dict]:
    found = take_in(plan(read=lambda context: given, **declared), context, BlockSize())
    return [record for block in found for record in block.records]


def test_context_members_are_added_but_a_record_s_own_value_wins() -> None:
    given = [{"id": 1}, {"id": 2, "parent": None}]
    context = {"parent": 5, "not_in_schema": 1}
    assert taken(given, context) == [{"id": 1, "parent": 5}, {"id": 2, "parent": None}]


def test_post_process_changes_and_drops() -> None:
    seen = []

    def post_process(record, context):
        seen.append(context)
        return {**record, "text": "x"} if record["id"] % 2 else None

    found = taken([{"id": 1}, {"id": 2}, {"id": 3}], {"parent": 5}, post_process=post_process)
    assert found == [{"id": 1, "text": "x", "parent": 5}, {"id": 3, "text": "x", "parent": 5}]
    assert seen == [{"parent": 5}] * 3


def test_an_author_s_record_is_not_changed() -> None:
    record = {"id": 1}
    taken([record], {"parent": 5}, post_process=lambda row, context: row.pop("id") and row)
    assert record == {"id": 1}


@pytest.mark.parametrize("context", [None, {"parent": 5}])
def test_one_dict_used_for_all_records_gives_all_records(context) -> None:
    def records():
        row = {}
        for number in range(1000):
            row["id"] = number
            yield row

    assert [record["id"] for record in taken(records(), context)] == list(range(1000))


@pytest.mark.parametrize("item", [None, 5, "text", [1], ({"id": 1},)])
def test_what_is_no_record_is_an_error(item) -> None:
    with pytest.raises(DataError, match="get_records has to give dicts"):
        taken([item])


# Following the replication key


def progress(**declared) -> Progress:
    return Progress(plan(key="at", **declared))


def test_the_highest_value_counts_and_nulls_say_nothing() -> None:
    follow = progress()
    assert follow.of([{"at": 3}, {"at": None}, {"at": 7}, {"at": 5}]).value == 7
    assert follow.of([{"at": None}]) is None
    assert follow.of([]) is None


@pytest.mark.parametrize("record", [{"id": 1}, {"at": "x"}, {"at": True}, {"at": [1]}, {"at": float("nan")}])
@pytest.mark.parametrize("is_sorted", [True, False])
def test_a_replication_key_that_is_missing_or_of_another_type_is_an_error(record: dict, *, is_sorted: bool) -> None:
    with pytest.raises(DataError):
        progress(is_sorted=is_sorted).of([{"at": 1}, record])


@pytest.mark.parametrize("blocks", [[[1, 2, 2, 3], [3, 4]], [[1], [None], [1]], [[None, None], [0]], [[5], [], [5]]])
def test_equal_values_and_nulls_are_sorted(blocks: list) -> None:
    follow = progress(is_sorted=True)
    for block in blocks:
        follow.of([{"at": value} for value in block])


@pytest.mark.parametrize("blocks", [[[2, 1]], [[1, 2], [1]], [[5], [None], [4]], [[1, None, 3, 2]], [["10"], [9]]])
def test_a_stream_that_is_not_sorted_is_noticed(blocks: list) -> None:
    follow = progress(is_sorted=True)
    with pytest.raises(InvalidStreamSortException):
        for block in blocks:
            follow.of([{"at": value} for value in block])


def test_a_source_s_word_can_be_taken() -> None:
    follow = progress(is_sorted=True, check_sorted=False)
    assert follow.of([{"at": 2}, {"at": 1}]).value == 2


def test_instants_are_sorted_by_what_they_mean() -> None:
    schema = {"properties": {"id": {}, "at": {"type": "string", "format": "date-time"}}}
    follow = Progress(plan(key="at", is_sorted=True, schema=schema))
    values = ["2024-01-01T00:30:00+01:00", "2024-01-01T00:00:00Z", datetime(2024, 1, 1, 0, 0, 1, tzinfo=UTC)]
    assert follow.of([{"at": value} for value in values]).value == values[-1]
    with pytest.raises(InvalidStreamSortException):
        follow.of([{"at": "2024-01-01T01:00:00+01:00"}])


# Children


def test_children_s_contexts_come_with_their_records() -> None:
    children = {"child_contexts": lambda record, context: [{"a": record["id"]}, None, {"b": None}]}
    specs = [stream("s", [({"id": 1}, {"p": 1}), {"id": 2}], **children), stream("child", parent="s")]
    parent = plan_tap(specs, None).roots[0]
    blocks = list(take_in(parent, None, BlockSize()))
    assert [block.contexts for block in blocks] == [[{"p": 1}], [{"a": 2}, {"b": None}]]
