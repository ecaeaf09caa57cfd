"""Bytes in, events out: the strict reading of Singer lines.

The reader does no input of its own: :meth:`MessageReader.feed` takes bytes as they come and gives what they hold, in
order. Most lines are RECORDs, so those are not decoded here: a run of RECORD lines of one stream becomes one
:class:`RecordRun` of raw bytes. The first RECORD of a stream teaches its *prefix*, the bytes up to its ``record``
member. When every line of a chunk begins with one known prefix, two counts tell so and the chunk is passed on whole.
Every other line is decoded: only its envelope when it is a RECORD.

Tolerated: a byte order mark at the start, CRLF, blank lines, a last line without an end. Types are read
case-insensitively (Singer specification, "Output": "the type ... case-insensitive"). Refused, with line number and byte
offset: what is not a JSON object, lines over the size limit, values nested too deep, numbers with too many digits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec

from singerkit.errors import InvalidInputLine
from singerkit.protocol.codec import decode_exact

if TYPE_CHECKING:
    from collections.abc import Iterator

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_TYPE = rb'"type"\s*:\s*"record"\s*,\s*'
_STREAM = rb'"stream"\s*:\s*"([^"\\]*)"\s*,\s*'
_PREFIX = re.compile(
    rb"\{\s*(?:" + _TYPE + _STREAM + rb"|" + _STREAM + _TYPE + rb')"record"\s*:\s*(?=\{)', re.IGNORECASE
)
_KEYWORD_OR_CHARACTER = re.compile(
    r'"(?:type|stream|record|schema|value|version|time_extracted|key_properties|RECORD|SCHEMA|STATE)"|[^\W_]'
)


@dataclass(frozen=True)
class ReaderLimits:
    """What the reader accepts at most.

    Units: bytes of a line, levels of nesting, digits of a number.
    """

    max_line_bytes: int = 64 * 1024 * 1024
    max_depth: int = 512
    max_digits: int = 4300


class RecordRun(NamedTuple):
    """Consecutive RECORD lines of one stream, raw.

    Shape: ``lines`` holds ``rows`` whole lines; ``line_number`` (from 1) and ``byte_offset`` are the first one's;
    ``file`` is what they were read from, if that is not the input itself.
    """

    stream: str
    lines: bytes
    rows: int
    line_number: int
    byte_offset: int
    file: str = ""


class OtherMessage(NamedTuple):
    """A line that is not a RECORD, decoded.

    Shape: ``type`` is upper case; ``members`` the line's object; ``line`` its bytes.
    """

    type: str
    members: dict[str, Any]
    line: bytes
    line_number: int
    byte_offset: int


Event: TypeAlias = RecordRun | OtherMessage


class _Envelope(msgspec.Struct, gc=False):
    type: Any = None
    stream: Any = None
    record: msgspec.Raw = msgspec.Raw(b"")


_envelope_decoder = msgspec.json.Decoder(_Envelope)


class MessageReader:
    """Turns bytes into events; keeps the unfinished last line between calls."""

    def __init__(self, limits: ReaderLimits | None = None) -> None:
        self._limits = limits or ReaderLimits()
        self._unfinished: list[bytes] = []
        self._unfinished_bytes = 0
        self._lines = 0
        self._bytes = 0
        self._prefixes: dict[str, bytes] = {}
        self._latest: tuple[str, bytes] | None = None

    def feed(self, data: bytes) -> Iterator[Event]:
        """Give the events of all lines that ``data`` completes.

        Errors: ``InvalidInputLine`` for the first line that is refused; events before it have been given.
        """
        end = data.rfind(b"\n") + 1
        if not end:
            self._keep(data)
            return
        chunk = b"".join([*self._unfinished, memoryview(data)[:end]]) if self._unfinished else data[:end]
        self._unfinished, self._unfinished_bytes = [], 0
        yield from self._events(chunk)
        self._keep(data[end:])

    def knows(self, stream: str) -> bool:
        """Tell whether records of a stream begin in a way that says all of their envelope."""
        return stream in self._prefixes

    def close(self) -> Iterator[Event]:
        """Give the event of a last line that has no line end, if there is one."""
        chunk = b"".join(self._unfinished)
        self._unfinished, self._unfinished_bytes = [], 0
        if chunk:
            yield from self._events(chunk + b"\n")

    def _keep(self, data: bytes) -> None:
        if not data:
            return
        self._unfinished.append(data)
        self._unfinished_bytes += len(data)
        if self._unfinished_bytes > self._limits.max_line_bytes:
            raise self._too_long(self._unfinished[0])

    def _events(self, chunk: bytes) -> Iterator[Event]:
        if self._lines == 0 and chunk.startswith(BYTE_ORDER_MARK):
            chunk = chunk[len(BYTE_ORDER_MARK) :]
            self._bytes += len(BYTE_ORDER_MARK)
        run = self._whole_run(chunk)
        if run is not None:
            yield run
        else:
            yield from self._events_line_by_line(chunk)

    def _whole_run(self, chunk: bytes) -> RecordRun | None:
        """Take the chunk as one run if every line of it begins with the prefix seen last."""
        if self._latest is None:
            return None
        stream, prefix = self._latest
        count = chunk.count(b"\n")
        if len(chunk) > self._limits.max_line_bytes:  # one of its lines may be too long
            return None
        if not chunk.startswith(prefix) or chunk.count(b"\n" + prefix) != count - 1:
            return None
        return self._run(stream, chunk, count)

    def _run(self, stream: str, lines: bytes, count: int) -> RecordRun:
        run = RecordRun(stream, lines, count, self._lines + 1, self._bytes)
        self._lines += count
        self._bytes += len(lines)
        return run

    def _events_line_by_line(self, chunk: bytes) -> Iterator[Event]:
        position = 0
        while position < len(chunk):
            length = self._known_run_length(chunk, position)
            if length and self._latest is not None:
                lines = chunk[position : position + length]
                yield self._run(self._latest[0], lines, lines.count(b"\n"))
            else:
                length = chunk.index(b"\n", position) + 1 - position
                event = self._single(chunk[position : position + length])
                if event is not None:
                    yield event
            position += length

    def _known_run_length(self, chunk: bytes, position: int) -> int:
        """Give how many bytes from here on are lines that begin with one known prefix; 0 when the first does not."""
        if self._latest is None or not chunk.startswith(self._latest[1], position):
            known = next((item for item in self._prefixes.items() if chunk.startswith(item[1], position)), None)
            if known is None:
                return 0
            self._latest = known
        prefix = self._latest[1]
        end = position
        while chunk.startswith(prefix, end):
            line_end = chunk.index(b"\n", end) + 1
            if line_end - end > self._limits.max_line_bytes:
                break
            end = line_end
        return end - position

    def _single(self, line: bytes) -> Event | None:
        if not line.strip():
            self._lines += 1
            self._bytes += len(line)
            return None
        envelope = self._envelope(line)
        kind = envelope.type.upper() if isinstance(envelope.type, str) else ""
        if kind == "RECORD":
            return self._single_record(envelope, line)
        members = self._members(line)
        if not kind:
            raise self._malformed(line, "the message has no 'type'")
        event = OtherMessage(kind, members, line, self._lines + 1, self._bytes)
        self._lines += 1
        self._bytes += len(line)
        return event

    def _single_record(self, envelope: _Envelope, line: bytes) -> RecordRun:
        stream = envelope.stream
        if not isinstance(stream, str) or not stream:
            raise self._malformed(line, "the RECORD message has no 'stream'")
        if not bytes(envelope.record).startswith(b"{"):
            raise self._malformed(line, "the RECORD message has no 'record' object", stream)
        match = _PREFIX.match(line)
        # A name that a second `stream` member overrules says nothing about other lines.
        if match is not None and (match[1] or match[2]).decode("utf-8", "replace") == stream:
            self._prefixes[stream] = match[0]
            self._latest = (stream, match[0])
        return self._run(stream, line, 1)

    def _envelope(self, line: bytes) -> _Envelope:
        if len(line) > self._limits.max_line_bytes:
            raise self._too_long(line)
        try:
            return _envelope_decoder.decode(line)
        except msgspec.ValidationError:
            raise self._malformed(line, "the line is not a JSON object") from None
        except (ValueError, RecursionError):
            members = self._members(line)
            record = msgspec.Raw(b"{}" if isinstance(members.get("record"), dict) else b"")
            return _Envelope(members.get("type"), members.get("stream"), record)

    def _members(self, line: bytes) -> dict[str, Any]:
        try:
            members = decode_exact(line)
        except RecursionError:
            raise self._too_deep(line) from None
        except ValueError as error:
            if "digits" in str(error) or "Integer value out of range" in str(error):
                raise self._too_many_digits(line) from None
            raise self._malformed(line, f"the line is not JSON ({_reason(error)})") from None
        if _deeper_than(members, self._limits.max_depth):
            raise self._too_deep(line)
        if not isinstance(members, dict):
            raise self._malformed(line, "the line is not a JSON object")
        return members

    def _too_long(self, line: bytes) -> InvalidInputLine:
        return self._refusal(line, "the line is longer than", self._limits.max_line_bytes, "bytes", "max_line_mb")

    def _too_deep(self, line: bytes) -> InvalidInputLine:
        limit = self._limits.max_depth
        return self._refusal(line, "a value is nested deeper than", limit, "levels", "max_nesting_depth")

    def _too_many_digits(self, line: bytes) -> InvalidInputLine:
        return self._refusal(line, "a number has more than", self._limits.max_digits, "digits", "max_digits")

    def _malformed(self, line: bytes, message: str, stream: str | None = None) -> InvalidInputLine:
        return InvalidInputLine(
            message,
            stream=stream or stream_in(line),
            line_number=self._lines + 1,
            byte_offset=self._bytes,
            excerpt=excerpt_of(line),
        )

    def _refusal(self, line: bytes, what: str, limit: int, unit: str, setting: str) -> InvalidInputLine:
        message = f"{what} {limit:,} {unit}; raise the setting '{setting}' if this is meant"
        return InvalidInputLine(message, stream=stream_in(line), line_number=self._lines + 1, byte_offset=self._bytes)


def stream_in(line: bytes) -> str | None:
    """Guess the stream of a line that can't be read, for the error message."""
    match = re.search(rb'"stream"\s*:\s*"([^"\\]{1,200})"', line[:4096])
    return match[1].decode("utf-8", "replace") if match else None


def excerpt_of(line: bytes) -> str:
    """Give the start of a bad line, every letter and digit masked but for the protocol's words: the rest is data."""
    text = line[:200].decode("utf-8", "replace").strip()
    return _KEYWORD_OR_CHARACTER.sub(lambda match: match[0] if len(match[0]) > 1 else "x", text)


def _reason(error: ValueError) -> str:
    return str(error).removeprefix("JSON is malformed: ").split(":")[0]


def _deeper_than(value: Any, limit: int) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(limit):
        level = [
            member
            for container in level
            for member in (container.values() if isinstance(container, dict) else container)
            if isinstance(member, dict | list)
        ]
    return bool(level)
