"""The rows that a tap has sent, whether as records or in files of batches, and how to count and compare them."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from singerkit_testing.values import identity

if TYPE_CHECKING:
    from singerkit_testing.tap_lab import TapLab, TapRun
    from singerkit_testing.transcript import Message, Transcript

# Which row it is: its stream, and its keys or, in a stream without keys, all of it.
RowIdentity = tuple[str, Hashable]
MOST_BATCH_BYTES = 64 * 2**20


class Row(NamedTuple):
    """A row, and the number of the line that brought it."""

    stream: str
    record: dict[str, Any]
    number: int


def rows_of(transcript: Transcript) -> Iterator[Row]:
    """List all rows, in their order."""
    for message in transcript.messages:
        if message.stream is not None and message.type == "RECORD":
            yield Row(message.stream, message.record, message.number)
        elif message.stream is not None and message.type == "BATCH":
            for record in batch_records(message):
                if isinstance(record, dict):
                    yield Row(message.stream, record, message.number)


def batch_records(message: Message) -> Iterator[Any]:
    """List what is in the files of a BATCH message; nothing for files that can't be read, or hold something else."""
    encoding = message.value.get("encoding")
    if not isinstance(encoding, dict) or encoding.get("format") != "jsonl":
        return
    for path in batch_files(message):
        try:
            text = path.read_bytes()[:MOST_BATCH_BYTES]
            lines = (gzip.decompress(text) if text[:2] == b"\x1f\x8b" else text).splitlines()
            yield from (json.loads(line, parse_float=Decimal) for line in lines if line.strip())
        except (OSError, ValueError, EOFError):
            continue


def batch_files(message: Message) -> list[Path]:
    """List the local files that a BATCH message names."""
    manifest = message.value.get("manifest")
    addresses = [each for each in manifest if isinstance(each, str)] if isinstance(manifest, list) else []
    return [Path(unquote(urlsplit(each).path)) for each in addresses if urlsplit(each).scheme in ("file", "")]


def identities(tap: TapLab, rows: Iterable[Row]) -> Counter[RowIdentity]:
    """Count rows by identity."""
    keys: dict[str, tuple[str, ...]] = {}
    counted: Counter[RowIdentity] = Counter()
    for row in rows:
        if row.stream not in keys:
            keys[row.stream] = tap.key_properties(row.stream)
        counted[row.stream, row_identity(row.record, keys[row.stream])] += 1
    return counted


def row_identity(record: dict[str, Any], keys: tuple[str, ...]) -> Hashable:
    """Give what a row is known by."""
    return tuple(identity(record.get(key)) for key in keys) if keys else identity(record)


def sent(tap: TapLab, run: TapRun) -> Counter[RowIdentity]:
    """Count the rows of a run by identity."""
    return identities(tap, rows_of(run.transcript))


def sent_before(tap: TapLab, transcript: Transcript, number: int) -> Counter[RowIdentity]:
    """Count the rows on the lines before one."""
    return identities(tap, (row for row in rows_of(transcript) if row.number < number))


def missing(tap: TapLab, expected: Counter[RowIdentity], found: Counter[RowIdentity]) -> list[RowIdentity]:
    """List the rows that should be there and are not: by key if they have one, else each as often as expected."""
    keyed = {stream: bool(tap.key_properties(stream)) for stream in {stream for stream, _ in expected}}
    lost: list[RowIdentity] = []
    for row, count in expected.items():
        lack = (0 if found[row] else 1) if keyed[row[0]] else max(0, count - found[row])
        lost += [row] * lack
    return lost


def by_stream(rows: Iterable[RowIdentity]) -> dict[str, list[RowIdentity]]:
    """Group rows by stream."""
    grouped: dict[str, list[RowIdentity]] = {}
    for row in rows:
        grouped.setdefault(row[0], []).append(row)
    return grouped


def show(rows: Iterable[RowIdentity], most: int = 3) -> str:
    """Name a few rows."""
    chosen = list(rows)
    texts = [_text(row[1])[:120] for row in chosen[:most]]
    return ", ".join(texts) + (f" and {len(chosen) - most} more" if len(chosen) > most else "")


def _text(value: Hashable) -> str:
    if isinstance(value, tuple) and len(value) == 2 and value[0] in ("number", "boolean", "constant"):
        return str(value[1])
    if isinstance(value, tuple) and len(value) == 2 and value[0] == "object" and isinstance(value[1], frozenset):
        return "{" + ", ".join(sorted(f"{name}: {_text(part)}" for name, part in value[1])) + "}"
    if isinstance(value, tuple) and len(value) == 2 and value[0] == "array" and isinstance(value[1], tuple):
        return "[" + ", ".join(map(_text, value[1])) + "]"
    return "(" + ", ".join(map(_text, value)) + ")" if isinstance(value, tuple) else repr(value)


def unsteady(tap: TapLab) -> frozenset[str]:
    """Name the streams of which two equal runs give different rows: what is missing from them proves nothing."""
    return tap.remember("unsteady", lambda: _unsteady(tap))


def _unsteady(tap: TapLab) -> frozenset[str]:
    first, second = sent(tap, tap.full), sent(tap, tap.again)
    return frozenset(row[0] for row in [*missing(tap, first, second), *missing(tap, second, first)])


def volatile(tap: TapLab) -> frozenset[tuple[str, str]]:
    """Name the properties, each as stream and name, whose values differ between two equal runs."""
    return tap.remember("volatile", lambda: _volatile(tap))


def _volatile(tap: TapLab) -> frozenset[tuple[str, str]]:
    first, second = _records_by_key(tap, tap.full), _records_by_key(tap, tap.again)
    return frozenset(
        (row[0], name)
        for row, record in first.items()
        for name in record.keys() | second.get(row, record).keys()
        if identity(record.get(name)) != identity(second.get(row, record).get(name))
    )


def _records_by_key(tap: TapLab, run: TapRun) -> dict[RowIdentity, dict[str, Any]]:
    rows = [row for row in rows_of(run.transcript) if tap.key_properties(row.stream)]
    return {(row.stream, row_identity(row.record, tap.key_properties(row.stream))): row.record for row in rows}


def contents(tap: TapLab, run: TapRun) -> Counter[RowIdentity]:
    """Count the rows of a run by all that is in them, but for what differs between equal runs."""
    ignored = volatile(tap)
    return Counter(
        (row.stream, identity({name: value for name, value in row.record.items() if (row.stream, name) not in ignored}))
        for row in rows_of(run.transcript)
    )
