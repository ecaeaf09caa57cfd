"""target-parquet: its files, and when they and the states come out."""

from __future__ import annotations

import datetime
import json
import os
import random
import resource
import select
import signal
import subprocess
import time
from decimal import Decimal
from threading import Thread

import duckdb
import obstore
import pyarrow as pa
import pytest
from obstore.store import MemoryStore
from pyarrow import parquet

from singerkit.errors import FatalSyncError
from singerkit.files.storage import LocalStorage, ObjectStorage

from .conftest import PARQUET_NAME, feed, lines, record, schema, state


def files(plugin):
    return sorted(path for path in plugin.folder.rglob("*") if path.is_file())


def ids(plugin):
    return sorted(row["id"] for row in plugin.rows())


def test_a_run_makes_one_file_for_each_stream(to_parquet):
    to_parquet.load(schema(), record(id=1, name="a"), schema("pets"), record("pets", id=2), state(1))
    to_parquet.load(schema(), record(id=3, name="c"), state(2))
    assert [PARQUET_NAME.fullmatch(path.name)[1] for path in files(to_parquet)] == ["people", "people", "pets"]
    assert to_parquet.rows() == [{"id": 1, "name": "a"}, {"id": 3, "name": "c"}]


GOLDEN = {
    "integer": ({"type": "integer"}, [0, -(2**63), 2**63 - 1]),
    "long": ({"type": "integer"}, [2**63, -(10**37), 10**38 - 1]),
    "huge": ({"type": "integer"}, [10**38, 10**100]),
    "number": ({"type": "number"}, [0.1, -1.5e300, 5e-324, 3.0, 1.7976931348623157e308]),
    "exact": ({"type": "number", "multipleOf": 1e-18}, ["1.000000000000000001", "-99999999999999999999.5", "0"]),
    "cents": ({"type": "number", "multipleOf": 0.01}, ["1.10", "-7"]),
    "singer": ({"type": "string", "format": "singer.decimal"}, ["123456789.123456789012345678"]),
    "flag": ({"type": "boolean"}, [True, False]),
    "text": ({"type": "string"}, ["", " ", "a\0b", "\U0001f600 e\u0301", "x" * 1_000_000, "line\r\nend", "null"]),
    "thing": ({"type": "object"}, [{}, {"a": [1, {"b": None}]}, {"n": 10**20}]),
    "list": ({"type": "array", "items": {}}, [[], [1, "a", None, [2]]]),
    "union": ({"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "object"}]}, ["one", 1, {"a": "b"}]),
    "uuid": ({"type": "string", "format": "uuid"}, ["6d1a4aa4-6f3c-4a3e-8c3f-1fb9a0a0a0a0"]),
    "day": ({"type": "string", "format": "date"}, ["0001-01-01", "9999-12-31", "2024-02-29"]),
    "time": ({"type": "string", "format": "time"}, ["00:00:00", "23:59:59.999999"]),
}
AS_TEXT = {"huge"}
AS_JSON = {"thing", "list", "union"}
AS_DECIMAL = {"exact", "cents", "singer", "long"}


@pytest.mark.parametrize("name", GOLDEN)
def test_a_value_is_read_back_as_it_was_given(to_parquet, name):
    part, values = GOLDEN[name]
    if name in ("exact", "cents"):
        written = [
            b'{"type":"RECORD","stream":"people","record":{"id":%d,"v":%s}}\n' % (n, v.encode())
            for n, v in enumerate(values)
        ]
    else:
        written = [record(id=number, v=value) for number, value in enumerate(values)]
    null = record(id=len(values), v=None)
    part = {"anyOf": [part, {"type": "null"}]}
    to_parquet.load(schema(id={"type": "integer"}, v=part), *written, null)
    found = [row["v"] for row in sorted(to_parquet.rows(), key=lambda row: row["id"])]
    assert found.pop() is None
    assert [back(name, value) for value in found] == [Decimal(v) if name in AS_DECIMAL else v for v in values]


def back(name, value):
    if name in AS_TEXT:
        return int(value)
    if name in AS_JSON:
        return value if value == "one" else json.loads(value)
    return value.isoformat() if isinstance(value, datetime.date) else value


def test_instants_are_microseconds_in_utc(to_parquet):
    given = ["2024-06-30T12:00:00+02:00", "2024-06-30T12:00:00Z", "2024-06-30 12:00:00", "2024-01-01T00:00:00.1234567Z"]
    given += ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"]
    at = {"type": ["string", "null"], "format": "date-time"}
    ended = to_parquet.load(
        schema(id={"type": "integer"}, at=at), *[record(id=number, at=text) for number, text in enumerate(given)]
    )
    found = [row["at"].strftime("%4Y-%m-%d %H:%M:%S.%f") for row in to_parquet.rows()]
    expected = ["2024-06-30 10:00:00.000000", *["2024-06-30 12:00:00.000000"] * 2, "2024-01-01 00:00:00.123456"]
    assert found == [*expected, "0001-01-01 00:00:00.000000", "9999-12-31 23:59:59.999999"]
    assert "cut to microseconds" in ended.err


def test_other_programs_read_the_files(to_parquet):
    to_parquet.load(schema(), record(id=1, name="a"), record(id=2))
    found = duckdb.sql(f"SELECT id, name FROM '{to_parquet.folder}/people-*.parquet' ORDER BY id").fetchall()
    assert found == [(1, "a"), (2, None)]


def test_a_changed_schema_and_a_wider_column_begin_a_new_file(to_parquet):
    wide = schema(id={"type": "integer"}, more={"type": "string"})
    to_parquet.load(schema(), record(id=1), wide, record(id=2, more="m"), record(id=2**63), batch_size_rows=1)
    names = [(parquet.read_schema(path).names, parquet.read_schema(path).types[0]) for path in files(to_parquet)]
    assert names == [
        (["id", "name"], pa.int64()),
        (["id", "more"], pa.int64()),
        (["id", "more"], pa.decimal128(38, 0)),
    ]
    assert ids(to_parquet) == [1, 2, 2**63]


NESTED = {
    "id": {"type": "integer"},
    "who": {"type": ["object", "null"], "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}},
    "tags": {"type": ["array", "null"], "items": {"type": "string"}},
}


def test_objects_and_arrays_are_structs_and_lists(to_parquet):
    values = {"who": {"age": 7, "name": "Ada"}, "tags": ["a", "b"]}
    to_parquet.load(schema(**NESTED), record(id=1, **values), record(id=2))
    assert to_parquet.rows() == [{"id": 1, **values}, {"id": 2, "who": None, "tags": None}]
    found = duckdb.sql(f"SELECT who.name, tags[2] FROM '{to_parquet.folder}/people-*.parquet' WHERE who.age = 7")
    assert found.fetchall() == [("Ada", "b")]
    to_parquet.load(schema(**NESTED), record(id=3, **values), nested_values="json")
    assert to_parquet.rows()[-1] == {"id": 3, "who": '{"name":"Ada","age":7}', "tags": '["a","b"]'}


def test_objects_that_change_inside_begin_a_new_file_and_lose_nothing(to_parquet):
    wide = {**NESTED, "who": {**NESTED["who"], "properties": {"name": {"type": "string"}, "town": {"type": "string"}}}}
    to_parquet.load(
        schema(**NESTED),
        record(id=1, who={"name": "a", "age": 1}),
        record(id=2, who={"age": 2**64}),
        record(id=3, who={"age": 3, "unknown": [1]}),
        schema(**wide),
        record(id=4, who={"town": "x"}),
        batch_size_rows=1,
    )
    kinds = [parquet.read_schema(path).field("who").type for path in files(to_parquet)]
    name, town = ("name", pa.string()), ("town", pa.string())
    assert kinds == [
        pa.struct([name, ("age", pa.int64())]),
        pa.struct([name, ("age", pa.decimal128(38, 0))]),
        pa.string(),
        pa.struct([name, town]),
    ]
    found = [row["who"] for row in to_parquet.rows()]
    assert found[:2] == [{"name": "a", "age": 1}, {"name": None, "age": 2**64}]
    assert (json.loads(found[2]), found[3]) == ({"age": 3, "unknown": [1]}, {"name": None, "town": "x"})


@pytest.mark.parametrize("method", ["snappy", "SNAPPY", "zstd", "gzip", "none"])
def test_compression_is_as_asked(to_parquet, method):
    to_parquet.load(schema(), record(id=1, name="a" * 1000), compression_method=method)
    (path,) = files(to_parquet)
    used = parquet.ParquetFile(path).metadata.row_group(0).column(0).compression
    assert used == {"none": "UNCOMPRESSED"}.get(method, method.upper())


def test_row_groups_have_the_rows_that_were_asked_for(to_parquet):
    records = [record(id=number) for number in range(1_000)]
    to_parquet.load(schema(), *records, batch_size_rows=50, row_group_size=300)
    (path,) = files(to_parquet)
    metadata = parquet.ParquetFile(path).metadata
    assert [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)] == [300, 300, 300, 100]


def test_files_of_so_many_rows(to_parquet):
    records = [message for number in range(1_000) for message in (record(id=number), state(number))]
    ended = to_parquet.load(schema(), *records, batch_size_rows=50, file_size=200)
    assert [parquet.ParquetFile(path).metadata.num_rows for path in files(to_parquet)] == [200] * 5
    assert len(ended.states) >= 4
    assert ended.states[-1] == 999


def test_a_folder_for_each_stream(to_parquet):
    to_parquet.load(schema(), record(id=1), schema("../x"), record("../x", id=2), streams_in_separate_folder=True)
    assert sorted(path.name.split("-")[0] for path in to_parquet.folder.iterdir()) == ["_x", "people"]
    assert ids(to_parquet) == [1]


AT = {"type": ["string", "null"], "format": "date-time"}


@pytest.mark.parametrize(
    ("granularity", "folders"),
    [
        ("day", ["at_date=2023-12-31", "at_date=2024-01-01", "at_date=2024-01-02"]),
        ("month", ["at_date=2023-12", "at_date=2024-01"]),
        ("year", ["at_date=2023", "at_date=2024"]),
    ],
)
def test_partitions_are_folders_by_date(to_parquet, granularity, folders):
    given = ["2024-01-01T00:30:00+01:00", "2024-01-01T00:00:00Z", "2024-01-02T12:00:00Z", None, "2024-01-01T23:00:00Z"]
    records = [record(id=number, at=text) for number, text in enumerate(given)]
    messages = [schema(id={"type": "integer"}, at=AT), *records, schema("pets"), record("pets", id=1)]
    ended = to_parquet.load(*messages, partition_by_date="at", partition_granularity=granularity)
    found = sorted(path.name for path in (to_parquet.folder / "people").iterdir())
    assert found == [*folders, "at_date=__HIVE_DEFAULT_PARTITION__"]
    assert ids(to_parquet) == [0, 1, 2, 3, 4]
    assert "not partitioned" in ended.err  # pets
    read = duckdb.sql(f"SELECT id, at_date FROM read_parquet('{to_parquet.folder}/people/*/*', hive_partitioning=true)")
    assert len(read.fetchall()) == 5


def test_more_partitions_than_files_may_be_open_lose_nothing(to_parquet):
    days = [(datetime.date(2020, 1, 1) + datetime.timedelta(days=number % 200)).isoformat() for number in range(1_000)]
    records = [record(id=number, at=day) for number, day in enumerate(days)]
    at = {"type": "string", "format": "date"}
    to_parquet.load(schema(id={"type": "integer"}, at=at), *records, partition_by_date="at", batch_size_rows=100)
    assert ids(to_parquet) == list(range(1_000))
    assert len(list((to_parquet.folder / "people").iterdir())) == 200


def test_a_partition_never_takes_the_name_of_a_column(to_parquet):
    columns = {"id": {"type": "integer"}, "at": AT, "at_date": {"type": "string"}}
    to_parquet.load(schema(**columns), record(id=1, at="2024-01-01T00:00:00Z"), partition_by_date="at")
    assert [path.name for path in (to_parquet.folder / "people").iterdir()] == ["_at_date=2024-01-01"]


def test_a_state_leaves_when_its_file_is_old_enough_while_no_input_comes(to_parquet):
    process = subprocess.Popen(
        to_parquet.command(max_file_seconds=0.5, batch_wait_limit_seconds=0.1),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=to_parquet.folder.parent,
    )
    process.stdin.write(lines(schema(), record(id=1), state(1)))
    process.stdin.flush()
    assert select.select([process.stdout], [], [], 30)[0]
    assert process.stdout.readline() == b"1\n"
    assert ids(to_parquet) == [1]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert ids(to_parquet) == [1]


def test_no_state_leaves_before_its_file_is_complete(to_parquet):
    process = subprocess.Popen(
        to_parquet.command(batch_size_rows=1),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=to_parquet.folder.parent,
    )
    process.stdin.write(lines(schema(), *[record(id=number) for number in range(20_000)], state(1)))
    process.stdin.flush()
    process.terminate()  # what came is stored, in one file
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    stored = set(ids(to_parquet))
    assert out == b"" or stored == set(range(20_000))
    assert not [path for path in files(to_parquet) if path.name.startswith(".")]


def test_killed_runs_that_go_on_at_the_last_state_lose_nothing(to_parquet):
    to_parquet.config.update(batch_size_rows=100, file_size=300)
    chance = random.Random(5)
    start = 0
    for _ in range(6):
        messages = [schema()]
        for number in range(start, 6_000):
            messages += [record(id=number), *([state(number)] if number % 50 == 49 else [])]
        process = subprocess.Popen(
            to_parquet.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        feeder = Thread(target=feed, args=(process.stdin, lines(*messages)))
        feeder.start()
        after = chance.randrange(1, 6)
        for count, line in enumerate(process.stdout, start=1):
            start = json.loads(line) + 1
            assert set(ids(to_parquet)) >= set(range(start))
            if count == after:
                process.kill()
                break
        process.stdout.close()
        process.wait()
        feeder.join()
    rest = [record(id=number) for number in range(start, 6_000)]
    to_parquet.load(schema(), *rest, state(6_000))
    assert set(ids(to_parquet)) == set(range(6_000))


def test_what_a_killed_run_left_is_removed_a_day_later(to_parquet):
    names = ["old-20240101T000000Z-1-1.parquet", "new-20240101T000000Z-1-1.parquet", "of-others"]
    old, fresh, foreign = (to_parquet.folder / f".{name}.incomplete" for name in names)
    for path in (old, fresh, foreign):
        path.write_bytes(b"x")
    for path in (old, foreign):
        os.utime(path, (time.time() - 90_000,) * 2)
    to_parquet.load(schema(), record(id=1))
    assert [path.exists() for path in (old, fresh, foreign)] == [False, True, True]


def test_overwrite_leaves_files_of_others_and_an_empty_stream_has_a_file(to_parquet):
    to_parquet.load(schema(), record(id=1), schema("people-2"), record("people-2", id=7))
    (to_parquet.folder / "people-mine.parquet").write_bytes(b"mine")
    to_parquet.load(schema(), load_method="overwrite")
    assert [path.name for path in files(to_parquet)][-1] == "people-mine.parquet"
    (to_parquet.folder / "people-mine.parquet").unlink()
    assert (to_parquet.rows("people"), len(to_parquet.rows("people-2"))) == ([], 1)
    assert sum(PARQUET_NAME.fullmatch(path.name)[1] == "people" for path in files(to_parquet)) == 1


def test_a_link_in_the_folder_is_not_followed(to_parquet):
    outside = to_parquet.folder.parent / "outside"
    outside.mkdir()
    (to_parquet.folder / "people").symlink_to(outside)
    ended = to_parquet.run(schema(), record(id=1), state(1), streams_in_separate_folder=True)
    assert (ended.code, ended.out, list(outside.iterdir())) == (1, "", [])
    assert "symbolic link" in ended.err


def test_metadata_and_maps(to_parquet):
    to_parquet.load(
        schema(), record(id=1, name="a"), add_record_metadata=True, stream_maps={"people": {"loud": "name.upper()"}}
    )
    (row,) = to_parquet.rows()
    assert row["loud"] == "A"
    assert isinstance(row["_sdc_received_at"], datetime.datetime)


def test_a_wrong_method_of_compression_is_a_problem_of_the_config(to_parquet):
    ended = to_parquet.run(schema(), compression_method="rar")
    assert ended.code == 2
    assert "compression_method" in ended.err


def test_memory_stays_bounded(to_parquet):
    def limit():
        resource.setrlimit(resource.RLIMIT_DATA, (600 * 2**20,) * 2)

    number = iter(range(10**9))
    block = b"".join(
        b'{"type":"RECORD","stream":"s%d","record":{"id":%d,"name":"%s"}}\n'
        % (index % 4, next(number), b"%x" % index * 99)
        for index in range(10_000)
    )
    process = subprocess.Popen(
        to_parquet.command(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=limit,
    )
    process.stdin.write(lines(*[schema(f"s{index}") for index in range(4)]))
    for _ in range(30):  # 130 MB
        process.stdin.write(block)
    process.stdin.close()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    assert status == 0, errors
    assert usage.ru_maxrss < 350 * 1024


# -- object stores -----------------------------------------------------------------------------------------------------


def test_an_object_is_there_when_it_is_published_and_not_before():
    store = MemoryStore()
    storage = ObjectStorage(store, "memory:///")
    draft, dropped = storage.draft("a/b"), storage.draft("a/c")
    draft.write(b"12")
    draft.write(b"3")
    dropped.write(b"x")
    dropped.discard()
    assert list(storage.names()) == []
    draft.publish()
    assert list(storage.names()) == ["a/b"]
    assert bytes(obstore.get(store, "a/b").bytes()) == b"123"
    storage.delete("a/b")
    storage.delete("a/b")
    assert list(storage.names()) == []


def test_a_folder_behaves_as_an_object_store_does(tmp_path):
    storage = LocalStorage(tmp_path / "new")
    draft = storage.draft("a/b")
    draft.write(b"123")
    assert list(storage.names()) == []
    draft.publish()
    assert list(storage.names()) == ["a/b"]
    assert (tmp_path / "new" / "a" / "b").read_bytes() == b"123"
    storage.delete("a/b")
    assert list(storage.names()) == []
    with pytest.raises(FatalSyncError):
        draft.publish()


def test_an_unknown_kind_of_place_is_a_problem_of_the_config(to_parquet):
    for place in ("ftp://host/x", "memory:///x"):
        ended = to_parquet.run(schema(), record(id=1), destination_path=place)
        assert (ended.code, ended.out) == (2, "")
        assert place.split("/")[0] in ended.err


def test_without_pyarrow_one_line_says_what_to_install(to_parquet):
    (to_parquet.folder / "pyarrow.py").write_text("raise ImportError")
    environment = {**os.environ, "PYTHONPATH": str(to_parquet.folder)}
    ended = subprocess.run(
        to_parquet.command(), input=lines(schema()), capture_output=True, timeout=60, check=False, env=environment
    )
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert b"singerkit[arrow]" in ended.stderr
    assert b"Traceback" not in ended.stderr


def test_help_needs_no_pyarrow(to_parquet):
    (to_parquet.folder / "pyarrow.py").write_text("raise SystemExit(9)")
    environment = {**os.environ, "PYTHONPATH": str(to_parquet.folder)}
    words = [*to_parquet.command(), "--about"]
    assert subprocess.run(words, capture_output=True, timeout=60, check=False, env=environment).returncode == 0
