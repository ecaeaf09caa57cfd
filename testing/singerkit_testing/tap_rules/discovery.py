"""What discovery says: the catalog."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from singerkit_testing.catalogs import (
    entries_of,
    key_properties_of,
    metadata_of,
    properties_of,
    replication_key_of,
    stream_id,
)
from singerkit_testing.json_schemas import references_in, schema_flaw, types_of
from singerkit_testing.rows import missing, sent, show, unsteady
from singerkit_testing.rules import Finding, NotApplicable, Severity, tap_rule
from singerkit_testing.values import identity
from singerkit_testing.wire import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singerkit_testing.tap_lab import Document, TapLab

INCLUSIONS = frozenset({"available", "automatic", "unsupported"})
NOT_DISCOVERABLE = ("selected", "replication-method", "replication-key", "view-key-properties")
FORCED_METHODS = frozenset({"FULL_TABLE", "INCREMENTAL"})


def _document(tap: TapLab) -> Document:
    """Give what discovery wrote, if it is an object.

    Errors: ``NotApplicable`` if it is not (CAT-001 and CAT-002 say so).
    """
    document = tap.discovery.document.value
    if not tap.discovery.ok or not isinstance(document, dict):
        raise NotApplicable("discovery gave no object")
    return document


def _entries(tap: TapLab) -> list[Document]:
    return entries_of(_document(tap))


@tap_rule(
    "CAT-001",
    "the option --discover writes one JSON document to stdout, and nothing else",
    severity=Severity.MUST,
    source="DISCOVERY_MODE.md, Discovery mode",
    remedy="Write the catalog to stdout in one piece; logs go to stderr.",
)
def discovery_writes_one_document(tap: TapLab) -> Iterator[Finding]:
    """Exit code 0, and the whole of stdout is JSON."""
    run = tap.discovery
    if not run.ok:
        yield Finding(f"discovery failed: {run.ending()}")
    elif run.document.problems and not _is_only_spacing(run.stdout, run.document.value):
        yield Finding(f"stdout is no strict JSON document: {run.document.problems[0].text}", run.stdout[:300])


def _is_only_spacing(stdout: bytes, value: Any) -> bool:
    return stdout.endswith(b"\r\n") and value is not None


@tap_rule(
    "CAT-002",
    "the catalog is an object with a list of streams",
    severity=Severity.MUST,
    source="DISCOVERY_MODE.md, The catalog",
    remedy='Write {"streams": [...]}.',
)
def catalog_has_streams(tap: TapLab) -> Iterator[Finding]:
    """Other members are worth knowing."""
    document = tap.discovery.document.value
    if not tap.discovery.ok or document is None:
        raise NotApplicable("discovery gave no document")
    if not isinstance(document, dict) or not isinstance(document.get("streams"), list):
        yield Finding("the catalog is no object with a list streams", tap.discovery.stdout[:300])
        return
    others = sorted(document.keys() - {"streams"})
    if others:
        yield Finding(f"the catalog has other members: {', '.join(others)}", severity=Severity.INFO)
    if not document["streams"]:
        yield Finding("the catalog has no streams", severity=Severity.INFO)


@tap_rule(
    "CAT-003",
    "each entry has stream, tap_stream_id and schema",
    severity=Severity.MUST,
    source="DISCOVERY_MODE.md, The catalog",
    remedy="Give both names as texts, and the schema as an object.",
)
def entries_are_complete(tap: TapLab) -> Iterator[Finding]:
    """Two texts and an object."""
    streams = _document(tap).get("streams")
    for number, entry in enumerate(streams if isinstance(streams, list) else [], start=1):
        if not isinstance(entry, dict):
            yield Finding(f"entry {number} is no object", json.dumps(entry, default=str))
            continue
        lacks = [name for name in ("stream", "tap_stream_id") if not _is_name(entry.get(name))]
        lacks += [] if isinstance(entry.get("schema"), dict) else ["schema"]
        if lacks:
            yield Finding(f"entry {number} lacks {', '.join(lacks)}", encode(entry), stream_id(entry))


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


@tap_rule(
    "CAT-004",
    "each tap_stream_id is unique",
    severity=Severity.MUST,
    source="DISCOVERY_MODE.md, The catalog: the unique identifier of the stream",
    remedy="Put the schema of the database or the like into the identifier.",
)
def stream_ids_are_unique(tap: TapLab) -> Iterator[Finding]:
    """One finding for each identifier."""
    counted = Counter(map(stream_id, _entries(tap)))
    for name, number in counted.items():
        if number > 1:
            yield Finding(f"{number} entries have the tap_stream_id {name!r}", stream=name)


@tap_rule(
    "CAT-005",
    "each schema of the catalog is a JSON Schema of objects, without $ref",
    severity=Severity.MUST,
    source="DISCOVERY_MODE.md, Schemas",
    remedy="Use the types of JSON Schema, and put what a reference names in its place.",
)
def schemas_are_valid(tap: TapLab) -> Iterator[Finding]:
    """By one of the drafts 4, 6, 7 and 2020-12."""
    for entry in _entries(tap):
        schema = entry.get("schema")
        if not isinstance(schema, dict):
            continue
        flaw = schema_flaw(schema)
        if flaw:
            yield Finding(f"no JSON Schema: {flaw}", encode(schema), stream_id(entry))
        elif types_of(schema) and "object" not in types_of(schema):
            yield Finding("the schema is not that of an object", encode(schema), stream_id(entry))
        for path, reference in list(references_in(schema))[:1]:
            yield Finding(f"an unresolved reference {reference} at {path}", encode(schema), stream_id(entry))


@tap_rule(
    "CAT-006",
    "metadata is a list of breadcrumbs and their metadata, one of them for the stream itself",
    severity=Severity.SHOULD,
    source="DISCOVERY_MODE.md, Metadata",
    remedy='Write [{"breadcrumb": [], "metadata": {...}}, {"breadcrumb": ["properties", name], ...}].',
)
def metadata_is_well_formed(tap: TapLab) -> Iterator[Finding]:
    """Shape, the root, no breadcrumb twice."""
    for entry in _entries(tap):
        text = _metadata_flaw(entry.get("metadata"))
        if text:
            yield Finding(text, "", stream_id(entry))


def _metadata_flaw(metadata: Any) -> str | None:
    if not isinstance(metadata, list):
        return "there is no list metadata"
    breadcrumbs: list[tuple[str, ...]] = []
    for item in metadata:
        breadcrumb = item.get("breadcrumb") if isinstance(item, dict) else None
        if not isinstance(breadcrumb, list) or not isinstance(item.get("metadata"), dict):
            return f"an item of metadata has no list breadcrumb and object metadata: {str(item)[:80]}"
        breadcrumbs.append(tuple(map(str, breadcrumb)))
    twice = [breadcrumb for breadcrumb, number in Counter(breadcrumbs).items() if number > 1]
    if twice:
        return f"the breadcrumb {list(twice[0])} is there more than once"
    return None if () in breadcrumbs else "there is no metadata of the stream itself, with an empty breadcrumb"


@tap_rule(
    "CAT-007",
    "each breadcrumb leads to a part of the schema",
    severity=Severity.MUST,
    source="DISCOVERY_MODE.md, Metadata",
    remedy="Make the metadata from the same list of properties as the schema.",
)
def breadcrumbs_lead_somewhere(tap: TapLab) -> Iterator[Finding]:
    """Followed through properties, items and unions."""
    for entry in _entries(tap):
        for breadcrumb in _breadcrumbs(entry):
            if not _leads(entry.get("schema"), breadcrumb):
                yield Finding(f"the schema has nothing at {breadcrumb}", "", stream_id(entry))


def _breadcrumbs(entry: Document) -> list[list[str]]:
    metadata = entry.get("metadata")
    items = [item for item in metadata if isinstance(item, dict)] if isinstance(metadata, list) else []
    return [item["breadcrumb"] for item in items if isinstance(item.get("breadcrumb"), list)]


def _leads(schema: Any, breadcrumb: list[str]) -> bool:
    if not breadcrumb:
        return True
    if isinstance(schema, list):
        index = breadcrumb[0]
        inside = [schema[int(index)]] if str(index).isdigit() and int(index) < len(schema) else []
        return any(_leads(part, breadcrumb[1:]) for part in inside) or any(_leads(part, breadcrumb) for part in schema)
    if not isinstance(schema, dict):
        return False
    if breadcrumb[0] in schema:
        return _leads(schema[breadcrumb[0]], breadcrumb[1:])
    return any(_leads(schema[word], breadcrumb) for word in ("anyOf", "oneOf", "allOf") if word in schema)


@tap_rule(
    "CAT-008",
    "each top-level property has an inclusion: available, automatic or unsupported",
    severity=Severity.SHOULD,
    source="SYNC_MODE.md, Stream and field selection",
    remedy="Write metadata with an inclusion for every property.",
)
def properties_have_an_inclusion(tap: TapLab) -> Iterator[Finding]:
    """One finding for each stream."""
    for entry in _entries(tap):
        wrong = [
            name
            for name in properties_of(entry)
            if metadata_of(entry, ("properties", name)).get("inclusion") not in INCLUSIONS
        ]
        if wrong:
            more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
            yield Finding(f"no inclusion for {', '.join(wrong[:5])}{more}", "", stream_id(entry))


@tap_rule(
    "CAT-009",
    "key properties and the replication key have the inclusion automatic",
    severity=Severity.SHOULD,
    source="singer-python, get_standard_metadata; SYNC_MODE.md",
    remedy="Mark them automatic: nobody may deselect what identifies and orders records.",
)
def keys_are_automatic(tap: TapLab) -> Iterator[Finding]:
    """One finding for each stream."""
    for entry in _entries(tap):
        key = replication_key_of(entry)
        names = dict.fromkeys([*key_properties_of(entry), *([key] if key else [])])
        wrong = [name for name in names if _inclusion(entry, name) not in (None, "automatic")]
        if wrong:
            yield Finding(f"not automatic: {', '.join(wrong)}", "", stream_id(entry))


def _inclusion(entry: Document, name: str) -> Any:
    return metadata_of(entry, ("properties", name)).get("inclusion")


@tap_rule(
    "CAT-010",
    "key properties and replication keys of the metadata are properties of the schema",
    severity=Severity.MUST,
    source="DISCOVERY_MODE.md, Metadata",
    remedy="Name only properties that the schema has.",
)
def metadata_names_existing_properties(tap: TapLab) -> Iterator[Finding]:
    """table-key-properties, view-key-properties, valid-replication-keys."""
    for entry in _entries(tap):
        for word in ("table-key-properties", "view-key-properties", "valid-replication-keys"):
            names = metadata_of(entry).get(word)
            unknown = [name for name in names if name not in properties_of(entry)] if isinstance(names, list) else []
            if unknown or not isinstance(names, list | None):
                text = f"{word} names what the schema lacks: {unknown}" if unknown else f"{word} is no list: {names!r}"
                yield Finding(text, "", stream_id(entry))


@tap_rule(
    "CAT-011",
    "discovery leaves to the user what is the user's: selected and the chosen replication",
    severity=Severity.SHOULD,
    source="DISCOVERY_MODE.md, Metadata: non-discoverable",
    remedy="Write selected-by-default, valid-replication-keys and forced-replication-method instead.",
)
def discovery_chooses_nothing(tap: TapLab) -> Iterator[Finding]:
    """One finding for all streams together: nearly every tap does it."""
    found = {
        name: stream_id(entry) for entry in _entries(tap) for name in NOT_DISCOVERABLE if name in metadata_of(entry)
    }
    for name, stream in found.items():
        severity = None if name == "selected" else Severity.INFO
        yield Finding(f"discovery writes {name}", "", stream, severity)


@tap_rule(
    "CAT-012",
    "forced-replication-method is FULL_TABLE or INCREMENTAL",
    severity=Severity.SHOULD,
    source="DISCOVERY_MODE.md, Metadata",
    remedy="Use one of the names that the specification has.",
)
def forced_method_is_known(tap: TapLab) -> Iterator[Finding]:
    """LOG_BASED is an extension that many use."""
    for entry in _entries(tap):
        method = metadata_of(entry).get("forced-replication-method")
        known = isinstance(method, str) and method in FORCED_METHODS
        if method is not None and not known:
            severity = Severity.INFO if method == "LOG_BASED" else None
            yield Finding(f"forced-replication-method is {method!r}", "", stream_id(entry), severity)


@tap_rule(
    "CAT-013",
    "two discoveries of the same source are equal",
    severity=Severity.MUST,
    source="follows from DISCOVERY_MODE.md: a selection made yesterday must fit today",
    remedy="Sort what the source gives in no order; write no times, no samples and no counts.",
)
def discovery_is_repeatable(tap: TapLab) -> Iterator[Finding]:
    """Whatever the order."""
    first = _document(tap)
    second = tap.run("--discover").document.value
    if not isinstance(second, dict) or not second:
        yield Finding("the second discovery gave no catalog")
        return
    before, after = ({stream_id(entry): _sorted(entry) for entry in entries_of(each)} for each in (first, second))
    for name in sorted(before.keys() ^ after.keys()):
        yield Finding(f"only one of two discoveries has the stream {name!r}", stream=name)
    for name in before.keys() & after.keys():
        if before[name] != after[name]:
            parts = {part for part, _ in before[name] ^ after[name]}
            yield Finding(f"two discoveries differ in {', '.join(sorted(parts))}", stream=name)


def _sorted(entry: Document) -> set[tuple[str, Any]]:
    return {(name, _without_order(part)) for name, part in entry.items()}


def _without_order(value: Any) -> Any:
    if isinstance(value, list):
        return frozenset(Counter(map(_without_order, value)).items())
    if isinstance(value, dict):
        return frozenset((name, _without_order(part)) for name, part in value.items())
    return identity(value)


@tap_rule(
    "CAT-014",
    "what discovery wrote is accepted as a catalog, unchanged",
    severity=Severity.MUST,
    source="DISCOVERY_MODE.md: the output of discovery is the input of a sync",
    remedy="Read everything that discovery writes; what is not chosen has a default.",
)
def discovered_catalog_is_accepted(tap: TapLab) -> Iterator[Finding]:
    """Give it the very bytes."""
    _ = _document(tap)
    run = tap.run(catalog=tap.discovery.stdout)
    if not run.ok:
        yield Finding(f"with the catalog as discovery wrote it the sync failed: {run.ending()}")


@tap_rule(
    "CAT-015",
    "the catalog may be written differently, and have more in it",
    severity=Severity.MUST,
    source="DISCOVERY_MODE.md, Metadata: anyone may write any",
    remedy="Look up what is needed in the catalog, and leave the rest as it is.",
    needs=["catalog"],
)
def catalog_survives_rewriting(tap: TapLab) -> Iterator[Finding]:
    """Members in reverse order, unknown members in the catalog, its entries and their metadata."""
    _ = tap.synced
    run = tap.run(catalog=_annotated(tap.everything_selected or {}))
    if not run.ok:
        yield Finding(f"a catalog with additions was refused: {run.ending()}")
        return
    lost = [row for row in missing(tap, sent(tap, tap.full), sent(tap, run)) if row[0] not in unsteady(tap)]
    if lost:
        yield Finding(f"with additions to the catalog {len(lost)} rows are missing: {show(lost)}", stream=lost[0][0])


def _annotated(catalog: Document) -> Document:
    changed: Document = {"zz_written_by": "a user interface", **_reversed(catalog)}
    for entry in entries_of(changed):
        entry["zz_note"] = {"seen": True}
        for item in entry.get("metadata") or []:
            item["metadata"] = {"zz-ui.note": "x", **item["metadata"]}
    return changed


def _reversed(value: Any) -> Any:
    if isinstance(value, dict):
        # The order of properties may be that of the columns: it stays.
        names = list(value) if "type" in value or value.keys() & {"properties"} else list(reversed(value))
        return {name: _reversed(value[name]) for name in names}
    return list(map(_reversed, value)) if isinstance(value, list) else value


@tap_rule(
    "CAT-016",
    "discovery of a source that can't be read fails, and writes no catalog",
    severity=Severity.MUST,
    source="SPEC.md, Output: exit non-zero on failure",
    remedy="Let the error out before the catalog is written; check the config even where the streams are fixed.",
    needs=["broken_config"],
)
def broken_discovery_fails(tap: TapLab) -> Iterator[Finding]:
    """With broken configs. A tap whose streams are fixed may discover without its source, if the config is one."""
    for config, sync in tap.broken:
        run = tap.run("--discover", config=config)
        same = run.document.value == tap.discovery.document.value
        if run.exit_code == 0 and not (same and (sync.exit_code == 0 or sync.stdout)):
            severity = Severity.SHOULD if same else None
            yield Finding("exit code 0 with a config that can't work", run.stdout[:200], severity=severity)
        elif run.exit_code != 0 and run.stdout.strip():
            yield Finding("discovery failed, yet wrote to stdout", run.stdout[:200])


@tap_rule(
    "CAT-018",
    "nested properties have breadcrumbs of their own",
    severity=Severity.INFO,
    source="singer-python, Transformer",
    remedy="Write metadata for nested properties too if they can be selected one by one.",
)
def nested_properties_have_breadcrumbs(tap: TapLab) -> Iterator[Finding]:
    """One finding for all streams together."""
    for entry in _entries(tap):
        known = {tuple(map(str, breadcrumb)) for breadcrumb in _breadcrumbs(entry)}
        for name, schema in properties_of(entry).items():
            nested = schema.get("properties") if isinstance(schema, dict) else None
            for inner in nested if isinstance(nested, dict) else ():
                if ("properties", name, "properties", inner) not in known:
                    yield Finding(f"no metadata for {name}/{inner}", "", stream_id(entry))
                    return
