"""Targets that write into an object store: real requests to a server of the S3 protocol."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import re
import select
import signal
import subprocess
from itertools import chain, count
from threading import Event, Thread

import pyarrow as pa
import pytest
from object_store import Bucket, ObjectStore
from pyarrow import parquet

from singerkit.files.compression import zstd_module

from .conftest import Plugin, feed, lines, plugin, record, schema, state
from .test_every_target import NAMES

NUMBERS = count()
PART = re.compile(r"lake/(.*)-[0-9]{8}T[0-9]{6}Z-[0-9]{10}-([0-9]{5})(\.[a-z.]+)", re.DOTALL)


@pytest.fixture(scope="module")
def store():
    server = ObjectStore()
    yield server
    server.close()


@pytest.fixture
def bucket(store, monkeypatch):
    made = Bucket(store, f"bucket-{next(NUMBERS)}")
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


def in_bucket(name, bucket, tmp_path, **config):
    target = plugin(name, tmp_path, **config)
    target.config |= {"destination_path": f"s3://{bucket.name}/lake"}
    target.config.pop("output_path", None)
    return target


@pytest.fixture(params=["target-jsonl", "target-csv", "target-parquet"])
def target(request, bucket, tmp_path):
    return in_bucket(request.param, bucket, tmp_path)


@pytest.fixture
def jsonl(bucket, tmp_path):
    return in_bucket("target-jsonl", bucket, tmp_path)


@pytest.fixture
def to_csv(bucket, tmp_path):
    return in_bucket("target-csv", bucket, tmp_path)


OPENED = {".gz": gzip.decompress, ".zst": lambda data: zstd_module().decompress(data)}


def rows_in(name, data):
    for ending, opened in OPENED.items():
        if name.endswith(ending):
            name, data = name.removesuffix(ending), opened(data)
    if name.endswith(".parquet"):
        return parquet.read_table(pa.BufferReader(data)).to_pylist()
    if name.endswith(".csv"):
        return list(csv.DictReader(io.StringIO(data.decode(), newline=""), strict=True))
    return [json.loads(line) for line in data.splitlines()]


def rows(bucket, stream="people"):
    """Give the rows of a stream, in the order of the names of its objects."""
    found = bucket.objects()
    return [row for name in found if PART.fullmatch(name)[1] == stream for row in rows_in(name, found[name])]


def ids(bucket, stream="people"):
    return [int(row["id"]) for row in rows(bucket, stream)]


def test_a_run_adds_objects_whose_names_sort_as_they_were_written(target, bucket):
    records = [record(id=number, name="x" * 100) for number in range(40)]
    for first in (0, 20):
        ended = target.load(schema(), *records[first : first + 20], state(first), streams_in_separate_folder=False)
        assert ended.states == [first]
    assert sorted(ids(bucket)) == list(range(40))
    parts = [PART.fullmatch(name) for name in bucket.objects()]
    assert [part[2] for part in parts] == ["00001", "00001"]
    assert all(part[1] == "people" for part in parts)


@pytest.mark.parametrize(
    ("name", "compression", "ending"),
    [("target-jsonl", "gzip", ".jsonl.gz"), ("target-jsonl", "zstd", ".jsonl.zst"), ("target-csv", "gzip", ".csv.gz")],
)
def test_objects_are_compressed_if_asked(name, compression, ending, bucket, tmp_path):
    target = in_bucket(name, bucket, tmp_path, compression=compression, batch_size_rows=1_000)
    target.load(schema(), *[record(id=number) for number in range(5_000)])
    assert [PART.fullmatch(found)[3] for found in bucket.objects()] == [ending]
    assert ids(bucket) == list(range(5_000))


def noise(size):
    return random.Random(size).randbytes(size // 2).hex()


def test_parts_are_completed_by_their_size_and_their_states_leave_then(jsonl, bucket):
    texts = [noise(100_000 + number) for number in range(40)]
    messages = chain.from_iterable((record(id=n, name=text), state(n)) for n, text in enumerate(texts))
    ended = jsonl.load(schema(), *messages, max_file_mb=1, batch_size_rows=1)
    assert len(bucket.objects()) == 4
    assert [row["name"] for row in rows(bucket)] == texts
    assert len(ended.states) >= 4


def test_each_csv_object_has_the_header_and_a_new_column_begins_an_object(to_csv, bucket):
    wide = schema(id={"type": "integer"}, more={"type": ["string", "null"]})
    to_csv.load(schema(), record(id=1, name="a"), wide, record(id=2, more="m"), schema("empty"))
    contents = [data.decode() for name, data in bucket.objects().items() if "empty" not in name]
    assert contents == ["id,name\r\n1,a\r\n", "id,name,more\r\n2,,m\r\n"]


def test_a_state_leaves_while_no_input_comes(jsonl, bucket):
    process = subprocess.Popen(
        jsonl.command(max_file_seconds=0.3, batch_wait_limit_seconds=0.1),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    process.stdin.write(lines(schema(), record(id=1), state(1)))
    process.stdin.flush()
    assert select.select([process.stdout], [], [], 60)[0]
    assert process.stdout.readline() == b"1\n"
    assert ids(bucket) == [1]
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_killed_runs_that_go_on_at_the_last_state_lose_nothing(jsonl, bucket):
    settings = {"batch_size_rows": 50, "max_file_mb": 1, "max_file_seconds": 0.02, "compression": "zstd"}
    chance = random.Random(7)
    start = 0
    for _ in range(3):
        messages = [schema()]
        for number in range(start, 4_000):
            messages += [record(id=number, name=noise(2_000)), *([state(number)] if number % 50 == 49 else [])]
        process = subprocess.Popen(
            jsonl.command(**settings), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        feeder = Thread(target=feed, args=(process.stdin, lines(*messages)))
        feeder.start()
        after = chance.randrange(1, 3)
        for released, line in enumerate(process.stdout, start=1):
            start = json.loads(line) + 1
            if released == after:
                process.kill()
                break
        process.stdout.close()
        process.wait()
        feeder.join()
        assert set(ids(bucket)) >= set(range(start))
    jsonl.load(schema(), *[record(id=number) for number in range(start, 4_000)], **settings)
    assert set(ids(bucket)) == set(range(4_000))


@pytest.mark.parametrize("name", ["target-csv", "target-parquet"])
def test_overwrite_replaces_when_the_run_has_succeeded_and_not_before(name, bucket, tmp_path):
    target = in_bucket(name, bucket, tmp_path)
    target.load(schema(), record(id=1, name="old"), schema("people-2"), record("people-2", id=7), state(1))
    bucket.put("lake/people-mine.txt", b"mine")
    failed = target.run(schema(), record(id=3), state(2), b"not json\n", load_method="overwrite")
    assert (failed.code, failed.out) == (4, "")
    names = set(bucket.objects()) - {"lake/people-mine.txt"}
    assert len(names) == 2
    ended = target.load(schema(), record(id=3), state(1), record(id=4), state(2), load_method="overwrite")
    assert ended.states == [2]
    found = bucket.objects()
    assert found.pop("lake/people-mine.txt") == b"mine"
    assert len(found) == 2
    (mine,) = [name for name in found if PART.fullmatch(name)[1] == "people"]
    assert [int(row["id"]) for row in rows_in(mine, found[mine])] == [3, 4]
    target.load(schema(), load_method="overwrite")
    found = bucket.objects()
    (mine,) = [name for name in found if (part := PART.fullmatch(name)) and part[1] == "people"]
    assert rows_in(mine, found[mine]) == []


def test_no_name_leaves_the_prefix_or_shares_an_object(jsonl, bucket):
    messages = []
    for number, name in enumerate(NAMES):
        messages += [schema(name), record(name, id=number)]
    jsonl.load(*messages, state(1))
    found = bucket.objects()
    assert all(name.startswith("lake/") and "/" not in name.removeprefix("lake/") for name in found)
    assert sorted(row["id"] for name, data in found.items() for row in rows_in(name, data)) == list(range(len(NAMES)))
    ended = jsonl.run(schema("a"), schema("b"), custom_name="one")
    assert ended.code == 2
    assert "'a' and 'b'" in ended.err


def is_second_part(method, address):
    return method == "PUT" and "partNumber=2" in address


def test_an_upload_that_is_refused_half_way_leaves_nothing_and_releases_nothing(jsonl, bucket):
    big = record(id=1, name=noise(12_000_000))
    with bucket.store.refusing(is_second_part):
        ended = jsonl.run(schema(), big, state(1))
    assert (ended.code, ended.out) == (1, "")
    assert "the object store refuses to write a file" in ended.err
    assert "Traceback" not in ended.err
    assert "hush" not in ended.err
    assert bucket.objects() == {}
    jsonl.load(schema(), big, state(1))
    assert ids(bucket) == [1]


def test_a_target_killed_in_an_upload_leaves_nothing_to_be_seen(jsonl, bucket):
    reached, over = Event(), Event()

    def held(method, address):
        if is_second_part(method, address):
            reached.set()
            over.wait(60)
        return False

    with bucket.store.refusing(held):
        process = subprocess.Popen(
            jsonl.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        process.stdin.write(lines(schema(), record(id=1, name=noise(12_000_000)), state(1)))
        process.stdin.close()
        assert reached.wait(60)
        process.kill()
        assert process.stdout.read() == b""
        process.stdout.close()
        process.wait()
        over.set()
    assert bucket.objects() == {}
    assert bucket.uploads() == 1  # what the rules of a bucket's life cycle are for
    jsonl.load(schema(), record(id=1), state(1))
    assert ids(bucket) == [1]


def test_a_bucket_that_is_not_there_is_one_clear_error(jsonl):
    ended = jsonl.run(schema(), record(id=1), state(1), destination_path="s3://no-such-bucket/x")
    assert (ended.code, ended.out) == (1, "")
    assert "stream 'people': the object store refuses to write a file" in ended.err
    assert "check the bucket" in ended.err


def test_options_that_are_not_known_are_a_problem_of_the_config(jsonl):
    ended = jsonl.run(schema(), record(id=1), state(1), storage_options={"secret_acces_key": "hush-hush"})
    assert (ended.code, ended.out) == (2, "")
    assert "check its address and storage_options" in ended.err
    assert "hush" not in ended.err


def test_credentials_may_be_settings_and_are_not_shown(jsonl, bucket, monkeypatch):
    for name in bucket.environment:
        monkeypatch.delenv(name)
    options = {
        "endpoint": bucket.store.url,
        "allow_http": True,
        "region": "eu-central-1",
        "access_key_id": "id",
        "secret_access_key": "hush-hush",
    }
    jsonl.load(schema(), record(id=1), state(1), storage_options=options)
    assert ids(bucket) == [1]
    with bucket.store.refusing(lambda method, address: True):
        ended = jsonl.run(schema(), record(id=2), state(2), storage_options=options)
    assert (ended.code, ended.out) == (1, "")
    assert "the object store refuses" in ended.err
    assert "check the credentials" in ended.err
    assert "hush" not in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("encoding", [{"format": "jsonl", "compression": "zstd"}, {"format": "parquet"}])
def test_files_of_batch_messages_may_be_in_a_bucket(encoding, bucket, tmp_path):
    (tmp_path / "people.csv").write_text("id,name\n" + "".join(f"{number},n{number}\n" for number in range(500)))
    root = f"s3://{bucket.name}/batches"
    tap = plugin(
        "tap-csv", tmp_path, files=[{"entity": "people", "path": str(tmp_path / "people.csv"), "keys": ["id"]}]
    )
    written = tap.load(batch_config={"encoding": encoding, "storage": {"root": root}})
    assert [name.startswith("batches/people-") for name in bucket.objects()] == [True]
    target = Plugin("target-jsonl", tmp_path / "out", {"destination_path": str(tmp_path / "out")})
    ended = target.load(written.out.encode(), batch_root=root, batch_delete_files=True)
    assert ended.states
    assert [row["id"] for row in target.rows(order=None)] == [str(number) for number in range(500)]
    assert bucket.objects() == {}
