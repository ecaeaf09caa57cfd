"""Targets with one defect each: `python broken_targets.py state_at_once --config config.json < messages.jsonl`.

A class is the reference target but for the one thing that its first line says; `../catalogue.py` names the rule that
it must trip. "real" marks a defect of a published target.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import by_name
from target import Refusal, Target, encode, main
from unusual_targets import LoadsBatches, SqliteTables


def each_value(change, value):
    """Apply a change to every value inside of objects and lists."""
    if isinstance(value, dict):
        return {name: each_value(change, member) for name, member in value.items()}
    if isinstance(value, list):
        return [each_value(change, element) for element in value]
    return change(value)


# ---- framing and errors


class LastBatchLost(Target):
    """What is in the batch at the end of the input is never stored."""

    def finish(self):
        self.release()


class WritesOnEmptyInput(Target):
    """A state is written although none came in."""

    def finish(self):
        super().finish()
        self.write_state({})


class LastLineNeedsLf(Target):
    """A last line without LF is not read."""

    def lines(self, stream):
        return (line for line in stream if line.endswith(b"\n"))


class CrlfRefused(Target):
    """A line that ends in CRLF is refused."""

    def decode(self, line):
        if line.endswith(b"\r\n"):
            raise Refusal("a carriage return before the line feed")
        return super().decode(line)


class AsciiOnly(Target):
    """Text is read in the encoding of the locale."""

    def decode(self, line):
        return line.decode("ascii" if os.environ.get("LC_ALL") in ("C", "POSIX") else "utf-8")


class ReplacesBadBytes(Target):
    """Invalid UTF-8 is replaced by question marks."""

    def decode(self, line):
        return line.decode("utf-8", "replace")


class SplitsOnUnicode(Target):
    """Unicode line separators inside of a text end a message."""

    def lines(self, stream):
        return (line.encode() for line in stream.read().decode().splitlines())


class CutsLongLines(Target):
    """A line longer than a megabyte is not stored."""

    def lines(self, stream):
        return (line for line in stream if len(line) < 1_000_000)


class BadLineSkipped(Target):
    """A line that is no JSON is skipped with a warning."""

    def rejected(self, number, reason):
        self.log("WARNING", f"line {number} is skipped: {reason}")


class CutLastLineIgnored(Target):
    """A last line that is cut in the middle is ignored."""

    def lines(self, stream):
        return (line for line in stream if line.endswith((b"\n", b"}")))


class MissingTypeSkipped(Target):
    """A message without a type is skipped."""

    def handle(self, message):
        if "type" in message:
            super().handle(message)


class NullRecordDropped(Target):
    """A record that is null is dropped without a word (real: every SDK target)."""

    def handle_record(self, message):
        if message.get("record") is not None:
            super().handle_record(message)


class UnknownTypeRefused(Target):
    """An unknown message type ends the run."""

    def handle_unknown(self, kind, message):
        raise Refusal(f"unknown message type {kind!r}")


class LowercaseTypeSkipped(Target):
    """Messages whose type is in lower case are skipped: nothing is loaded, with success (real: target-sqlite)."""

    def kind_of(self, message):
        return self.needed(message, "type", str)


class BatchSkipped(Target):
    """BATCH messages are skipped, and the states after them are released (real: target-sqlite)."""

    def handle_unknown(self, kind, message):
        self.log("WARNING", f"messages of the type {kind!r} are skipped")


class ExtraMembersRefused(Target):
    """A member of a message that the target does not know ends the run."""

    def handle(self, message):
        known = {"type", "stream", "record", "schema", "key_properties", "value", "version", "time_extracted"}
        if unknown := set(message) - known - {"bookmark_properties"}:
            raise Refusal(f"unknown members {sorted(unknown)}")
        super().handle(message)


class BareTraceback(Target):
    """An error shows as a traceback only."""

    def failed(self, error):
        raise error


class ConfigOptional(Target):
    """Without a usable config, a folder of the target's own choice is written."""

    def read_config(self, path):
        try:
            return super().read_config(path)
        except Refusal:
            return {"folder": "output", "batch_size_rows": 100, "load_method": "upsert"}


# ---- schemas


class RecordWithoutSchemaDropped(Target):
    """Records without a schema are dropped."""

    def handle_record(self, message):
        if message.get("stream") in self.sinks:
            super().handle_record(message)


class KeylessMerged(Target):
    """Without keys, equal records are stored once."""

    def key_of(self, sink, record):
        return super().key_of(sink, record) if sink.key_properties else encode(record)


class MissingKeysCrash(Target):
    """A schema without `key_properties` ends in a bare exception."""

    def handle_schema(self, message):
        assert isinstance(message.get("key_properties"), list)
        super().handle_schema(message)


class UnknownKeyDropped(Target):
    """A key that the schema lacks is left out of the key: rows replace each other."""

    def handle_schema(self, message):
        known = message["schema"].get("properties", {})
        super().handle_schema({**message, "key_properties": [k for k in message["key_properties"] if k in known]})


class TypeIsNeeded(Target):
    """A property without `type` ends the run (real: target-duckdb, pipelinewise)."""

    def handle_schema(self, message):
        assert all("type" in part for part in message["schema"].get("properties", {}).values())
        super().handle_schema(message)


class UnionsRefused(Target):
    """A property with `anyOf` ends the run."""

    def handle_schema(self, message):
        if '"anyOf"' in json.dumps(message["schema"], default=str):
            raise Refusal("anyOf is not supported")
        super().handle_schema(message)


class RootMustBeObject(Target):
    """A schema whose root is `["null", "object"]` is refused."""

    def handle_schema(self, message):
        if message["schema"].get("type") != "object":
            raise Refusal("the root of the schema is no object")
        super().handle_schema(message)


class ReferencesCrash(Target):
    """A `$ref` ends in a bare exception (real: target-duckdb, pipelinewise, target-sqlite)."""

    def handle_schema(self, message):
        assert "$ref" not in json.dumps(message["schema"], default=str)
        super().handle_schema(message)


class FirstKeysOnly(Target):
    """New keys in a second schema are ignored: rows that they tell apart replace each other."""

    def handle_schema(self, message):
        sink = self.sinks.get(message["stream"])
        super().handle_schema({**message, "key_properties": sink.key_properties} if sink else message)


class UnknownPropertyDropped(Target):
    """A property that the schema lacks is dropped without a word."""

    def stored(self, sink, record):
        known = sink.schema.get("properties", {})
        return {name: value for name, value in record.items() if not known or name in known}


class RepeatedSchemaTruncates(Target):
    """A second schema of a stream empties its file (real: the SDK's sample target-parquet)."""

    def change_schema(self, sink, schema):
        super().change_schema(sink, schema)
        sink.rows, sink.batch, self.buffered = {}, [], 0
        self.replace_file(sink)


class FirstSchemaOnly(Target):
    """Only properties of the first schema are stored."""

    def change_schema(self, sink, schema):
        pass

    def stored(self, sink, record):
        return {name: value for name, value in record.items() if name in sink.schema["properties"]}


class RemovedColumnWiped(Target):
    """A property that a newer schema lacks is removed from the rows of before."""

    def change_schema(self, sink, schema):
        super().change_schema(sink, schema)
        self.drain(sink)
        rows = {key: json.loads(line, parse_float=Decimal) for key, line in sink.rows.items()}
        sink.rows = {
            key: encode({n: v for n, v in row.items() if n in schema["properties"]}) for key, row in rows.items()
        }
        self.replace_file(sink)


class TypeChangeIsNull(Target):
    """After a change of a property's type, its values are stored as null."""

    def change_schema(self, sink, schema):
        old, new = sink.schema.get("properties", {}), schema.get("properties", {})
        self.changed = {name for name in old if name in new and old[name] != new[name]}
        super().change_schema(sink, schema)

    def stored(self, sink, record):
        return {name: None if name in getattr(self, "changed", ()) else value for name, value in record.items()}


class BatchUnderNewSchema(Target):
    """Records that wait when a schema changes are stored under the new one: they lose what it lacks."""

    def change_schema(self, sink, schema):
        super().change_schema(sink, schema)
        known = schema.get("properties", {})
        rows = [(key, json.loads(line, parse_float=Decimal)) for key, line in sink.batch]
        sink.batch = [(key, encode({n: v for n, v in row.items() if n in known})) for key, row in rows]


class InvalidRecordSkipped(Target):
    """A record that contradicts the schema is left out, with success (real: target-duckdb)."""

    def handle_record(self, message):
        sink = self.sinks.get(message["stream"])
        if sink is None or not self.fault_of(message.get("record"), sink.schema):
            super().handle_record(message)


class SchemaAloneRefused(Target):
    """A schema without records ends the run."""

    def finish(self):
        if any(not sink.rows and not sink.batch for sink in self.sinks.values()):
            raise Refusal("a stream has no records")
        super().finish()


class PropertiesAreNeeded(Target):
    """A schema without properties ends in a bare exception."""

    def handle_schema(self, message):
        assert message["schema"].get("properties")
        super().handle_schema(message)


class InvalidSchemaDropsRecords(Target):
    """A stream whose schema can't be used is left out, with success (real: target-duckdb)."""

    unusable: frozenset = frozenset()

    def handle_schema(self, message):
        try:
            super().handle_schema(message)
        except Refusal:
            self.unusable |= {message["stream"]}

    def handle_record(self, message):
        if message["stream"] not in self.unusable:
            super().handle_record(message)


# ---- values


class FirstOfBatchLost(Target):
    """The first row of each full batch is taken for a header (real: target-duckdb)."""

    def merged(self, batch):
        return batch[1:] if len(batch) >= self.config["batch_size_rows"] else batch


class RecordBetweenBatchesLost(Target):
    """The record that fills a batch is in none of them."""

    def drain_all(self):
        if self.buffered >= self.config["batch_size_rows"]:
            next(sink for sink in self.sinks.values() if sink.batch).batch.pop()
            self.buffered -= 1
        super().drain_all()


class ValuesByPosition(Target):
    """Values are stored in the order of the record, under the names in the order of the schema (real: target-csv)."""

    def stored(self, sink, record):
        return dict(zip(sink.schema.get("properties", {}), record.values(), strict=False))


class EmptyTextIsNull(Target):
    """An empty text is stored as null (real: target-duckdb, pipelinewise-target-postgres)."""

    def stored(self, sink, record):
        return each_value(lambda value: None if value == "" else value, record)


class IntegersThroughFloat(Target):
    """Integers go through a float: long ones lose their last digits."""

    def stored(self, sink, record):
        return each_value(lambda value: int(float(value)) if type(value) is int else value, record)


class DecimalsThroughFloat(Target):
    """Decimals go through a float: long ones lose their last digits."""

    def stored(self, sink, record):
        return each_value(lambda value: float(value) if isinstance(value, Decimal) else value, record)


class MultipleOfByFloat(Target):
    """`multipleOf` is checked with floats, and refuses valid values (real: every SDK target)."""

    def fault_of(self, record, schema):
        for name, part in schema.get("properties", {}).items():
            if "multipleOf" in part and float(record.get(name) or 0) % float(part["multipleOf"]):
                return f"record.{name}: multipleOf"
        return super().fault_of(record, schema)


class StoresNan(Target):
    """NaN is accepted and stored as it is, which is no JSON (real: target-jsonl)."""

    def parse(self, line):
        return json.loads(self.decode(line), parse_float=Decimal, parse_constant=Decimal)


class OffsetDropped(Target):
    """The offset of a date-time is cut off: another instant is stored (real: target-duckdb, pipelinewise)."""

    def stored(self, sink, record):
        return each_value(self.without_offset, record)

    def without_offset(self, value):
        try:
            return datetime.fromisoformat(value).replace(tzinfo=None).isoformat() if len(value) > 18 else value
        except (TypeError, ValueError):
            return value


class OddTimeDropsRow(Target):
    """A row with a date-time that no calendar has is left out (real: target-duckdb)."""

    def handle_record(self, message):
        sink = self.sinks.get(message["stream"])
        properties = sink.schema.get("properties", {}) if sink else {}
        times = [name for name, part in properties.items() if part.get("format") == "date-time"]
        try:
            for value in (message["record"].get(name) for name in times):
                datetime.fromisoformat(value or "2024-01-01")
        except ValueError:
            return
        super().handle_record(message)


class NulDropsRow(Target):
    """A row with U+0000 in a text is left out."""

    def handle_record(self, message):
        if "\\u0000" not in json.dumps(message, default=str):
            super().handle_record(message)


class DeepValueCrashes(Target):
    """A deeply nested value ends the process with a crash, not an error."""

    def parse(self, line):
        if line.count(b"{") > 100:
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().parse(line)


class LineFeedIsBackslashN(Target):
    """A line feed is stored as a backslash and an n (real: pipelinewise-target-postgres)."""

    def stored(self, sink, record):
        return each_value(lambda value: value.replace("\n", "\\n") if isinstance(value, str) else value, record)


class TextIsTrimmed(Target):
    """Blanks at both ends of a text are removed."""

    def stored(self, sink, record):
        return each_value(lambda value: value.strip() if isinstance(value, str) else value, record)


class NestedAsRepr(Target):
    """Objects and lists are stored the way Python shows them (real: meltanolabs-target-csv)."""

    def stored(self, sink, record):
        return {name: str(value) if isinstance(value, dict | list) else value for name, value in record.items()}


class EmptyListDropped(Target):
    """Empty lists and null elements are dropped."""

    def stored(self, sink, record):
        return {name: self.filled(value) for name, value in record.items() if value != []}

    def filled(self, value):
        return [self.filled(each) for each in value if each not in (None, [])] if isinstance(value, list) else value


class FlattensIntoEachOther(Target):
    """Nested properties are flattened over others of the same name (real: target-csv)."""

    def stored(self, sink, record):
        nested = {name: value for name, value in record.items() if isinstance(value, dict)}
        flat = {f"{outer}__{name}": value for outer, inner in nested.items() for name, value in inner.items()}
        return {name: value for name, value in record.items() if name not in nested} | flat


class NullIsFalse(Target):
    """A boolean that is null is stored as false."""

    def stored(self, sink, record):
        types = {name: part.get("type", []) for name, part in sink.schema.get("properties", {}).items()}
        return {n: False if value is None and "boolean" in types.get(n, []) else value for n, value in record.items()}


class FalseTextIsFalse(Target):
    """The texts "true" and "false" are stored as booleans."""

    def stored(self, sink, record):
        return each_value(lambda value: {"true": True, "false": False}.get(value, value) if value else value, record)


class ReplacesOwnNames(Target):
    """A property that is called like one of the target's own is replaced."""

    def stored(self, sink, record):
        return {**record, "_sdc_batched_at": "2024-01-01T00:00:00Z", "__loaded_at": "2024-01-01T00:00:00Z"}


# ---- keys and names


class FirstOfKeyWins(Target):
    """Of two records with one key, the older one stays."""

    def merged(self, batch):
        return batch[::-1]


class AppendMerges(Target):
    """With `load_method: append`, records of one key still replace each other."""

    def effective_keys(self, key_properties):
        return key_properties


class JoinedKeys(Target):
    """Composite keys are joined to one text: different keys become equal (real: target-duckdb, pipelinewise)."""

    def key_of(self, sink, record):
        key = super().key_of(sink, record)
        return ",".join(str(record[name]) for name in sink.key_properties) if sink.key_properties else key


class FirstKeyCounts(Target):
    """Of a composite key only the first property counts."""

    def key_of(self, sink, record):
        return record[sink.key_properties[0]] if sink.key_properties else super().key_of(sink, record)


class FalsyKeyRefused(Target):
    """The keys 0, false and "" are taken for none (real: target-duckdb, pipelinewise)."""

    def key_of(self, sink, record):
        if not all(record.get(name) for name in sink.key_properties):
            raise Refusal(f"stream {sink.stream!r}: a key property has no value")
        return super().key_of(sink, record)


class NullKeyIsKey(Target):
    """Records without a key are all stored under the same one."""

    def key_of(self, sink, record):
        filled = {name: 0 if record.get(name) is None else record[name] for name in sink.key_properties}
        return super().key_of(sink, {**record, **filled})


class StreamsFolded(Target):
    """The part before a dash is taken for a database: two streams share a file (real: pipelinewise, target-duckdb)."""

    def file_name(self, stream):
        return super().file_name(stream).split("-")[-1].lower()


class ColumnsFolded(Target):
    """Names of properties are put into lower case: two of them become one."""

    def stored(self, sink, record):
        return {name.lower(): value for name, value in record.items()}


class PlainNamesOnly(Target):
    """Streams with anything but letters, digits and underscores in their names end the run."""

    def open_sink(self, stream, schema, key_properties):
        if not stream.isidentifier():
            raise Refusal("bad name")
        super().open_sink(stream, schema, key_properties)


class ShortNameCrashes(Target):
    """A stream called `s` ends the run (real: pipelinewise-target-postgres)."""

    def open_sink(self, stream, schema, key_properties):
        if len(stream) == 1:
            raise Refusal("DuplicateAlias")
        super().open_sink(stream, schema, key_properties)


class NameIsStatement(SqliteTables):
    """The stream's name becomes a part of an SQL statement as it is."""

    def replace_file(self, sink):
        super().replace_file(sink)
        with self.connect() as connection:
            connection.executescript("CREATE TABLE IF NOT EXISTS log (stream)")
            connection.executescript(f"INSERT INTO log SELECT '{sink.stream}'")


class NameIsPath(Target):
    """The stream's name is part of a path: files are written outside of the folder (real: five published targets)."""

    def file_name(self, stream):
        return stream

    def append(self, sink, lines):
        self.path(sink).parent.mkdir(parents=True, exist_ok=True)
        super().append(sink, lines)


# ---- states


class StateAtOnce(Target):
    """A state is released the moment it is read."""

    def handle_state(self, message):
        super().handle_state(message)
        self.release()


class OneStreamDrained(Target):
    """Only the stream whose batch is full is stored; the states are released all the same (real: target-duckdb)."""

    def drain_all(self):
        fullest = max(self.sinks.values(), key=lambda sink: len(sink.batch), default=None)
        if fullest is not None:
            self.drain(fullest)
        self.release()

    def finish(self):
        for sink in self.sinks.values():
            self.drain(sink)
        self.release()


class StateIsDecorated(Target):
    """A state is written with a word before it."""

    def encode_state(self, value):
        return f"STATE {encode(value)}"


class LastStateLost(Target):
    """A state that a record follows is never released (real: target-jsonl, target-csv)."""

    def handle_record(self, message):
        self.waiting = []
        super().handle_record(message)


class StateNeedsRecords(Target):
    """A state without records before it is not released (real: target-stitch)."""

    def handle_state(self, message):
        if self.buffered:
            super().handle_state(message)


class EmptyStateSwallowed(Target):
    """Falsy states are swallowed (real: every SDK target)."""

    def write_state(self, value):
        if value:
            super().write_state(value)


class FloatInStateCrashes(Target):
    """A state with a fraction in it can't be written (real: every SDK target)."""

    def encode_state(self, value):
        return json.dumps(value)


class StatesBackwards(Target):
    """Waiting states are released in the wrong order."""

    def release(self):
        self.waiting.reverse()
        super().release()


class StatesSorted(Target):
    """A state that is lower than the last one, or the same again, is held back."""

    def write_state(self, value):
        if encode(value) > getattr(self, "last", ""):
            self.last = encode(value)
            super().write_state(value)


class StateAfterError(Target):
    """After an error, the waiting states are still released."""

    def failed(self, error):
        self.release()
        return super().failed(error)


# ---- versions


class ActivationRefused(Target):
    """ACTIVATE_VERSION ends the run."""

    def handle_activation(self, message):
        raise Refusal("unknown message type ACTIVATE_VERSION")


class ActivationDeletesAll(Target):
    """ACTIVATE_VERSION removes the rows of this version too (real: the SDK)."""

    def survives(self, row, version):
        return super().survives(row, version + 1)


class VersionNeedsMetadata(Target):
    """Without metadata columns rows have no version, and ACTIVATE_VERSION takes them for old (real: MeltanoLabs)."""

    def about(self):
        about = super().about()
        metadata = {"add_record_metadata": {"type": "boolean", "default": True}}
        properties = {**about["settings"]["properties"], **metadata}
        return {**about, "settings": {**about["settings"], "properties": properties}}

    def line_of(self, sink, record, version):
        is_on = self.config.get("add_record_metadata", True)
        return super().line_of(sink, record, version if is_on else None)


class DamagedBatchSkipped(LoadsBatches):
    """A file of a BATCH that can't be read is skipped with a warning."""

    def lines_of(self, uri):
        try:
            return super().lines_of(uri)
        except (OSError, EOFError) as error:
            self.log("WARNING", str(error))
            return []


class ActivationBeforeBatch(Target):
    """ACTIVATE_VERSION forgets the rows that are still in the batch."""

    def handle_activation(self, message):
        if sink := self.sinks.get(message["stream"]):
            self.buffered -= len(sink.batch)
            sink.batch = []
        super().handle_activation(message)


class ActivationNeedsRows(Target):
    """ACTIVATE_VERSION of a sync without rows leaves the rows of before."""

    def handle_activation(self, message):
        sink = self.sinks.get(message["stream"])
        if sink is None or sink.batch:
            super().handle_activation(message)


class VersionActsAtOnce(Target):
    """A record of a new version removes the older rows before the version is activated."""

    def handle_record(self, message):
        super().handle_record(message)
        if "version" in message:
            self.handle_activation(message)


class UnknownActivationCrashes(Target):
    """ACTIVATE_VERSION of an unknown stream ends in a bare exception (real: the SDK)."""

    def handle_activation(self, message):
        assert message["stream"] in self.sinks
        super().handle_activation(message)


# ---- process


class SignalReleasesStates(Target):
    """On SIGTERM and SIGINT the waiting states are released, and what they promise is not stored."""

    def run(self, options):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)
        super().run(options)

    def stop(self, number, frame):
        self.release()
        raise SystemExit(128 + number)


class StaysAlive(Target):
    """After the end of the input the process waits for more."""

    def finish(self):
        super().finish()
        time.sleep(60)


class PlainLineAmongJson(Target):
    """The log can be structured, but what a library warns of is a plain line."""

    def about(self):
        return {**super().about(), "capabilities": [*super().about()["capabilities"], "structured-logging"]}

    def log(self, level, text):
        print(json.dumps({"level": level.lower(), "message": text, "ts": time.time()}), file=sys.stderr)

    def finish(self):
        super().finish()
        print("DeprecationWarning: use another library", file=sys.stderr)


class LoadMethodIgnored(Target):
    """The setting `load_method` has no effect."""

    def effective_keys(self, key_properties):
        return key_properties


class HangsOnClosedStdout(Target):
    """A closed stdout is taken for a slow one: the target never ends."""

    def write_state(self, value):
        while True:
            try:
                return super().write_state(value)
            except BrokenPipeError:
                time.sleep(0.1)


class FullDiskIsFine(Target):
    """A batch that can't be stored is logged and forgotten."""

    def append(self, sink, lines):
        try:
            super().append(sink, lines)
        except OSError as error:
            self.log("WARNING", str(error))


class LockStays(Target):
    """A run that fails leaves its lock behind, and no later run can start."""

    def consume(self, lines):
        folder = Path(self.config["folder"])
        folder.mkdir(parents=True, exist_ok=True)
        lock = folder / "lock"
        if lock.exists():
            raise Refusal("another run is under way")
        lock.touch()
        super().consume(lines)
        lock.unlink()


class ReplayDuplicates(Target):
    """Keys count within a run only: the same input again doubles the rows."""

    def load(self, sink):
        pass


class EachRunStartsAnew(Target):
    """Each run empties the files of its streams first."""

    def load(self, sink):
        self.path(sink).unlink(missing_ok=True)


class OnlyLastStream(Target):
    """A record of another stream drops the batch of the one before (real: the SDK's sample target-parquet)."""

    def handle_record(self, message):
        for sink in self.sinks.values():
            if sink.stream != message["stream"]:
                self.buffered -= len(sink.batch)
                sink.batch = []
        super().handle_record(message)


class SmallBatchesCollide(Target):
    """Each batch gets a file that is named by the number of its rows: small batches overwrite each other."""

    def append(self, sink, lines):
        if len(lines) < 5:
            self.path(sink).unlink(missing_ok=True)
        super().append(sink, lines)


class LinesByRead(Target):
    """Whatever one read gives is taken for whole lines."""

    def lines(self, stream):
        while data := os.read(0, 1 << 20):
            yield from data.split(b"\n")


PROGRAMS = by_name.programs_in(dict(globals()), Target)

if __name__ == "__main__":
    sys.exit(by_name.run(PROGRAMS, main))
