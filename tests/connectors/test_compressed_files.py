"""Compressed files in a folder: what was acknowledged can be read, wherever a killed run has cut them off."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
from contextlib import closing

import pytest

from singerkit.connectors.compressed_files import CompressedFile
from singerkit.connectors.output_files import OutputFile, OutputFolder
from singerkit.errors import ConfigurationError
from singerkit.files.compression import member_pieces, zstd_module

from .conftest import lines, plugin, record, schema, state

ENDINGS = {"gzip": ".gz", "zstd": ".zst"}
DECOMPRESS = {"gzip": gzip.decompress, "zstd": lambda data: zstd_module().decompress(data)}


@pytest.fixture(params=ENDINGS)
def compression(request):
    return request.param


@pytest.fixture
def jsonl(tmp_path):
    return plugin("target-jsonl", tmp_path, compression="gzip")


@pytest.fixture
def to_csv(tmp_path):
    return plugin("target-csv", tmp_path, compression="zstd")


def path_of(target, stream="people"):
    ending = {"target-jsonl": ".jsonl", "target-csv": ".csv"}[target.name]
    return target.folder / f"{stream}{ending}{ENDINGS[target.config['compression']]}"


def text(target):
    return DECOMPRESS[target.config["compression"]](path_of(target).read_bytes())


def ids(target):
    return [json.loads(line)["id"] for line in text(target).splitlines()]


def opened(folder, compression):
    return CompressedFile(OutputFile(folder, "x"), compression)


def test_wherever_it_is_cut_off_whole_batches_stay_and_it_goes_on(tmp_path, compression):
    batches = [b'{"id":%d}\n' % number for number in range(4)]
    with closing(OutputFolder(tmp_path)) as folder:
        with closing(opened(folder, compression)) as file:
            ends = [0]
            for batch in batches:
                file.append(batch)
                ends.append((tmp_path / "x").stat().st_size)
        written = (tmp_path / "x").read_bytes()
        for size in range(len(written) + 1):
            (tmp_path / "x").write_bytes(written[:size])
            whole = sum(end <= size for end in ends[1:])
            with closing(opened(folder, compression)) as file:
                assert b"".join(file.chunks()) == b"".join(batches[:whole])
                assert file.size == len(b"".join(batches[:whole]))
                file.append(b"next\n")
            assert DECOMPRESS[compression]((tmp_path / "x").read_bytes()) == b"".join([*batches[:whole], b"next\n"])


def test_sizes_and_offsets_are_those_of_the_text(tmp_path, compression):
    with closing(OutputFolder(tmp_path)) as folder, closing(opened(folder, compression)) as file:
        for batch in (b"one\n", b"two\nthr", b"ee"):
            file.append(batch)
        assert (file.size, file.tail(), b"".join(file.chunks(start=5))) == (13, b"three", b"wo\nthree")
        file.cut(6)
        assert (file.size, file.tail(), b"".join(file.chunks())) == (6, b"tw", b"one\ntw")
        file.replace(iter([b"new", b"er\n"]))
        assert (file.size, file.tail(), b"".join(file.chunks())) == (6, b"", b"newer\n")
        file.cut(0)
        file.append(b"end")
        assert (file.size, file.tail(), b"".join(file.chunks())) == (3, b"end", b"end")


def test_what_is_read_comes_in_pieces(tmp_path, compression):
    data = b"".join(b'{"id":%d}\n' % number for number in range(200_000))
    with closing(OutputFolder(tmp_path)) as folder, closing(opened(folder, compression)) as file:
        file.append(data)
        pieces = list(file.chunks())
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) < len(data)


def test_a_damaged_file_is_left_alone_and_the_error_says_where(tmp_path, compression):
    with closing(OutputFolder(tmp_path)) as folder:
        with closing(opened(folder, compression)) as file:
            file.append(b"one\n")
            whole = (tmp_path / "x").stat().st_size
        with (tmp_path / "x").open("ab") as raw:
            raw.write(b"nothing of that kind")
        found = (tmp_path / "x").read_bytes()
        with pytest.raises(ConfigurationError, match=f"from byte {whole} on it is no whole {compression}"):
            opened(folder, compression)
        assert (tmp_path / "x").read_bytes() == found
    assert [piece.data for piece in member_pieces([found[:whole]], compression) if piece.data] == [b"one\n"]


def test_runs_add_to_the_file_and_other_programs_read_it(jsonl):
    for first in (0, 50):
        jsonl.load(schema(), *[record(id=number) for number in range(first, first + 50)], state(1), batch_size_rows=7)
    assert ids(jsonl) == list(range(100))


def test_a_stream_without_records_has_a_file_that_other_programs_read(jsonl):
    jsonl.load(schema(), destination_path=jsonl.folder.as_uri())
    assert path_of(jsonl).stat().st_size > 0
    subprocess.run(["gzip", "-t", path_of(jsonl)], check=True, timeout=60)
    jsonl.load(schema(), record(id=1))
    assert ids(jsonl) == [1]


def test_a_torn_batch_is_cut_off_by_the_next_run(jsonl):
    jsonl.load(schema(), *[record(id=number, name="x" * number) for number in range(60)], batch_size_rows=20)
    path = path_of(jsonl)
    path.write_bytes(path.read_bytes()[:-5])
    ended = jsonl.load(schema(), record(id=100))
    assert ids(jsonl) == [*range(40), 100]
    assert "a batch not written to its end" in ended.err


def test_a_killed_run_has_stored_what_it_released(jsonl, compression):
    jsonl.config |= {"batch_size_rows": 500, "compression": compression}
    messages = [schema()]
    for number in range(30_000):
        messages += [record(id=number, name=f"name {number}"), *([state(number)] if number % 500 == 499 else [])]
    for released in (1, 9):
        states = jsonl.kill_after(lines(*messages), released)
        pieces = member_pieces([path_of(jsonl).read_bytes()], compression)
        found = b"".join(piece.data for piece in pieces).split(b"\n")[:-1]
        assert {json.loads(line)["id"] for line in found} >= set(range(states[-1] + 1))
    jsonl.load(schema(), *[record(id=number) for number in range(states[-1] + 1, 30_000)])
    assert set(ids(jsonl)) == set(range(30_000))


def test_a_file_of_others_is_gone_on_with(jsonl):
    path_of(jsonl).write_bytes(gzip.compress(b'{"id":1}\n{"id":2}'))
    jsonl.load(schema(), record(id=3))
    assert ids(jsonl) == [1, 2, 3]
    path_of(jsonl).write_bytes(gzip.compress(b'{"id":1}\n{"id"'))
    jsonl.load(schema(), record(id=3))
    assert ids(jsonl) == [1, 3]
    path_of(jsonl).write_bytes(b'{"id":1}\n')
    ended = jsonl.run(schema(), record(id=3), state(1))
    assert (ended.code, ended.out, path_of(jsonl).read_bytes()) == (2, "", b'{"id":1}\n')
    assert "from byte 0 on" in ended.err


def test_a_new_column_widens_a_compressed_csv_file(to_csv):
    to_csv.load(schema(), record(id=1, name="a\nb"), record(id=2, name=""), batch_size_rows=1)
    to_csv.load(schema(id={"type": "integer"}, more={"type": "string"}), record(id=3, more="m"))
    assert text(to_csv) == b'id,name,more\r\n1,"a\nb",\r\n2,"",\r\n3,,m\r\n'
    path_of(to_csv).write_bytes(path_of(to_csv).read_bytes()[:-1])
    to_csv.load(schema(), record(id=4, name="d"))
    rows = list(csv.DictReader(text(to_csv).decode().splitlines()))
    assert [row["id"] for row in rows[-1:]] == ["4"]


def test_overwrite_replaces_at_the_end(jsonl):
    jsonl.load(schema(), record(id=1))
    assert jsonl.run(schema(), record(id=2), b"no\n", load_method="overwrite").code == 4
    assert ids(jsonl) == [1]
    jsonl.load(schema(), record(id=3), load_method="overwrite")
    assert ids(jsonl) == [3]
    assert [path.name for path in jsonl.folder.iterdir() if "incomplete" not in path.name] == [path_of(jsonl).name]


def test_a_full_disk_releases_nothing_and_the_next_run_goes_on(jsonl):
    import random
    import resource
    import signal

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    records = [record(id=number, name=random.Random(number).randbytes(500).hex()) for number in range(1_000)]
    ended = jsonl.run(schema(), *records, state(1), preexec_fn=limit)
    assert (ended.code, ended.out) == (1, "")
    assert "can't be written" in ended.err
    jsonl.load(schema(), *records, state(1))
    assert set(ids(jsonl)) == set(range(1_000))
