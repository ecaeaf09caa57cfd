from __future__ import annotations

import json
import threading
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from singerkit.errors import StateError
from singerkit.protocol.codec import encode
from singerkit.state.partitions import Partitions, identity_of


def test_an_entry_is_found_by_its_context_whatever_the_order() -> None:
    entries = [{"context": {"a": 1, "b": "x"}, "replication_key_value": 5}]
    partitions = Partitions("s", entries)
    assert partitions.find({"b": "x", "a": 1}) is entries[0]
    assert partitions.find({"a": 1}) is None
    assert partitions.entry({"b": "x", "a": 1}) is entries[0]
    assert len(entries) == 1


def test_a_new_entry_goes_to_the_end_of_the_list_and_copies_its_context() -> None:
    entries = [{"context": {"a": 1}}]
    context = {"a": 2}
    entry = Partitions("s", entries).entry(context)
    context["a"] = 3
    assert entries == [{"context": {"a": 1}}, {"context": {"a": 2}}]
    assert entries[1] is entry


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {"a": "1"}),
        ({"a": 0}, {"a": False}),
        ({"a": None}, {"a": "None"}),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, {"a": 1, "b": None}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": {"b": 1}}, {"a": {"b": 2}}),
        ({"a": ""}, {"a": None}),
        ({"a": 1.5}, {"a": "1.5"}),
    ],
)
def test_contexts_that_differ_in_json_are_different(first: dict, second: dict) -> None:
    assert identity_of(first) != identity_of(second)
    partitions = Partitions("s", [])
    assert partitions.entry(first) is not partitions.entry(second)


@pytest.mark.parametrize(
    "value",
    [
        1,
        "text",
        None,
        True,
        1.5,
        1.0,
        2**70,
        [1, [2, None]],
        (1, 2),
        {"b": 1, "a": [True]},
        date(2024, 1, 1),
        datetime(2024, 1, 1, 12, tzinfo=UTC),
        datetime(2024, 1, 1, 12),
        UUID(int=5),
        Decimal("1.5"),
        "\ud800",
    ],
)
@pytest.mark.parametrize("extra", [{}, {"z": 1}])
def test_a_context_is_found_again_after_the_state_was_a_file(value: object, extra: dict) -> None:
    context = {"a": value, **extra}
    entries: list = []
    Partitions("s", entries).entry(context)
    from_file = json.loads(encode(entries))
    partitions = Partitions("s", from_file)
    assert partitions.find(context) is from_file[0]
    partitions.entry(context)
    assert len(from_file) == 1


@pytest.mark.parametrize("entries", [[{}], [5], [{"context": None}], [{"context": [1]}], [None]])
def test_an_entry_without_a_context_is_an_error(entries: list) -> None:
    with pytest.raises(StateError, match="context"):
        Partitions("s", entries)


def test_two_entries_for_one_context_are_an_error() -> None:
    with pytest.raises(StateError, match="two entries"):
        Partitions("s", [{"context": {"a": 1, "b": 2}}, {"context": {"b": 2, "a": 1}}])


def test_access_does_not_look_at_the_other_entries() -> None:
    class Watched(dict):
        looks = 0

        def __getitem__(self, name: str) -> object:
            Watched.looks += 1
            return super().__getitem__(name)

        def get(self, name: str, default: object = None) -> object:
            Watched.looks += 1
            return super().get(name, default)

    entries = [Watched(context={"id": index}) for index in range(10_000)]
    partitions = Partitions("s", entries)
    Watched.looks = 0
    assert partitions.find({"id": 9_999}) is entries[-1]
    assert partitions.entry({"id": 0}) is entries[0]
    partitions.entry({"id": 10_000})
    assert Watched.looks == 0


def test_threads_that_ask_for_the_same_context_get_the_same_entry() -> None:
    entries: list = []
    partitions = Partitions("s", entries)
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        for index in range(500):
            partitions.entry({"id": index})

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(entries) == 500
    Partitions("s", entries)  # no entry twice
