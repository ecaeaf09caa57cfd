from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import pytest

from singerkit_testing.values import column_of, differences, equal, identity, instant_of

INDIA = timezone(timedelta(hours=5, minutes=30))


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (None, None),
        (True, True),
        (True, 1),
        (False, "false"),
        (1, Decimal("1.0")),
        (1, "1"),
        (Decimal("0.1"), 0.1),
        (Decimal("12.50"), "12.5"),
        (2**63 - 1, "9223372036854775807"),
        (Decimal("1E+2"), 100),
        ("a", "a"),
        ("", ""),
        ("2024-01-02T03:04:05Z", "2024-01-02 03:04:05"),
        ("2024-01-02T05:30:00+05:30", "2024-01-02T00:00:00.000000+00:00"),
        ("2024-01-02T05:30:00+05:30", datetime(2024, 1, 2, 5, 30, tzinfo=INDIA)),
        ("2024-01-02T05:30:00+05:30", datetime(2024, 1, 2)),
        ("2024-01-02", date(2024, 1, 2)),
        ("2024-01-02", datetime(2024, 1, 2, tzinfo=UTC)),
        ("03:04:05", time(3, 4, 5)),
        ("text", b"text"),
        ({"a": [1, None]}, '{"a": [1.0, null]}'),
        ({"a": {"b": Decimal("0.5")}}, {"a": {"b": 0.5}}),
        ([], "[]"),
    ],
)
def test_what_means_the_same(expected, actual):
    assert equal(expected, actual)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (None, ""),
        ("", None),
        (0, None),
        (0, False),
        (True, "yes, please"),
        (True, 0),
        (2**63 - 1, float(2**63 - 1)),
        (Decimal("0.12345678901234567890"), 0.12345678901234568),
        ("1,000", 1000),
        ("no", True),
        ("a", "A"),
        ("a\n", "a\\n"),
        ("2024-01-02T05:30:00+05:30", "2024-01-02 05:30:00"),
        ("2024-01-02T05:30:00+05:30", datetime(2024, 1, 2, 5, 30)),
        ("2024-01-02T03:04:05.123456Z", "2024-01-02T03:04:05.1234Z"),
        ("2024-13-02T03:04:05Z", "2024-13-02 03:04:05"),
        ({"b": "nested"}, "{'b': 'nested'}"),
        ({"a": 1}, {"a": 1, "b": None}),
        ([1, 2], [2, 1]),
    ],
)
def test_what_does_not(expected, actual):
    assert not equal(expected, actual)


def test_identities_ignore_the_order_of_keys_and_how_a_number_is_written():
    assert identity({"a": 1, "b": [Decimal("2.0")]}) == identity({"b": [2], "a": Decimal("1.00")})
    assert identity(True) != identity(1)
    assert identity("1") != identity(1)
    assert identity([1, 2]) != identity([2, 1])
    assert identity({}) != identity([])
    assert identity(float("nan")) == identity(float("nan"))


def test_instants():
    assert instant_of("2024-01-02T03:04:05+00:30") == instant_of("2024-01-02 02:34:05Z")
    assert instant_of("2024-01-02T03:04:05.1Z") < instant_of("2024-01-02T03:04:05.100000001Z")
    assert instant_of("2024-01-02") is None
    assert instant_of("0001-01-01T00:00:00+14:00") is None
    assert instant_of("2024-01-02T03:04:05+0530") == instant_of("2024-01-02T03:04:05+05:30")


def test_columns_may_be_renamed_or_flattened():
    row = {"ID": 1, "user_name": "x", "address__city": "Bern", "address__geo__lat": 1}
    assert column_of(row, "id") == 1
    assert column_of(row, "userName") == "x"
    assert column_of(row, "address") == {"city": "Bern", "geo": {"lat": 1}}
    assert column_of(row, "none") is None


def test_rows_are_compared_whatever_their_order():
    sent = [{"id": 1, "x": "a"}, {"id": 2, "x": None}]
    stored = [{"id": "2", "x": None, "extra": 1}, {"id": "1", "x": "a", "extra": 2}]
    assert not differences(sent, stored, keys=["id"])


def test_differences_are_told_apart():
    sent = [{"id": 1, "x": "a"}, {"id": 2, "x": "b"}, {"id": 3, "x": "c"}]
    stored = [{"id": 1, "x": "a"}, {"id": 2, "x": "z"}, {"id": 4, "x": "d"}]
    found = differences(sent, stored, keys=["id"])
    assert found.missing == [sent[2]]
    assert found.changed == [(sent[1], stored[1])]
    assert found.surplus == [stored[2]]
    assert found.sentences() == [
        "1 sent but missing, for example {'id': 3, 'x': 'c'}",
        "1 changed, for example x: sent 'b', found 'z'",
        "1 not sent, for example {'id': 4, 'x': 'd'}",
    ]


def test_without_a_key_exact_duplicates_count():
    row = {"id": 1, "x": "a"}
    assert not differences([row, row], [row, row])
    assert differences([row, row], [row]).missing == [row]
    assert differences([row], [row, row]).surplus == [row]


def test_files_that_know_only_texts():
    sent, stored = [{"id": 1, "x": None, "y": ""}], [{"id": "1", "x": "", "y": ""}]
    assert differences(sent, stored, keys=["id"])
    assert not differences(sent, stored, keys=["id"], blank_is_null=True)


def test_many_rows_are_compared_quickly():
    sent = [{"id": n, "x": str(n)} for n in range(12_000)]
    assert differences(sent, list(reversed(sent[:-1]))).missing == [sent[-1]]


def test_keys_that_are_instants_or_booleans_find_their_rows():
    sent = [{"at": "2024-01-02T00:00:00Z", "on": True, "x": 1}]
    stored = [{"at": datetime(2024, 1, 2, tzinfo=UTC), "on": 1, "x": 2}]
    assert len(differences(sent, stored, keys=["at", "on"]).changed) == 1
