"""BATCH messages on their way into a target: their files become runs of RECORD lines, as if they had come so.

So what is in a file is decoded, validated, mapped, counted, refused and covered by states just as other records are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from singerkit.engine.incoming import refused
from singerkit.errors import ConfigurationError, DataError, InvalidInputLine, ProtocolError
from singerkit.files.batches import BatchEncoding, BatchRoot, record_texts
from singerkit.protocol.codec import encode
from singerkit.protocol.reader import MessageReader, OtherMessage, ReaderLimits, RecordRun
from singerkit.records.json_text import is_json

_decode_values = msgspec.json.Decoder(msgspec.Raw).decode_lines


class BatchMessage(NamedTuple):
    """A BATCH message; ``addresses`` name its files."""

    stream: str
    encoding: BatchEncoding
    addresses: tuple[str, ...]


def batch_of(message: OtherMessage) -> BatchMessage:
    """Read a BATCH message.

    Errors: ``InvalidInputLine``.
    """
    stream, manifest = message.members.get("stream"), message.members.get("manifest")
    if not isinstance(stream, str) or not stream:
        raise refused(message, "the BATCH message has no 'stream'")
    if not isinstance(manifest, list) or not all(isinstance(address, str) for address in manifest):
        raise refused(message, "the 'manifest' of a BATCH message has to be a list of addresses", stream)
    try:
        encoding = BatchEncoding.of(message.members.get("encoding"))
    except ValueError as problem:
        raise refused(message, f"the BATCH message can't be read: {problem}", stream) from None
    return BatchMessage(stream, encoding, tuple(manifest))


class BatchInput:
    """Reads the files of BATCH messages.

    ``root``: below which files are read; None: nowhere. ``deletes``: whether a file is removed when what was in it is
    durable.
    """

    def __init__(self, root: BatchRoot | None, limits: ReaderLimits, *, deletes: bool) -> None:
        self._root = root
        self._limits = limits
        self.deletes = deletes and root is not None

    def names(self, message: OtherMessage, batch: BatchMessage) -> list[str]:
        """Give the names of a batch's files below the root; all of them are checked before any is read.

        Errors: ``ConfigurationError`` when no root is configured; ``InvalidInputLine`` for an address that is not
        below it.
        """
        if self._root is None:
            raise ConfigurationError(
                "a BATCH message names files, and nothing says where files may be read: set `batch_root` to the "
                "folder that the tap writes them to (storage.root of its batch_config)",
                stream=batch.stream,
            )
        names = []
        for number, address in enumerate(batch.addresses, start=1):
            try:
                names.append(self._root.name_of(address))
            except ValueError as problem:
                text = f"file {number} of the BATCH message is refused: {problem}"
                raise refused(message, text, batch.stream) from None
        return names

    def runs(self, name: str, batch: BatchMessage) -> Iterator[RecordRun]:
        """Give what is in a file, piece by piece.

        Errors: those of ``BatchRoot.open`` and ``record_texts``, with the file's name.
        """
        assert self._root is not None  # noqa: S101  # for the type checker: without it there are no names
        reader = MessageReader(self._limits)
        frame = _Frame(batch.stream, self._limits.max_line_bytes)
        try:
            with self._root.open(name) as file:
                for texts in record_texts(file, batch.encoding):
                    yield from _runs(reader.feed(frame(texts)), name)
            yield from _runs(reader.feed(frame.close()), name)
        except (ProtocolError, DataError) as problem:
            problem.args = (f"in the batch file '{name}': {problem}",)
            problem.stream = problem.stream or batch.stream
            raise

    def delete(self, names: Sequence[str]) -> None:
        """Remove files."""
        assert self._root is not None  # noqa: S101  # as above
        for name in names:
            self._root.delete(name)


class _Frame:
    """Makes RECORD lines of JSON lines; keeps the unfinished last one between calls."""

    def __init__(self, stream: str, max_line_bytes: int) -> None:
        self._prefix = b'{"type":"RECORD","stream":' + encode(stream) + b',"record":'
        self._max_line_bytes = max_line_bytes
        self._rest: list[bytes] = []
        self._rest_bytes = 0
        self._lines = 0

    def __call__(self, texts: bytes) -> bytes:
        end = texts.rfind(b"\n") + 1
        if not end:
            self._keep(texts)
            return b""
        whole = b"".join([*self._rest, texts[:end]])
        self._rest, self._rest_bytes = [], 0
        self._keep(texts[end:])
        return self._framed(whole)

    def close(self) -> bytes:
        """Give a last line that has no line end."""
        return self._framed(b"".join([*self._rest, b"\n"])) if self._rest else b""

    def _keep(self, data: bytes) -> None:
        if data:
            self._rest.append(data)
            self._rest_bytes += len(data)
        if self._rest_bytes > self._max_line_bytes:
            raise InvalidInputLine(
                f"a line is longer than {self._max_line_bytes:,} bytes; raise the setting 'max_line_mb' if this is "
                "meant",
                line_number=self._lines + 1,
            )

    def _framed(self, whole: bytes) -> bytes:
        lines = whole.removesuffix(b"\n").split(b"\n")
        self._check(whole, lines)
        self._lines += len(lines)
        # A blank line stays blank, so that lines keep their numbers.
        return b"\n".join([self._prefix + line + b"}" if line.strip() else b"" for line in lines]) + b"\n"

    def _check(self, whole: bytes, lines: list[bytes]) -> None:
        """See that each line is one JSON value: nothing in it can end its record early and speak as a message."""
        try:
            if len(_decode_values(whole)) == len(lines):
                return
        except (msgspec.MsgspecError, ValueError, RecursionError):
            pass
        for number, line in enumerate(lines, start=self._lines + 1):
            if line.strip() and not is_json(line):
                raise InvalidInputLine("the line is not one JSON value", line_number=number)


def _runs(events: Iterator[RecordRun | OtherMessage], name: str) -> Iterator[RecordRun]:
    for event in events:
        if isinstance(event, RecordRun):
            yield event._replace(file=name)
