from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from singerkit.http.decompress import PIECE_BYTES, BrokenEncodingError, accepted_encodings, decompressed

ENCODERS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "deflate (raw)": lambda data: zlib.compress(data, wbits=-15),
}
try:
    import brotli

    ENCODERS["br"] = lambda data: brotli.compress(data, quality=4)
except ImportError:
    pass
try:
    from backports import zstd

    ENCODERS["zstd"] = zstd.compress
except ImportError:
    pass


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def undo(pieces: list[bytes], encoding: str) -> bytes:
    return b"".join(decompressed(pieces, encoding.partition(" (")[0]))


@pytest.mark.parametrize("encoding", ENCODERS)
@given(
    data=st.binary(max_size=3000) | st.binary(min_size=1, max_size=9).map(lambda seed: seed * 30_000),
    size=st.integers(1, 999),
)
def test_what_was_compressed_comes_back(encoding, data, size):
    assert undo(cut(ENCODERS[encoding](data), size), encoding) == data


@pytest.mark.parametrize("encoding", ENCODERS)
@settings(max_examples=30)
@given(data=st.binary(min_size=1, max_size=2000), cut_off=st.integers(1, 10**6), size=st.integers(1, 99))
def test_what_ends_too_early_is_never_taken_for_whole(encoding, data, cut_off, size):
    packed = ENCODERS[encoding](data)
    short = packed[: len(packed) - 1 - cut_off % (len(packed) - 1)]
    with pytest.raises(BrokenEncodingError):
        undo(cut(short, size), encoding)


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_piece_has_a_bound(encoding):
    packed = ENCODERS[encoding](bytes(4 * 2**20))
    pieces = [len(piece) for piece in decompressed([packed], encoding.partition(" (")[0])]
    assert sum(pieces) == 4 * 2**20
    assert max(pieces) <= PIECE_BYTES * 2


@pytest.mark.parametrize("encoding", ENCODERS)
def test_nothing_is_nothing(encoding):
    assert undo([], encoding) == b""


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_what_is_something_else(encoding):
    with pytest.raises(BrokenEncodingError, match=r"are no such stream|ends too early"):
        undo([b"\x1fnope, this is text" * 5], encoding)


def test_several_members_padding_and_several_encodings():
    two = gzip.compress(b"a") + gzip.compress(b"b")
    assert undo([two], "gzip") == b"ab"
    assert undo(cut(two + bytes(9), 3), "gzip") == b"ab"
    assert undo([zlib.compress(gzip.compress(b"a"))], "gzip, deflate") == b"a"
    assert undo([b"a"], "identity") == b"a"
    assert undo([b"a"], "") == b"a"


def test_an_encoding_that_nobody_asked_for():
    with pytest.raises(BrokenEncodingError, match="encoded as 'compress', which was not asked for"):
        undo([b"x"], "compress")


def test_what_is_asked_for():
    assert accepted_encodings().split(", ")[:2] == ["gzip", "deflate"]
    assert {name.split()[0] for name in ENCODERS} - {"x-gzip"} == set(accepted_encodings().split(", "))
