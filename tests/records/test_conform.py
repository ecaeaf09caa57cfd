from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType

import pytest

from singerkit.records.conform import Changes, compile_conform, is_open


def conform(schema: dict, value: object) -> object:
    """Conform one property's value."""
    return compile_conform({"properties": {"x": schema}}, Changes())({"x": value})["x"]


@pytest.mark.parametrize(
    ("schema", "value", "conformed"),
    [
        ({"type": ["boolean", "null"]}, 1, True),
        ({"type": "boolean"}, 0, False),
        ({"type": "boolean"}, b"\x00\x01", True),
        ({"type": "boolean"}, b"\x00", False),
        ({"type": "boolean"}, Decimal(0), False),
        ({"type": "boolean"}, 0.5, True),
        ({"type": "boolean"}, float("nan"), None),
        ({"type": "boolean"}, None, None),
        ({"type": "boolean"}, "yes", "yes"),
        ({"type": "boolean"}, date(2024, 1, 1), "2024-01-01"),
        ({"type": ["boolean", "integer"]}, 1, 1),
        ({"type": "integer"}, True, True),
        ({"type": "number"}, Decimal("1.10"), Decimal("1.10")),
        ({"type": ["string", "null"]}, Decimal("1.10"), "1.10"),
        ({"type": ["string", "number"]}, Decimal("1.10"), Decimal("1.10")),
        ({"type": "string"}, Decimal("1E+5"), "1E+5"),
        ({"type": "string", "format": "date-time"}, date(2024, 2, 29), "2024-02-29T00:00:00Z"),
        ({"type": "string", "format": "date-time"}, datetime(2024, 2, 29, 1), "2024-02-29T01:00:00Z"),
        ({"type": "string", "format": "date-time"}, "2024-02-29T01:00:00.1234567Z", "2024-02-29T01:00:00.1234567Z"),
        (
            {"type": "string", "format": "date-time"},
            datetime(2024, 2, 29, 1, tzinfo=timezone(timedelta(hours=-3))),
            "2024-02-29T01:00:00-03:00",
        ),
        ({"type": "string", "format": "date"}, date(2024, 2, 29), "2024-02-29"),
        ({"type": "string", "format": "date"}, datetime(2024, 2, 29, tzinfo=UTC), "2024-02-29T00:00:00Z"),
        ({"type": "array", "items": {"type": "boolean"}}, (0, 1), [False, True]),
        ({"type": "array", "items": {"type": "boolean"}}, "not a list", "not a list"),
        ({"type": "array"}, (date(2024, 1, 1), {"a": b"\xff"}), ["2024-01-01", {"a": "ff"}]),
        ({"type": "object"}, {"any": Decimal("0.10"), 5: None}, {"any": Decimal("0.10"), "5": None}),
        ({"type": "object", "properties": {"a": {"type": "boolean"}}}, {"a": 1, "b": 2}, {"a": True}),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": True}, {"b": (1,)}, {"b": [1]}),
        ({"type": "object", "properties": {"a": {}}}, None, None),
        ({"type": "object", "properties": {"a": {}}}, "text", "text"),
        ({"type": "object", "properties": {"a": {}}}, MappingProxyType({"a": 1}), {"a": 1}),
        ({"type": "object", "properties": {}}, {"a": 1}, {}),
        ({}, float("-inf"), None),
        ({}, OrderedDict(a=OrderedDict(b=float("nan"))), {"a": {"b": None}}),
        ({}, 2**100, 2**100),
    ],
)
def test_a_value_gets_the_form_that_its_schema_asks_for(schema: dict, value: object, conformed: object) -> None:
    found = conform(schema, value)
    assert found == conformed
    assert type(found) is type(conformed)


def test_properties_that_the_schema_lacks_are_dropped_and_counted_by_path() -> None:
    changes = Changes()
    schema = {"properties": {"a": {"type": "object", "properties": {"b": {}}}}}
    run = compile_conform(schema, changes)
    for _ in range(3):
        assert run({"a": {"b": 1, "c": 2}, "z": 3}) == {"a": {"b": 1}}
    assert changes.dropped == {"a.c": 3, "z": 3}
    assert changes.messages() == ["left out properties that the schema does not have: a.c, z"]


def test_the_top_level_is_closed_even_when_the_schema_says_otherwise() -> None:
    # A record's own properties are the stream's columns: they have to be declared.
    assert compile_conform({"properties": {"a": {}}, "additionalProperties": True}, Changes())({"b": 1}) == {}


def test_numbers_that_json_lacks_are_counted_and_become_null() -> None:
    changes = Changes()
    run = compile_conform({"properties": {"a": {"type": "number"}, "b": {"type": "array"}}}, changes)
    assert run({"a": float("inf"), "b": [Decimal("NaN"), 1.5]}) == {"a": None, "b": [None, 1.5]}
    assert changes.not_a_number == 2
    assert "2 values" in changes.messages()[0]


def test_the_record_itself_is_not_changed() -> None:
    record = {"a": {"b": [date(2024, 1, 1)]}, "z": 1}
    compile_conform({"properties": {"a": {}}}, Changes())(record)
    assert record == {"a": {"b": [date(2024, 1, 1)]}, "z": 1}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, True),
        ({"properties": {}}, False),
        ({"properties": {}, "additionalProperties": True}, True),
        ({"properties": {}, "additionalProperties": {"type": "string"}}, True),
        ({"properties": {}, "additionalProperties": False}, False),
        ({"properties": {}, "patternProperties": {"^x": {}}}, True),
    ],
)
def test_an_object_is_open_when_it_may_have_other_properties(schema: dict, expected: bool) -> None:
    assert is_open(schema) is expected
