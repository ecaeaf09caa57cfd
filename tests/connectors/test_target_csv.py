from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from singerkit.connectors.csv_files import CSVFile, Dialect
from singerkit.connectors.output_files import OutputFile, OutputFolder

from .conftest import record, schema, state


def text(target, stream="people"):
    return (target.folder / f"{stream}.csv").read_bytes().decode()


def test_values_are_written_so_that_they_can_be_told_apart(to_csv):
    properties = {
        "id": {"type": "integer"},
        "text": {"type": ["string", "null"]},
        "flag": {"type": ["boolean", "null"]},
        "number": {"type": ["number", "null"]},
        "tree": {"type": ["object", "array", "null"]},
    }
    to_csv.load(
        schema(**properties),
        record(id=1, text="", flag=True, number=1.5, tree={"a": [None, "é"]}),
        record(id=2, text=None, flag=False, number=10**30, tree=None),
        record(id=3, text='say "hi", twice\r\n', flag=None, number=None, tree=[]),
    )
    assert text(to_csv) == (
        "id,text,flag,number,tree\r\n"
        '1,"",true,1.5,"{""a"":[null,""é""]}"\r\n'
        "2,,false,1000000000000000000000000000000,\r\n"
        '3,"say ""hi"", twice\r\n",,,[]\r\n'
    )


def test_columns_follow_the_header_that_is_there(to_csv):
    (to_csv.folder / "people.csv").write_bytes(b'\xef\xbb\xbfname,"other, one",id\r\nx,y,0\r\n')
    to_csv.load(schema(), record(id=1, name="a"))
    assert text(to_csv) == '\ufeffname,"other, one",id\r\nx,y,0\r\na,,1\r\n'


def test_a_new_column_leaves_the_old_rows_as_they_are(to_csv):
    before = 'id,name\n1,"a\nb"\n2,""\n3,\n4,"q""q"\n'
    (to_csv.folder / "people.csv").write_bytes(before.encode())
    to_csv.load(schema(id={"type": "integer"}, more={"type": "string"}), record(id=5, more="m"))
    assert text(to_csv) == 'id,name,more\r\n1,"a\nb",\n2,"",\n3,,\n4,"q""q",\n5,,m\r\n'


def test_a_row_not_written_to_its_end_is_cut_off(to_csv):
    (to_csv.folder / "people.csv").write_bytes(b'id,name\r\n1,"a\r\nb"\r\n2,"torn\r\n')
    ended = to_csv.load(schema(), record(id=3, name="c"))
    assert text(to_csv) == 'id,name\r\n1,"a\r\nb"\r\n3,c\r\n'
    assert "cut off the last 9 bytes" in ended.err


def test_a_header_without_a_line_end_is_a_header(to_csv):
    (to_csv.folder / "people.csv").write_bytes(b"id,name")
    to_csv.load(schema(), record(id=1, name="a"))
    assert text(to_csv) == "id,name\r\n1,a\r\n"


@pytest.mark.parametrize("found", [b"id,id\r\n", b"\xff\xfe\r\n"])
def test_a_file_that_is_not_ours_to_continue_is_refused(to_csv, found):
    (to_csv.folder / "people.csv").write_bytes(found)
    ended = to_csv.run(schema(), record(id=1), state(1))
    assert (ended.code, ended.out) == (2, "")
    assert (to_csv.folder / "people.csv").read_bytes() == found


def test_half_a_character_is_refused(to_csv):
    ended = to_csv.run(schema(), record(id=1, name="\ud800"), state(1))
    assert (ended.code, ended.out) == (1, "")
    assert "people" in ended.err


def test_delimiter_and_quotechar(to_csv):
    to_csv.load(schema(), record(id=1, name="a;'b"), delimiter=";", quotechar="'")
    assert text(to_csv) == "id;name\r\n1;'a;''b'\r\n"
    for bad in ({"delimiter": '"'}, {"delimiter": "é"}, {"quotechar": "\n"}):
        assert to_csv.run(schema(), **bad).code == 2


def test_file_names_follow_the_scheme(to_csv):
    to_csv.load(schema(), record(id=1), file_naming_scheme="x-{stream_name}-{datestamp}.txt", datestamp_format="%Y")
    (path,) = to_csv.folder.iterdir()
    assert path.name.startswith("x-people-20")
    for bad in ("../{stream_name}", "{stream}.csv", "a/b"):
        assert to_csv.run(schema(), file_naming_scheme=bad).code == 2
    ended = to_csv.run(schema("a"), schema("b"), file_naming_scheme="one.csv")
    assert ended.code == 2
    assert "'a' and 'b'" in ended.err


def test_a_schema_without_properties_is_refused(to_csv):
    ended = to_csv.run({"type": "SCHEMA", "stream": "people", "schema": {}, "key_properties": []})
    assert ended.code == 4
    assert "line 1: stream 'people'" in ended.err


FIELDS = st.one_of(st.none(), st.text(alphabet='ab",\r\n é', max_size=6))


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(FIELDS, FIELDS), max_size=8),
    more=st.lists(st.tuples(FIELDS, FIELDS, FIELDS), max_size=4),
    torn=st.integers(0, 30),
)
def test_whatever_the_rows_they_are_read_back(tmp_path_factory, rows, more, torn):
    folder = tmp_path_factory.mktemp("csv")
    opened = OutputFolder(folder)
    file = OutputFile(opened, "x.csv")
    written = CSVFile(file, Dialect())
    written.add_columns(["a", "b"])
    written.append(list(zip(*rows, strict=True)) or [[], []])
    whole = file.size
    file.append(b'torn,"x\r\n'[:torn].rstrip(b"\r\n"))
    again = CSVFile(file, Dialect())
    assert file.size == whole
    again.add_columns(["a", "c", "b"])
    again.append(list(zip(*more, strict=True)) or [[], [], []])
    file.close()
    opened.close()
    text = (folder / "x.csv").read_bytes().decode()
    assert [tuple(row) for row in csv.reader(io.StringIO(text, newline=""))] == [
        ("a", "b", "c"),
        *((a or "", b or "", "") for a, b in rows),
        *(tuple(value or "" for value in row) for row in more),
    ]
    # An empty text has quotes, nothing has none.
    assert text.count('""') >= sum(value == "" for row in rows for value in row)
