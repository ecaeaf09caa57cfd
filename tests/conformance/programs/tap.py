"""A correct tap in plain Python: every broken and every unusual tap of the corpus changes one thing of it.

    python tap.py --config config.json [--discover] [--catalog catalog.json] [--state state.json]

It reads a folder of JSON files, one per stream, so that a test changes the source by editing a file. Every decision
that a defect can get wrong is one small method of `Tap`. Only the standard library: nothing here can share a
mistake with the harness or with an SDK.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

NAME, VERSION = "tap-reference", "1.0"


# What malformed rows and hand-made states raise: one line for the user, not a traceback.
UNEXPECTED = (OSError, ValueError, TypeError, LookupError, AttributeError)


class Refusal(Exception):
    """What the user can mend, in one sentence; the tap ends with exit code 1."""


class Stream(NamedTuple):
    """One kind of record; the rows are in the file `file` of the source."""

    name: str
    file: str
    key_properties: list[str]
    properties: dict[str, Any]
    replication_key: str | None = None
    unsupported: tuple[str, ...] = ()


def nullable(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": [kind, "null"], **more}


TEXT, INTEGER, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}
TIME, NULLABLE_TIME = {"type": "string", "format": "date-time"}, nullable("string", format="date-time")
POSITION = nullable("object", properties={"lat": NUMBER, "lon": NUMBER})
ADDRESS = nullable("object", properties={"city": TEXT, "street": nullable("string"), "position": POSITION})
VISITS = {"type": "array", "items": {"anyOf": [{"type": "object", "properties": {"at": TIME}}, {"type": "null"}]}}
ORDER_KEY = {"shop": TEXT, "number": TEXT}
STREAMS = [
    Stream("orders", "orders", ["shop", "number"], {**ORDER_KEY, "note": nullable("string"), "total": NUMBER}),
    Stream(
        "people",
        "people",
        ["id"],
        {
            "id": INTEGER,
            "name": TEXT,
            "email": nullable("string"),
            "updated_at": nullable("string", format="date-time"),
        },
        replication_key="updated_at",
    ),
    Stream(
        "facts",
        "facts",
        ["id"],
        {
            "id": INTEGER,
            "count": INTEGER,
            "exact": NUMBER,
            "flag": nullable("boolean"),
            "text": TEXT,
            "seen_at": NULLABLE_TIME,
            "address": ADDRESS,
            "visits": VISITS,
            "tags": {"type": "array", "items": TEXT},
            "raw": {},
        },
        unsupported=("raw",),
    ),
    Stream(  # the lines of an order: a child of `orders`, read from the same file
        "order_lines",
        "orders",
        ["shop", "number", "line"],
        {**ORDER_KEY, "line": INTEGER, "product": TEXT, "quantity": INTEGER},
    ),
]
SETTINGS = {
    "type": "object",
    "required": ["source"],
    "properties": {
        "source": {"type": "string", "description": "Folder of the JSON files"},
        "start_date": {"type": "string", "format": "date-time"},
        "password": {"type": "string", "secret": True, "writeOnly": True},
        "activate_version": {"type": "boolean", "default": False},
    },
}


def encode(value: Any) -> str:
    """JSON text of a value; a `Decimal` keeps all of its digits."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)}: {encode(member)}" for name, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(encode, value)) + "]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False, allow_nan=False)


def instant(text: str) -> datetime:
    """The moment that a date-time names: times are compared as moments, never as text."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def conform(value: Any, schema: dict[str, Any]) -> Any:
    """The value without the properties that its schema does not name."""
    if isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        return {name: conform(member, known[name]) for name, member in value.items() if name in known}
    return value


class Tap:
    """The whole tap; a subclass overrides one method, and that is how it differs."""

    streams = STREAMS
    page_size = 3  # records between two states

    def __init__(self) -> None:
        self.config: dict[str, Any] = {}
        self.state: dict[str, Any] = {}
        self.catalog: dict[str, dict[str, Any]] | None = None
        self.versions: dict[str, int] = {}

    # ---- what it writes

    def write(self, text: str) -> None:
        """One line to stdout, in one piece wherever the system allows it."""
        line = memoryview(text.encode() + b"\n")
        while line:
            line = line[os.write(1, line) :]

    def log(self, level: str, text: str) -> None:
        print(level, text, file=sys.stderr, flush=True)

    def encode(self, message: dict[str, Any]) -> str:
        return encode(message)

    def send(self, message: dict[str, Any]) -> None:
        self.write(self.encode(message))

    def schema_message(self, stream: Stream) -> dict[str, Any]:
        keys, schema = stream.key_properties, self.schema_of(stream)
        message = {"type": "SCHEMA", "stream": stream.name, "schema": schema, "key_properties": keys}
        if self.is_incremental(stream):
            message["bookmark_properties"] = [stream.replication_key]
        return message

    def record_message(self, stream: Stream, row: dict[str, Any]) -> dict[str, Any]:
        record = conform(row, self.schema_of(stream))
        message = {"type": "RECORD", "stream": stream.name, "record": record, "time_extracted": self.now()}
        if stream.name in self.versions:
            message["version"] = self.versions[stream.name]
        return message

    def state_message(self) -> dict[str, Any]:
        return {"type": "STATE", "value": self.state}

    def send_schema(self, stream: Stream) -> None:
        self.send(self.schema_message(stream))

    def send_record(self, stream: Stream, row: dict[str, Any]) -> None:
        self.send(self.record_message(stream, row))

    def send_state(self) -> None:
        self.send(self.state_message())

    def now(self) -> str:
        return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    # ---- what it reads

    def read_json(self, path: str) -> Any:
        try:
            return json.loads(Path(path).read_text("utf-8"), parse_float=Decimal)
        except (OSError, ValueError) as error:
            raise Refusal(f"cannot read {path}: {error}") from None

    def read_config(self, path: str | None) -> dict[str, Any]:
        config = {} if path is None else self.read_json(path)
        if not isinstance(config, dict):
            raise Refusal("the config must be a JSON object")
        for name in SETTINGS["required"]:
            if not isinstance(config.get(name), str):
                raise Refusal(f"the config needs the setting {name!r}, a text")
        if not Path(config["source"]).is_dir():
            raise Refusal("the setting 'source' must name a folder")
        try:
            instant(config.get("start_date", "2000-01-01T00:00:00Z"))
        except (TypeError, ValueError):
            raise Refusal("the setting 'start_date' must be a date-time") from None
        return config

    def read_state(self, path: str | None) -> dict[str, Any]:
        state = {} if path is None else self.read_json(path)
        if not isinstance(state, dict) or not isinstance(state.setdefault("bookmarks", {}), dict):
            raise Refusal("the state must be a JSON object whose 'bookmarks' are an object")
        return state

    def read_catalog(self, path: str) -> dict[str, dict[str, Any]]:
        try:
            return {entry["tap_stream_id"]: entry for entry in self.read_json(path)["streams"]}
        except (TypeError, KeyError):
            raise Refusal("the catalog must be an object with 'streams', each with a 'tap_stream_id'") from None

    def rows(self, stream: Stream) -> list[dict[str, Any]]:
        """All rows of a stream, in the order of the source."""
        rows = self.read_json(str(Path(self.config["source"]) / f"{stream.file}.json"))
        if stream.name != "order_lines":
            return rows
        return [{"shop": row["shop"], "number": row["number"], **line} for row in rows for line in row["lines"]]

    # ---- discovery

    def discover(self) -> dict[str, Any]:
        return {"streams": [self.entry(stream) for stream in self.streams]}

    def entry(self, stream: Stream) -> dict[str, Any]:
        return {
            "tap_stream_id": stream.name,
            "stream": stream.name,
            "schema": {"type": "object", "properties": stream.properties},
            "key_properties": stream.key_properties,
            "metadata": self.metadata(stream),
        }

    def metadata(self, stream: Stream) -> list[dict[str, Any]]:
        root = {"inclusion": "available", "table-key-properties": stream.key_properties}
        if stream.replication_key:
            root["valid-replication-keys"] = [stream.replication_key]
        else:
            root["forced-replication-method"] = "FULL_TABLE"
        fields = [
            {"breadcrumb": ["properties", name], "metadata": {"inclusion": self.inclusion(stream, name)}}
            for name in stream.properties
        ]
        return [{"breadcrumb": [], "metadata": root}, *fields]

    def inclusion(self, stream: Stream, name: str) -> str:
        if name in stream.unsupported:
            return "unsupported"
        return "automatic" if name in (*stream.key_properties, stream.replication_key) else "available"

    # ---- selection

    def choice(self, stream: Stream, breadcrumb: tuple[str, ...]) -> dict[str, Any]:
        """The metadata that the catalog has for one breadcrumb."""
        metadata = (self.catalog or {}).get(stream.name, {}).get("metadata", [])
        return next((item["metadata"] for item in metadata if tuple(item["breadcrumb"]) == breadcrumb), {})

    def is_wanted(self, stream: Stream, breadcrumb: tuple[str, ...]) -> bool:
        chosen = self.choice(stream, breadcrumb)
        return chosen.get("selected", chosen.get("selected-by-default", True)) not in (False, "false")

    def includes_stream(self, stream: Stream) -> bool:
        return self.catalog is None or (stream.name in self.catalog and self.is_wanted(stream, ()))

    def includes(self, stream: Stream, breadcrumb: tuple[str, ...]) -> bool:
        inclusion = self.inclusion(stream, breadcrumb[1]) if len(breadcrumb) == 2 else "available"
        return inclusion == "automatic" or (inclusion == "available" and self.is_wanted(stream, breadcrumb))

    def schema_of(self, stream: Stream) -> dict[str, Any]:
        """What the user selected of a stream's schema."""
        entry = (self.catalog or {}).get(stream.name) or self.entry(stream)
        return self.prune(stream, entry["schema"], ())

    def prune(self, stream: Stream, schema: dict[str, Any], breadcrumb: tuple[str, ...]) -> dict[str, Any]:
        if "properties" not in schema:
            return schema
        paths = {name: (*breadcrumb, "properties", name) for name in schema["properties"]}
        kept = {name: path for name, path in paths.items() if self.includes(stream, path)}
        return {**schema, "properties": {n: self.prune(stream, schema["properties"][n], p) for n, p in kept.items()}}

    # ---- bookmarks

    def is_incremental(self, stream: Stream) -> bool:
        default = "INCREMENTAL" if stream.replication_key else "FULL_TABLE"
        return self.choice(stream, ()).get("replication-method", default) == "INCREMENTAL"

    def check_replication(self, stream: Stream) -> None:
        key = self.choice(stream, ()).get("replication-key", stream.replication_key)
        if self.is_incremental(stream) and (key is None or key != stream.replication_key):
            raise Refusal(f"stream {stream.name}: {key!r} is not a replication key that it has")

    def bookmark_of(self, stream: Stream) -> dict[str, Any]:
        return self.state["bookmarks"].get(stream.name) or {}

    def bookmark_value(self, stream: Stream) -> str | None:
        return self.bookmark_of(stream).get("replication_key_value")

    def keep(self, stream: Stream, **facts: Any) -> None:
        """Write facts into the stream's bookmark."""
        self.state["bookmarks"][stream.name] = {**self.bookmark_of(stream), **facts}

    def is_new(self, stream: Stream, row: dict[str, Any]) -> bool:
        """Whether the row may be newer than the bookmark: equal counts, another row can have the same time."""
        value, bookmark = row[stream.replication_key], self.bookmark_value(stream)
        if bookmark is None:
            start = self.config.get("start_date")
            return value is None or start is None or instant(value) >= instant(start)
        return value is not None and instant(value) >= instant(bookmark)

    def ordered(self, stream: Stream, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """In the order of the replication key, rows without one first: a bookmark may then be kept at any row."""
        return sorted(rows, key=lambda row: instant(row[stream.replication_key] or "0001-01-01"))

    def rows_to_send(self, stream: Stream) -> list[dict[str, Any]]:
        if not self.is_incremental(stream):
            return self.rows(stream)
        return self.ordered(stream, [row for row in self.rows(stream) if self.is_new(stream, row)])

    def advance(self, stream: Stream, row: dict[str, Any]) -> None:
        """Bookmark a row that is sent."""
        if self.is_incremental(stream) and row[stream.replication_key] is not None:
            self.keep_bookmark(stream, row[stream.replication_key])

    def keep_bookmark(self, stream: Stream, value: str) -> None:
        self.keep(stream, replication_key=stream.replication_key, replication_key_value=value)

    # ---- syncing

    def sync(self) -> None:
        for unknown in {*(self.catalog or {})} - {stream.name for stream in self.streams}:
            self.log("WARNING", f"the catalog has the stream {unknown!r}, which this tap does not know")
        selected = [stream for stream in self.streams if self.includes_stream(stream)]
        for stream in selected:
            self.check_replication(stream)
        self.versions = self.new_versions(selected)
        self.sync_streams(self.in_order(selected))
        self.finish()

    def finish(self) -> None:
        """The last state: nothing is in progress any more."""
        self.state.pop("currently_syncing", None)
        self.send_state()

    def in_order(self, selected: list[Stream]) -> list[Stream]:
        """The interrupted stream first, then all the others."""
        return sorted(selected, key=lambda stream: stream.name != self.state.get("currently_syncing"))

    def sync_streams(self, selected: list[Stream]) -> None:
        for stream in selected:
            self.sync_stream(stream)

    def sync_stream(self, stream: Stream) -> None:
        self.state["currently_syncing"] = stream.name
        self.send_schema(stream)
        self.begin_version(stream)
        rows = self.rows_to_send(stream)
        for page in self.pages(rows):
            self.send_page(stream, page)
        self.end_version(stream)
        metric = {"type": "counter", "metric": "record_count", "value": len(rows), "tags": {"endpoint": stream.name}}
        self.log("INFO", f"METRIC: {json.dumps(metric)}")

    def pages(self, rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
        return [rows[start : start + self.page_size] for start in range(0, len(rows), self.page_size)]

    def send_page(self, stream: Stream, page: list[dict[str, Any]]) -> None:
        for row in page:
            self.send_record(stream, row)
            self.advance(stream, row)
        self.send_state()

    # ---- versions: a target may remove what the newest full sync no longer has

    def new_versions(self, selected: list[Stream]) -> dict[str, int]:
        if not self.config.get("activate_version"):
            return {}
        now = time.time_ns() // 1000
        full = [stream for stream in selected if not self.is_incremental(stream)]
        return {stream.name: max(now, self.bookmark_of(stream).get("version", 0) + 1) for stream in full}

    def activate(self, stream: Stream) -> None:
        if stream.name in self.versions:
            self.send({"type": "ACTIVATE_VERSION", "stream": stream.name, "version": self.versions[stream.name]})

    def begin_version(self, stream: Stream) -> None:
        """Only the very first sync activates at once: no older rows are there that it could remove too early."""
        if "version" not in self.bookmark_of(stream):
            self.activate(stream)

    def end_version(self, stream: Stream) -> None:
        self.activate(stream)
        if stream.name in self.versions:
            self.keep(stream, version=self.versions[stream.name])

    # ---- the command

    def options(self, arguments: list[str]) -> argparse.Namespace:
        return parser_of().parse_args(arguments)

    def about(self) -> dict[str, Any]:
        return {
            "name": NAME,
            "version": VERSION,
            "capabilities": ["catalog", "discover", "state"],
            "settings": SETTINGS,
        }

    def run(self, options: argparse.Namespace) -> None:
        if options.about:
            return self.write(json.dumps(self.about()))
        self.config = self.read_config(options.config)
        if options.discover:
            return self.write(json.dumps(self.discover(), indent=2))
        self.state = self.read_state(options.state)
        if options.catalog:
            self.catalog = self.read_catalog(options.catalog)
        return self.sync()

    def failed(self, error: Exception) -> int:
        """Say what went wrong; the exit code."""
        self.log("CRITICAL", str(error) or type(error).__name__)
        return 1


def parser_of() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(NAME, allow_abbrev=False)
    parser.add_argument("--config", "-c", help="JSON file of the settings")
    parser.add_argument("--state", "-s", help="JSON file: the last state of an earlier run")
    parser.add_argument("--catalog", "--properties", "-p", help="JSON file: the catalog with what is selected")
    parser.add_argument("--discover", "-d", action="store_true", help="print the catalog")
    parser.add_argument("--about", action="store_true", help="print what this tap can do, as JSON")
    parser.add_argument("--format", choices=["json"], help="the form of --about")
    parser.add_argument("--version", action="version", version=f"{NAME} {VERSION}")
    return parser


def end(number: int, frame: Any) -> None:
    raise SystemExit(128 + number)


def main(tap: Tap, arguments: list[str]) -> int:
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    try:
        tap.run(tap.options(arguments))
    except (Refusal, *UNEXPECTED) as error:
        return tap.failed(error)
    return 0


if __name__ == "__main__":
    sys.exit(main(Tap(), sys.argv[1:]))
