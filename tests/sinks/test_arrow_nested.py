"""Objects and arrays as structs and lists, and files of them that give back what was written."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from singerkit.files.batches import BatchEncoding, record_texts
from singerkit.sinks.arrow_columns import ArrowColumns
from singerkit.sinks.arrow_files import columnar_file

INTEGER, TEXT = {"type": "integer"}, {"type": ["string", "null"]}


def members(**properties):
    return {"type": ["object", "null"], "properties": properties}


def items(schema):
    return {"type": ["array", "null"], "items": schema}


def type_of(schema, **options):
    return ArrowColumns({"properties": {"c": schema}}, "s", **options).schema.field("c").type


def struct(**fields):
    return pa.struct(list(fields.items()))


def list_of(kind):
    return pa.list_(pa.field("element", kind))


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        (members(a=INTEGER, b=TEXT), struct(a=pa.int64(), b=pa.string())),
        ({"type": "object", "properties": {"a": INTEGER}, "additionalProperties": False}, struct(a=pa.int64())),
        ({"type": "object", "properties": {"a": INTEGER}, "additionalProperties": True}, struct(a=pa.int64())),
        (items(INTEGER), list_of(pa.int64())),
        (items(members(a=items(TEXT))), list_of(struct(a=list_of(pa.string())))),
        ({"anyOf": [members(a=INTEGER), {"type": "null"}]}, struct(a=pa.int64())),
        (members(at={"type": "string", "format": "date-time"}), struct(at=pa.timestamp("us", tz="UTC"))),
        (members(price={"type": "number", "multipleOf": 0.01}), struct(price=pa.decimal128(38, 2))),
        (members(loose={"type": "object"}, a=INTEGER), struct(loose=pa.string(), a=pa.int64())),
        # looser schemas are JSON text
        ({"type": "object"}, pa.string()),
        ({"type": "object", "properties": {}}, pa.string()),
        ({"type": "object", "properties": {"a": INTEGER}, "additionalProperties": INTEGER}, pa.string()),
        ({"type": "object", "properties": {"a": INTEGER}, "patternProperties": {"b": INTEGER}}, pa.string()),
        ({"type": "array"}, pa.string()),
        (items({}), pa.string()),
        (items({"type": ["string", "integer"]}), pa.string()),
        (items({"type": "object"}), pa.string()),
        ({"anyOf": [members(a=INTEGER), members(b=INTEGER)]}, pa.string()),
        ({"type": ["array", "object"], "items": INTEGER, "properties": {"a": INTEGER}}, pa.string()),
    ],
)
def test_the_schema_says_whether_it_is_a_struct_or_a_list(schema, kind):
    assert type_of(schema) == kind
    assert type_of(schema, nested=False) == pa.string()


def test_what_is_nested_too_deeply_is_text():
    deep = INTEGER
    for _ in range(40):
        deep = members(a=deep)
    kind = type_of(deep)
    for _ in range(16):
        assert pa.types.is_struct(kind)
        kind = kind.field(0).type
    assert kind == pa.string()


def table_of(schema, *values):
    return ArrowColumns({"properties": {"c": schema}}, "s").table([{"c": value} for value in values])


def found(schema, *values):
    return table_of(schema, *values).column("c").to_pylist()


def test_values_are_where_their_names_say():
    schema = members(a=INTEGER, b=TEXT, l=items(members(x={"type": "number"})))
    given_values = [{"b": "x", "a": 1, "l": [{"x": 1.5}, None]}, None, {}, {"a": 2, "l": []}]
    assert found(schema, *given_values) == [
        {"a": 1, "b": "x", "l": [{"x": 1.5}, None]},
        None,
        {"a": None, "b": None, "l": None},
        {"a": 2, "b": None, "l": []},
    ]
    assert found(items(items(INTEGER)), [[1], [], None], None, []) == [[[1], [], None], None, []]


def test_texts_inside_are_read_as_their_format_says():
    schema = members(at={"type": "string", "format": "date-time"}, day={"type": "string", "format": "date"})
    assert found(schema, {"at": "2024-01-01T00:00:00.000001+02:00", "day": "2024-02-29"}) == [
        {"at": datetime(2023, 12, 31, 22, 0, 0, 1, tzinfo=UTC), "day": date(2024, 2, 29)}
    ]
    assert found(schema, {"at": "2024-01-01T00:00:00.123456789Z", "day": "20240229"}) == [
        {"at": "2024-01-01T00:00:00.123456789Z", "day": "20240229"}
    ]


@pytest.mark.parametrize(
    "value", [{"a": 1, "unknown": None}, [1], 5, "text", {"a": {"b": 1}, "x": 1}, {"a": 1, "b": "\ud800"}]
)
def test_a_value_that_the_struct_cannot_say_makes_the_column_text(value):
    columns = ArrowColumns({"properties": {"c": members(a=INTEGER, b=TEXT)}}, "s")
    assert pa.types.is_struct(columns.table([{"c": {"a": 1}}]).schema.field("c").type)
    table = columns.table([{"c": {"a": 1}}, {"c": value}, {"c": None}])
    assert table.schema.field("c").type == pa.string()
    assert [json.loads(text) for text in table.column("c").to_pylist()[:2]] == [{"a": 1}, value]
    assert columns.table([{"c": {"a": 1}}]).column("c").to_pylist() == ['{"a":1}']


def test_what_is_inside_widens_by_itself_and_stays_so():
    columns = ArrowColumns({"properties": {"c": members(a=INTEGER, l=items({"type": "number"}))}}, "s")
    columns.table([{"c": {"a": 2**64, "l": [0.5]}}])
    assert columns.schema.field("c").type == struct(a=pa.decimal128(38, 0), l=list_of(pa.float64()))
    table = columns.table([{"c": {"a": 1, "l": [Decimal("0.1000000000000000000000001")]}}])
    assert table.column("c").to_pylist() == [{"a": 1, "l": ["0.1000000000000000000000001"]}]


# -- files -------------------------------------------------------------------------------------------------------------

TEXTS = st.text(max_size=3)
LEAVES = [
    ({"type": "integer"}, st.integers()),
    ({"type": "number"}, st.floats(allow_nan=False, allow_infinity=False)),
    ({"type": "boolean"}, st.booleans()),
    ({"type": "string"}, TEXTS),
    ({"type": "object"}, st.dictionaries(TEXTS, st.integers() | TEXTS, max_size=2)),
    ({"type": ["integer", "string"]}, st.integers() | TEXTS),
    ({"type": "array"}, st.lists(st.none() | TEXTS | st.booleans(), max_size=2)),
]


@st.composite
def schemas_with_values(draw, levels=3):
    """Give a schema, and a strategy for its values: members that may be null are there, others may be absent."""
    shape = draw(st.sampled_from(["leaf", "object", "array"])) if levels else "leaf"
    if shape == "leaf":
        schema, values = draw(st.sampled_from(LEAVES))
    elif shape == "array":
        item, item_values = draw(schemas_with_values(levels=levels - 1))
        schema, values = {"type": "array", "items": item}, st.lists(item_values, max_size=3)
    else:
        parts = draw(st.dictionaries(TEXTS, schemas_with_values(levels=levels - 1), max_size=3))
        present = {name: values for name, (part, values) in parts.items() if "null" in part["type"]}
        absent = {name: values for name, (_, values) in parts.items() if name not in present}
        schema = {"type": "object", "properties": {name: part for name, (part, _) in parts.items()}}
        values = st.fixed_dictionaries(present, optional=absent)
    if not draw(st.booleans()):
        return schema, values
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return {**schema, "type": [*types, "null"]}, st.none() | values


FILES = [("parquet", "none"), ("arrow", "none"), ("arrow", "zstd"), ("arrow", "gzip"), ("parquet", "gzip")]


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(FILES))
def test_a_file_gives_back_the_records_that_were_written(data, encoding):
    schema, values = data.draw(schemas_with_values())
    records = data.draw(st.lists(st.fixed_dictionaries({"id": st.integers(0, 9), "c": values}), min_size=1, max_size=4))
    written = b"".join(json.dumps(record).encode() + b"\n" for record in records)
    stream_schema = {"type": "object", "properties": {"id": {"type": "integer"}, "c": schema}}
    made = BatchEncoding(*encoding)
    file = columnar_file("s", stream_schema, written, made)
    read = b"".join(record_texts(io.BytesIO(file), made))
    assert [json.loads(line) for line in read.splitlines()] == records
