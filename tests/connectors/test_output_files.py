"""Files that are appended to, more of them than a process may have open."""

from __future__ import annotations

import fcntl
import os
import resource
from contextlib import closing

import pytest

from singerkit.connectors.output_files import OutputFile, OutputFolder
from singerkit.errors import ConfigurationError, FatalSyncError

from .conftest import record, schema, state

STREAMS = 400


def few_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))


@pytest.mark.parametrize("load_method", ["append-only", "overwrite"])
def test_there_may_be_more_streams_than_descriptors(files, load_method):
    schemas = [schema(f"s{number}") for number in range(STREAMS)]
    records = [record(f"s{number}", id=turn, name="x") for turn in range(3) for number in range(STREAMS)]
    ended = files.load(
        *schemas, *records, state(1), batch_size_rows=1, preexec_fn=few_descriptors, load_method=load_method
    )
    assert ended.states[-1] == 1
    for number in range(STREAMS):
        assert [int(row["id"]) for row in files.rows(f"s{number}")] == [0, 1, 2]
    assert len(list(files.folder.iterdir())) == STREAMS


@pytest.fixture
def folder(tmp_path):
    """Give a folder that closes a file as soon as another one waits."""
    with closing(OutputFolder(tmp_path, most_open=1)) as folder:
        yield folder


@pytest.fixture
def resting(folder):
    """Give a file with one line, that is closed because of another."""
    file = OutputFile(folder, "a")
    file.append(b"one\n")
    OutputFile(folder, "b").close()
    with closing(file), closing(OutputFile(folder, "c")):
        yield file


def test_a_file_goes_on_where_it_was_left(folder, resting):
    other = OutputFile(folder, "d")
    for _ in range(3):
        resting.append(b"two\n")
        other.append(b"x\n")
    assert resting.tail() == b""
    assert resting.path.read_bytes() == b"one\n" + b"two\n" * 3
    resting.replace(iter([b"new\n"]))
    other.append(b"x\n")
    resting.append(b"two\n")
    other.close()
    assert resting.path.read_bytes() == b"new\ntwo\n"


def test_what_another_program_has_written_meanwhile_is_left_alone(resting):
    with resting.path.open("ab") as file:
        file.write(b"torn")
    with pytest.raises(FatalSyncError, match="another program has written"):
        resting.append(b"two\n")
    assert resting.path.read_bytes() == b"one\ntorn"


def test_a_file_put_in_its_place_is_left_alone(resting, tmp_path):
    (tmp_path / "new").write_bytes(b"one\n")
    (tmp_path / "new").rename(resting.path)
    with pytest.raises(FatalSyncError, match="another program has written"):
        resting.append(b"two\n")
    assert resting.path.read_bytes() == b"one\n"


def test_a_link_put_in_its_place_is_not_followed(resting, tmp_path):
    (tmp_path / "victim").write_text("precious")
    resting.path.unlink()
    resting.path.symlink_to(tmp_path / "victim")
    with pytest.raises(ConfigurationError, match="symbolic link"):
        resting.append(b"two\n")
    assert (tmp_path / "victim").read_text() == "precious"


def test_a_file_that_is_gone_is_not_made_anew(resting):
    resting.path.unlink()
    with pytest.raises(FatalSyncError, match="No such file"):
        resting.append(b"two\n")
    assert not resting.path.exists()


def test_a_file_that_another_program_has_locked_waits_for_it(resting):
    descriptor = os.open(resting.path, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(FatalSyncError, match="being written by another program"):
        resting.append(b"two\n")
    os.close(descriptor)
    resting.append(b"two\n")
    assert resting.path.read_bytes() == b"one\ntwo\n"
