"""Taps that write files and BATCH messages in the place of records, as their users run them."""

from __future__ import annotations

import gzip
import json
import resource
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from pyarrow import ipc, parquet

from singerkit.files.compression import zstd_module

TAP = """
import sys, time
from singerkit import Stream, Tap, typing as th

class Things(Stream):
    name = "things"
    primary_keys = ("id",)
    replication_key = "id"
    is_sorted = True
    schema = th.PropertiesList(
        th.Property("id", th.IntegerType),
        th.Property("name", th.StringType),
        th.Property("inner", th.ObjectType(th.Property("deep", th.StringType))),
    ).to_dict()
    STATE_MSG_FREQUENCY = 50
    def get_records(self, context):
        start = self.get_starting_replication_key_value(context) or 0
        for number in range(start, self.config.get("count", 7)):
            yield {"id": number, "name": f"n{number}" * self.config.get("repeat", 1), "inner": {"deep": "\\n"}}

class Odd(Stream):
    name = "o\\0d/d"
    schema = th.PropertiesList(th.Property("id", th.IntegerType)).to_dict()
    def get_records(self, context):
        yield {"id": 1}

class TapThings(Tap):
    name = "tap-things"
    config_jsonschema = th.PropertiesList(
        th.Property("count", th.IntegerType), th.Property("repeat", th.IntegerType)
    ).to_dict()
    def discover_streams(self): return [Things(self), Odd(self)]

TapThings.cli()
"""


class Tap:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "root"
        (folder / "tap_things.py").write_text(TAP)

    def words(self, state=None, *, encoding=None, prefix="", size=10_000, **config):
        batch_config = {"encoding": encoding, "storage": {"root": self.root.as_uri(), "prefix": prefix}}
        batch_config["batch_size"] = size
        (self.folder / "config.json").write_text(json.dumps({"batch_config": batch_config, **config}))
        words = [sys.executable, "tap_things.py", "--config", "config.json"]
        if state is not None:
            (self.folder / "state.json").write_text(json.dumps(state))
            words += ["--state", "state.json"]
        return words

    def run(self, state=None, **config):
        words = self.words(state, **config)
        return subprocess.run(words, capture_output=True, timeout=60, check=False, cwd=self.folder)

    def messages(self, **config):
        ended = self.run(**config)
        assert ended.returncode == 0, ended.stderr
        return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.fixture
def tap(tmp_path):
    return Tap(tmp_path)


ARROW = {"format": "arrow", "compression": "gzip"}
READERS = {
    None: lambda data: data,
    "none": lambda data: data,
    "gzip": gzip.decompress,
    "zstd": lambda data: zstd_module().decompress(data),
}


def rows_of(message):
    (address,) = message["manifest"]
    path = Path(unquote(urlsplit(address).path))
    if message["encoding"]["format"] == "parquet":
        return parquet.read_table(path).to_pylist()
    data = READERS[message["encoding"]["compression"]](path.read_bytes())
    if message["encoding"]["format"] == "arrow":
        return ipc.open_stream(data).read_all().to_pylist()
    return [json.loads(line) for line in data.splitlines()]


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_records_go_to_files_and_the_state_comes_after_their_messages(tap, compression):
    messages = tap.messages(encoding={"format": "jsonl", "compression": compression}, prefix="shop/run-")
    kinds = [message["type"] for message in messages]
    assert kinds == ["SCHEMA", "SCHEMA", "BATCH", "BATCH", "STATE"]
    things, odd = sorted(messages[2:4], key=lambda message: message["stream"], reverse=True)
    assert [(row["id"], row["name"], row["inner"]) for row in rows_of(things)] == [
        (number, f"n{number}", {"deep": "\n"}) for number in range(7)
    ]
    assert (odd["stream"], rows_of(odd)) == ("o\0d/d", [{"id": 1}])
    assert messages[-1]["value"]["bookmarks"]["things"]["replication_key_value"] == 6
    assert all(path.parent == tap.root / "shop" and path.name.startswith("run-") for path in files(tap))


def files(tap):
    return [path for path in tap.root.rglob("*") if path.is_file()]


def test_without_an_encoding_files_are_json_lines_with_gzip(tap):
    (message, *_) = [message for message in tap.messages() if message["type"] == "BATCH"]
    assert message["encoding"] == {"format": "jsonl", "compression": "gzip"}
    assert rows_of(message)


@pytest.mark.parametrize("encoding", [{"format": "parquet"}, {"format": "parquet", "compression": "zstd"}, ARROW])
def test_parquet_and_arrow_files_have_the_columns_of_the_schema(tap, encoding):
    messages = tap.messages(encoding=encoding)
    (things,) = [message for message in messages if message.get("stream") == "things" and message["type"] == "BATCH"]
    assert rows_of(things)[6] == {"id": 6, "name": "n6", "inner": {"deep": "\n"}}


def test_maps_apply_and_a_stream_may_have_several_outputs(tap):
    maps = {"things": {"id": "id", "__else__": None}, "copies": {"__source__": "things", "loud": "name.upper()"}}
    batches = [m for m in tap.messages(stream_maps=maps, count=2) if m["type"] == "BATCH"]
    rows = {message["stream"]: rows_of(message) for message in batches}
    assert rows["things"] == [{"id": 0}, {"id": 1}]
    assert [row["loud"] for row in rows["copies"]] == ["N0", "N1"]


def test_files_are_completed_by_their_size_and_no_state_is_ahead_of_them(tap):
    seen = set()
    batches = 0
    for message in tap.messages(count=20_000, size=1_000):
        if message.get("stream") == "things" and message["type"] == "BATCH":
            rows = rows_of(message)
            batches += 1
            assert len(rows) <= 1_000 + 256
            seen |= {row["id"] for row in rows}
        if message["type"] == "STATE":
            value = message["value"]["bookmarks"].get("things", {}).get("replication_key_value", -1)
            assert seen >= set(range(value + 1))
    assert seen == set(range(20_000))
    assert batches >= 10


def test_a_killed_run_goes_on_where_its_last_state_is(tap):
    seen: set[int] = set()
    state = None
    for states in (1, 2):
        words = tap.words(state, count=30_000, size=500)
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=tap.folder)
        found = 0
        for line in process.stdout:
            message = json.loads(line)
            if message["type"] == "BATCH" and message["stream"] == "things":
                seen |= {row["id"] for row in rows_of(message)}
            if message["type"] == "STATE":
                state = message["value"]
                found += 1
            if found == states:
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.close()
        process.wait()
        last = state["bookmarks"]["things"]["replication_key_value"]
        assert seen >= set(range(last + 1))
    ended = tap.run(state, count=30_000, size=500)
    for line in ended.stdout.splitlines():
        message = json.loads(line)
        if message["type"] == "BATCH" and message["stream"] == "things":
            seen |= {row["id"] for row in rows_of(message)}
    assert seen == set(range(30_000))


def test_a_full_disk_ends_the_run_without_a_state_ahead(tap):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    words = tap.words(encoding={"compression": "none"}, count=20_000, repeat=50, size=5_000)
    ended = subprocess.run(words, capture_output=True, timeout=60, check=False, cwd=tap.folder, preexec_fn=limit)
    assert ended.returncode == 1
    assert b"can't be written" in ended.stderr
    assert b"Traceback" not in ended.stderr
    kinds = {json.loads(line)["type"] for line in ended.stdout.splitlines()}
    assert "STATE" not in kinds
    assert not [path for path in files(tap) if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"batch_config": {"encoding": {"format": "jsonl"}}}, "batch_config.storage.root"),
        ({"batch_config": {"storage": {"root": "ftp://x"}}}, "no place for files"),
        ({"batch_config": {"storage": {"root": "/tmp/x", "prefix": "../x"}}}, "batch_config.storage.prefix"),
        ({"emit_activate_version_messages": True}, "can't be combined with batch_config"),
    ],
)
def test_a_config_that_cannot_work_is_refused_before_anything_is_read(tap, config, problem):
    ended = tap.run(**config)
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert problem.encode() in ended.stderr


@pytest.mark.parametrize(
    "encoding", [{"format": "jsonl", "compression": "zstd"}, {"format": "parquet", "compression": "gzip"}, ARROW]
)
def test_a_target_loads_what_a_tap_wrote(tap, encoding):
    loader = [sys.executable, "-c", "from singerkit.cli.main import main; main()", "target-jsonl", "--config"]
    (tap.folder / "target.json").write_text(
        json.dumps({"batch_root": str(tap.root), "batch_delete_files": True, "destination_path": "out"})
    )
    written = tap.run(count=3_000, encoding=encoding)
    loaded = subprocess.run(
        [*loader, "target.json"], input=written.stdout, capture_output=True, timeout=60, check=False, cwd=tap.folder
    )
    assert loaded.returncode == 0, loaded.stderr
    rows = (tap.folder / "out" / "things.jsonl").read_bytes().splitlines()
    assert [json.loads(row) for row in rows] == [
        {"id": number, "name": f"n{number}", "inner": {"deep": "\n"}} for number in range(3_000)
    ]
    assert json.loads(loaded.stdout.splitlines()[-1])["bookmarks"]["things"]["replication_key_value"] == 2_999
    assert files(tap) == []
