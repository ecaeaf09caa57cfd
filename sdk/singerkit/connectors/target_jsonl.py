"""target-jsonl: writes JSON lines, a file for each stream.

A record is written as it came: every digit of its numbers, every character of its texts, its spaces, properties that
its schema does not name. When a batch is acknowledged it is on the disk. A line that a killed run left half written is
cut off at the next start; the tap sends that record again, and those of the same batch, so records may stand twice
after a crash.
"""

from __future__ import annotations

import logging
from typing import Any

from singerkit import typing as th
from singerkit.connectors.compressed_files import CompressedFile
from singerkit.connectors.file_settings import COMPRESSION, DESTINATION, LOAD_METHOD, STORAGE_OPTIONS, part_limits
from singerkit.connectors.file_target import FileSink, FileTarget
from singerkit.connectors.output_files import OutputFile
from singerkit.records.json_text import is_json, json_lines

logger = logging.getLogger("target-jsonl")


class JSONLSink(FileSink):
    """Appends the records of a stream to its file."""

    takes_raw = True

    def process_batch(self, context: dict[str, Any]) -> None:
        """Append the records, and wait until they are on the disk."""
        lines = json_lines(context["records"])
        with self._opened.lock:
            self._opened.file.append(lines)


def mend_end(file: OutputFile | CompressedFile) -> None:
    """Cut off a line that was not written to its end; a whole line that only lacks its line feed gets it."""
    tail = file.tail()
    if not tail:
        return
    if is_json(tail):
        file.append(b"\n")
        return
    logger.warning("'%s': cut off the last %d bytes, a line that was not written to its end", file.path, len(tail))
    file.cut(file.size - len(tail))


class TargetJSONL(FileTarget):
    """Writes JSON lines, a file for each stream."""

    name = "target-jsonl"
    default_sink_class = JSONLSink
    config_jsonschema = th.PropertiesList(
        DESTINATION,
        STORAGE_OPTIONS,
        th.Property(
            "do_timestamp_file",
            th.BooleanType,
            default=False,
            title="Time in names",
            description="Whether a file's name tells when the run began: `orders-20240131T235959.jsonl`, in UTC.",
        ),
        th.Property(
            "custom_name",
            th.StringType,
            title="File name",
            description="A name for the file instead of the stream's; for an input with one stream.",
        ),
        COMPRESSION,
        LOAD_METHOD,
        *part_limits("In an object store, a file"),
    ).to_dict()

    @property
    def place(self) -> str:
        """Where the files are."""
        return self.config.get("destination_path") or "output"

    def file_name(self, stem: str) -> str:
        """Give the name of the file."""
        time = f"-{self.started_at:%Y%m%dT%H%M%S}" if self.config.get("do_timestamp_file") else ""
        return f"{stem}{time}.jsonl"

    def mend(self, file: OutputFile | CompressedFile) -> None:
        """Cut off a line that was not written to its end."""
        mend_end(file)

    def _name_of(self, stream: str) -> str:
        return super()._name_of(self.config.get("custom_name") or stream)
