"""From records, as dicts and as structs, to tables; and a sink that takes them, as its author writes it."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from singerkit.errors import DataError, InvalidInputLine
from singerkit.records.validate import compile_decoder
from singerkit.sinks.arrow_columns import ArrowColumns

EVERYTHING = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "number": {"type": ["number", "null"]},
        "price": {"type": ["number", "null"], "multipleOf": 0.01},
        "flag": {"type": ["boolean", "null"]},
        "text": {"type": ["string", "null"]},
        "at": {"type": ["string", "null"], "format": "date-time"},
        "day": {"type": ["string", "null"], "format": "date"},
        "clock": {"type": ["string", "null"], "format": "time"},
        "thing": {"type": ["object", "null"], "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}},
        "list": {"type": ["array", "null"], "items": {"type": "string"}},
        "mixed": {"type": ["string", "integer", "null"]},
    },
}


def decoded(schema, *records, keep_structs, exact=True):
    lines = b"".join(
        b'{"type":"RECORD","stream":"s","record":' + json.dumps(record).encode() + b"}\n" for record in records
    )
    return [line.record for line in compile_decoder(schema, keep_structs=keep_structs, exact_numbers=exact)(lines)]


def column(schema, *values):
    return ArrowColumns({"properties": {"c": schema}}, "s").table([{"c": value} for value in values]).column("c")


def test_each_type_has_its_column():
    schema = ArrowColumns(EVERYTHING, "s").schema
    instant = pa.timestamp("us", tz="UTC")
    assert dict(zip(schema.names, schema.types, strict=True)) == {
        "id": pa.int64(),
        "number": pa.float64(),
        "price": pa.decimal128(38, 2),
        "flag": pa.bool_(),
        "text": pa.string(),
        "at": instant,
        "day": pa.date32(),
        "clock": pa.string(),
        "thing": pa.struct([("a", pa.int64()), ("b", pa.string())]),
        "list": pa.list_(pa.field("element", pa.string())),
        "mixed": pa.string(),
    }


WITHOUT_DECIMALS = {"type": "object", "properties": {k: v for k, v in EVERYTHING["properties"].items() if k != "price"}}

values = st.fixed_dictionaries(
    {"id": st.integers(-(2**63), 2**63 - 1)},
    optional={
        "number": st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
        "flag": st.none() | st.booleans(),
        "text": st.none() | st.text(st.characters(exclude_categories=["Cs"])),
        "at": st.none() | st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda at: at.isoformat() + "Z"),
        "day": st.none() | st.dates().map(date.isoformat),
        "thing": st.none() | st.fixed_dictionaries({}, optional={"a": st.integers(), "b": st.just("\n")}),
        "list": st.none() | st.lists(st.text("a\n\u20ac")),
    },
)


def exact_members(thing):
    """Give an object's members, its integer as one, though an integer beyond 64 bits widens all of its column."""
    return thing and {**thing, "a": None if thing["a"] is None else int(thing["a"])}


@given(st.lists(values, min_size=1, max_size=6), st.booleans())
def test_structs_and_dicts_make_the_same_table(records, exact):
    structs = decoded(WITHOUT_DECIMALS, *records, keep_structs=True, exact=exact)
    dicts = decoded(WITHOUT_DECIMALS, *records, keep_structs=False, exact=exact)
    assert all(type(record) is dict for record in dicts)
    table = ArrowColumns(WITHOUT_DECIMALS, "s").table(structs)
    assert table.equals(ArrowColumns(WITHOUT_DECIMALS, "s").table(dicts))
    for row, record in zip(table.to_pylist(), records, strict=True):
        assert (row["id"], row["text"], row["flag"]) == (record["id"], record.get("text"), record.get("flag"))
        assert row["number"] == record.get("number")
        assert row["list"] == record.get("list")
        thing = record.get("thing")
        assert exact_members(row["thing"]) == (None if thing is None else {"a": thing.get("a"), "b": thing.get("b")})
        assert (row["at"] and row["at"].isoformat().replace("+00:00", "Z")) == record.get("at")


def test_structs_stay_structs_where_no_dict_is_needed():
    simple = {"type": "object", "properties": {"id": {"type": "integer"}}}
    assert type(decoded(simple, {"id": 1}, keep_structs=True)[0]) is not dict
    judged = {"type": "object", "properties": {"id": {"type": "integer", "not": {"const": 5}}}}
    assert decoded(judged, {"id": 1}, keep_structs=True) == [{"id": 1}]
    number = {"type": "object", "properties": {"n": {"type": ["number", "null"]}}}
    assert type(decoded(number, {"n": 1.5}, {"n": None}, {}, keep_structs=True)[0]) is not dict
    with pytest.raises(DataError):
        decoded(number, {"n": 1.5}, {"n": "x"}, keep_structs=True)


def test_records_of_several_types_keep_their_order():
    first = decoded(WITHOUT_DECIMALS, {"id": 1}, {"id": 2}, keep_structs=True)
    second = decoded(WITHOUT_DECIMALS, {"id": 3, "text": "x"}, keep_structs=False)
    table = ArrowColumns(WITHOUT_DECIMALS, "s").table([*first, *second, *first])
    assert table.column("id").to_pylist() == [1, 2, 3, 1, 2]
    assert table.column("text").to_pylist() == [None, None, "x", None, None]


def test_an_integer_column_grows_to_decimal_then_to_text_and_stays_so():
    columns = ArrowColumns({"properties": {"n": {"type": "integer"}}}, "s")
    for value, kind in ((2**63 - 1, pa.int64()), (2**63, pa.decimal128(38, 0)), (1, pa.decimal128(38, 0))):
        table = columns.table([{"n": value}])
        assert (table.schema.field("n").type, table.column("n").to_pylist()) == (kind, [value])
    assert columns.table([{"n": 10**38}]).column("n").to_pylist() == [str(10**38)]
    assert columns.table([{"n": 7}]).column("n").to_pylist() == ["7"]
    assert columns.schema.field("n").type == pa.string()


NUMBER, INTEGER = {"type": "number"}, {"type": "integer"}
EXACT, INSTANT = {"type": "number", "multipleOf": 0.01}, {"type": "string", "format": "date-time"}


@pytest.mark.parametrize(
    ("schema", "given_values", "expected"),
    [
        (NUMBER, [1, 1.5, -0.0], [1.0, 1.5, -0.0]),
        (NUMBER, [2**53 + 1, 0.5], [str(2**53 + 1), "0.5"]),  # no double holds it
        (NUMBER, [Decimal("1.50"), Decimal("1E+3"), 2], [1.5, 1000.0, 2.0]),
        (
            NUMBER,
            [Decimal("0.1000000000000000055511151231257827021181583404541015625"), Decimal("0.10000000000000001")],
            [0.1, 0.1],
        ),
        (NUMBER, [Decimal("1e-400")], ["1E-400"]),
        (NUMBER, [Decimal("123456789.123456789012345678")], ["123456789.123456789012345678"]),
        (NUMBER, [True], ["true"]),
        (EXACT, [Decimal("1.25"), 3, "4.5", 0.25], [Decimal("1.25"), Decimal(3), Decimal("4.5"), Decimal("0.25")]),
        (EXACT, [Decimal("0.001")], ["0.001"]),
        (EXACT, [True], ["true"]),
        ({"type": "string", "format": "singer.decimal"}, ["1e-18"], [Decimal("1e-18")]),
        (INTEGER, [1.5], ["1.5"]),  # where records are not validated
        (INTEGER, [True], ["true"]),
        ({"type": "boolean"}, [1], ["1"]),
        ({"type": "string"}, [{"a": [1]}, "x\0y"], ['{"a":[1]}', "x\0y"]),
        (INSTANT, ["no date"], ["no date"]),
        (INSTANT, [date(2024, 2, 29)], [datetime(2024, 2, 29, tzinfo=UTC)]),
        (INSTANT, [datetime(2024, 1, 1)], [datetime(2024, 1, 1, tzinfo=UTC)]),
        (
            INSTANT,
            [datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=2)))],
            [datetime(2023, 12, 31, 22, tzinfo=UTC)],
        ),
        ({"type": "string", "format": "date"}, [datetime(2024, 1, 1)], ["2024-01-01T00:00:00"]),
        ({}, ["a", 1, True, None, {"x": None}], ["a", "1", "true", None, '{"x":null}']),
    ],
)
def test_a_value_is_kept_exactly_whatever_its_column(schema, given_values, expected):
    found = column(schema, *given_values).to_pylist()
    assert found == expected
    signs = [math.copysign(1, value) for value in expected if isinstance(value, float)]
    assert [math.copysign(1, value) for value in found if isinstance(value, float)] == signs


def test_the_first_and_the_last_instant():
    found = column(INSTANT, datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)).cast(pa.int64())
    assert found.to_pylist() == [-62135596800000000, 253402300799999999]


def test_half_a_character_is_refused_without_its_value():
    with pytest.raises(DataError, match="lone surrogate"):
        column({"type": "string"}, "secret\ud800")


def test_a_schema_without_properties_has_no_columns():
    with pytest.raises(InvalidInputLine):
        ArrowColumns({}, "s")


PROGRAM = """
import json, sys
from singerkit import ArrowSink, Target, typing as th

class Tables(ArrowSink):
    max_size = 3
    def process_table(self, table):
        with open("tables.jsonl", "a") as file:
            print(json.dumps([table.column_names, table.num_rows, table.to_pylist()], default=str), file=file)
{more}

class TargetTables(Target):
    name = "target-tables"
    config_jsonschema = th.PropertiesList().to_dict()
    default_sink_class = Tables

TargetTables.cli()
"""


def loaded(folder, *messages, more="", **config):
    (folder / "target_tables.py").write_text(PROGRAM.format(more=more))
    (folder / "config.json").write_text(json.dumps(config))
    words = [sys.executable, "target_tables.py", "--config", "config.json"]
    data = b"".join(json.dumps(message).encode() + b"\n" for message in messages)
    ended = subprocess.run(words, input=data, capture_output=True, timeout=60, check=False, cwd=folder)
    path = folder / "tables.jsonl"
    tables = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return ended, tables


SCHEMA = {
    "type": "SCHEMA",
    "stream": "s",
    "schema": {"properties": {"id": {"type": "integer"}, "name": {"type": ["string", "null"]}}},
    "key_properties": ["id"],
}


def record(**members):
    return {"type": "RECORD", "stream": "s", "record": members, "time_extracted": "2024-01-01T00:00:00+00:00"}


def test_a_sink_is_given_a_table_a_batch(tmp_path):
    records = [record(id=number, name=f"n{number}") for number in range(4)]
    ended, tables = loaded(tmp_path, SCHEMA, *records, {"type": "STATE", "value": 1})
    assert (ended.returncode, ended.stdout) == (0, b"1\n"), ended.stderr
    assert [(names, rows) for names, rows, _ in tables] == [(["id", "name"], 3), (["id", "name"], 1)]
    assert [row["name"] for *_, rows in tables for row in rows] == ["n0", "n1", "n2", "n3"]


def test_maps_metadata_and_hooks_work_as_for_other_sinks(tmp_path):
    more = "    def preprocess_record(self, record, context): return {**record, 'id': record['id'] + 1}"
    maps = {"stream_maps": {"s": {"loud": "name.upper()", "__filter__": "id < 2"}}}
    ended, tables = loaded(
        tmp_path, SCHEMA, record(id=1, name="a"), record(id=2), more=more, add_record_metadata=True, **maps
    )
    assert ended.returncode == 0, ended.stderr
    ((names, _, (row,)),) = tables
    assert (row["id"], row["loud"]) == (2, "A")
    assert row["_sdc_extracted_at"] == "2024-01-01 00:00:00+00:00"
    assert "_sdc_sequence" in names


def test_a_bad_record_is_refused_and_the_others_stay(tmp_path):
    messages = (SCHEMA, record(id=1), record(id="x"), record(id=3, extra=1), {"type": "STATE", "value": 1})
    ended, _ = loaded(tmp_path, *messages)
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert b"line 3" in ended.stderr
    ended, tables = loaded(tmp_path, *messages, on_invalid="skip", max_invalid_ratio=0.5)
    assert (ended.returncode, ended.stdout) == (0, b"1\n"), ended.stderr
    assert [row["id"] for *_, rows in tables for row in rows] == [1, 3]
    assert b"Left out 1 values of the property 'extra'" in ended.stderr
