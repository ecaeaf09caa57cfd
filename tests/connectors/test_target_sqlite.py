from __future__ import annotations

import sqlite3

import pytest

from .conftest import record, schema, state

TYPES = {
    "id": {"type": "integer"},
    "big": {"type": ["integer", "null"]},
    "number": {"type": ["number", "null"]},
    "money": {"type": ["number", "null"], "multipleOf": 0.01},
    "flag": {"type": ["boolean", "null"]},
    "at": {"type": ["string", "null"], "format": "date-time"},
    "tree": {"type": ["object", "null"]},
    "union": {"type": ["string", "integer", "null"]},
    "free": {},
}


def query(target, sql, *values):
    connection = sqlite3.connect(target.folder / "db.sqlite")
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


def declared(target, table="people"):
    return {name: kind for _, name, kind, *_ in query(target, f'PRAGMA table_info("{table}")')}


def test_values_keep_their_type_and_their_digits(sqlite):
    sqlite.load(
        schema(**TYPES),
        b'{"type":"RECORD","stream":"people","record":{"id":1,"big":9223372036854775807,"number":0.1,"money":12.30,'
        b'"flag":true,"at":"2024-01-01T05:30:00+05:30","tree":{"a":[1,1.10,"\xc3\xa9"]},"union":"1","free":1.5}}\n',
        record(id=2, flag=False, union=1, free={"x": None}),
        record(id=3, union=None, free="text"),
    )
    assert sqlite.rows() == [
        {
            "id": 1,
            "big": 2**63 - 1,
            "number": 0.1,
            "money": "12.30",
            "flag": 1,
            "at": "2024-01-01T05:30:00+05:30",
            "tree": '{"a":[1,1.10,"é"]}',
            "union": "1",
            "free": 1.5,
        },
        {**dict.fromkeys(TYPES), "id": 2, "flag": 0, "union": 1, "free": '{"x":null}'},
        {**dict.fromkeys(TYPES), "id": 3, "free": "text"},
    ]


def test_what_64_bits_or_a_double_cannot_hold_widens_the_column(sqlite):
    sqlite.load(schema(**TYPES), record(id=1, big=5, number=2.5), record(id=2, big=-7, number=1e300))
    sqlite.load(
        schema(**TYPES),
        b'{"type":"RECORD","stream":"people","record":{"id":3,"big":123456789012345678901234567890,"number":1e400}}\n',
    )
    assert [(row["big"], row["number"]) for row in sqlite.rows()] == [
        ("5", "2.5"),
        ("-7", "1e+300"),
        ("123456789012345678901234567890", "1E+400"),
    ]
    sqlite.load(schema(**TYPES), record(id=4, big=4, number=4))
    assert sqlite.rows()[3]["big"] == "4"


def test_integers_in_a_number_column_keep_every_digit(sqlite):
    sqlite.load(schema(**TYPES), record(id=1, number=0.5), record(id=2, number=2**53 + 1))
    assert [row["number"] for row in sqlite.rows()] == [0.5, 2**53 + 1]


SPELLINGS = b"0.1", b"0.10000000000000001", b"0.1000000000000000055511151231257827021181583404541015625", b"1E+1"


def number_lines(*numbers: bytes) -> list[bytes]:
    line = b'{"type":"RECORD","stream":"people","record":{"id":%d,"number":%b}}\n'
    return [line % (number, text) for number, text in enumerate(numbers, 1)]


def test_a_number_that_is_a_double_is_one_however_it_is_written(sqlite):
    sqlite.load(schema(**TYPES), *number_lines(*SPELLINGS))
    assert [row["number"] for row in sqlite.rows()] == [0.1, 0.1, 0.1, 10.0]


def test_a_number_that_no_double_holds_keeps_every_digit(sqlite):
    sqlite.load(schema(**TYPES), *number_lines(b"2.5", b"123456789.123456789012345678", b"99999999999999999999.99"))
    assert [row["number"] for row in sqlite.rows()] == [
        "2.5",
        "123456789.123456789012345678",
        "99999999999999999999.99",
    ]


def test_a_big_integer_may_be_a_key(sqlite):
    messages = [record(id=value, name="x") for value in (1, 2**70, -(2**70))]
    sqlite.load(schema(), *messages, record(id=2**70, name="last"), batch_size_rows=2)
    assert {(row["id"], row["name"]) for row in sqlite.rows()} == {
        ("1", "x"),
        (str(2**70), "last"),
        (str(-(2**70)), "x"),
    }


@pytest.mark.parametrize(
    ("before", "after", "column", "rows"),
    [
        ("integer", "number", "NUMERIC", [7, 1.5]),
        ("integer", "string", "TEXT", ["7", "x"]),
        ("boolean", "integer", "INTEGER", [1, 9]),
    ],
)
def test_a_type_that_changes_widens_the_column(sqlite, before, after, column, rows):
    first = True if before == "boolean" else 7
    sqlite.load(schema(id={"type": "integer"}, v={"type": before}), record(id=1, v=first))
    sqlite.load(schema(id={"type": "integer"}, v={"type": after}), record(id=2, v=rows[1]))
    assert declared(sqlite)["v"] == column
    assert [row["v"] for row in sqlite.rows()] == rows


def test_widening_keeps_indexes_and_triggers_and_columns_of_others(sqlite):
    sqlite.load(schema(**TYPES), record(id=1, big=1))
    connection = sqlite3.connect(sqlite.folder / "db.sqlite")
    connection.executescript(
        "CREATE INDEX by_flag ON people(flag); CREATE VIEW seen AS SELECT id FROM people; "
        "ALTER TABLE people ADD note TEXT;"
        "UPDATE people SET note = 'mine'; CREATE TABLE log(id); "
        "CREATE TRIGGER logging AFTER INSERT ON people BEGIN INSERT INTO log VALUES (new.id); END;"
    )
    connection.close()
    sqlite.load(schema(**TYPES), record(id=1, big=2), record(id=2, big=10**30))
    assert query(sqlite, "SELECT id, big, note FROM people ORDER BY id") == [(1, "2", "mine"), (2, str(10**30), None)]
    names = {name for (name,) in query(sqlite, "SELECT name FROM sqlite_schema")}
    assert {"by_flag", "seen", "logging"} <= names
    assert query(sqlite, "SELECT count(*) FROM seen") == [(2,)]


@pytest.mark.parametrize(
    "more", ["CHECK (v < 50)", "DEFAULT 3", "UNIQUE", "REFERENCES others (id)", "AS (id * 2), w TEXT COLLATE NOCASE"]
)
def test_a_table_is_not_made_anew_where_that_would_lose_what_its_owner_declared(sqlite, more):
    connection = sqlite3.connect(sqlite.folder / "db.sqlite")
    connection.execute(f'CREATE TABLE people (id INTEGER PRIMARY KEY, "a CHECK" TEXT /* AS */, v INTEGER {more})')
    connection.close()
    before = query(sqlite, "SELECT sql FROM sqlite_schema WHERE name = 'people'")
    ended = sqlite.run(schema(id={"type": "string"}), record(id="x"), state(1))
    assert (ended.code, ended.out) == (1, "")
    assert "would lose what its declaration says by " + more.split()[0] in ended.err
    assert query(sqlite, "SELECT sql FROM sqlite_schema WHERE name = 'people'") == before
    sqlite.load(schema(id={"type": "integer"}), record(id=1))


def test_a_table_of_others_without_a_key_gets_a_unique_index(sqlite):
    connection = sqlite3.connect(sqlite.folder / "db.sqlite")
    connection.execute("CREATE TABLE people (ID INTEGER, name VARCHAR(10) DEFAULT 'x')")
    connection.execute("INSERT INTO people VALUES (1, 'a')")
    connection.commit()
    connection.close()
    sqlite.load(schema(), record(id=1, name="b"), record(id=2, name="c"))
    assert query(sqlite, "SELECT * FROM people ORDER BY id") == [(1, "b"), (2, "c")]
    assert declared(sqlite)["name"] == "VARCHAR(10)"


def test_rows_that_share_a_key_are_a_clear_error(sqlite):
    twice = [record(id=1, name="a"), record(id=1, name="b")]
    sqlite.load(schema(keys=()), *twice)
    ended = sqlite.run(schema(), record(id=2, name="c"), state(1))
    assert (ended.code, ended.out) == (1, "")
    assert "UNIQUE" in ended.err
    assert len(sqlite.rows()) == 2


def test_a_locked_database_is_one_error_and_nothing_is_released(sqlite):
    connection = sqlite3.connect(sqlite.folder / "db.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    ended = sqlite.run(schema(), record(id=1), state(1), busy_timeout_seconds=0.2)
    connection.close()
    assert (ended.code, ended.out) == (1, "")
    assert "another program has locked the database" in ended.err
    assert ended.err.endswith("errors.html#retriablesyncerror\n")


def test_a_file_that_is_no_database_is_one_error(sqlite):
    (sqlite.folder / "db.sqlite").write_text("this is no database, but long enough to be taken for one" * 100)
    ended = sqlite.run(schema(), record(id=1), state(1))
    assert (ended.code, ended.out) == (1, "")
    assert "not a database" in ended.err


def test_the_database_has_to_be_named(sqlite):
    sqlite.config = {}
    ended = sqlite.run(schema())
    assert ended.code == 2
    assert "path_to_database" in ended.err


def test_another_name_of_the_setting(sqlite):
    sqlite.config = {"database": sqlite.config["path_to_database"]}
    sqlite.load(schema(), record(id=1))
    assert sqlite.rows()[0]["id"] == 1


def test_a_stream_may_be_called_what_sqlite_calls_the_new_row(sqlite):
    sqlite.load(
        schema("excluded", id={"type": "integer"}, name={"type": "string"}),
        record("excluded", id=1, name="one"),
        record("excluded", id=1, name="two"),
    )

    assert query(sqlite, "SELECT name FROM excluded") == [("two",)]
