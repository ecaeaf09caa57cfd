"""Schemas and when they are sent."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from singerkit_testing.catalogs import metadata_of
from singerkit_testing.json_schemas import references_in, types_of
from singerkit_testing.rules import Finding, Severity, tap_rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singerkit_testing.tap_lab import TapLab
    from singerkit_testing.transcript import Message, Transcript


@tap_rule(
    "TAP-040",
    "the SCHEMA of a stream comes before its first RECORD",
    severity=Severity.MUST,
    source="DISCOVERY_MODE.md: schemas are required; every target needs them",
    remedy="Send the schema of a stream when its sync begins, in every run.",
)
def schema_comes_first(tap: TapLab) -> Iterator[Finding]:
    """One finding for each stream."""
    early: dict[str, Message] = {}
    for message in tap.full.transcript.records:
        if message.stream and message.stream not in early and tap.full.transcript.schema_before(message) is None:
            early[message.stream] = message
    for stream, message in early.items():
        yield Finding(f"line {message.number}: a record of {stream!r} before its schema", message, stream)


@tap_rule(
    "TAP-046",
    "schemas have no $ref",
    severity=Severity.MUST,
    source="DISCOVERY_MODE.md: references must be resolved",
    remedy="Put what a reference names in its place before the schema is sent.",
)
def schemas_have_no_references(tap: TapLab) -> Iterator[Finding]:
    """One finding for each SCHEMA that has some."""
    for message in tap.full.transcript.schemas:
        found = list(references_in(message.schema))
        if found:
            text = f"line {message.number}: {len(found)} unresolved references, such as {found[0][1]} at {found[0][0]}"
            yield Finding(text, message, message.stream)


@tap_rule(
    "TAP-048",
    "a change of the records' shape is announced by a SCHEMA, and schemas never narrow in a run",
    severity=Severity.MUST,
    source="follows from DISCOVERY_MODE.md: records conform to the schema; targets have already made their columns",
    remedy="Send a new SCHEMA before the first record that needs it; keep what earlier ones had.",
)
def schemas_only_widen(tap: TapLab) -> Iterator[Finding]:
    """Each SCHEMA is compared with the one before it, and records with the schema that is in force."""
    for stream in tap.full.transcript.streams:
        schemas = tap.full.transcript.schemas_of(stream)
        for earlier, later in pairwise(schemas):
            change = _narrowing(earlier, later)
            if change:
                yield Finding(f"line {later.number}: {change}", later, stream)
        yield from _unannounced(tap.full.transcript, stream, schemas)


def _narrowing(earlier: Message, later: Message) -> str | None:
    lost = [name for name in earlier.properties if name not in later.properties]
    if lost:
        return f"the schema no longer has {', '.join(lost)}"
    for name, schema in earlier.properties.items():
        before, after = _kinds(schema), _kinds(later.properties[name])
        if before and after and not before <= after:
            return f"{name} was {' or '.join(sorted(before))} and is now {' or '.join(sorted(after))}"
    return None


def _kinds(schema: Any) -> set[str]:
    kinds = set(types_of(schema))
    return kinds | {"integer"} if "number" in kinds else kinds


def _unannounced(transcript: Transcript, stream: str, schemas: list[Message]) -> Iterator[Finding]:
    declared_later = {name for message in schemas[1:] for name in message.properties}
    if not declared_later - set(schemas[0].properties if schemas else ()):
        return
    for message in transcript.records_of(stream):
        current = transcript.schema_before(message)
        early = [
            name
            for name in message.record
            if current is not None and name in declared_later and name not in current.properties
        ]
        if early:
            text = f"line {message.number}: {', '.join(early)} only comes into the schema later"
            yield Finding(text, message, stream)
            return


@tap_rule(
    "TAP-049",
    "every selected stream sends a SCHEMA, even without records",
    severity=Severity.INFO,
    source="custom: targets make the table all the same",
    remedy="Send the schema before the first page is read.",
    needs=["catalog"],
)
def every_stream_sends_a_schema(tap: TapLab) -> Iterator[Finding]:
    """All streams of the catalog were selected."""
    announced = {message.stream for message in tap.synced.transcript.schemas}
    for entry in tap.entries:
        stream = tap.stream_name(entry)
        if stream not in announced and metadata_of(entry).get("inclusion") != "unsupported":
            yield Finding(f"no SCHEMA of the selected stream {stream!r}", stream=stream)
