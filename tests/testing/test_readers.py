from __future__ import annotations

import gzip
import sqlite3
from contextlib import closing
from decimal import Decimal

import duckdb
import pytest

from singerkit_testing.errors import HarnessError, Unreadable
from singerkit_testing.readers import _SQLReader as SQLReader
from singerkit_testing.readers import find_table, named_source, reader_for


def write_sqlite(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute('CREATE TABLE "Public-People" (id INTEGER, name TEXT, _sdc_batched_at TEXT)')
        connection.execute("""INSERT INTO "Public-People" VALUES (1, 'ann', 'now'), (2, NULL, 'now')""")
        connection.commit()


ROWS = [{"id": 1, "name": "ann"}, {"id": 2, "name": None}]


def test_sqlite(tmp_path):
    write_sqlite(tmp_path / "out.db")
    reader = reader_for("sqlite:///{workdir}/out.db", tmp_path)
    assert reader.rows("Public-People") == ROWS
    assert reader.rows("public_people") == ROWS
    assert reader.rows("nobody") == []
    assert reader.tables() == ["Public-People"]


def test_any_sqlalchemy_url(tmp_path):
    write_sqlite(tmp_path / "out.db")
    reader = reader_for(f"sqlite+pysqlite:///{tmp_path}/out.db", tmp_path)
    assert reader.rows("Public-People") == ROWS


@pytest.mark.filterwarnings("ignore:The default timestamp converter:DeprecationWarning")
def test_a_database_is_read_whatever_is_in_it(tmp_path):
    table = 'per%cent :x "y"'
    with closing(sqlite3.connect(tmp_path / "out.db")) as connection, connection:
        connection.execute("CREATE TABLE {} (id INTEGER, at TIMESTAMP)".format('"' + table.replace('"', '""') + '"'))
        connection.execute(
            "INSERT INTO {} VALUES (1, ?)".format('"' + table.replace('"', '""') + '"'), ["10000-01-01 00:00:00"]
        )
    # The driver makes datetime objects of timestamps, as those of servers do: the year 10000 is out of their range.
    reader = SQLReader(f"sqlite:///{tmp_path}/out.db?detect_types=1")

    assert reader.rows(table) == [{"id": 1, "at": "10000-01-01 00:00:00"}]


def test_nan_is_no_json(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"n": NaN}\n')

    with pytest.raises(Unreadable, match="NaN is no JSON"):
        reader_for(tmp_path, tmp_path).rows("t")


def test_duckdb(tmp_path):
    with duckdb.connect(str(tmp_path / "out.duckdb")) as connection:
        connection.execute("CREATE SCHEMA shop; CREATE TABLE shop.people AS SELECT 1 AS id, 1.5::DECIMAL(9,2) AS x")
    reader = reader_for("duckdb:///{workdir}/out.duckdb", tmp_path)
    assert reader.rows("people") == [{"id": 1, "x": Decimal("1.50")}]


@pytest.mark.parametrize("place", ["sqlite:///{workdir}/none.db", "duckdb:///{workdir}/none.db", "{workdir}/none"])
def test_where_nothing_was_written_there_are_no_rows(place, tmp_path):
    reader = reader_for(place, tmp_path)
    assert (reader.rows("people"), reader.tables()) == ([], [])


@pytest.mark.parametrize(
    "name", ["people.jsonl", "people-20240102T030405.jsonl", "people/0001.jsonl", "sub/people.ndjson", "People.singer"]
)
def test_json_lines(name, tmp_path):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text('{"id":0.10000000000000000001,"_sdc_x":1}\n\n{"type":"RECORD","record":{"id":2}}\n')
    assert reader_for("{workdir}", tmp_path).rows("people") == [{"id": Decimal("0.10000000000000000001")}, {"id": 2}]


def test_files_of_several_streams_are_kept_apart(tmp_path):
    for name in ("people", "people_old", "people-2"):
        (tmp_path / f"{name}.jsonl").write_text(f'{{"from":"{name}"}}\n')
    assert reader_for("{workdir}", tmp_path).rows("people_old") == [{"from": "people_old"}]


def test_a_date_at_the_end_of_a_file_name_is_not_the_streams(tmp_path):
    for stream in ("rows_1", "rows_10"):
        (tmp_path / f"{stream}-20240102T030405.jsonl").write_text(f'{{"of": "{stream}"}}\n')

    assert [reader_for(tmp_path, tmp_path).rows(stream) for stream in ("rows_1", "rows_10")] == [
        [{"of": "rows_1"}],
        [{"of": "rows_10"}],
    ]


def test_of_stored_messages_the_records_are_rows(tmp_path):
    messages = (
        '{"type": "SCHEMA", "stream": "a", "schema": {}}\n{"type": "RECORD", "stream": "a", "record": {"id": 1}}\n'
    )
    (tmp_path / "a.singer").write_text(messages)

    assert reader_for(tmp_path, tmp_path).rows("a") == [{"id": 1}]


def test_packed_files(tmp_path):
    (tmp_path / "people.jsonl.gz").write_bytes(gzip.compress(b'{"id":1}\n'))
    assert reader_for("{workdir}", tmp_path).rows("people") == [{"id": 1}]


def test_csv(tmp_path):
    (tmp_path / "people.csv").write_bytes(b'id,name\r\n1,"two\r\nlines, ""quoted"""\r\n2,\r\n')
    reader = reader_for("{workdir}", tmp_path)
    assert reader.rows("people") == [{"id": "1", "name": 'two\r\nlines, "quoted"'}, {"id": "2", "name": ""}]
    assert reader.text_only


def test_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pytest.importorskip("pyarrow").Table.from_pylist(ROWS)
    parquet.write_table(table, tmp_path / "people-1.parquet")
    assert reader_for("{workdir}", tmp_path).rows("people") == ROWS


def test_a_function_of_the_author(tmp_path):
    reader = reader_for(lambda stream, workdir: [{"stream": stream, "workdir": workdir, "_sdc_x": 1}], tmp_path)
    assert reader.rows("people") == [{"stream": "people", "workdir": tmp_path}]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("people.jsonl", '{"id":1}\n{"id":', "no JSON"),
        ("people.csv", "id\n1,2\n", "row 2 has 2 values under 1 names"),
        ("people.csv", 'id\n"1', "no CSV"),
    ],
)
def test_what_can_not_be_read_is_the_targets_fault(name, content, said, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(Unreadable, match=said):
        reader_for("{workdir}", tmp_path).rows("people")


def test_a_broken_database_too(tmp_path):
    (tmp_path / "out.db").write_text("no database" * 100)
    with pytest.raises(Unreadable, match="can't be read back"):
        reader_for("sqlite:///{workdir}/out.db", tmp_path).rows("people")


def test_a_missing_driver_is_the_persons_matter(tmp_path):
    with pytest.raises(HarnessError, match="not installed"):
        reader_for("mssql+pymssql://host/db", tmp_path)


@pytest.mark.parametrize(
    ("stream", "table"),
    [
        ("a", "a"),
        ("A-b", "a_b"),
        ("public-people", "people"),
        ("db.schema.people", "people"),
        ("userNames", "user_names"),
    ],
)
def test_tables_are_found_by_naming_conventions(stream, table):
    assert find_table(stream, ["other", "a", "a_b", "people", "user_names"]) == table
    assert find_table("none", ["other"]) is None


def test_a_reader_is_named_on_a_command_line():
    assert named_source("os.path:join")("a", "b") == "a/b"
    assert named_source("sqlite:///x.db") == "sqlite:///x.db"
    assert named_source("{workdir}") == "{workdir}"
    assert named_source(None) is None
    with pytest.raises(HarnessError, match="can't be imported"):
        named_source("os.path:nothing")
