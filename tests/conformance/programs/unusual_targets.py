"""Targets that are unusual and correct: no rule may fail. `python unusual_targets.py states_at_end --config ...`.

A class is the reference target but for the one thing that its first line says.
"""

from __future__ import annotations

import gzip
import json
import os
import signal
import sqlite3
import sys
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import by_name
from target import Refusal, Target, encode, main, types_of


class StatesAtEnd(Target):
    """Only the last state is released, and only at the end."""

    def release(self):
        pass

    def finish(self):
        super().finish()
        for value in self.waiting[-1:]:
            self.write_state(value)


class MergesBookmarks(Target):
    """A released state has the newest bookmark of every stream that came in, not only those of the last state."""

    def __init__(self):
        super().__init__()
        self.bookmarks = {}

    def write_state(self, value):
        if isinstance(value, dict) and isinstance(value.get("bookmarks"), dict):
            self.bookmarks = {**self.bookmarks, **value["bookmarks"]}
            value = {**value, "bookmarks": self.bookmarks}
        super().write_state(value)


class StoresAtStates(Target):
    """Each state makes the target store what it has, and is released at once."""

    def handle_state(self, message):
        super().handle_state(message)
        self.drain_all()


class NoVersions(Target):
    """ACTIVATE_VERSION is not supported, which the log says."""

    def about(self):
        return {**super().about(), "capabilities": ["about", "validate-records"]}

    def handle_activation(self, message):
        self.log("WARNING", "ACTIVATE_VERSION is not supported and has no effect")


class SoftDeletes(Target):
    """ACTIVATE_VERSION marks older rows as deleted and keeps them."""

    def about(self):
        return {**super().about(), "capabilities": ["about", "activate-version", "soft-delete", "validate-records"]}

    def handle_activation(self, message):
        sink, version = self.sinks.get(message["stream"]), self.needed(message, "version", int)
        if sink is None:
            return self.log("WARNING", f"ACTIVATE_VERSION of the unknown stream {message['stream']!r}")
        self.drain(sink)
        for key, line in sink.rows.items():
            if not self.survives(json.loads(line), version):
                sink.rows[key] = f'{line[:-1]}, "_sdc_deleted_at": "{datetime.now(UTC).isoformat()}"}}'
        return self.replace_file(sink)


class LoadsBatches(Target):
    """BATCH messages are understood: their files are read like records."""

    def about(self):
        return {**super().about(), "capabilities": [*super().about()["capabilities"], "batch"]}

    def handle_unknown(self, kind, message):
        if kind != "BATCH":
            return super().handle_unknown(kind, message)
        for uri in self.needed(message, "manifest", list):
            for line in self.lines_of(uri):
                record = json.loads(line, parse_float=Decimal)
                self.handle_record({"stream": self.needed(message, "stream", str), "record": record})
        return None

    def lines_of(self, uri):
        return gzip.decompress(Path(uri.removeprefix("file://")).read_bytes()).splitlines()


class TakesBom(Target):
    """A byte order mark at the beginning is skipped."""

    def decode(self, line):
        return line.decode("utf-8-sig")


class UtcTimes(Target):
    """Date-times are stored in UTC."""

    def stored(self, sink, record):
        return {name: self.in_utc(value) for name, value in record.items()}

    def in_utc(self, value):
        try:
            moment = datetime.fromisoformat(value) if len(value) > 18 else None
            return moment.astimezone(UTC).isoformat() if moment and moment.tzinfo else value
        except (TypeError, ValueError, OverflowError):
            return value


class FloodsStderr(Target):
    """The log has many lines for each message."""

    def handle(self, message):
        for number in range(8):
            self.log("DEBUG", f"message of type {message.get('type')}, step {number} {'.' * 100}")
        super().handle(message)


class SlowStart(Target):
    """Nothing is read in the beginning."""

    def run(self, options):
        time.sleep(0.15)
        super().run(options)


class SqliteTables(Target):
    """The rows are in tables of an SQLite file."""

    def connect(self):
        Path(self.config["folder"]).mkdir(parents=True, exist_ok=True)
        return sqlite3.connect(Path(self.config["folder"]) / "out.db", isolation_level=None)

    def quoted(self, name):
        return '"' + name.replace('"', '""').replace("\x00", "%00") + '"'

    def handle_schema(self, message):
        super().handle_schema(message)
        if len({name.lower() for name in self.sinks}) < len(self.sinks):
            raise Refusal(f"stream {message['stream']!r}: SQLite can't tell its name from another one")

    def load(self, sink):
        with self.connect() as connection:
            try:
                lines = connection.execute(f"SELECT _sdc_line FROM {self.quoted(sink.stream)}").fetchall()
            except sqlite3.OperationalError:
                return
        sink.rows = {self.key_of(sink, json.loads(line, parse_float=Decimal)): line for (line,) in lines}

    def append(self, sink, lines):
        self.replace_file(sink)

    def replace_file(self, sink):
        rows = [json.loads(line, parse_float=Decimal) for line in sink.rows.values()]
        columns = list(dict.fromkeys([*sink.schema.get("properties", {}), *(name for row in rows for name in row)]))
        if len({name.lower() for name in columns}) < len(columns):
            raise Refusal(f"stream {sink.stream!r}: SQLite can't tell two of its properties apart")
        table, names = self.quoted(sink.stream), ", ".join(map(self.quoted, [*columns, "_sdc_line"]))
        places = ", ".join("?" * (len(columns) + 1))
        values = [
            [*(self.cell(row.get(name)) for name in columns), line]
            for row, line in zip(rows, sink.rows.values(), strict=True)
        ]
        with self.connect() as connection:
            connection.execute("BEGIN")
            connection.execute(f"DROP TABLE IF EXISTS {table}")
            connection.execute(f"CREATE TABLE {table} ({names})")
            connection.executemany(f"INSERT INTO {table} VALUES ({places})", values)

    def cell(self, value):
        if isinstance(value, dict | list):
            return json.dumps(value, default=str)
        is_plain = value is None or isinstance(value, str) or (isinstance(value, int) and abs(value) < 2**63)
        return value if is_plain else str(value)


class DrainsOnSignal(Target):
    """SIGTERM and SIGINT end the input: what was read is stored, its state released, and the exit code says so."""

    stopped_by = 0

    def run(self, options):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)
        super().run(options)
        if self.stopped_by:
            raise SystemExit(128 + self.stopped_by)

    def stop(self, number, frame):
        self.stopped_by = number
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # a read that waits is tried again, and meets the end

    def lines(self, stream):
        for line in stream:
            if self.stopped_by:
                return
            yield line


class WithMetadata(Target):
    """Each row gets the time of its arrival, in a property of the target's own."""

    def stored(self, sink, record):
        return {"_sdc_received_at": datetime.now(UTC).isoformat(), **record}


class LowercaseColumns(Target):
    """Names of properties are put into lower case, and two that become equal are refused."""

    def handle_schema(self, message):
        super().handle_schema(message)
        names = [name.lower() for name in message["schema"].get("properties", {})]
        if len({*names}) < len(names):
            raise Refusal(f"stream {message['stream']!r}: two properties differ only in case")

    def stored(self, sink, record):
        return {name.lower(): value for name, value in record.items()}

    def key_of(self, sink, record):
        return super().key_of(sink, {name.lower(): value for name, value in record.items()})

    def effective_keys(self, key_properties):
        return [name.lower() for name in super().effective_keys(key_properties)]


class SixtyFourBits(Target):
    """Integers beyond 64 bits end the run with an error."""

    def stored(self, sink, record):
        if any(isinstance(value, int) and not -(2**63) <= value < 2**63 for value in record.values()):
            raise Refusal(f"stream {sink.stream!r}: an integer is beyond 64 bits")
        return record


class NullForMissing(Target):
    """A property that a record lacks is stored as null."""

    def stored(self, sink, record):
        return {**dict.fromkeys(sink.schema.get("properties", {})), **record}


class ClosedSchemas(Target):
    """Properties that the schema does not name are refused."""

    def fault_of(self, record, schema):
        if unknown := set(record) - set(schema.get("properties", record)):
            return f"record.{min(unknown)}: unknown"
        return super().fault_of(record, schema)


class TablesAtSchema(Target):
    """The file of a stream is there as soon as its schema is."""

    def open_sink(self, stream, schema, key_properties):
        super().open_sink(stream, schema, key_properties)
        self.append(self.sinks[stream], [])


class NothingExtra(Target):
    """Neither `--about` nor a log."""

    def log(self, level, text):
        if level == "CRITICAL":
            super().log(level, text)

    def about(self):
        raise Refusal("unrecognized arguments: --about")


class DatedFiles(Target):
    """The name of a file ends with the time at which the stream was first seen."""

    def path(self, sink):
        folder, name = Path(self.config["folder"]), self.file_name(sink.stream)
        return folder / f"{name}-20240102T030405.jsonl"


class FilesOfARun(Target):
    """Each run writes files of its own, named by the second in which it began; other runs' files are not looked at."""

    began = time.strftime("%Y%m%dT%H%M%S", time.gmtime())

    def path(self, sink):
        return Path(self.config["folder"]) / f"{self.file_name(sink.stream)}-{self.began}.jsonl"

    def load(self, sink):
        self.path(sink).unlink(missing_ok=True)

    def handle_activation(self, message):
        self.log("WARNING", "ACTIVATE_VERSION is not supported and has no effect")

    def about(self):
        raise Refusal("unrecognized arguments: --about")


class ListsInTables(Target):
    """A list that a property holds goes to a file of its own, a line for each element."""

    def stored(self, sink, record):
        kinds = sink.schema.get("properties", {})
        lists = {name for name, value in record.items() if isinstance(value, list) and is_list(kinds.get(name))}
        for name in sorted(lists):
            path = Path(self.config["folder"]) / f"{self.file_name(sink.stream)}__{name}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a") as file:
                file.writelines(f"{encode({'element': element})}\n" for element in record[name])
        return {name: value for name, value in record.items() if name not in lists}


def is_list(schema):
    return isinstance(schema, dict) and "array" in types_of(schema)


class StoresMessages(Target):
    """A file holds the messages of its stream, the SCHEMA first, and not the bare records."""

    def path(self, sink):
        return Path(self.config["folder"]) / f"{self.file_name(sink.stream)}.singer"

    def write_durably(self, file, lines):
        about = f'"stream": {json.dumps(Path(file.name).stem)}'
        messages = [f'{{"type": "RECORD", {about}, "record": {line}}}' for line in lines]
        first = f'{{"type": "SCHEMA", {about}, "schema": {{"type": "object"}}, "key_properties": []}}'
        super().write_durably(file, messages if file.tell() else [first, *messages])

    def load(self, sink):
        *lines, _ = self.path(sink).read_text("utf-8").split("\n") if self.path(sink).exists() else [""]
        for message in (json.loads(line, parse_float=Decimal) for line in lines[1:]):
            sink.rows[self.key_of(sink, message["record"])] = encode(message["record"])


PROGRAMS = by_name.programs_in(dict(globals()), Target)

if __name__ == "__main__":
    sys.exit(by_name.run(PROGRAMS, main))
