"""A correct target in plain Python: every broken and every unusual target of the corpus changes one thing of it.

    python target.py --config config.json < messages.jsonl

It stores each stream as a file of JSON lines in a folder, one line per record (or per key), and releases a state only
when everything before it is on disk. Every decision that a defect can get wrong is one small method of `Target`.
Only the standard library: nothing here can share a mistake with the harness or with an SDK.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterable
from decimal import Decimal
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO

NAME, VERSION = "target-reference", "1.0"
VERSION_PROPERTY = "_sdc_table_version"
SETTINGS = {
    "type": "object",
    "required": ["folder"],
    "properties": {
        "folder": {"type": "string", "description": "Where the files go"},
        "batch_size_rows": {"type": "integer", "default": 10000, "description": "Records held in memory"},
        "load_method": {"enum": ["upsert", "append"], "default": "upsert"},
    },
}


# What malformed messages raise: one line that names the line of the input, not a traceback.
UNEXPECTED = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


class Refusal(Exception):
    """What is wrong with the input, the config or the disk, in one sentence; the target ends with exit code 1."""


# ---- JSON, with every digit kept


def refuse_constant(token: str) -> Any:
    raise ValueError(f"{token} is not JSON")


def exact(text: str) -> Decimal:
    number = Decimal(text)
    if abs(number.adjusted()) > 5000:
        raise ValueError("a number beyond any reason")
    return number


def encode(value: Any) -> str:
    """JSON text of a value; a `Decimal` keeps all of its digits."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)}: {encode(member)}" for name, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(encode, value)) + "]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value)


# ---- JSON Schema, as much as is needed to tell a record from what is none

IS_OF_TYPE = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: is_number(value) and value == int(value),
    "number": lambda value: is_number(value),
    "string": lambda value: isinstance(value, str),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
}


def is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def types_of(schema: dict[str, Any]) -> list[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else types


def subschemas(schema: dict[str, Any]) -> Iterable[Any]:
    yield from schema.get("properties", {}).values()
    for keyword in ("anyOf", "oneOf", "allOf"):
        yield from schema.get(keyword, [])
    if "items" in schema:
        yield schema["items"]


def check_schema(schema: Any, root: dict[str, Any]) -> None:
    """Raise `Refusal` where a schema is no JSON Schema."""
    if not isinstance(schema, dict):
        raise Refusal("the schema has a part that is no object")
    if unknown := [name for name in types_of(schema) if name not in IS_OF_TYPE]:
        raise Refusal(f"the schema has an unknown type {unknown[0]!r}")
    if "$ref" in schema:
        referred(schema, root)
    for part in subschemas(schema):
        check_schema(part, root)


def referred(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """The schema that a `$ref` inside of the document points to."""
    if "$ref" not in schema:
        return schema
    found: Any = root
    for part in schema["$ref"].split("/")[1:]:
        found = found.get(part) if isinstance(found, dict) else None
    if not schema["$ref"].startswith("#/") or not isinstance(found, dict):
        raise Refusal(f"the schema refers to {schema['$ref']!r}, which it does not hold")
    return found


def is_multiple(value: Any, unit: Any) -> bool:
    from fractions import Fraction  # here, as it costs time and few schemas have it

    return not is_number(value) or (Fraction(value) / Fraction(unit)).denominator == 1


def fault_of(value: Any, schema: dict[str, Any], root: dict[str, Any], path: str = "record") -> str:
    """What contradicts the schema, as `path: keyword`; an empty text where nothing does."""
    schema = referred(schema, root)
    if types_of(schema) and not any(IS_OF_TYPE[name](value) for name in types_of(schema)):
        return f"{path}: type"
    if ("enum" in schema and value not in schema["enum"]) or ("const" in schema and value != schema["const"]):
        return f"{path}: enum"
    if "multipleOf" in schema and not is_multiple(value, schema["multipleOf"]):
        return f"{path}: multipleOf"
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema and all(fault_of(value, branch, root, path) for branch in schema[keyword]):
            return f"{path}: {keyword}"
    faults = [fault_of(value, branch, root, path) for branch in schema.get("allOf", [])]
    return next(filter(None, [*faults, *faults_inside(value, schema, root, path)]), "")


def faults_inside(value: Any, schema: dict[str, Any], root: dict[str, Any], path: str) -> Iterable[str]:
    if isinstance(value, dict):
        known = schema.get("properties", {})
        yield from (f"{path}.{name}: required" for name in schema.get("required", []) if name not in value)
        if schema.get("additionalProperties") is False:
            yield from (f"{path}.{name}: additionalProperties" for name in value if name not in known)
        yield from (fault_of(value[name], known[name], root, f"{path}.{name}") for name in known if name in value)
    elif isinstance(value, list) and "items" in schema:
        yield from (fault_of(element, schema["items"], root, f"{path}[]") for element in value)


# ---- the target


class Sink:
    """What the target knows of one stream: plain data, all behaviour is in `Target`."""

    def __init__(self, stream: str, schema: dict[str, Any], key_properties: list[str]) -> None:
        self.stream, self.schema, self.key_properties = stream, schema, key_properties
        self.rows: dict[Any, str] = {}  # what is on disk: a line per key; without keys, per running number
        self.batch: list[tuple[Any, str]] = []  # what waits to be stored, in order


class Target:
    """The whole target; a subclass overrides one method, and that is how it differs."""

    def __init__(self) -> None:
        self.config: dict[str, Any] = {}
        self.sinks: dict[str, Sink] = {}
        self.waiting: list[Any] = []  # states that wait for what came before them
        self.buffered = 0  # records in all batches
        self.numbers = 0  # given to rows without keys

    # ---- what it reads

    def read_config(self, path: str | None) -> dict[str, Any]:
        try:
            config = {} if path is None else json.loads(Path(path).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise Refusal(f"cannot read {path}: {error}") from None
        if not isinstance(config, dict) or not isinstance(config.get("folder"), str):
            raise Refusal("the config must be a JSON object with the setting 'folder', a text")
        size = config.setdefault("batch_size_rows", 10000)
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise Refusal("the setting 'batch_size_rows' must be a number from 1")
        if config.setdefault("load_method", "upsert") not in ("upsert", "append"):
            raise Refusal("the setting 'load_method' must be upsert or append")
        return config

    def lines(self, stream: BinaryIO) -> Iterable[bytes]:
        """The lines of stdin: only LF ends one."""
        return stream

    def parse(self, line: bytes) -> dict[str, Any]:
        message = json.loads(self.decode(line), parse_float=exact, parse_constant=refuse_constant)
        if not isinstance(message, dict):
            raise Refusal("a message must be an object")
        return message

    def decode(self, line: bytes) -> str:
        return line.decode("utf-8")

    def consume(self, lines: Iterable[bytes]) -> None:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                self.handle(self.parse(line))
            except (Refusal, *UNEXPECTED) as error:
                self.rejected(number, str(error))
        self.finish()

    def rejected(self, number: int, reason: str) -> None:
        raise Refusal(f"line {number}: {reason}")

    def handle(self, message: dict[str, Any]) -> None:
        kind = self.kind_of(message)
        if kind in ("SCHEMA", "RECORD", "ACTIVATE_VERSION") and not self.needed(message, "stream", str):
            raise Refusal("a stream needs a name")
        if kind == "SCHEMA":
            self.handle_schema(message)
        elif kind == "RECORD":
            self.handle_record(message)
        elif kind == "STATE":
            self.handle_state(message)
        elif kind == "ACTIVATE_VERSION":
            self.handle_activation(message)
        else:
            self.handle_unknown(kind, message)

    def kind_of(self, message: dict[str, Any]) -> str:
        return self.needed(message, "type", str).upper()

    def needed(self, message: dict[str, Any], name: str, kind: type) -> Any:
        if not isinstance(message.get(name), kind):
            raise Refusal(f"the message needs {name!r}, of type {kind.__name__}")
        return message[name]

    # ---- messages

    def handle_schema(self, message: dict[str, Any]) -> None:
        stream, schema = message["stream"], self.needed(message, "schema", dict)
        keys = self.needed(message, "key_properties", list)
        check_schema(schema, schema)
        if missing := [key for key in keys if key not in schema.get("properties", {key: {}})]:
            raise Refusal(f"stream {stream!r}: the key property {missing[0]!r} is not in the schema")
        sink = self.sinks.get(stream)
        if sink is None:
            self.open_sink(stream, schema, keys)
        elif sink.key_properties != self.effective_keys(keys):
            raise Refusal(f"stream {stream!r}: the key properties changed; load it into another folder")
        else:
            self.change_schema(sink, schema)

    def effective_keys(self, key_properties: list[str]) -> list[str]:
        return key_properties if self.config["load_method"] == "upsert" else []

    def open_sink(self, stream: str, schema: dict[str, Any], key_properties: list[str]) -> None:
        self.sinks[stream] = sink = Sink(stream, schema, self.effective_keys(key_properties))
        self.load(sink)

    def change_schema(self, sink: Sink, schema: dict[str, Any]) -> None:
        sink.schema = schema

    def handle_record(self, message: dict[str, Any]) -> None:
        record = self.needed(message, "record", dict)
        sink = self.sinks.get(message["stream"])
        if sink is None:
            raise Refusal(f"stream {message['stream']!r} has a RECORD before its SCHEMA")
        if fault := self.fault_of(record, sink.schema):
            raise Refusal(f"stream {sink.stream!r}: the record contradicts its schema at {fault}")
        key = self.key_of(sink, record)
        sink.batch.append((key, self.line_of(sink, record, message.get("version"))))
        self.buffered += 1
        if self.buffered >= self.config["batch_size_rows"]:
            self.drain_all()

    def handle_state(self, message: dict[str, Any]) -> None:
        if "value" not in message:
            raise Refusal("the message needs 'value'")
        self.waiting.append(message["value"])
        if not self.buffered:
            self.release()

    def handle_activation(self, message: dict[str, Any]) -> None:
        """Remove what is not of this version: it was not in the source any more."""
        version, sink = self.needed(message, "version", int), self.sinks.get(message["stream"])
        if sink is None:
            return self.log("WARNING", f"ACTIVATE_VERSION of the unknown stream {message['stream']!r}")
        self.drain(sink)
        sink.rows = {key: line for key, line in sink.rows.items() if self.survives(json.loads(line), version)}
        return self.replace_file(sink)

    def survives(self, row: dict[str, Any], version: int) -> bool:
        return row.get(VERSION_PROPERTY, version - 1) >= version

    def handle_unknown(self, kind: str, message: dict[str, Any]) -> None:
        if kind == "BATCH":
            raise Refusal("this target takes no BATCH messages")
        self.log("WARNING", f"messages of the type {kind!r} are unknown and skipped")

    # ---- records

    def fault_of(self, record: dict[str, Any], schema: dict[str, Any]) -> str:
        return fault_of(record, schema, schema)

    def key_of(self, sink: Sink, record: dict[str, Any]) -> Any:
        """What identifies the row: the tuple of its key values, or a running number where it has none."""
        if not sink.key_properties:
            self.numbers += 1
            return self.numbers
        if missing := [key for key in sink.key_properties if record.get(key) is None]:
            raise Refusal(f"stream {sink.stream!r}: the key property {missing[0]!r} has no value")
        return tuple(encode(record[key]) for key in sink.key_properties)

    def line_of(self, sink: Sink, record: dict[str, Any], version: int | None) -> str:
        if version is None:
            return encode(self.stored(sink, record))
        if VERSION_PROPERTY in record:
            raise Refusal(f"stream {sink.stream!r}: the property {VERSION_PROPERTY!r} is the target's own")
        return encode({**self.stored(sink, record), VERSION_PROPERTY: version})

    def stored(self, sink: Sink, record: dict[str, Any]) -> dict[str, Any]:
        """The row that stands for a record: the record itself."""
        return record

    # ---- files

    def path(self, sink: Sink) -> Path:
        return Path(self.config["folder"]) / f"{self.file_name(sink.stream)}.jsonl"

    def file_name(self, stream: str) -> str:
        """The stream's name, made safe and short: no two streams share a file."""
        safe = re.sub(r"[/\\%\x00-\x1f]|^\.", lambda match: f"%{ord(match[0]):02X}", stream)
        if len(safe.encode()) <= 200:
            return safe
        from hashlib import sha256  # here, as it costs time and few names are so long

        return f"{safe[:40]}-{sha256(stream.encode()).hexdigest()[:16]}"

    def load(self, sink: Sink) -> None:
        """Learn what an earlier run stored; a last line that a crash cut in two was never promised."""
        if not self.path(sink).exists():
            return
        *lines, torn = self.path(sink).read_text("utf-8").split("\n")
        for line in lines:
            sink.rows[self.key_of(sink, json.loads(line, parse_float=exact))] = line
        if torn:
            self.replace_file(sink)

    def drain(self, sink: Sink) -> None:
        """Store a batch: new keys are appended, changed ones need the file written anew."""
        batch = dict(self.merged(sink.batch))
        is_new = sink.rows.keys().isdisjoint(batch)
        sink.rows.update(batch)
        if sink.batch and is_new:
            self.append(sink, list(batch.values()))
        elif sink.batch:
            self.replace_file(sink)
        self.buffered -= len(sink.batch)
        sink.batch = []

    def merged(self, batch: list[tuple[Any, str]]) -> list[tuple[Any, str]]:
        """The batch in the order in which it counts: of one key, the last one stays."""
        return batch

    def append(self, sink: Sink, lines: list[str]) -> None:
        Path(self.config["folder"]).mkdir(parents=True, exist_ok=True)
        with self.path(sink).open("ab", buffering=0) as file:
            end = file.tell()
            try:
                self.write_durably(file, lines)
            except OSError:  # a full disk, perhaps: no half line stays behind
                file.truncate(end)
                raise
        self.sync_folder()

    def replace_file(self, sink: Sink) -> None:
        if not sink.rows and not self.path(sink).exists():
            return
        temporary = self.path(sink).with_suffix(".tmp")
        with temporary.open("wb", buffering=0) as file:
            self.write_durably(file, list(sink.rows.values()))
        temporary.replace(self.path(sink))
        self.sync_folder()

    def write_durably(self, file: FileIO, lines: list[str]) -> None:
        data = memoryview("".join(f"{line}\n" for line in lines).encode())
        while data:
            data = data[file.write(data) :]
        os.fsync(file.fileno())

    def sync_folder(self) -> None:
        folder = os.open(self.config["folder"], os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    # ---- states

    def drain_all(self) -> None:
        for sink in self.sinks.values():
            self.drain(sink)
        self.release()

    def release(self) -> None:
        """Let the waiting states out; everything before them is on disk."""
        for value in self.waiting:
            self.write_state(value)
        self.waiting = []

    def write_state(self, value: Any) -> None:
        line = self.encode_state(value).encode() + b"\n"
        while line:
            line = line[os.write(1, line) :]

    def encode_state(self, value: Any) -> str:
        return encode(value)

    def finish(self) -> None:
        """The end of the input."""
        self.drain_all()

    # ---- the command

    def log(self, level: str, text: str) -> None:
        print(level, text, file=sys.stderr, flush=True)

    def about(self) -> dict[str, Any]:
        names = ["about", "activate-version", "hard-delete", "validate-records"]
        return {"name": NAME, "version": VERSION, "capabilities": names, "settings": SETTINGS}

    def run(self, options: argparse.Namespace) -> None:
        if options.about:
            return print(json.dumps(self.about()))
        self.config = self.read_config(options.config)
        return self.consume(self.lines(sys.stdin.buffer))

    def failed(self, error: Exception) -> int:
        """Say what went wrong; the exit code."""
        self.log("CRITICAL", str(error) or type(error).__name__)
        return 1


def options_of(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(NAME, allow_abbrev=False)
    parser.add_argument("--config", "-c", help="JSON file of the settings")
    parser.add_argument("--about", action="store_true", help="print what this target can do, as JSON")
    parser.add_argument("--format", choices=["json"], help="the form of --about")
    parser.add_argument("--version", action="version", version=f"{NAME} {VERSION}")
    return parser.parse_args(arguments)


def main(target: Target, arguments: list[str]) -> int:
    try:
        target.run(options_of(arguments))
    except (Refusal, OSError) as error:
        return target.failed(error)
    return 0


if __name__ == "__main__":
    sys.exit(main(Target(), sys.argv[1:]))
