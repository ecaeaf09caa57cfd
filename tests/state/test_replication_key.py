from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
import time_machine

from singerkit.errors import DataError
from singerkit.state.replication_key import DATE, INSTANT, NUMBER, TEXT, json_form, replication_key_type


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "string", "format": "date-time"}, INSTANT),
        ({"type": ["null", "string"], "format": "date-time"}, INSTANT),
        ({"anyOf": [{"type": "null"}, {"type": "string", "format": "date-time"}]}, INSTANT),
        ({"oneOf": [{"type": "string", "format": "date"}, {"type": "null"}]}, DATE),
        ({"type": "integer"}, NUMBER),
        ({"type": ["number", "null"]}, NUMBER),
        ({"type": ["null", "string"]}, TEXT),
        ({"type": "string", "format": "uuid"}, TEXT),
        ({}, TEXT),
    ],
)
def test_the_type_comes_from_the_schema(schema: dict, kind: object) -> None:
    assert replication_key_type(schema) is kind


@pytest.mark.parametrize(
    ("kind", "earlier", "later"),
    [
        (INSTANT, "2024-01-01T00:30:00+01:00", "2024-01-01T00:00:00Z"),
        (INSTANT, "2024-01-01T00:00:00", "2024-01-01T00:00:00.000001Z"),
        (INSTANT, "2024-01-01 09:00:00+00:00", "2024-01-01T10:00:00Z"),
        (INSTANT, "2024-01-01T10:00:00", "2024-01-01T06:00:01-04:00"),
        (INSTANT, "2024-01-01", "2024-01-01T00:00:01Z"),
        (INSTANT, date(2024, 1, 1), datetime(2024, 1, 1, 1)),
        (INSTANT, datetime(2024, 1, 1, 1, tzinfo=timezone(timedelta(hours=2))), datetime(2024, 1, 1, tzinfo=UTC)),
        (INSTANT, datetime(2024, 1, 1), "2024-01-01T00:00:01Z"),
        (DATE, "2023-12-31", "2024-01-01"),
        (DATE, date(2023, 12, 31), datetime(2024, 1, 1, 5)),
        (DATE, "2023-12-31T23:00:00Z", date(2024, 1, 1)),
        (NUMBER, 9, 10),
        (NUMBER, "9", "10"),
        (NUMBER, 9, "10"),
        (NUMBER, 2**70, 2**70 + 1),
        (NUMBER, 0.1, Decimal("0.1000000000000000001")),
        (NUMBER, -1, 0),
        (TEXT, "B", "a"),
        (TEXT, "10", "9"),
        (TEXT, "", "a"),
    ],
)
def test_values_order_by_what_they_mean(kind: object, earlier: object, later: object) -> None:
    assert kind.compare_key(earlier) < kind.compare_key(later)
    for pair in ((earlier, later), (later, earlier)):
        assert kind.latest(*pair) == later
        assert kind.earliest(*pair) == earlier
    assert kind.compare_keys([earlier, later, earlier]) == [kind.compare_key(v) for v in (earlier, later, earlier)]


@pytest.mark.parametrize("kind", [INSTANT, DATE, NUMBER, TEXT])
def test_a_missing_value_gives_way(kind: object) -> None:
    value = {INSTANT: "2024-01-01T00:00:00Z", DATE: "2024-01-01", NUMBER: 1, TEXT: "a"}[kind]
    assert kind.latest(None, value) == kind.latest(value, None) == kind.earliest(None, value) == value
    assert kind.latest(None, None) is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (INSTANT, "yesterday"),
        (INSTANT, 1704067200),
        (INSTANT, "2024-13-01T00:00:00Z"),
        (INSTANT, ["2024-01-01"]),
        (INSTANT, True),
        (DATE, "1/2/2024"),
        (DATE, 20240101),
        (DATE, {}),
        (NUMBER, "ten"),
        (NUMBER, True),
        (NUMBER, float("nan")),
        (NUMBER, "Infinity"),
        (NUMBER, []),
        (TEXT, 5),
        (TEXT, b"a"),
    ],
)
def test_a_value_of_another_type_is_an_error_that_does_not_show_it(kind: object, value: object) -> None:
    for act in (lambda: kind.compare_key(value), lambda: kind.compare_keys([value])):
        with pytest.raises(DataError) as caught:
            act()
        assert kind.name in str(caught.value)
        assert type(value).__name__ in str(caught.value)
        assert str(value) not in str(caught.value).replace(kind.name, "").replace(type(value).__name__, "")


def test_now_is_the_present_moment_for_instants_and_days_only() -> None:
    with time_machine.travel(datetime(2024, 2, 29, 23, 59, tzinfo=UTC), tick=False):
        assert INSTANT.compare_key(INSTANT.now()) == datetime(2024, 2, 29, 23, 59, tzinfo=UTC)
        assert DATE.compare_key(DATE.now()) == date(2024, 2, 29)
    assert NUMBER.now is None
    assert TEXT.now is None


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (datetime(2024, 1, 1), "2024-01-01T00:00:00+00:00"),
        (datetime(2024, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), "2024-01-01T02:00:00+02:00"),
        (date(2024, 1, 1), "2024-01-01"),
        ("as it came", "as it came"),
        (Decimal("1.50"), Decimal("1.50")),
        (7, 7),
    ],
)
def test_a_state_carries_dates_as_text(value: object, form: object) -> None:
    assert json_form(value) == form


@pytest.mark.parametrize("kind", [INSTANT, DATE, NUMBER, TEXT])
def test_comparing_many_handles_an_empty_list(kind: object) -> None:
    assert kind.compare_keys([]) == []
