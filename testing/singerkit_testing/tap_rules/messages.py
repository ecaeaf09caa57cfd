"""The shape of each kind of message."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from singerkit_testing.bookmarks import bookmarks_of
from singerkit_testing.catalogs import stream_id
from singerkit_testing.date_times import date_time_flaw
from singerkit_testing.json_schemas import compile_check, schema_flaw
from singerkit_testing.rows import batch_files, batch_records
from singerkit_testing.rules import Finding, NotApplicable, Severity, tap_rule
from singerkit_testing.values import instant_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singerkit_testing.tap_lab import TapLab
    from singerkit_testing.transcript import Message

KNOWN_TYPES = frozenset({"RECORD", "SCHEMA", "STATE", "ACTIVATE_VERSION", "BATCH"})
# Clocks of two machines differ.
CLOCK_SKEW = timedelta(hours=1)


@tap_rule(
    "TAP-020",
    "the record of a RECORD is an object",
    severity=Severity.MUST,
    source="SPEC.md, RECORD",
    remedy="Send each row as an object of property and value.",
)
def record_is_an_object(tap: TapLab) -> Iterator[Finding]:
    """`record` is there, and an object."""
    for message in tap.full.transcript.records:
        if not isinstance(message.value.get("record"), dict):
            yield Finding(f"line {message.number}: the record is no object", message, message.stream)


@tap_rule(
    "TAP-021",
    "RECORD and SCHEMA name their stream",
    severity=Severity.MUST,
    source="SPEC.md, RECORD and SCHEMA",
    remedy='Give each RECORD and SCHEMA a member "stream", a text that is not empty.',
)
def messages_name_their_stream(tap: TapLab) -> Iterator[Finding]:
    """`stream` is there, and a text that is not empty."""
    for message in [*tap.full.transcript.schemas, *tap.full.transcript.records]:
        if not message.stream:
            yield Finding(f"line {message.number}: a {message.type} without a stream", message)


@tap_rule(
    "TAP-022",
    "time_extracted is an RFC 3339 date-time with an offset, and not in the future",
    severity=Severity.SHOULD,
    source="SPEC.md, RECORD",
    remedy="Take the moment of reading in UTC and write it with its offset, or leave time_extracted out.",
)
def time_extracted_is_a_date_time(tap: TapLab) -> Iterator[Finding]:
    """Where it is present and not null."""
    latest = datetime.now(UTC) + CLOCK_SKEW
    for message in tap.full.transcript.records:
        extracted = message.value.get("time_extracted")
        flaw = None if extracted is None else _time_flaw(extracted, latest)
        if flaw:
            yield Finding(f"line {message.number}: time_extracted {extracted!r}: {flaw}", message, message.stream)


def _time_flaw(extracted: Any, latest: datetime) -> str | None:
    if not isinstance(extracted, str):
        return "no text"
    instant = instant_of(extracted)
    return date_time_flaw(extracted) or ("in the future" if instant and instant.second > latest else None)


@tap_rule(
    "TAP-023",
    "the version of a RECORD is an integer",
    severity=Severity.MUST,
    source="singer-python, RecordMessage.version (an extension)",
    remedy="Send the version as a JSON integer, or not at all.",
)
def version_is_an_integer(tap: TapLab) -> Iterator[Finding]:
    """Where it is present and not null."""
    for message in tap.full.transcript.records:
        version = message.value.get("version")
        if version is not None and not _is_integer(version):
            yield Finding(f"line {message.number}: version {version!r} is no integer", message, message.stream)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


@tap_rule(
    "TAP-024",
    "the schema of a SCHEMA is a valid JSON Schema",
    severity=Severity.MUST,
    source="SPEC.md, SCHEMA",
    remedy="Use the types of JSON Schema: null, boolean, integer, number, string, array, object.",
)
def schema_is_a_json_schema(tap: TapLab) -> Iterator[Finding]:
    """By one of the drafts 4, 6, 7 and 2020-12, or by that which `$schema` names."""
    for message in tap.full.transcript.schemas:
        flaw = schema_flaw(message.value.get("schema"))
        if flaw:
            yield Finding(f"line {message.number}: no JSON Schema: {flaw}", message, message.stream)


@tap_rule(
    "TAP-025",
    "a SCHEMA has key_properties, a list of texts",
    severity=Severity.MUST,
    source="SPEC.md, SCHEMA: required, may be empty",
    remedy="Send the names of the key properties as a list; an empty one if there are none.",
)
def key_properties_are_a_list(tap: TapLab) -> Iterator[Finding]:
    """Missing, null, a text, a list of something else: all wrong."""
    for message in tap.full.transcript.schemas:
        keys = message.value.get("key_properties")
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            yield Finding(f"line {message.number}: key_properties is {keys!r}", message, message.stream)


@tap_rule(
    "TAP-026",
    "each key property is a property of the schema",
    severity=Severity.MUST,
    source="SPEC.md, SCHEMA",
    remedy="Put every key property into the schema, and never drop it by selection.",
)
def key_properties_are_in_the_schema(tap: TapLab) -> Iterator[Finding]:
    """At the top level."""
    for message in tap.full.transcript.schemas:
        unknown = [key for key in message.key_properties if key not in message.properties]
        if unknown:
            text = f"line {message.number}: key properties that the schema lacks: {', '.join(unknown)}"
            yield Finding(text, message, message.stream)


@tap_rule(
    "TAP-027",
    "key_properties name each property once, and always in the same order",
    severity=Severity.MUST,
    source="follows from SPEC.md, SCHEMA: they identify a record",
    remedy="Keep the key properties as one list in the order of the source; never make a set of it.",
)
def key_properties_are_stable(tap: TapLab) -> Iterator[Finding]:
    """Within each SCHEMA, from one to the next, and from run to run."""
    first: dict[str | None, list[str]] = {}
    runs = [tap.full, tap.again] if tap.full.ok else [tap.full]
    for message in [message for run in runs for message in run.transcript.schemas]:
        keys = message.key_properties
        if len(set(keys)) != len(keys):
            yield Finding(f"line {message.number}: a key property is named twice: {keys}", message, message.stream)
        elif first.setdefault(message.stream, keys) != keys:
            text = f"line {message.number}: the key properties were {first[message.stream]} and are now {keys}"
            yield Finding(text, message, message.stream)


@tap_rule(
    "TAP-028",
    "bookmark_properties, where present, name properties of the schema",
    severity=Severity.MUST,
    source="SPEC.md, SCHEMA",
    remedy="Send the replication key there, as a list, or leave bookmark_properties out.",
)
def bookmark_properties_are_in_the_schema(tap: TapLab) -> Iterator[Finding]:
    """Expect a list of top-level properties."""
    for message in tap.full.transcript.schemas:
        names = message.value.get("bookmark_properties")
        if names is None:
            continue
        if not isinstance(names, list):
            yield Finding(f"line {message.number}: bookmark_properties is {names!r}", message, message.stream)
        elif unknown := [name for name in names if name not in message.properties]:
            text = f"line {message.number}: bookmark_properties that the schema lacks: {unknown}"
            yield Finding(text, message, message.stream)


@tap_rule(
    "TAP-029",
    "a STATE has a value",
    severity=Severity.MUST,
    source="SPEC.md, STATE",
    remedy='Put the state under the member "value".',
)
def state_has_a_value(tap: TapLab) -> Iterator[Finding]:
    """`value` is there, whatever it is."""
    for message in tap.full.transcript.states:
        if "value" not in message.value:
            yield Finding(f"line {message.number}: a STATE without a value", message)


@tap_rule(
    "TAP-030",
    "the value of a STATE is an object",
    severity=Severity.SHOULD,
    source="CONFIG_AND_STATE.md: state is a JSON map",
    remedy="Use an object with the bookmarks of each stream.",
)
def state_is_an_object(tap: TapLab) -> Iterator[Finding]:
    """Targets and runners that merge states need one."""
    for message in tap.full.transcript.states:
        if "value" in message.value and not isinstance(message.state, dict):
            yield Finding(f"line {message.number}: the state is no object", message)


@tap_rule(
    "TAP-031",
    "the state keeps an object per stream under bookmarks",
    severity=Severity.SHOULD,
    source="CONFIG_AND_STATE.md, State",
    remedy='Use {"bookmarks": {stream: {...}}}, with the tap_stream_id of the catalog.',
)
def state_has_bookmarks_per_stream(tap: TapLab) -> Iterator[Finding]:
    """Look at the last state."""
    last = tap.full.transcript.last_state
    if last is None or not isinstance(last.state, dict) or not last.state:
        raise NotApplicable("there is no state that is an object")
    bookmarks = last.state.get("bookmarks")
    if not isinstance(bookmarks, dict):
        yield Finding("the state has no object bookmarks", last)
        return
    known = {*map(stream_id, tap.entries), *tap.full.transcript.streams}
    for stream, bookmark in bookmarks_of(last.state).items():
        if stream not in known:
            yield Finding(f"a bookmark of {stream!r}, which is no stream of the catalog", last, stream)
        elif not isinstance(bookmark, dict):
            yield Finding(f"the bookmark of {stream!r} is no object", last, stream)


@tap_rule(
    "TAP-032",
    "types of messages are known, and in capitals",
    severity=Severity.SHOULD,
    source="SPEC.md, Output allows any case; targets don't",
    remedy="Write RECORD, SCHEMA, STATE in capitals; send other types only to targets that know them.",
)
def types_are_known(tap: TapLab) -> Iterator[Finding]:
    """One finding for each type, as it is written."""
    seen: dict[str, Message] = {}
    for message in tap.full.transcript.messages:
        seen.setdefault(message.value["type"], message)
    for name, message in seen.items():
        if name.upper() not in KNOWN_TYPES:
            yield Finding(f"the type {name!r} is not part of Singer", message, severity=Severity.INFO)
        elif name != name.upper():
            yield Finding(f"the type {name!r} is not in capitals", message)


@tap_rule(
    "TAP-033",
    "an ACTIVATE_VERSION has a stream that had a SCHEMA, and a version that is an integer",
    severity=Severity.MUST,
    source="singer-python, ActivateVersionMessage (an extension)",
    remedy="Send the schema first, and the version as a JSON integer.",
    needs=["activate_version"],
)
def activation_is_well_formed(tap: TapLab) -> Iterator[Finding]:
    """Shape and order."""
    for message in tap.full.transcript.activations:
        if not message.stream or not _is_integer(message.value.get("version")):
            yield Finding(f"line {message.number}: a stream or an integer version is missing", message, message.stream)
        elif tap.full.transcript.schema_before(message) is None:
            yield Finding(f"line {message.number}: no SCHEMA of the stream before it", message, message.stream)


@tap_rule(
    "TAP-034",
    "a BATCH names its stream, its format and files that hold plain records by the schema",
    severity=Severity.MUST,
    source="Meltano SDK, BATCH messages (an extension)",
    remedy="Write one record per line, without an envelope, and close the file before the message is sent.",
    needs=["batch"],
)
def batch_is_well_formed(tap: TapLab) -> Iterator[Finding]:
    """Files on this machine are opened."""
    if not tap.full.transcript.batches:
        raise NotApplicable("the full sync has no BATCH")
    for message in tap.full.transcript.batches:
        text = _batch_flaw(tap, message)
        if text:
            yield Finding(f"line {message.number}: {text}", message, message.stream)


def _batch_flaw(tap: TapLab, message: Message) -> str | None:
    encoding = message.value.get("encoding")
    if not message.stream or not isinstance(encoding, dict) or not isinstance(encoding.get("format"), str):
        return "the stream or encoding.format is missing"
    if not isinstance(message.value.get("manifest"), list):
        return "the manifest is no list"
    schema = tap.full.transcript.schema_before(message)
    if schema is None:
        return "no SCHEMA of the stream before it"
    absent = [path.name for path in batch_files(message) if not path.is_file()]
    return f"no such file: {absent[0]}" if absent else _batch_content_flaw(schema, message)


def _batch_content_flaw(schema: Message, message: Message) -> str | None:
    check = compile_check(schema.schema)
    for number, record in enumerate(batch_records(message), start=1):
        if not isinstance(record, dict) or {"type", "stream", "record"} <= record.keys():
            return f"record {number} is no plain record"
        violations = check(record)
        if violations:
            return f"record {number}: {violations[0].path}: {violations[0].text}"
    return None
