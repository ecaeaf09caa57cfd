"""Taps with one defect each: `python broken_taps.py log_on_stdout --config config.json`.

A class is the reference tap but for the one thing that its first line says; `../catalogue.py` names the rule that it
must trip. "real" marks a defect of a published tap.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import by_name
from tap import Refusal, Tap, instant, main, parser_of

SOURCE = str(Path(__file__).parent / "source")


# ---- framing and process


class LogOnStdout(Tap):
    """Log lines go to stdout, between the messages."""

    def log(self, level, text):
        self.write(f"{level} {text}")


class PrettyPrinted(Tap):
    """A message takes several lines."""

    def encode(self, message):
        return json.dumps(message, indent=2, default=float)


class UntypedRecords(Tap):
    """Records have no `type`."""

    def record_message(self, stream, row):
        message = super().record_message(stream, row)
        del message["type"]
        return message


class NanToken(Tap):
    """A number is written as NaN, which is not JSON."""

    def encode(self, message):
        return super().encode(message).replace(": 1.7", ": NaN")


class BlankLines(Tap):
    """There is a blank line after each message: most targets end there."""

    def write(self, text):
        super().write(f"{text}\n")


class DuplicateName(Tap):
    """An object has a name twice: the first value is lost."""

    def encode(self, message):
        return super().encode(message).replace('{"id": ', '{"id": 0, "id": ')


class AlwaysSucceeds(Tap):
    """The exit code is 0 whatever happened."""

    def failed(self, error):
        super().failed(error)
        return 0


class FailedStreamSkipped(Tap):
    """A stream that fails is left out, and the run counts as a success."""

    def sync_stream(self, stream):
        try:
            super().sync_stream(stream)
        except Refusal as error:
            self.log("ERROR", str(error))


class HalfALine(Tap):
    """A failure leaves half a message behind."""

    def failed(self, error):
        os.write(1, b'{"type": "STATE", "val')
        return super().failed(error)


class ErrorsAreInfo(Tap):
    """What ended the run is logged as one line among others."""

    def failed(self, error):
        self.log("INFO", str(error))
        return 1


class SecretInLog(Tap):
    """The log shows all settings, the password too."""

    def read_config(self, path):
        config = super().read_config(path)
        self.log("INFO", f"running with {config}")
        return config


class WaitsForReader(Tap):
    """A closed stdout is taken for a slow one: the tap never ends."""

    def write(self, text):
        time.sleep(0.005)  # as slow as an API: the reader has gone before the last message
        while True:
            try:
                return super().write(text)
            except BrokenPipeError:
                time.sleep(0.1)


class LosesARandomRow(Tap):
    """Each run misses another row."""

    def rows_to_send(self, stream):
        rows = super().rows_to_send(stream)
        rows.pop(random.randrange(len(rows)))
        return rows


class LocalTimeAsUtc(Tap):
    """Times are those of the machine's time zone, marked as UTC."""

    def rows(self, stream):
        rows = super().rows(stream)
        for row in rows:
            if row.get("updated_at"):
                local = datetime.fromtimestamp(instant(row["updated_at"]).timestamp())
                row["updated_at"] = f"{local.isoformat()}Z"
        return rows


class AsksOnStdin(Tap):
    """The tap wants a word from the keyboard before it starts."""

    def sync(self):
        if sys.stdin.readline().strip() != "yes":
            raise Refusal("not confirmed")
        super().sync()


class LeavesCache(Tap):
    """The tap leaves a file behind, in the folder where it happens to run."""

    def sync_stream(self, stream):
        super().sync_stream(stream)
        Path("tap-cache.json").write_text(json.dumps(self.state))


class EmptiesConfig(Tap):
    """The config file is overwritten, and nothing is left in it."""

    def read_config(self, path):
        config = super().read_config(path)
        Path(path).write_text("{}")
        return config


# ---- shapes of messages


class RecordIsList(Tap):
    """A record is a list of values instead of an object."""

    def record_message(self, stream, row):
        message = super().record_message(stream, row)
        return {**message, "record": list(message["record"].values())}


class UnnamedStream(Tap):
    """Records name no stream."""

    def record_message(self, stream, row):
        return {**super().record_message(stream, row), "stream": ""}


class ExtractedYesterday(Tap):
    """`time_extracted` is no date-time."""

    def now(self):
        return "yesterday"


class VersionIsText(Tap):
    """The version of a record is a text."""

    def record_message(self, stream, row):
        message = super().record_message(stream, row)
        return {**message, "version": str(message.get("version", 1))}


class UnknownJsonType(Tap):
    """The schema has a type that JSON Schema does not know."""

    def schema_message(self, stream):
        message = super().schema_message(stream)
        return {**message, "schema": {**message["schema"], "type": "objct"}}


class ActivatesText(Tap):
    """The version in ACTIVATE_VERSION is a text."""

    def activate(self, stream):
        if stream.name in self.versions:
            self.send({"type": "ACTIVATE_VERSION", "stream": stream.name, "version": str(self.versions[stream.name])})


class BatchWithoutFile(Tap):
    """A BATCH names a file that is not there."""

    def send_page(self, stream, page):
        super().send_page(stream, page)
        manifest = ["file:///nowhere/batch-1.jsonl.gz"]
        encoding = {"format": "jsonl", "compression": "gzip"}
        self.send({"type": "BATCH", "stream": stream.name, "encoding": encoding, "manifest": manifest})


class KeyPropertiesIsText(Tap):
    """`key_properties` is a text instead of a list (real: tap-postgres, the SDK)."""

    def schema_message(self, stream):
        return {**super().schema_message(stream), "key_properties": stream.key_properties[0]}


class KeyOutsideSchema(Tap):
    """A key property is not in the schema."""

    def schema_message(self, stream):
        return {**super().schema_message(stream), "key_properties": [*stream.key_properties, "uuid"]}


class KeyNamedTwice(Tap):
    """`key_properties` names a property twice."""

    def schema_message(self, stream):
        return {**super().schema_message(stream), "key_properties": stream.key_properties * 2}


class UnknownBookmarkProperty(Tap):
    """`bookmark_properties` names a property that is not in the schema."""

    def schema_message(self, stream):
        return {**super().schema_message(stream), "bookmark_properties": ["modified"]}


class StateWithoutValue(Tap):
    """The state is under another name than `value`."""

    def state_message(self):
        return {"type": "STATE", "state": self.state}


class StateIsList(Tap):
    """The state's value is a list."""

    def state_message(self):
        return {"type": "STATE", "value": [self.state]}

    def read_json(self, path):
        value = super().read_json(path)
        return value[0] if isinstance(value, list) and value and "bookmarks" in value[0] else value


class BookmarkOfNoStream(Tap):
    """The state has a bookmark of something that is no stream of the catalog."""

    def state_message(self):
        self.keep(self.streams[0]._replace(name="_session"), pages=7)
        return super().state_message()


class LowercaseTypes(Tap):
    """The types of the messages are in lower case, which hardly any target understands."""

    def send(self, message):
        super().send({**message, "type": message["type"].lower()})


# ---- schemas and records


class LateRecordBeforeSchema(Tap):
    """The last stream begins with a record, before its schema."""

    def send_schema(self, stream):
        if stream.name == "order_lines":
            self.send_record(stream, self.rows(stream)[0])
        super().send_schema(stream)


class CountIsText(Tap):
    """An integer is sent as a text."""

    def rows(self, stream):
        return [{**row, "count": str(row["count"])} if "count" in row else row for row in super().rows(stream)]


class UndeclaredProperty(Tap):
    """Records have a property that their schema does not have."""

    def record_message(self, stream, row):
        message = super().record_message(stream, row)
        return {**message, "record": {**message["record"], "internal": 1}}


class ZeroKeyIsNull(Tap):
    """The key 0 is taken for none: a record without a key."""

    def rows(self, stream):
        return [{**row, "id": row["id"] or None} if "id" in row else row for row in super().rows(stream)]


class PageBoundaryTwice(Tap):
    """Pages overlap by one row, so that a full table has rows twice."""

    def pages(self, rows):
        return [rows[start : start + self.page_size + 1] for start in range(0, len(rows), self.page_size)]


class NaiveTimeInUnion(Tap):
    """A date-time deep inside, in a union in an array, has no offset."""

    def rows(self, stream):
        rows = super().rows(stream)
        for visit in (visit for row in rows for visit in row.get("visits", []) if visit):
            visit["at"] = visit["at"][:19]
        return rows


class OpenReference(Tap):
    """A schema has a `$ref` (real: pipelinewise-tap-postgres)."""

    def schema_message(self, stream):
        message = super().schema_message(stream)
        properties = {name: {"$ref": f"#/definitions/{name}"} for name in message["schema"]["properties"]}
        definitions = message["schema"]["properties"]
        return {**message, "schema": {**message["schema"], "properties": properties, "definitions": definitions}}


class RoundedNumbers(Tap):
    """Numbers go through a float on their way: long ones lose their last digits."""

    def read_json(self, path):
        super().read_json(path)  # refuses what is no JSON
        return json.loads(Path(path).read_bytes(), parse_float=float, parse_int=lambda text: int(float(text)))


class NarrowsSchema(Tap):
    """A second schema has lost a property that the records still have."""

    def send_page(self, stream, page):
        super().send_page(stream, page)
        message = self.schema_message(stream)
        message["schema"]["properties"].pop("name", None)
        self.send(message)


class EmptyStream(Tap):
    """A stream that has rows sends none."""

    def rows(self, stream):
        return [] if stream.name == "facts" else super().rows(stream)


class EmptyTextIsNull(Tap):
    """An empty text is sent as null."""

    def record_message(self, stream, row):
        return super().record_message(stream, {name: None if value == "" else value for name, value in row.items()})


# ---- states


class NoStates(Tap):
    """No state is ever written: each run reads everything."""

    def send_state(self):
        pass


class RefusesOwnState(Tap):
    """A state from the middle of a run is refused as the beginning of the next."""

    def read_state(self, path):
        state = super().read_state(path)
        if "currently_syncing" in state:
            raise Refusal("the state is that of an unfinished run")
        return state


class StateBeforeRecords(Tap):
    """The state of a page is written before its records."""

    def send_page(self, stream, page):
        for row in page:
            self.advance(stream, row)
        self.send_state()
        for row in page:
            self.send_record(stream, row)


class StatesOvertakeRecords(Tap):
    """Records wait in a buffer, and states pass them."""

    waiting: tuple = ()

    def send_record(self, stream, row):
        self.waiting += (self.record_message(stream, row),)
        if len(self.waiting) > 4:
            self.finish_stream()

    def finish_stream(self):
        for message in self.waiting:
            self.send(message)
        self.waiting = ()

    def end_version(self, stream):
        self.finish_stream()
        super().end_version(stream)


class BookmarkAsText(Tap):
    """Bookmarks are compared as text, with another precision than the rows (real: the SDK's sample tap-sqlite)."""

    def keep_bookmark(self, stream, value):
        super().keep_bookmark(stream, instant(value).astimezone(UTC).isoformat(timespec="microseconds"))

    def is_new(self, stream, row):
        value, bookmark = row[stream.replication_key], self.bookmark_value(stream)
        return bookmark is None or (value is not None and f"{instant(value).astimezone(UTC):%FT%T}" >= bookmark)


class BookmarkOfUnsorted(Tap):
    """The rows come in any order, and the bookmark is the newest seen so far: it passes rows not sent yet."""

    def ordered(self, stream, rows):
        return rows

    def keep_bookmark(self, stream, value):
        super().keep_bookmark(stream, max(value, self.bookmark_value(stream) or value, key=instant))


class StrictlyNewer(Tap):
    """Only rows newer than the bookmark are read: another row with the same time is never seen."""

    def is_new(self, stream, row):
        bookmark = self.bookmark_value(stream)
        return super().is_new(stream, row) and (bookmark is None or row[stream.replication_key] != bookmark)


class OnlyNewKeys(Tap):
    """The bookmark is the largest key: a change of an old row is never seen."""

    def ordered(self, stream, rows):
        return sorted(rows, key=lambda row: row["id"])

    def is_new(self, stream, row):
        return row["id"] >= self.bookmark_of(stream).get("last_id", 0)

    def advance(self, stream, row):
        if stream.replication_key:
            self.keep(stream, last_id=row["id"])


class DropsRowsWithoutTime(Tap):
    """Rows whose replication key is null are never sent."""

    def is_new(self, stream, row):
        return row[stream.replication_key] is not None and super().is_new(stream, row)


class NullPoisonsBookmark(Tap):
    """A row without a time comes last and takes the bookmark away: the next run reads everything again."""

    def ordered(self, stream, rows):
        return sorted(super().ordered(stream, rows), key=lambda row: row[stream.replication_key] is None)

    def advance(self, stream, row):
        if stream.replication_key:
            self.keep_bookmark(stream, row[stream.replication_key])


class NeverIncremental(Tap):
    """The bookmark is written but not used: each run reads everything."""

    def is_new(self, stream, row):
        return True


class SkipsStreamsBefore(Tap):
    """After an interruption, the streams before the interrupted one are skipped (real: tap-mambu)."""

    def in_order(self, selected):
        names = [stream.name for stream in selected]
        current = self.state.get("currently_syncing")
        return selected[names.index(current) :] if current in names else selected


class ForgetsOtherBookmarks(Tap):
    """The state has only the streams selected in this run: the bookmarks of the others are lost."""

    def state_message(self):
        names = {stream.name for stream in self.streams if self.includes_stream(stream)}
        kept = {name: bookmark for name, bookmark in self.state["bookmarks"].items() if name in names}
        return {"type": "STATE", "value": {**self.state, "bookmarks": kept}}


class RefusesUnknownBookmark(Tap):
    """A bookmark of a stream that the tap does not have ends the run."""

    def read_state(self, path):
        state = super().read_state(path)
        known = {stream.name: stream for stream in self.streams}
        for name in state["bookmarks"]:
            self.log("INFO", f"resuming {known[name].name}")
        return state


class StateByItsSpelling(Tap):
    """A state is understood only if it is spelled the way the tap writes it."""

    def read_state(self, path):
        if path and not Path(path).read_text().replace(" ", "").startswith('{"bookmarks"'):
            raise Refusal("the state does not begin with its bookmarks")
        return super().read_state(path)


class RemembersByItself(Tap):
    """The last state is kept beside the source, and used if none is given: a full sync becomes impossible."""

    def read_state(self, path):
        kept = Path(self.config["source"]) / "last_state.json"
        return super().read_state(path or (str(kept) if kept.exists() else None))

    def finish(self):
        super().finish()
        (Path(self.config["source"]) / "last_state.json").write_text(json.dumps(self.state))


class StateGrows(Tap):
    """The state lists every row that was ever sent."""

    def advance(self, stream, row):
        super().advance(stream, row)
        seen = self.bookmark_of(stream).get("seen", [])
        self.keep(stream, seen=[*seen, f"{stream.name}:{row[stream.key_properties[0]]}:{'0' * 1000}"])


class IgnoresStartDate(Tap):
    """`start_date` is accepted and not used."""

    def read_config(self, path):
        config = super().read_config(path)
        config.pop("start_date", None)
        return config


class LeavesMarker(Tap):
    """The final state still says that a stream is in progress."""

    def finish(self):
        self.send_state()


class BadStateIsNone(Tap):
    """A state file that can't be read is taken for no state: a full sync, without a word."""

    def read_state(self, path):
        try:
            return super().read_state(path)
        except Refusal:
            return {"bookmarks": {}}


class OffsetPassesRows(Tap):
    """A full table is resumed at an offset that is ahead of what was sent."""

    def rows_to_send(self, stream):
        rows = super().rows_to_send(stream)
        return rows if stream.replication_key else rows[self.bookmark_of(stream).get("offset", 0) :]

    def send_page(self, stream, page):
        if not stream.replication_key:
            self.keep(stream, offset=self.bookmark_of(stream).get("offset", 0) + 2 * self.page_size)
        super().send_page(stream, page)

    def end_version(self, stream):
        self.keep(stream, offset=0)


class CountsRowsTwice(Tap):
    """A full table goes on where it broke off, but the states of that run count the rows before it twice."""

    page_size = 1

    def rows_to_send(self, stream):
        rows = super().rows_to_send(stream)
        return rows if stream.replication_key else rows[self.bookmark_of(stream).get("offset", 0) :]

    def sync_stream(self, stream):
        self.begun_at = self.sent = self.bookmark_of(stream).get("offset", 0)
        super().sync_stream(stream)

    def send_page(self, stream, page):
        if not stream.replication_key:
            self.sent += len(page)
            self.keep(stream, offset=self.begun_at + self.sent)
        super().send_page(stream, page)

    def end_version(self, stream):
        self.keep(stream, offset=0)


class TrustsOldMarker(Tap):
    """The newest time that an interrupted run saw becomes the bookmark when the next run begins, not when it ends."""

    def ordered(self, stream, rows):
        return rows

    def keep_bookmark(self, stream, value):
        marker = self.bookmark_of(stream).get("marker")
        self.keep(stream, marker=value if marker is None else max(value, marker, key=instant))

    def rows_to_send(self, stream):
        rows = super().rows_to_send(stream)
        self.promote(stream)
        return rows

    def end_version(self, stream):
        self.promote(stream)

    def promote(self, stream):
        if "marker" in self.bookmark_of(stream):
            super().keep_bookmark(stream, self.bookmark_of(stream)["marker"])


class ActivatesTooEarly(Tap):
    """Every sync activates its version before the records are there: until then the table is empty."""

    def begin_version(self, stream):
        self.activate(stream)


class NeverActivates(Tap):
    """Records have a version, but no sync ends with its activation: deleted rows stay forever."""

    def end_version(self, stream):
        self.versions.pop(stream.name, None)


# ---- discovery


class DiscoveryWithLog(Tap):
    """The catalog on stdout has a log line before it."""

    def discover(self):
        self.write("INFO looking for streams")
        return super().discover()


class CatalogIsList(Tap):
    """The catalog is a list of streams."""

    def discover(self):
        return super().discover()["streams"]


class EntryWithoutStream(Tap):
    """Catalog entries lack `stream`."""

    def entry(self, stream):
        entry = super().entry(stream)
        del entry["stream"]
        return entry


class SharedStreamId(Tap):
    """Two streams have the same `tap_stream_id`."""

    def entry(self, stream):
        return {**super().entry(stream), "tap_stream_id": stream.file}


class InvalidDiscoveredSchema(Tap):
    """The catalog has a schema that is no JSON Schema."""

    def discover(self):
        catalog = super().discover()
        for entry in catalog["streams"]:
            entry["schema"] = {"type": "object", "properties": list(entry["schema"]["properties"])}
        return catalog


class MetadataIsObject(Tap):
    """The metadata is an object instead of a list."""

    def discover(self):
        catalog = super().discover()
        for entry in catalog["streams"]:
            entry["metadata"] = {"/".join(item["breadcrumb"]): item["metadata"] for item in entry["metadata"]}
        return catalog


class BreadcrumbToNowhere(Tap):
    """The metadata has a breadcrumb of a property that does not exist."""

    def metadata(self, stream):
        ghost = {"breadcrumb": ["properties", "ghost"], "metadata": {"inclusion": "available"}}
        return [*super().metadata(stream), ghost]


class SelectsInDiscovery(Tap):
    """Discovery writes `selected`, which is the user's to write."""

    def metadata(self, stream):
        root, *fields = super().metadata(stream)
        return [{**root, "metadata": {**root["metadata"], "selected": True}}, *fields]


class NoInclusion(Tap):
    """Properties have no `inclusion`."""

    def metadata(self, stream):
        return super().metadata(stream)[:1]


class KeysAreOptional(Tap):
    """Key properties are offered for deselection."""

    def metadata(self, stream):
        items = super().metadata(stream)
        for item in items[1:]:
            item["metadata"] = {"inclusion": item["metadata"]["inclusion"].replace("automatic", "available")}
        return items


class UnknownTableKey(Tap):
    """`table-key-properties` names a property that does not exist."""

    def metadata(self, stream):
        root, *fields = super().metadata(stream)
        return [{**root, "metadata": {**root["metadata"], "table-key-properties": ["uuid"]}}, *fields]


class UnknownForcedMethod(Tap):
    """`forced-replication-method` is none of the replication methods."""

    def metadata(self, stream):
        root, *fields = super().metadata(stream)
        return [{**root, "metadata": {**root["metadata"], "forced-replication-method": "SNAPSHOT"}}, *fields]


class DiscoveryChanges(Tap):
    """Two discoveries of the same source differ."""

    def entry(self, stream):
        return {**super().entry(stream), "row_count": random.randrange(10**9)}


class RefusesOwnCatalog(Tap):
    """The catalog that the tap wrote is not the catalog that it takes."""

    def read_catalog(self, path):
        catalog = super().read_catalog(path)
        if not all("replication_method" in entry for entry in catalog.values()):
            raise Refusal("each stream of the catalog needs a 'replication_method'")
        return catalog


class RefusesAnnotations(Tap):
    """Catalog entries may have nothing but what the tap wrote itself."""

    def read_catalog(self, path):
        catalog = super().read_catalog(path)
        for name, entry in catalog.items():
            if unknown := set(entry) - {"tap_stream_id", "stream", "schema", "key_properties", "metadata"}:
                raise Refusal(f"stream {name!r} of the catalog has the unknown members {sorted(unknown)}")
        return catalog


class EmptyCatalogOnFailure(Tap):
    """Discovery of a source that can't be reached succeeds, with an empty catalog."""

    def run(self, options):
        try:
            super().run(options)
        except Refusal:
            if not options.discover:
                raise
            self.write('{"streams": []}')


# ---- selection


class SendsDeselectedStream(Tap):
    """A deselected stream is sent."""

    def includes_stream(self, stream):
        return self.catalog is None or stream.name in self.catalog


class SendsDeselectedProperty(Tap):
    """A deselected property is sent: a privacy bug (real: pipelinewise-tap-postgres)."""

    def includes(self, stream, breadcrumb):
        return len(breadcrumb) != 2 or self.inclusion(stream, breadcrumb[1]) != "unsupported"


class SchemaKeepsDeselected(Tap):
    """A deselected property is not in the records, but still in the schema."""

    def schema_message(self, stream):
        schema = {"type": "object", "properties": {n: p for n, p in stream.properties.items() if n != "raw"}}
        return {**super().schema_message(stream), "schema": schema}


class DropsDeselectedKey(Tap):
    """A key property can be deselected, and then it is missing."""

    def includes(self, stream, breadcrumb):
        return super().includes(stream, breadcrumb) and self.is_wanted(stream, breadcrumb)


class SendsUnsupported(Tap):
    """A property of the inclusion `unsupported` is sent when it is selected."""

    def includes(self, stream, breadcrumb):
        return self.inclusion(stream, breadcrumb[1]) == "automatic" or self.is_wanted(stream, breadcrumb)


class NothingMeansAll(Tap):
    """Where nothing is selected, everything is sent."""

    def includes_stream(self, stream):
        chosen = super().includes_stream
        return chosen(stream) or not any(map(chosen, self.streams))


class NestedSelectionIgnored(Tap):
    """A deselected property of a nested object is sent."""

    def includes(self, stream, breadcrumb):
        return len(breadcrumb) > 2 or super().includes(stream, breadcrumb)


class UnknownStreamCrashes(Tap):
    """A stream in the catalog that the source does not have ends in a bare exception."""

    def read_catalog(self, path):
        catalog = super().read_catalog(path)
        assert set(catalog) <= {stream.name for stream in self.streams}
        return catalog


class AlwaysIncremental(Tap):
    """The catalog asks for FULL_TABLE, and the bookmark is used all the same."""

    def is_incremental(self, stream):
        return stream.replication_key is not None


class AnyReplicationKey(Tap):
    """A replication key that does not exist is accepted and not used."""

    def check_replication(self, stream):
        pass


class ChildNeedsParent(Tap):
    """A child stream is sent only if its parent is selected too."""

    def includes_stream(self, stream):
        parent = self.streams[0] if stream.name == "order_lines" else stream
        return super().includes_stream(stream) and super().includes_stream(parent)


# ---- config and command


class ConfigIsList(Tap):
    """A config that is a list is taken for an empty one (real: three SDK taps)."""

    def read_json(self, path):
        value = super().read_json(path)
        return {"source": SOURCE} if value == [] else value


class InventsMissingSetting(Tap):
    """A missing required setting is replaced by a default."""

    def read_json(self, path):
        value = super().read_json(path)
        is_config = isinstance(value, dict) and not {"bookmarks", "streams"} & set(value)
        return {"source": SOURCE, **value} if is_config else value


class RefusesUnknownSetting(Tap):
    """A setting that the tap does not know ends the run."""

    def read_config(self, path):
        config = super().read_config(path)
        if unknown := set(config) - {"source", "start_date", "password", "activate_version"}:
            raise Refusal(f"unknown settings: {', '.join(unknown)}")
        return config


class FixedArgumentOrder(Tap):
    """The arguments must come in one order."""

    def run(self, options):
        if len(sys.argv) > 3 and not sys.argv[2] == "--config":
            raise Refusal("usage: --config FILE [...]")
        super().run(options)


class CatalogHasNoEffect(Tap):
    """`--catalog` is accepted, but only what the older `--properties` names is sent."""

    def options(self, arguments):
        parser = argparse.ArgumentParser(allow_abbrev=False)
        for option in ("--config", "--state", "--catalog", "--properties"):
            parser.add_argument(option)
        for option in ("--discover", "--about"):
            parser.add_argument(option, action="store_true")
        options = parser.parse_args(arguments)
        self.is_told = options.properties is not None
        options.catalog = options.properties
        return options

    def includes_stream(self, stream):
        return self.is_told and super().includes_stream(stream)


class NoStateOption(Tap):
    """There is no option `--state`."""

    def options(self, arguments):
        if "--state" in arguments:
            parser_of().error("unrecognized arguments: --state")
        return super().options(arguments)


class OneSpellingOfStartDate(Tap):
    """`start_date` is understood only with a Z at its end."""

    def read_config(self, path):
        config = super().read_config(path)
        if not config.get("start_date", "Z").endswith("Z"):
            raise Refusal("the setting 'start_date' must end with Z")
        return config


class UnknownOptionIgnored(Tap):
    """An option that does not exist is ignored: a mistyped one has no effect."""

    def options(self, arguments):
        return parser_of().parse_known_args(arguments)[0]


# ---- what it says about itself


class AboutWithoutSettings(Tap):
    """`--about` lacks the settings."""

    def about(self):
        about = super().about()
        del about["settings"]
        return about


class DeclaresTest(Tap):
    """`--about` says that there is an option `--test`, and there is none."""

    def about(self):
        return {**super().about(), "capabilities": [*super().about()["capabilities"], "test"]}


class DeclaresStructuredLogging(Tap):
    """`--about` says that the log can be structured, and it never is."""

    def about(self):
        return {**super().about(), "capabilities": [*super().about()["capabilities"], "structured-logging"]}


class PasswordNotRequired(Tap):
    """`--about` calls a setting required that is not."""

    def about(self):
        about = super().about()
        return {**about, "settings": {**about["settings"], "required": ["source", "password"]}}


class SecretNotDeclared(Tap):
    """`--about` does not say that the password is a secret."""

    def about(self):
        about = super().about()
        properties = {**about["settings"]["properties"], "password": {"type": "string"}}
        return {**about, "settings": {**about["settings"], "properties": properties}}


class SecretInUrl(Tap):
    """The log shows the address that the tap connects to, with the password in it."""

    def sync(self):
        self.log("INFO", f"connecting to https://tap:{self.config.get('password')}@example.com")
        super().sync()


PROGRAMS = by_name.programs_in(dict(globals()), Tap)

if __name__ == "__main__":
    sys.exit(by_name.run(PROGRAMS, main))
