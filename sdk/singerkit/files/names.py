"""From the name of a stream to the name of its file: never a path, never the same for two streams.

A stream's name comes from outside, so it is data. A name that any file system takes as it is stays as it is; any other
is written with ``_`` for what does not fit, and a digest of the whole name at its end. A name that already looks like
that gets a digest too, so that no stream can take another's file by its name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from singerkit.digests import digest_of

#: Bytes that leave room for an ending and a time in the 255 that file systems allow.
_MAX_BYTES = 180
_SHOWN_CHARACTERS = 60
_MARKED = re.compile(r".*-[0-9a-f]{12}", re.DOTALL)


def file_stem(stream: str) -> str:
    """Give what the stream's file is called, without an ending: a plain name, one for each stream."""
    return stream if _is_plain(stream) else marked_stem(stream)


def marked_stem(stream: str) -> str:
    """Give the name with the digest, whatever the stream is called."""
    shown = "".join(character if _fits(character) else "_" for character in unicodedata.normalize("NFC", stream))
    cut = shown[:_SHOWN_CHARACTERS].lstrip(".-")
    while len(cut.encode()) > _MAX_BYTES:
        cut = cut[:-1]
    return f"{cut}-{digest_of(stream)}"


def differs_by_case(name: str, others: Iterable[str]) -> bool:
    """Tell whether one of the others is the same name to a file system that takes no note of case, but not equal."""
    folded = name.casefold()
    return any(other != name and other.casefold() == folded for other in others)


def _is_plain(name: str) -> bool:
    return (
        bool(name)
        and all(map(_fits, name))
        and name[0] not in ".-"
        and name[-1] != "."
        and len(name.encode()) <= _MAX_BYTES
        and unicodedata.is_normalized("NFC", name)
        and not _MARKED.fullmatch(name)
    )


def _fits(character: str) -> bool:
    return character.isalnum() or character in "_-."
