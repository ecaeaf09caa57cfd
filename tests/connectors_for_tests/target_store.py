"""A target that keeps records in a SQLite file: upserts, one transaction a batch. Run as a script it is the command.

Its config says how slow it is and where it misbehaves.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

from singerkit import BatchSink, RecordSink, Target
from singerkit import typing as th
from singerkit.errors import FatalSyncError

TABLE = (
    "CREATE TABLE IF NOT EXISTS rows (stream TEXT, key TEXT, record TEXT, version INTEGER, PRIMARY KEY (stream, key))"
)


def connect(path: str) -> sqlite3.Connection:
    """Open the file; other streams may write at the same time."""
    connection = sqlite3.connect(path, timeout=60, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")  # a killed process loses nothing that it wrote
    return connection


class StoreSink(BatchSink):
    """Stores one stream."""

    parse_datetimes = False
    batches = 0

    def setup(self) -> None:
        """Make the table."""
        print("printed by setup")
        connection = connect(self.config["path"])
        connection.execute(TABLE)
        connection.close()

    def process_batch(self, context: Any) -> None:
        """Store a batch in one transaction."""
        type(self).batches += 1
        misbehave(self.config, self.stream_name, type(self).batches)
        connection = connect(self.config["path"])
        rows = [self.row(record) for record in context["records"]]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?)", rows)
        connection.execute("COMMIT")
        connection.close()

    def row(self, record: dict[str, Any]) -> tuple[Any, ...]:
        """Give the row of a record."""
        key = json.dumps([record[name] for name in self.key_properties])
        version = record.pop("_sdc_table_version", None)
        record = {name: value for name, value in record.items() if not name.startswith("_sdc")}
        return self.stream_name, key, json.dumps(record, default=str), version

    def activate_version(self, new_version: int) -> None:
        """Remove the rows with an older version."""
        connection = connect(self.config["path"])
        sql = "DELETE FROM rows WHERE stream = ? AND coalesce(version, 0) < ?"
        connection.execute(sql, (self.stream_name, new_version))
        connection.close()


class RowSink(RecordSink):
    """Stores one stream, record by record."""

    parse_datetimes = False
    setup = StoreSink.setup
    row = StoreSink.row

    def process_record(self, record: Any, context: Any) -> None:
        """Store a record."""
        connection = connect(self.config["path"])
        connection.execute("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?)", self.row(record))
        connection.close()


def misbehave(config: Any, stream: str, batch: int) -> None:
    """Do what the config asks for before a batch."""
    time.sleep(config["slow_s"])
    fault = config.get("fault") or {}
    if fault.get("stream", stream) == stream and fault.get("at", batch) == batch and fault:
        FAULTS[fault["what"]]()


def _print() -> None:
    print('{"bookmarks": "printed"}')
    os.write(1, b'{"bookmarks": "written"}\n')


def _fail() -> None:
    raise FatalSyncError("can't store")


def _fill_the_disk() -> None:
    Path("/dev/full").write_text("x")


FAULTS = {
    "fail": _fail,
    "disk full": _fill_the_disk,
    "exit": lambda: sys.exit(0),
    "print": _print,
    "bug": lambda: [][1],
    "hang": lambda: time.sleep(60),
}


class TargetStore(Target):
    """A target for tests."""

    name = "target-store"
    default_sink_class = StoreSink
    config_jsonschema = th.PropertiesList(
        th.Property("path", th.StringType, required=True),
        th.Property("slow_s", th.NumberType, default=0),
        th.Property("fault", th.ObjectType(additional_properties=True)),
        th.Property("by_record", th.BooleanType, default=False),
    ).to_dict()

    def get_sink_class(self, stream_name: str) -> Any:
        """Choose by the config."""
        return RowSink if self.config["by_record"] else StoreSink


def stored(path: Any) -> dict[str, set[int]]:
    """Give the ids in the file, by stream."""
    connection = sqlite3.connect(path, timeout=60)
    connection.execute(TABLE)
    found: dict[str, set[int]] = {}
    for stream, record in connection.execute("SELECT stream, record FROM rows"):
        found.setdefault(stream, set()).add(json.loads(record)["id"])
    connection.close()
    return found


if __name__ == "__main__":
    TargetStore.cli()
