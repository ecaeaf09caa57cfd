"""Where batch files may be, by their addresses alone; object stores behave as folders do."""

from __future__ import annotations

import os
from urllib.parse import quote

import obstore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore

from singerkit.errors import ConfigurationError, FatalSyncError
from singerkit.files.batches import BatchEncoding, _ObjectRoot, address_of, open_root, record_texts

ROOT = "/srv/batches"
pieces = st.sampled_from(
    ["..", ".", "", "a", "b%2f", "%2e%2e", "%2E", "\0", "%00", "\\", "/", "srv", "batches", "?", "#"]
)


@given(
    st.lists(pieces, max_size=8), st.sampled_from(["", "file:", "file://", "file://" + ROOT, "file://localhost" + ROOT])
)
def test_a_name_that_is_taken_is_always_below_the_root(parts, start):
    address = start + "/" + "/".join(parts)
    try:
        name = open_root(ROOT).name_of(address)
    except ValueError:
        return
    path = os.path.normpath(f"{ROOT}/{name}")
    assert path.startswith(ROOT + "/")
    assert path == f"{ROOT}/{name}"
    assert "\0" not in name


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\\\0"), min_size=1).filter(
    lambda name: name not in (".", "..")
)


@given(st.lists(names, min_size=1, max_size=3))
def test_the_address_of_a_file_leads_back_to_its_name(parts):
    name = "/".join(parts)
    assert open_root(ROOT).name_of(address_of(ROOT, name)) == name


def test_a_root_may_be_an_address_or_lie_behind_a_link(tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    (real / "a b").write_bytes(b"1\n")
    (tmp_path / "link").symlink_to(real)
    for place in (real.as_uri(), str(tmp_path / "link"), f"{real}/"):
        root = open_root(place)
        for folder in (real, tmp_path / "link") if "link" in place else (real,):
            name = root.name_of(f"file://{quote(str(folder / 'a b'))}")
            with root.open(name) as file:
                assert b"".join(record_texts(file, BatchEncoding())) == b"1\n"
    with pytest.raises(ConfigurationError, match="absolute"):
        open_root("relative/path")


@pytest.fixture
def bucket():
    store = MemoryStore()
    return store, _ObjectRoot(store, "s3://bucket/in")


def test_objects_are_read_piece_by_piece_and_removed(bucket):
    store, root = bucket
    content = b"".join(b'{"id":%d}\n' % number for number in range(100_000))
    obstore.put(store, "x/a.jsonl", content)
    name = root.name_of("s3://bucket/in/x/a.jsonl")
    with root.open(name) as file:
        blocks = list(record_texts(file, BatchEncoding()))
    assert len(blocks) > 1
    assert b"".join(blocks) == content
    root.delete(name)
    root.delete(name)
    with pytest.raises(FatalSyncError, match="refuses to read a file: FileNotFoundError"):
        root.open(name)


@pytest.mark.parametrize(
    "address",
    [
        "s3://bucket/other/a",
        "s3://bucket/in",
        "s3://bucket/in/",
        "s3://bucket/in/../a",
        "s3://bucket/in/%2e%2e/a",
        "file:///in/a",
    ],
)
def test_objects_elsewhere_are_refused(bucket, address):
    with pytest.raises(ValueError, match=r"batch_root|'\.\.'"):
        bucket[1].name_of(address)
