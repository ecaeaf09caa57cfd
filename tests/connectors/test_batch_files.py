"""BATCH messages: files that are loaded as records are, and manifests that name what they must not."""

from __future__ import annotations

import datetime
import gzip
import json
import os
from decimal import Decimal

import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

from singerkit.files.compression import zstd_module

from .conftest import lines, plugin, record, schema, state


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "batches"
    path.mkdir()
    return path


@pytest.fixture(params=["target-jsonl", "target-sqlite", "target-parquet"])
def target(request, tmp_path, root):
    return plugin(request.param, tmp_path, batch_root=str(root))


@pytest.fixture
def jsonl(tmp_path, root):
    return plugin("target-jsonl", tmp_path, batch_root=str(root))


def texts(*records):
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def batch(*addresses, stream="people", **encoding):
    manifest = [address if isinstance(address, str) else address.as_uri() for address in addresses]
    encoding = {"format": "jsonl", "compression": "none", **encoding}
    return {"type": "BATCH", "stream": stream, "encoding": encoding, "manifest": manifest}


def people(*numbers):
    return [{"id": number, "name": f"n{number}"} for number in numbers]


def ids(plugin, **keywords):
    return sorted(row["id"] for row in plugin.rows(**keywords))


COMPRESS = {"none": bytes, "gzip": gzip.compress, "zstd": lambda data: zstd_module().compress(data)}


@pytest.mark.parametrize("compression", COMPRESS)
def test_json_lines_are_loaded_as_records_are(target, root, compression):
    (root / "a").write_bytes(COMPRESS[compression](texts(*people(*range(1, 3001)))))
    (root / "b").write_bytes(COMPRESS[compression](texts(*people(3001)).rstrip(b"\n")))
    ended = target.load(
        schema(),
        record(id=0, name="n0"),
        batch(root / "a", root / "b", compression=compression),
        state(1),
        batch_size_rows=700,
    )
    assert ended.states[-1] == 1
    assert target.rows() == people(*range(3002))
    assert '"value":3002' in ended.err or ended.err.count("record_count")
    assert len(list(root.iterdir())) == 2


def test_parquet_and_arrow_files_are_loaded(jsonl, root):
    at = datetime.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC)
    columns = {
        "id": pa.array([1, 2]),
        "name": ["a", None],
        "at": pa.array([at, None], pa.timestamp("us", tz="UTC")),
        "price": [Decimal("1.10"), None],
        "tags": [["x"], []],
    }
    table = pa.table(columns)
    parquet.write_table(table, root / "p.parquet")
    with ipc.new_stream(str(root / "a.arrow"), table.schema) as file:
        file.write_table(table)
    messages = [
        schema(**{name: {} for name in columns}),
        batch(root / "p.parquet", format="parquet"),
        batch(root / "a.arrow", format="arrow"),
    ]
    jsonl.load(*messages)
    first = {"id": 1, "name": "a", "at": "2024-01-02T03:04:05.000006Z", "price": Decimal("1.10"), "tags": ["x"]}
    second = {"id": 2, "name": None, "at": None, "price": None, "tags": []}
    assert jsonl.rows() == [first, first, second, second]


def test_maps_metadata_and_rejections_work_as_for_records(jsonl, root):
    (root / "a").write_bytes(texts({"id": 1, "name": "a"}, {"id": "no"}, {"name": "x"}, {"id": 4, "name": "d"}))
    messages = (schema(), batch(root / "a"), state(1))
    ended = jsonl.run(*messages)
    assert (ended.code, ended.out) == (1, "")
    assert "line 2: stream 'people': in the batch file 'a': the record breaks its schema" in ended.err
    ended = jsonl.load(
        *messages,
        on_invalid="quarantine",
        quarantine_path=str(jsonl.folder.parent / "q"),
        max_invalid_ratio=1,
        add_record_metadata=True,
        stream_maps={"people": {"loud": "name.upper()"}},
    )
    assert ended.states == [1]
    assert [(row["id"], row["loud"]) for row in jsonl.rows()] == [(1, "A"), (4, "D")]
    assert all("_sdc_received_at" in row for row in jsonl.rows())
    kept = [json.loads(line) for line in (jsonl.folder.parent / "q" / "people.jsonl").read_bytes().splitlines()]
    assert [row["line"] for row in kept] == [2, 3]


def test_a_state_waits_for_the_files_before_it(jsonl, root):
    (root / "a").write_bytes(texts(*people(1)))
    (root / "b").write_bytes(texts(*people(2), {"id": "no"}))
    ended = jsonl.run(schema(), batch(root / "a"), state(1), batch(root / "b"), state(2), batch_size_rows=1)
    assert ended.code == 1
    assert ended.states in ([], [1])


def test_files_are_removed_when_what_was_in_them_is_stored(target, root):
    (root / "a").write_bytes(texts(*people(1)))
    (root / "b").write_bytes(texts(*people(2), {"id": "no"}))
    ended = target.run(schema(), batch(root / "a"), batch(root / "b"), batch_delete_files=True)
    assert ended.code == 1
    assert [path.name for path in root.iterdir()] == ["b"]
    assert 1 in ids(target)


def test_without_a_root_every_manifest_is_refused(jsonl, root):
    (root / "a").write_bytes(texts(*people(1)))
    del jsonl.config["batch_root"]
    ended = jsonl.run(schema(), batch(root / "a"), state(1))
    assert (ended.code, ended.out) == (2, "")
    assert "set `batch_root`" in ended.err
    assert jsonl.load(schema(), batch(root / "a"), batch_config={"storage": {"root": root.as_uri()}})
    assert ids(jsonl) == [1]


OUTSIDE = [
    "/etc/hostname",
    "file:///etc/hostname",
    "file://{root}/../outside",
    "file://{root}/%2e%2e/outside",
    "file://{root}/sub/..%2f..%2foutside",
    "file://{root}-evil/a",
    "file://{root}",
    "file://{root}/",
    "file://host{root}/a",
    "file://{root}/a?x=1",
    "file://{root}/a%00b",
    "file://{root}/./a",
    "http://127.0.0.1:1/a",
    "s3://bucket/a",
    "FILE:{root}/../outside",
    "",
]


@pytest.mark.parametrize("address", OUTSIDE)
def test_a_manifest_names_nothing_outside_the_root(jsonl, root, address):
    (root.parent / "outside").write_bytes(texts(*people(666)))
    (root.parent / "batches-evil").mkdir()
    (root.parent / "batches-evil" / "a").write_bytes(texts(*people(666)))
    (root / "a").write_bytes(texts(*people(1)))
    ended = jsonl.run(schema(), batch(root / "a", address.format(root=root)), state(1))
    assert (ended.code, ended.out) == (4, "")
    assert "line 2" in ended.err
    assert "file 2 of the BATCH message is refused" in ended.err
    assert (jsonl.folder / "people.jsonl").read_bytes() == b""  # it is refused as a whole


def links(root):
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(texts(*people(666)))
    (root / "folder").symlink_to(outside)
    (root / "link").symlink_to(outside / "secret")
    (root / "plain").mkdir()
    os.mkfifo(root / "pipe")


@pytest.mark.parametrize("name", ["folder/secret", "link", "plain", "pipe", "absent", "absent/x"])
def test_links_pipes_and_folders_are_not_read(jsonl, root, name):
    links(root)
    ended = jsonl.run(schema(), batch(f"file://{root}/{name}"), state(1), batch_delete_files=True)
    assert (ended.code, ended.out) == (1, ""), ended.err
    assert f"the batch file '{name}'" in ended.err
    assert "Traceback" not in ended.err
    assert (root.parent / "outside" / "secret").exists()


@pytest.mark.parametrize(
    ("content", "encoding", "error"),
    [
        (b'{"id":1},"type":"STATE","value":{"id":9}\n', {}, "line 1: stream 'people': in the batch file 'a'"),
        (b'{"id":1}}\n', {}, "not one JSON value"),
        (b'{"id":1} {"id":2}\n', {}, "not one JSON value"),
        (b'{"id":\n1}\n', {}, "not one JSON value"),
        (b"5\n", {}, "no 'record' object"),
        (b"[]\n", {}, "no 'record' object"),
        (b'\n{"id":1}\nnope\n', {}, "line 3"),
        (gzip.compress(b'{"id":1}\n' * 99999)[:-20], {"compression": "gzip"}, "it is not whole"),
        (b"no gzip", {"compression": "gzip"}, "not compressed as the message says"),
        (b"no zstd!", {"compression": "zstd"}, "not compressed as the message says"),
        (b"no parquet", {"format": "parquet"}, "can't be read as Parquet"),
        (b"no arrow", {"format": "arrow"}, "can't be read as an Arrow stream"),
        (b"", {"format": "exe"}, "a format other than jsonl"),
        (b"", {"compression": "rar"}, "a compression other than none"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_one_clear_error(jsonl, root, content, encoding, error):
    (root / "a").write_bytes(content)
    ended = jsonl.run(schema(), batch(root / "a", **encoding), state(1))
    assert (ended.code, ended.out) == (4, ""), ended.err
    assert error in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    "message",
    [
        {"type": "BATCH", "stream": "people", "manifest": "file:///a"},
        {"type": "BATCH", "stream": "people", "manifest": [1]},
        {"type": "BATCH", "manifest": []},
        {"type": "BATCH", "stream": "people", "encoding": 5, "manifest": []},
        {"type": "BATCH", "stream": "strangers", "manifest": []},
    ],
)
def test_a_malformed_batch_message_is_bad_input(jsonl, message):
    ended = jsonl.run(schema(), message, state(1))
    assert (ended.code, ended.out) == (4, "")
    assert "line 2" in ended.err


def test_a_long_line_and_a_deep_one_are_refused(jsonl, root):
    (root / "a").write_bytes(b'{"id":1,"name":"' + b"x" * 2_000_000 + b'"}\n')
    ended = jsonl.run(schema(), batch(root / "a"), max_line_mb=1)
    assert ended.code == 4
    assert "max_line_mb" in ended.err
    (root / "a").write_bytes(b'{"id":1,"name":' + b"[" * 600 + b"]" * 600 + b"}\n")
    assert jsonl.run(schema(), batch(root / "a")).code in (1, 4)


def test_a_killed_load_of_files_goes_on_at_its_last_state(jsonl, root):
    messages = [schema()]
    for number in range(60):
        (root / str(number)).write_bytes(texts(*people(*range(number * 500, number * 500 + 500))))
        messages += [batch(root / str(number)), state(number)]
    jsonl.config["batch_size_rows"] = 200
    for released in (1, 4):
        states = jsonl.kill_after(lines(*messages), released)
        whole = (jsonl.folder / "people.jsonl").read_bytes().split(b"\n")[:-1]
        assert {json.loads(line)["id"] for line in whole} >= set(range((states[-1] + 1) * 500))
    last = states[-1]
    jsonl.load(messages[0], *messages[1 + 2 * (last + 1) :])
    assert set(ids(jsonl)) == set(range(30_000))
