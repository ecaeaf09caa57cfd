"""A tap's records into files, and BATCH messages that name them in the place of RECORDs.

A block of records is added to its stream's file; the file is complete when it has its rows, and before any STATE or
ACTIVATE_VERSION is written. So a state covers no record whose file was not named before it. All of that happens under
the writer's lock; whatever fails ends the run, since what was in a file is no longer anywhere else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from secrets import token_hex
from typing import Any, TypeAlias

from singerkit.errors import ConfigurationError
from singerkit.files.batches import JSONL, BatchEncoding, address_of
from singerkit.files.compressed_draft import CompressedDraft
from singerkit.files.compression import GZIP, Codec, codec_of
from singerkit.files.names import file_stem
from singerkit.files.storage import Storage, open_storage
from singerkit.protocol.codec import encode
from singerkit.protocol.writer import MessageWriter
from singerkit.types import Schema

#: Rows of a file when nothing else is set.
BATCH_SIZE = 10_000
#: From a stream, its schema and its JSON lines to a whole file.
EncodeFile: TypeAlias = Callable[[str, Schema, bytes, BatchEncoding], bytes]


@dataclass(frozen=True)
class BatchOutput:
    """Where and how batch files are written: ``batch_config``, read and checked.

    Units: rows of a file.
    """

    encoding: BatchEncoding
    root: str
    prefix: str
    storage: Storage
    max_rows: int


def batch_output_of(config: Mapping[str, Any]) -> BatchOutput | None:
    """Read ``batch_config``; None where there is none.

    Errors: ``ConfigurationError`` naming the member that is missing or wrong.
    """
    settings = config.get("batch_config")
    if not settings:
        return None
    storage = settings.get("storage") or {}
    root, prefix = storage.get("root"), storage.get("prefix") or ""
    if not root:
        raise ConfigurationError("batch_config.storage.root: is required: the folder for the files")
    if prefix.startswith("/") or ".." in prefix.split("/"):
        raise ConfigurationError("batch_config.storage.prefix: has to stay below storage.root")
    try:
        encoding = BatchEncoding.of(settings.get("encoding") or {"compression": GZIP})
    except ValueError as problem:
        raise ConfigurationError(f"batch_config.encoding: {problem}") from None
    if config.get("emit_activate_version_messages"):
        raise ConfigurationError(
            "emit_activate_version_messages: can't be combined with batch_config, as records in files have no version"
        )
    opened = open_storage(root, storage.get("options"))
    return BatchOutput(encoding, root, prefix, opened, int(settings.get("batch_size") or BATCH_SIZE))


def batch_frame(stream: str, version: int | None) -> Callable[[bytes, str], bytes]:
    """Give what marks JSON texts as a stream's, for :class:`BatchWriter`.

    A NUL can't occur in JSON text, so it can stand around the stream's name.
    """
    head = b"\0" + encode(stream) + b"\0"

    def frame(texts: bytes, time_extracted: str) -> bytes:
        return head + texts

    return frame


class BatchWriter(MessageWriter):
    """Writes records, as :func:`batch_frame` marks them, into files, and all other messages as they are.

    Errors: ``FatalSyncError`` where a file can't be written; nothing is written after it.
    """

    def __init__(
        self, write: Callable[[bytes], None], output: BatchOutput, started: datetime, encode_file: EncodeFile
    ) -> None:
        super().__init__(write)
        self.frame_of = batch_frame
        self.records_per_state = output.max_rows
        self._output = output
        self._encode_file = encode_file
        self._schemas: dict[str, Schema] = {}
        self._files: dict[str, _BatchFile] = {}
        self._run = f"{started:%Y%m%dT%H%M%S}Z-{token_hex(4)}"
        self._count = 0

    def write_schema(
        self,
        stream: str,
        schema: Mapping[str, Any],
        key_properties: Sequence[str],
        bookmark_properties: Sequence[str] = (),
    ) -> None:
        """Write a SCHEMA line, and keep the schema for files that need it."""
        self._schemas[stream] = dict(schema)
        super().write_schema(stream, schema, key_properties, bookmark_properties)

    def write_records(self, block: bytes, then: Callable[[], None] | None = None) -> None:
        """Add records to the files of their streams; name those that are complete by that."""
        with self.lock:
            self.record_bytes += len(block)
            self._guarded(lambda: self._add(block))
            if then is not None:
                then()

    def write_activate_version(self, stream: str, version: int) -> None:
        """Name the files under way, then write an ACTIVATE_VERSION line."""
        with self.lock:
            self._guarded(self._finish_all)
            super().write_activate_version(stream, version)

    def write_state(self, state: bytes) -> None:
        """Name the files under way, then write a STATE line."""
        with self.lock:
            self._guarded(self._finish_all)
            super().write_state(state)

    def discard(self) -> None:
        """Remove the files that were not completed."""
        for file in self._files.values():
            file.draft.discard()

    def _guarded(self, write: Callable[[], None]) -> None:
        if self.failure is not None:
            raise self.failure
        try:
            write()
        except Exception as failure:
            self.failure = self.failure or failure
            raise

    def _add(self, block: bytes) -> None:
        sections = block.split(b"\0")[1:]
        for head, texts in zip(sections[::2], sections[1::2], strict=True):
            stream = json.loads(head)
            file = self._files.get(stream) or self._begin(stream)
            file.draft.write(texts)
            file.rows += texts.count(b"\n")
            if file.rows >= self._output.max_rows:
                self._finish(stream)

    def _begin(self, stream: str) -> _BatchFile:
        self._count += 1
        name = f"{self._output.prefix}{file_stem(stream)}-{self._run}-{self._count:05}{self._output.encoding.ending}"
        draft = self._output.storage.draft(name)
        encoding = self._output.encoding
        whole = _Whole(lambda texts: self._encode_file(stream, self._schemas[stream], texts, encoding))
        codec = codec_of(encoding.compression) if encoding.format == JSONL else Codec(whole.add, whole.encoded)
        file = self._files[stream] = _BatchFile(name, CompressedDraft(draft, codec))
        return file

    def _finish_all(self) -> None:
        for stream in list(self._files):
            self._finish(stream)

    def _finish(self, stream: str) -> None:
        """Complete a stream's file and name it; it is durable before its message leaves."""
        file = self._files[stream]
        file.draft.complete()
        file.draft.publish()
        del self._files[stream]
        manifest = [address_of(self._output.root, file.name)]
        encoding = self._output.encoding.to_dict()
        self.write_line({"type": "BATCH", "stream": stream, "encoding": encoding, "manifest": manifest})


class _Whole:
    """Keeps everything until the end, for a format that can't be written piece by piece."""

    def __init__(self, encode: Callable[[bytes], bytes]) -> None:
        self._encode = encode
        self._texts: list[bytes] = []

    def add(self, texts: bytes) -> bytes:
        self._texts.append(texts)
        return b""

    def encoded(self) -> bytes:
        return self._encode(b"".join(self._texts))


@dataclass
class _BatchFile:
    """A file under way, and how many records it has."""

    name: str
    draft: CompressedDraft
    rows: int = 0
