from __future__ import annotations

import json
import sys
from decimal import Decimal
from functools import partial

import duckdb
import pytest

from .conftest import COMMAND, record, schema, state

TYPES = {
    "id": {"type": "integer"},
    "big": {"type": ["integer", "null"]},
    "number": {"type": ["number", "null"]},
    "money": {"type": ["number", "null"], "multipleOf": 0.01},
    "exact": {"type": ["string", "null"], "format": "singer.decimal"},
    "flag": {"type": ["boolean", "null"]},
    "at": {"type": ["string", "null"], "format": "date-time"},
    "day": {"type": ["string", "null"], "format": "date"},
    "clock": {"type": ["string", "null"], "format": "time"},
    "tree": {"type": ["object", "null"]},
    "union": {"type": ["string", "integer", "null"]},
}


def declared(target, table="people"):
    with duckdb.connect(str(target.folder / "db.duckdb")) as connection:
        return {name: kind for name, kind, *_ in connection.execute(f'DESCRIBE "{table}"').fetchall()}


def test_values_keep_their_type_and_their_digits(duck):
    duck.load(
        schema(**TYPES),
        b'{"type":"RECORD","stream":"people","record":{"id":1,"big":9223372036854775807,"number":0.1,"money":12.30,'
        b'"exact":"1.000000000000000001","flag":true,"at":"2024-01-01T05:30:00+05:30","day":"0001-01-01",'
        b'"clock":"12:00:00+02:00","tree":{"a":[1,1.1000000000000000000001]},"union":"1"}}\n',
        record(id=2, flag=False, union=1, at="9999-12-31 23:59:59.999999"),
    )
    first, second = duck.rows()
    assert {**first, "day": str(first["day"])} == {
        "id": 1,
        "big": 2**63 - 1,
        "number": 0.1,
        "money": Decimal("12.30"),
        "exact": Decimal("1.000000000000000001"),
        "flag": True,
        "at": "2024-01-01 00:00:00+00",
        "day": "0001-01-01",
        "clock": "12:00:00+02:00",
        "tree": '{"a":[1,1.1000000000000000000001]}',
        "union": '"1"',
    }
    assert (second["union"], second["at"]) == ("1", "9999-12-31 23:59:59.999999+00")
    assert declared(duck)["at"] == "TIMESTAMP WITH TIME ZONE"


def test_what_does_not_fit_widens_the_column(duck):
    duck.load(schema(**TYPES), record(id=1, big=5, number=2.5, money=1.25, exact="1.5"))
    duck.load(schema(**TYPES), record(id=2, big=2**100))
    assert declared(duck)["big"] == "HUGEINT"
    duck.load(
        schema(**TYPES),
        b'{"type":"RECORD","stream":"people","record":{"id":3,"big":1%s,"number":1e400,"exact":"1e-30"}}\n'
        % (b"0" * 50),
    )
    rows = duck.rows()
    assert [row["big"] for row in rows] == ["5", str(2**100), "1" + "0" * 50]
    assert [row["number"] for row in rows] == ["2.5", None, "1E+400"]
    assert [row["exact"] and Decimal(row["exact"]) for row in rows] == [Decimal("1.5"), None, Decimal("1e-30")]


def test_integers_in_a_number_column_keep_every_digit(duck):
    duck.load(schema(**TYPES), record(id=1, number=0.5), record(id=2, number=2**53 + 1))
    assert [row["number"] for row in duck.rows()] == ["0.5", str(2**53 + 1)]


SPELLINGS = b"0.1", b"0.10000000000000001", b"0.1000000000000000055511151231257827021181583404541015625", b"1E+1"


def number_lines(*numbers: bytes) -> list[bytes]:
    line = b'{"type":"RECORD","stream":"people","record":{"id":%d,"number":%b}}\n'
    return [line % (number, text) for number, text in enumerate(numbers, 1)]


def test_a_number_that_is_a_double_is_one_however_it_is_written(duck):
    duck.load(schema(**TYPES), *number_lines(*SPELLINGS))
    assert [row["number"] for row in duck.rows()] == [0.1, 0.1, 0.1, 10.0]


def test_a_number_that_no_double_holds_keeps_every_digit(duck):
    duck.load(schema(**TYPES), *number_lines(b"2.5", b"123456789.123456789012345678", b"99999999999999999999.99"))
    assert [row["number"] for row in duck.rows()] == ["2.5", "123456789.123456789012345678", "99999999999999999999.99"]


@pytest.mark.parametrize(
    ("before", "after", "column", "rows"),
    [
        ("integer", "number", "DOUBLE", [7, 1.5]),
        ("integer", "string", "VARCHAR", ["7", "x"]),
        ("boolean", "integer", "BIGINT", [1, 9]),
        ("string", "integer", "VARCHAR", ["t", "9"]),
    ],
)
def test_a_type_that_changes_widens_the_column(duck, before, after, column, rows):
    first = {"boolean": True, "integer": 7, "string": "t"}[before]
    value = 9 if after == "integer" else rows[1]
    duck.load(schema(id={"type": "integer"}, v={"type": before}), record(id=1, v=first))
    duck.load(schema(id={"type": "integer"}, v={"type": after}), record(id=2, v=value))
    assert declared(duck)["v"] == column
    assert [row["v"] for row in duck.rows()] == rows


def test_integers_that_a_double_cannot_hold_become_text_when_numbers_come(duck):
    duck.load(schema(id={"type": "integer"}, v={"type": "integer"}), record(id=1, v=2**60 + 1))
    duck.load(schema(id={"type": "integer"}, v={"type": "number"}), record(id=2, v=1.5))
    assert [row["v"] for row in duck.rows()] == [str(2**60 + 1), "1.5"]


def test_values_that_are_not_validated_are_not_rounded(duck):
    duck.load(schema(**TYPES), record(id=1, big=1.5, at="no time", flag="yes"), validate_records=False)
    (row,) = duck.rows()
    assert (row["big"], row["at"], row["flag"]) == ("1.5", "no time", "yes")


def test_instants_of_one_key_are_one_row(duck):
    properties = {"id": {"type": "string", "format": "date-time"}, "v": {"type": "integer"}}
    duck.load(schema(**properties), record(id="2024-01-01T00:00:00Z", v=1), record(id="2024-01-01T02:00:00+02:00", v=2))
    assert [row["v"] for row in duck.rows()] == [2]


def test_a_number_of_threads_that_is_null_is_one_that_is_not_set(duck):
    duck.load(schema(), record(id=1), threads=None)
    assert [row["id"] for row in duck.rows()] == [1]


def test_a_schema_of_the_database(duck):
    duck.load(schema(), record(id=1, name="a"), default_target_schema='odd "one"')
    with duckdb.connect(str(duck.folder / "db.duckdb")) as connection:
        assert connection.execute('SELECT * FROM "odd ""one""".people').fetchall() == [(1, "a")]


def test_a_table_of_others_with_a_primary_key(duck):
    with duckdb.connect(str(duck.folder / "db.duckdb")) as connection:
        connection.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR)")
        connection.execute("INSERT INTO people VALUES (1, 'a')")
    duck.load(schema(), record(id=1, name="b"), record(id=2, name="c"))
    duck.load(schema(), record(id=2, name="d"))
    assert [row["name"] for row in duck.rows()] == ["b", "d"]
    # A wider key can't be had while the table has an index on it: that is said, and nothing is released.
    ended = duck.run(schema(), record(id=2**40, name="e"), state(1))
    assert (ended.code, ended.out) == (1, "")
    assert "Traceback" not in ended.err


def test_a_narrow_column_is_widened_when_a_value_needs_it(duck):
    with duckdb.connect(str(duck.folder / "db.duckdb")) as connection:
        connection.execute("CREATE TABLE people (id SMALLINT, name VARCHAR)")
    duck.load(schema(), record(id=1, name="a"))
    assert declared(duck)["id"] == "SMALLINT"
    duck.load(schema(), record(id=2**40, name="b"))
    assert [row["id"] for row in duck.rows()] == [1, 2**40]


def test_a_locked_database_is_one_error_and_nothing_is_released(duck):
    import subprocess

    path = duck.config["path"]
    script = f"import duckdb, sys; c = duckdb.connect({path!r}); print('open', flush=True); sys.stdin.read()"
    holder = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"open\n"
    ended = duck.run(schema(), record(id=1), state(1))
    holder.communicate()
    assert (ended.code, ended.out) == (1, "")
    assert "lock" in ended.err
    assert ended.err.endswith("errors.html#retriablesyncerror\n")


def test_values_are_not_in_errors(duck):
    with duckdb.connect(str(duck.folder / "db.duckdb")) as connection:
        connection.execute("CREATE TABLE people (id BIGINT, name VARCHAR CHECK (length(name) < 5))")
    ended = duck.run(schema(), record(id=1, name="C4NARY-secret"), state(1))
    assert (ended.code, ended.out) == (1, "")
    assert "C4NARY" not in ended.err


def test_without_duckdb_the_error_says_how_to_get_it(duck, tmp_path):
    import subprocess

    for module in ("duckdb", "_duckdb"):
        (tmp_path / f"{module}.py").write_text("raise ImportError")
    ended = subprocess.run(
        [*COMMAND[:2], f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {COMMAND[2]}", *duck.command()[3:]],
        input=json.dumps(schema()).encode() + b"\n",
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 2
    assert b"singerkit[duckdb]" in ended.stderr


@pytest.mark.parametrize("keys", [("id",), ()])
def test_rows_with_very_long_texts_are_like_others(duck, keys):
    long = "ü" * 5_000_000
    small = dict.fromkeys(TYPES) | {"exact": "1.5", "at": "2024-01-01T00:00:00Z", "day": "2024-01-01"}
    types = {**TYPES, "text": {"type": "string"}}
    for turn in ("a", "b"):
        duck.load(
            schema(keys=keys, **types),
            record(**{**small, "id": 1, "text": turn, "big": 1}),
            record(**{**small, "id": 2, "text": turn + long, "big": 2**70, "tree": {"a": [turn]}}),
            record(**{**small, "id": 3, "text": turn, "union": long}),
        )
    rows = [row for row in duck.rows() if keys or row["text"].startswith("b")]
    assert [row["text"] for row in rows] == ["b", "b" + long, "b"]
    assert [row["big"] for row in rows] == [1, 2**70, None]
    assert (rows[1]["tree"], rows[1]["exact"], rows[1]["at"]) == (
        '{"a":["b"]}',
        Decimal("1.5"),
        "2024-01-01 00:00:00+00",
    )
    assert json.loads(rows[2]["union"]) == long
    assert len(duck.rows()) == (3 if keys else 6)


@pytest.mark.parametrize("keys", [("id",), ()])
def test_long_lines_in_which_no_text_is_very_long_are_like_others(duck, keys):
    """Some rows together are longer than the text that would have one go by itself."""
    text = "ü" * 1_000_000
    members = {"text": {"type": ["string", "null"]}, "whole": {"type": "integer"}}
    types = {"id": {"type": "integer"}, "text": {"type": ["string", "null"]}, "big": {"type": ["integer", "null"]}}
    types |= {"closed": {"type": ["object", "null"], "additionalProperties": False, "properties": members}}
    types |= {"open": {"type": ["object", "null"]}}
    trees = [{"text": text, "whole": 2**70}, {"text": None}, {}, None]
    rows = [{"id": n, "text": text, "big": 2**70, "closed": tree, "open": tree} for n, tree in enumerate(trees)]
    for _ in range(2):
        duck.load(schema(keys=keys, **types), *(record(**row) for row in rows))
    stored = duck.rows()[:: 1 if keys else 2]
    for row in stored:
        row |= {name: row[name] and json.loads(row[name]) for name in ("closed", "open")}
    assert stored == rows


def test_a_very_long_text_with_half_a_character_is_refused(duck):
    ended = duck.run(schema(), record(id=1, name="x" * 5_000_000 + "\ud800"), state(1))
    assert (ended.code, ended.out) == (1, "")
    assert "half a character" in ended.err


OBJECTS = [
    '{"whole": 1180591620717411303424, "text": "\\u0000\\u001f\\"é😀/", "list": [1, -2], "inner": {"yes": true}}',
    '{"whole": null, "text": "2024-01-01T00:00:00Z", "list": [], "inner": {}}',
    "{}",
]
DIGITS = ['{"number": 1.12345678901234567890, "list": [1]}', '{"number": -0.5}', '{"number": 1e-400}', '{"number": 7}']


@pytest.mark.parametrize(
    "values", [OBJECTS, DIGITS, [*OBJECTS, *DIGITS], [*OBJECTS, "null"], [*OBJECTS, '{"new": 0.10}']]
)
def test_objects_are_stored_as_they_came(duck, values):
    inner = {"type": "object", "properties": {"yes": {"type": "boolean"}}}
    members = {
        "whole": {"type": ["integer", "null"]},
        "text": {"type": "string"},
        "list": {"type": "array", "items": {"type": "integer"}},
        "inner": inner,
        "number": {"type": "number"},
    }
    tree = {"type": ["object", "null"], "properties": members}
    if values == OBJECTS:  # a number may need more digits than a double has
        del members["number"]
    lines = [
        f'{{"type": "RECORD", "stream": "people", "record": {{"id": {number}, "tree": {value}}}}}\n'.encode()
        for number, value in enumerate(values)
    ]
    duck.load(schema(id={"type": "integer"}, tree=tree), *lines, state(1))
    stored = [row["tree"] for row in sorted(duck.rows(), key=lambda row: row["id"])]
    exactly = partial(json.loads, parse_float=Decimal)
    assert [None if text is None else exactly(text) for text in stored] == [exactly(value) for value in values]


def test_keys_that_go_on_beyond_those_of_the_table_are_added_and_others_replaced(duck):
    runs = [[5, 7], [8, 9], [9, 10], [1, 2], [12, 11], [13, 13], [20, 21]]
    for version, ids in enumerate(runs):
        duck.load(schema(), *(record(id=key, name=f"{version}") for key in ids), state(1), batch_size_rows=2)
    expected = {key: f"{version}" for version, ids in enumerate(runs) for key in ids}
    assert {row["id"]: row["name"] for row in duck.rows()} == expected
    assert len(duck.rows()) == len(expected)
