"""Taps that are unusual and correct: no rule may fail. `python unusual_taps.py interleaved --config config.json`.

A class is the reference tap but for the one thing that its first line says.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import sys
from datetime import timedelta
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path

import by_name
from tap import STREAMS, TEXT, Refusal, Stream, Tap, encode, instant, main


class Interleaved(Tap):
    """All streams at once, record by record, with a state after each."""

    page_size = 1

    def sync_streams(self, selected):
        for stream in selected:
            self.send_schema(stream)
            self.begin_version(stream)
        pages = [self.pages(self.rows_to_send(stream)) for stream in selected]
        for turn in zip_longest(*pages):
            for stream, page in zip(selected, turn, strict=True):
                if page:
                    self.send_page(stream, page)
        for stream in selected:
            self.end_version(stream)


class WithoutKeys(Tap):
    """A stream has no keys, and rows that are exactly equal."""

    streams = (*STREAMS, Stream("log", "", [], {"text": TEXT}))

    def rows(self, stream):
        return [{"text": "started"}] * 3 if stream.name == "log" else super().rows(stream)


class PlainState(Tap):
    """The state is an object of stream and value, without `bookmarks`, as in the specification's first example."""

    def read_state(self, path):
        values = {} if path is None else self.read_json(path)
        if not isinstance(values, dict):
            raise Refusal("the state must be a JSON object")
        return {"bookmarks": {name: {"replication_key_value": value} for name, value in values.items()}}

    def state_message(self):
        bookmarks = self.state["bookmarks"].items()
        return {"type": "STATE", "value": {name: bookmark["replication_key_value"] for name, bookmark in bookmarks}}


class LooksBack(Tap):
    """Each run sends the rows of the last 30 days before its bookmark again."""

    def is_new(self, stream, row):
        value, bookmark = row[stream.replication_key], self.bookmark_value(stream)
        if bookmark is None or value is None:
            return super().is_new(stream, row)
        return instant(value) >= instant(bookmark) - timedelta(days=30)

    def keep_bookmark(self, stream, value):
        super().keep_bookmark(stream, max(value, self.bookmark_value(stream) or value, key=instant))


class WidensSchema(Tap):
    """A property appears in the middle of a stream, after a new schema that has it."""

    streams = (STREAMS[0]._replace(properties={**STREAMS[0].properties, "gift": {"type": "boolean"}}), *STREAMS[1:])
    is_wide = False

    def rows(self, stream):
        rows = super().rows(stream)
        return [*rows[:-1], {**rows[-1], "gift": True}] if stream.name == "orders" else rows

    def schema_of(self, stream):
        schema = super().schema_of(stream)
        known = schema["properties"].items()
        return {**schema, "properties": {n: part for n, part in known if n != "gift" or self.is_wide}}

    def send_page(self, stream, page):
        if not self.is_wide and any("gift" in row for row in page):
            self.is_wide = True
            self.send_schema(stream)
        super().send_page(stream, page)


class HugeRecord(Tap):
    """A record is larger than a megabyte."""

    def rows(self, stream):
        rows = super().rows(stream)
        return [*rows[:-1], {**rows[-1], "text": "x" * 1_100_000}] if stream.name == "facts" else rows


class BareRecords(Tap):
    """No `time_extracted`, ids are text, and a record might be null by its schema."""

    streams = tuple(
        s._replace(properties={**s.properties, "id": TEXT} if "id" in s.properties else s.properties) for s in STREAMS
    )

    def rows(self, stream):
        return [{**row, "id": str(row["id"])} if "id" in row else row for row in super().rows(stream)]

    def record_message(self, stream, row):
        message = super().record_message(stream, row)
        del message["time_extracted"]
        return message

    def entry(self, stream):
        entry = super().entry(stream)
        return {**entry, "schema": {**entry["schema"], "type": ["null", "object"]}}


class ExtraMembers(Tap):
    """Messages and catalog entries have members that the specification does not know."""

    def send(self, message):
        super().send({"sequence": 1, **message, "_meta": {"by": ["tap"]}})

    def entry(self, stream):
        more = {"replication_key": stream.replication_key, "is_view": False, "row_count": 3, "database_name": "files"}
        return {**super().entry(stream), **more}


class SendsBatches(Tap):
    """The records of a stream come in files, which BATCH messages name."""

    def send_page(self, stream, page):
        if stream.name != "facts":
            return super().send_page(stream, page)
        path = Path(self.config["source"]) / f"batch-{os.getpid()}-{page[0]['id']}.jsonl.gz"
        records = [self.record_message(stream, row)["record"] for row in page]
        path.write_bytes(gzip.compress("".join(f"{encode(record)}\n" for record in records).encode()))
        encoding = {"format": "jsonl", "compression": "gzip"}
        self.send({"type": "BATCH", "stream": stream.name, "encoding": encoding, "manifest": [path.as_uri()]})
        return self.send_state()


class OtherSpelling(Tap):
    """Members come in reverse order, and nothing but ASCII is written."""

    def encode(self, message):
        text = super().encode(dict(reversed(message.items())))
        return re.sub(r"[^\x00-\x7f]", lambda match: json.dumps(match[0])[1:-1], text)


class RepeatsSchemas(Tap):
    """The schema is sent again before each page."""

    def send_page(self, stream, page):
        self.send_schema(stream)
        super().send_page(stream, page)


class FullTablesOnly(Tap):
    """No stream can be read incrementally, and there are no states."""

    streams = tuple(stream for stream in STREAMS if not stream.replication_key)

    def send_state(self):
        pass


class BookmarksAtEnd(Tap):
    """The rows come in any order, and so the bookmark moves only when all of them are sent."""

    def ordered(self, stream, rows):
        return rows

    def advance(self, stream, row):
        pass

    def end_version(self, stream):
        super().end_version(stream)
        times = [row[stream.replication_key] for row in self.rows_to_send(stream) if self.is_incremental(stream)]
        if any(times):
            self.keep_bookmark(stream, max(filter(None, times), key=instant))


class Partitioned(Tap):
    """A stream is read in two partitions, and each has a bookmark of its own."""

    def partition(self, row):
        return {"half": "even" if row["id"] % 2 == 0 else "odd"}

    def bookmarks(self, stream):
        return self.bookmark_of(stream).get("partitions", [])

    def is_new(self, stream, row):
        found = [item for item in self.bookmarks(stream) if item["context"] == self.partition(row)]
        value = row[stream.replication_key]
        if not found:
            return super().is_new(stream, row)
        return value is not None and instant(value) >= instant(found[0]["replication_key_value"])

    def ordered(self, stream, rows):
        return sorted(super().ordered(stream, rows), key=lambda row: row["id"] % 2)

    def advance(self, stream, row):
        if self.is_incremental(stream) and (value := row[stream.replication_key]):
            others = [item for item in self.bookmarks(stream) if item["context"] != self.partition(row)]
            item = {"context": self.partition(row), "replication_key": "updated_at", "replication_key_value": value}
            self.keep(stream, partitions=[*others, item])


class RemembersTies(Tap):
    """The bookmark lists the keys that were sent for its time: only the others of that time are sent later."""

    def is_tie(self, stream, row):
        value, bookmark = row[stream.replication_key], self.bookmark_value(stream)
        return None not in (value, bookmark) and instant(value) == instant(bookmark)

    def is_new(self, stream, row):
        is_sent = self.is_tie(stream, row) and row["id"] in self.bookmark_of(stream).get("sent", [])
        return super().is_new(stream, row) and not is_sent

    def advance(self, stream, row):
        if self.is_incremental(stream) and row[stream.replication_key]:
            ties = self.bookmark_of(stream).get("sent", []) if self.is_tie(stream, row) else []
            super().advance(stream, row)
            self.keep(stream, sent=[*ties, row["id"]])


class WritesTokenBack(Tap):
    """A fresh token is written back into the config file."""

    def read_config(self, path):
        config = super().read_config(path)
        Path(path).write_text(json.dumps({**config, "access_token": "new"}))
        return config


class WholeDecimals(Tap):
    """Integers are written as 2.0, which all but the oldest draft of JSON Schema take for an integer."""

    def rows(self, stream):
        rows = super().rows(stream)
        return [{**row, "quantity": Decimal(f"{row['quantity']}.0")} if "quantity" in row else row for row in rows]


class OldAndQuiet(Tap):
    """No logs, no metrics, no `--about`."""

    def log(self, level, text):
        if level == "CRITICAL":
            super().log(level, text)

    def about(self):
        raise Refusal("unrecognized arguments: --about")


class NothingByDefault(Tap):
    """No stream is selected unless the catalog says so."""

    def metadata(self, stream):
        root, *fields = super().metadata(stream)
        return [{**root, "metadata": {**root["metadata"], "selected-by-default": False}}, *fields]

    def includes_stream(self, stream):
        return self.catalog is not None and super().includes_stream(stream)


class StreamWithoutRows(Tap):
    """A stream has no rows: there is only its schema."""

    def rows(self, stream):
        return [] if stream.name == "people" else super().rows(stream)


class SendsIdentities(Tap):
    """Messages name a stream by its `tap_stream_id`, which is not what the catalog calls `stream`."""

    def entry(self, stream):
        return {**super().entry(stream), "stream": f"table of {stream.name}"}


class TellsTheTime(Tap):
    """A stream without keys has one row, and another one in each run."""

    streams = (*STREAMS, Stream("clock", "", [], {"text": TEXT}))

    def rows(self, stream):
        return [{"text": self.now()}] if stream.name == "clock" else super().rows(stream)


PROGRAMS = by_name.programs_in(dict(globals()), Tap)

if __name__ == "__main__":
    sys.exit(by_name.run(PROGRAMS, main))
