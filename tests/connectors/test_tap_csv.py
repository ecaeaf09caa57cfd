from __future__ import annotations

import gzip
import json

import pytest

from singerkit.connectors.csv_source import distinct_names

from .conftest import Plugin, record, schema


@pytest.fixture
def tap(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()

    def write(content, name="a.csv", encoding="utf-8"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    plugin = Plugin("tap-csv", folder, {"files": [{"entity": "a", "path": str(folder / "a.csv"), "keys": ["id"]}]})
    plugin.write = write
    return plugin


def messages(tap, *words, **settings):
    ended = tap.run(words=words, **settings)
    assert ended.code == 0, ended.err
    return [json.loads(line) for line in ended.out.splitlines()]


def records(tap, *words, **settings):
    return [message["record"] for message in messages(tap, *words, **settings) if message["type"] == "RECORD"]


def entry(tap, **more):
    return [{**tap.config["files"][0], **more}]


def test_every_column_is_text(tap):
    tap.write('id,name,n\r\n1,"a\nb",007\r\n2,,1.50\r\n')
    found = messages(tap)
    properties = found[0]["schema"]["properties"]
    assert properties == {name: {"type": ["string", "null"]} for name in ("id", "name", "n")}
    assert found[0]["key_properties"] == ["id"]
    assert records(tap) == [{"id": "1", "name": "a\nb", "n": "007"}, {"id": "2", "name": "", "n": "1.50"}]


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_the_last_row_may_lack_its_line_end(tap, end):
    tap.write(f'id,name\n1,a\n2,"b c"{end}')
    assert records(tap) == [{"id": "1", "name": "a"}, {"id": "2", "name": "b c"}]


def test_types_are_inferred_when_they_lose_nothing(tap):
    tap.write(
        "id,zip,n,x,flag,day,at,mixed,empty,text\n"
        "1,01234,1,1,true,2024-01-01,2024-01-01T00:00:00Z,true,,a\n"
        "-2,99999,2.50,1e3,FALSE,2024-02-30,2024-01-01 10:00:00+02:00,1,,\n"
    )
    found = messages(tap, infer_types=True)
    types = {name: s.get("format", s["type"][0]) for name, s in found[0]["schema"]["properties"].items()}
    assert types == {
        "id": "integer",
        "zip": "string",
        "n": "number",
        "x": "number",
        "flag": "boolean",
        "day": "string",
        "at": "date-time",
        "mixed": "string",
        "empty": "string",
        "text": "string",
    }
    ended = tap.run(infer_types=True)
    assert '"n":2.50' in ended.out
    assert records(tap, infer_types=True)[1]["text"] == ""


def test_an_empty_field_of_another_type_is_null(tap):
    tap.write("id,n\n1,5\n2,\n")
    assert records(tap, infer_types=True) == [{"id": 1, "n": 5}, {"id": 2, "n": None}]


def test_folders_and_patterns_are_read_in_the_order_of_their_names(tap):
    tap.write("id,v\n3,c\n", "b.csv")
    tap.write("id,v\n1,a\n", "a.csv")
    tap.write(gzip.compress(b"v,id\nb,2\n"), "aa/x.csv.gz")
    tap.write("no csv", "readme.md")
    for path in (tap.folder, f"{tap.folder}/**/*.csv*"):
        assert records(tap, files=entry(tap, path=str(path))) == [
            {"id": "1", "v": "a"},
            {"id": "2", "v": "b"},
            {"id": "3", "v": "c"},
        ]


def test_columns_of_all_files_are_in_the_schema(tap):
    tap.write("id,v\n1,a\n", "a.csv")
    tap.write("id,w\n2,b\n", "b.csv")
    assert records(tap, files=entry(tap, path=str(tap.folder))) == [{"id": "1", "v": "a"}, {"id": "2", "w": "b"}]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("id,v\n1,a\n2\n", "line 3: the row has 1 fields, the header has 2"),
        ('id,v\n1,"a\n\n"\n2,b,c\n', "line 5: the row has 3 fields"),
        ('id,v\n1,"a\n2,b\n3,c\n', "line 2: the file ends within this row: is a quote of it never closed?"),
        ('id,v\n1,a\n2,"b', "line 3: the file ends within this row"),
        (b"id,v\n1,a\n2,\xff\n", "line 3: the text is not utf-8"),
        (gzip.compress(b"id,v\n" + b"1,a\n" * 9_000, mtime=0)[:-60], "can't be read"),
    ],
)
def test_what_cannot_be_read_is_one_error_with_file_and_line(tap, content, problem):
    name = "a.csv.gz" if problem == "can't be read" else "a.csv"
    tap.write(content, name)
    ended = tap.run(files=entry(tap, path=str(tap.folder / name)))
    assert ended.code == 1
    assert problem in ended.err
    assert name in ended.err
    assert "Traceback" not in ended.err
    assert len([line for line in ended.err.splitlines() if "CRITICAL" in line]) == 1


def test_mistakes_in_the_config(tap):
    tap.write("id,v\n1,a\n")
    for files, problem in [
        (entry(tap, path="nowhere.csv"), "there is no file 'nowhere.csv'"),
        (entry(tap, keys=["nope"]), "there is no column 'nope'"),
        (entry(tap, encoding="klingon"), "there is no encoding 'klingon'"),
        (entry(tap, delimiter=";;"), "delimiter"),
        ([], "files"),
        ([{"entity": "x"}], "path"),
    ]:
        ended = tap.run(files=files)
        assert ended.code == 2, (problem, ended.err)
        assert problem in ended.err


def test_dialect_and_encoding(tap):
    tap.write("id;näme\n1; 'a;ä'\n", encoding="latin-1")
    files = entry(tap, delimiter=";", quotechar="'", skipinitialspace=True, encoding="latin1")
    assert records(tap, files=files) == [{"id": "1", "näme": "a;ä"}]
    tap.write("id,v\n1,ü\n", encoding="utf-16")
    assert records(tap, files=entry(tap, encoding="utf-16")) == [{"id": "1", "v": "ü"}]
    tap.write("\ufeffid,v\n1,ü\n")
    assert records(tap) == [{"id": "1", "v": "ü"}]


def test_headers_that_are_empty_or_there_twice(tap):
    tap.write("id,,v,v,\n1,a,b,c,d\n")
    assert records(tap) == [{"id": "1", "column_2": "a", "v": "b", "v_2": "c", "column_5": "d"}]


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        (["a", "a", "a_2"], ["a", "a_3", "a_2"]),
        (["", "column_1"], ["column_1_2", "column_1"]),
        (["a", "a", "a"], ["a", "a_2", "a_3"]),
    ],
)
def test_names_are_made_distinct(fields, names):
    assert distinct_names(fields) == names


def test_metadata_columns(tap):
    path = tap.write('id,v\n1,"a\nb"\n2,c\n')
    found = records(tap, add_metadata_columns=True)
    assert [row["_sdc_source_lineno"] for row in found] == [2, 4]
    assert {row["_sdc_source_file"] for row in found} == {str(path)}
    assert len({row["_sdc_source_file_mtime"] for row in found}) == 1


def test_definitions_from_a_file(tap, tmp_path):
    path = tap.write("id\n1\n")
    (tmp_path / "files.json").write_text(json.dumps([{"entity": "b", "path": str(path), "keys": ["id"]}]))
    found = messages(tap, files=None, csv_files_definition=str(tmp_path / "files.json"))
    assert found[0]["stream"] == "b"
    for bad in ("nope", '[{"entity": "b"}]', "{}", "null", "[]"):
        (tmp_path / "files.json").write_text(bad)
        assert tap.run(files=None, csv_files_definition=str(tmp_path / "files.json")).code == 2


def test_what_is_misspelt_in_an_entry_is_named(tap, tmp_path):
    path = tap.write("id\n1\n")
    misspelt = [{"entity": "a", "path": str(path), "kyes": ["id"], "delimeter": ";", "zz": 1}]
    (tmp_path / "files.json").write_text(json.dumps(misspelt))
    for settings in ({"files": misspelt}, {"files": None, "csv_files_definition": str(tmp_path / "files.json")}):
        ended = tap.run(**settings)
        assert (ended.code, ended.out) == (2, "")
        for line in (
            "files[0].kyes: is not a known setting; did you mean 'keys'?",
            "files[0].delimeter: is not a known setting; did you mean 'delimiter'?",
            "files[0].zz: is not a known setting\n",
        ):
            assert line in ended.err


@pytest.mark.parametrize(
    ("values", "later"),
    [
        (["2024-01-01T00:00:00Z", "2024-01-03T00:00:00+02:00"], "2024-01-02T23:00:00Z"),
        (["9", "10"], "11"),
        (["2024-01-01", "2024-02-01"], "2024-03-01"),
        (["b", "c"], "d"),
    ],
)
def test_a_later_run_reads_what_is_new(tap, tmp_path, values, later):
    files = entry(tap, replication_key="at")
    rows = [f"{number},{value}" for number, value in enumerate(values)]
    tap.write("\n".join(["id,at", *rows]) + "\n")
    last = messages(tap, files=files)[-1]
    assert last["type"] == "STATE"
    (tmp_path / "state.json").write_text(json.dumps(last["value"]))
    tap.write("\n".join(["id,at", *rows, f"9,{later}"]) + "\n")
    found = records(tap, "--state", str(tmp_path / "state.json"), files=files)
    assert [row["id"] for row in found] == ["1", "9"]


def test_a_file_that_target_csv_wrote_is_read_back(tap, to_csv):
    texts = ["a\r\nb", 'q"q', "x,y", "é😀", "plain"]
    to_csv.load(schema(), *(record(id=number, name=value) for number, value in enumerate(texts)))
    files = [{"entity": "people", "path": str(to_csv.folder / "people.csv")}]
    assert [row["name"] for row in records(tap, files=files)] == texts


def test_an_empty_file_has_no_records(tap):
    tap.write("")
    tap.write("id\n5\n", "b.csv")
    assert records(tap, files=entry(tap, path=str(tap.folder))) == [{"id": "5"}]


def test_long_fields(tap):
    tap.write("id,v\n1," + "x" * 1_000_000 + "\n")
    assert len(records(tap)[0]["v"]) == 1_000_000
