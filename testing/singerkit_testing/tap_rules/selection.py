"""What is selected is sent, and nothing else."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from singerkit_testing import catalogs
from singerkit_testing.rows import identities, missing, rows_of, sent, show, unsteady
from singerkit_testing.rules import Finding, NotApplicable, Severity, tap_rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from singerkit_testing.catalogs import Breadcrumb, Document
    from singerkit_testing.tap_lab import TapLab, TapRun
    from singerkit_testing.transcript import Message

NO_SUCH_PROPERTY = "zz_no_such_property"
NO_SUCH_STREAM = "zz_no_such_stream"
MOST_REPLICATION_KEYS = 2


def _everything(tap: TapLab) -> Document:
    """Give the catalog with everything selected, if a sync by it went well."""
    _ = tap.synced
    catalog = tap.everything_selected
    if catalog is None:
        raise NotApplicable("there is no catalog")
    return catalog


def _partial_runs(tap: TapLab) -> Iterator[tuple[list[Document], TapRun]]:
    """Sync some streams without the others, so that each is once without each other: a few runs do, for any number."""
    entries = tap.entries
    if len(entries) < 2:
        raise NotApplicable("there is only one stream")
    catalog = _everything(tap)
    for bit in range((len(entries) - 1).bit_length()):
        for side in (0, 1):
            chosen = [entry for number, entry in enumerate(entries) if number >> bit & 1 == side]
            if chosen:
                yield chosen, tap.sync(_only(catalog, chosen))


def _only(catalog: Document, chosen: Iterable[Document]) -> Document:
    wanted = set(map(catalogs.stream_id, chosen))
    changed = catalog
    for entry in catalogs.entries_of(catalog):
        if catalogs.stream_id(entry) not in wanted:
            changed = catalogs.with_selection(changed, catalogs.stream_id(entry), False)
    return changed


@tap_rule(
    "SEL-001",
    "a stream that is not selected sends no SCHEMA and no RECORD",
    severity=Severity.MUST,
    source="SYNC_MODE.md, Stream and field selection",
    remedy='Look at "selected" in the metadata of the empty breadcrumb, and skip the stream if it is false.',
    needs=["catalog"],
)
def deselected_streams_are_not_sent(tap: TapLab) -> Iterator[Finding]:
    """Select some streams without the others."""
    for chosen, run in _partial_runs(tap):
        names = set(map(tap.stream_name, chosen))
        for stream in run.transcript.streams:
            if stream not in names:
                yield Finding("the stream is sent though it is not selected", run.transcript.of(stream)[0], stream)


@tap_rule(
    "SEL-002",
    "a property that is not selected is in no RECORD",
    severity=Severity.MUST,
    source="DISCOVERY_MODE.md, Metadata: available means emitted only if selected",
    remedy="Take the selection from the catalog that was given, not from a new discovery.",
    needs=["catalog"],
)
def deselected_properties_are_not_sent(tap: TapLab) -> Iterator[Finding]:
    """All properties that may be deselected are."""
    run, dropped = _without_available(tap)
    for stream, names in dropped.items():
        found = [
            (name, message) for message in run.transcript.records_of(stream) for name in names & set(message.record)
        ]
        for name in sorted({name for name, _ in found}):
            message = next(message for other, message in found if other == name)
            yield Finding(f"{name} is in a record though it is not selected", message, stream)


@tap_rule(
    "SEL-003",
    "a property that is not selected is not in the SCHEMA",
    severity=Severity.SHOULD,
    source="Meltano SDK: SCHEMA messages hold what is selected",
    remedy="Leave deselected properties out of the schema too: targets make columns of them.",
    needs=["catalog"],
)
def deselected_properties_are_not_announced(tap: TapLab) -> Iterator[Finding]:
    """All properties that may be deselected are."""
    run, dropped = _without_available(tap)
    for stream, names in dropped.items():
        for message in run.transcript.schemas_of(stream)[:1]:
            kept = sorted(names & message.properties.keys())
            if kept:
                yield Finding(f"in the schema though not selected: {', '.join(kept)}", message, stream)


def _without_available(tap: TapLab) -> tuple[TapRun, dict[str, set[str]]]:
    """Sync with all available properties deselected but, where nothing else is left, one."""
    catalog = _everything(tap)
    dropped: dict[str, set[str]] = {}
    for entry in catalogs.entries_of(catalog):
        available = [name for name in catalogs.properties_of(entry) if _inclusion(entry, name) == "available"]
        keeps_some = len(available) < len(catalogs.properties_of(entry))
        kept = {*catalogs.key_properties_of(entry), catalogs.replication_key_of(entry)}
        names = [name for name in available[0 if keeps_some else 1 :] if name not in kept]
        dropped[tap.stream_name(entry)] = set(names)
        for name in names:
            catalogs.set_metadata(entry, {"selected": False}, ("properties", name))
    if not any(dropped.values()):
        raise NotApplicable("no property may be deselected")
    run = tap.sync(catalog)
    if not run.ok:
        raise NotApplicable(f"the sync with deselected properties failed: {run.how_it_ended()}")
    return run, dropped


def _inclusion(entry: Document, name: str) -> Any:
    return catalogs.metadata_of(entry, ("properties", name)).get("inclusion")


@tap_rule(
    "SEL-004",
    "a property with the inclusion automatic is sent even if it is not selected",
    severity=Severity.MUST,
    source="DISCOVERY_MODE.md, Metadata: automatic means always emitted",
    remedy="Look at the inclusion first, and at the selection only of what is available.",
    needs=["catalog"],
)
def automatic_properties_are_always_sent(tap: TapLab) -> Iterator[Finding]:
    """All automatic properties are deselected."""
    catalog = _everything(tap)
    automatic = {
        tap.stream_name(entry): [n for n in catalogs.properties_of(entry) if catalogs.is_automatic(entry, n)]
        for entry in catalogs.entries_of(catalog)
    }
    if not any(automatic.values()):
        raise NotApplicable("no property is automatic")
    for entry in catalogs.entries_of(catalog):
        for name in automatic[tap.stream_name(entry)]:
            catalogs.set_metadata(entry, {"selected": False}, ("properties", name))
    run = tap.sync(catalog)
    if not run.ok:
        yield Finding(f"with automatic properties deselected the sync failed: {run.ending()}")
    for stream, names in automatic.items():
        yield from _dropped(tap, run, stream, names)


def _dropped(tap: TapLab, run: TapRun, stream: str, names: list[str]) -> Iterator[Finding]:
    usual = set[str]().union(*(message.record for message in tap.full.transcript.records_of(stream)))
    given = set[str]().union(*(message.record for message in run.transcript.records_of(stream)))
    lost = [name for name in names if name in usual - given]
    if lost and given:
        yield Finding(f"automatic, and missing when deselected: {', '.join(lost)}", "", stream)


@tap_rule(
    "SEL-005",
    "a property with the inclusion unsupported is never sent",
    severity=Severity.MUST,
    source="DISCOVERY_MODE.md, Metadata: unsupported means never emitted",
    remedy="Look at the inclusion before the selection.",
    needs=["catalog"],
)
def unsupported_properties_are_never_sent(tap: TapLab) -> Iterator[Finding]:
    """All unsupported properties are selected."""
    catalog = _everything(tap)
    unsupported = [
        (tap.stream_name(entry), name)
        for entry in catalogs.entries_of(catalog)
        for name in catalogs.properties_of(entry)
        if _inclusion(entry, name) == "unsupported"
    ]
    if not unsupported:
        raise NotApplicable("no property is unsupported")
    for entry in catalogs.entries_of(catalog):
        for stream, name in unsupported:
            if stream == tap.stream_name(entry):
                catalogs.set_metadata(entry, {"selected": True}, ("properties", name))
    run = tap.sync(catalog)
    for stream, name in unsupported:
        found = _with_property(run, stream, name)
        if found is not None:
            yield Finding(f"{name} is unsupported, and sent when it is selected", found, stream)


def _with_property(run: TapRun, stream: str, name: str) -> Message | None:
    return next((message for message in run.transcript.records_of(stream) if name in message.record), None)


@tap_rule(
    "SEL-006",
    'the texts "true" and "false" are understood as selections',
    severity=Severity.INFO,
    source="SYNC_MODE.md: the specification's own example has them",
    remedy="Take true and false as text too when a catalog is read.",
    needs=["catalog"],
)
def selections_may_be_texts(tap: TapLab) -> Iterator[Finding]:
    """One stream has "false", the others "true"."""
    catalog = _everything(tap)
    entries = catalogs.entries_of(catalog)
    if len(entries) < 2:
        raise NotApplicable("there is only one stream")
    for number, entry in enumerate(entries):
        catalogs.set_metadata(entry, {"selected": "false" if number == 0 else "true"})
    run = tap.sync(catalog)
    first = tap.stream_name(entries[0])
    if not run.ok:
        yield Finding(f"a catalog with texts as selections is refused: {run.ending()}")
    elif run.transcript.records_of(first):
        yield Finding('a stream with "selected": "false" is sent', run.transcript.of(first)[0], first)
    elif not run.transcript.records and tap.full.transcript.records:
        yield Finding('streams with "selected": "true" are not sent')


@tap_rule(
    "SEL-007",
    "a property without a selection follows selected-by-default",
    severity=Severity.INFO,
    source="DISCOVERY_MODE.md, Metadata",
    remedy="Without selected look at selected-by-default; without that, do as the tap always did.",
    needs=["catalog"],
)
def unset_selection_follows_the_default(tap: TapLab) -> Iterator[Finding]:
    """Properties that are not selected by default, in streams that are selected."""
    catalog = _everything(tap)
    optional: list[tuple[str, str]] = []
    for entry in catalogs.entries_of(catalog):
        for name in catalogs.properties_of(entry):
            metadata = catalogs.metadata_of(entry, ("properties", name))
            if metadata.get("selected-by-default") is False and metadata.get("inclusion") == "available":
                optional.append((tap.stream_name(entry), name))
                catalogs.set_metadata(entry, {"selected": None}, ("properties", name))
    if not optional:
        raise NotApplicable("everything is selected by default")
    run = tap.sync(catalog)
    for stream, name in optional:
        found = _with_property(run, stream, name)
        if found is not None:
            yield Finding(f"{name} is sent though it is not selected by default", found, stream)


@tap_rule(
    "SEL-008",
    "if nothing is selected nothing is sent, and that is no error",
    severity=Severity.MUST,
    source="SYNC_MODE.md, Stream and field selection",
    remedy="Take an empty selection as what it is.",
    needs=["catalog"],
)
def nothing_selected_is_no_error(tap: TapLab) -> Iterator[Finding]:
    """Every stream is deselected."""
    run = tap.sync(_only(_everything(tap), []))
    if not run.ok:
        yield Finding(f"with nothing selected the sync failed: {run.ending()}")
    for message in run.transcript.records[:1]:
        yield Finding("a record though nothing is selected", message, message.stream)


@tap_rule(
    "SEL-009",
    "nested properties are deselected by their own breadcrumbs",
    severity=Severity.MUST,
    source="singer-python, Transformer; Meltano SDK, selection",
    remedy="Apply the selection at every depth for which the catalog has metadata.",
    needs=["catalog"],
)
def nested_properties_are_deselected(tap: TapLab) -> Iterator[Finding]:
    """Insist only where the catalog offers it, by metadata of nested properties."""
    catalog = _everything(tap)
    nested = [
        (entry, breadcrumb)
        for entry in catalogs.entries_of(catalog)
        for breadcrumb in catalogs.breadcrumbs_of(entry)
        if len(breadcrumb) == 4 and _is_seen(tap, entry, breadcrumb)
    ]
    if not nested:
        raise NotApplicable("no record has a nested property")
    offered = {id(entry): _offers(tap, entry) for entry, _ in nested}
    for entry, breadcrumb in nested:
        catalogs.set_metadata(entry, {"selected": False}, breadcrumb)
    run = tap.sync(catalog)
    if not run.ok:
        raise NotApplicable(f"the sync with nested properties deselected failed: {run.how_it_ended()}")
    for entry, breadcrumb in nested:
        for message in _with_nested(tap, run, entry, breadcrumb)[:1]:
            severity = None if offered[id(entry)] else Severity.SHOULD
            path = f"{breadcrumb[1]}/{breadcrumb[3]}"
            yield Finding(f"{path} is sent though not selected", message, message.stream, severity)


def _offers(tap: TapLab, entry: Document) -> bool:
    original = next((each for each in tap.entries if catalogs.stream_id(each) == catalogs.stream_id(entry)), {})
    nested = [breadcrumb for breadcrumb in catalogs.breadcrumbs_of(original) if len(breadcrumb) == 4]
    return any(catalogs.metadata_of(original, breadcrumb) for breadcrumb in nested)


def _is_seen(tap: TapLab, entry: Document, breadcrumb: Breadcrumb) -> bool:
    return bool(_with_nested(tap, tap.full, entry, breadcrumb))


def _with_nested(tap: TapLab, run: TapRun, entry: Document, breadcrumb: Breadcrumb) -> list[Message]:
    outer, inner = breadcrumb[1], breadcrumb[3]
    return [
        message
        for message in run.transcript.records_of(tap.stream_name(entry))
        if isinstance(message.record.get(outer), dict) and inner in message.record[outer]
    ]


@tap_rule(
    "SEL-010",
    "a catalog entry of a stream that does not exist is refused clearly, or skipped",
    severity=Severity.SHOULD,
    source="follows from DISCOVERY_MODE.md: catalogs are kept, and sources change",
    remedy="Log a warning that names the stream, and sync the others; or end with one clear error.",
    needs=["catalog"],
)
def unknown_streams_are_dealt_with(tap: TapLab) -> Iterator[Finding]:
    """Add a copy of an entry under another name."""
    catalog = _everything(tap)
    stranger = copy.deepcopy(catalogs.entries_of(catalog)[0])
    stranger.update({"stream": NO_SUCH_STREAM, "tap_stream_id": NO_SUCH_STREAM})
    if "table_name" in stranger:
        stranger["table_name"] = NO_SUCH_STREAM
    catalog["streams"].append(stranger)
    run = tap.sync(catalog)
    if not run.ok and "Traceback (most recent call last)" in run.errors:
        yield Finding("an unknown stream ends in a traceback", run.last_words(), NO_SUCH_STREAM)
    elif not run.ok and NO_SUCH_STREAM not in run.errors:
        yield Finding("the error does not name the unknown stream", run.last_words(), NO_SUCH_STREAM)
    elif run.ok:
        lost = [row for row in missing(tap, sent(tap, tap.full), sent(tap, run)) if row[0] not in unsteady(tap)]
        if lost:
            text = f"beside an unknown stream {len(lost)} rows of others are missing: {show(lost)}"
            yield Finding(text, "", lost[0][0], Severity.MUST)


@tap_rule(
    "SEL-011",
    "the replication method of the catalog is obeyed",
    severity=Severity.SHOULD,
    source="SYNC_MODE.md, Replication methods",
    remedy="With FULL_TABLE leave the bookmark aside and read everything.",
    needs=["catalog", "state"],
)
def replication_method_is_obeyed(tap: TapLab) -> Iterator[Finding]:
    """FULL_TABLE with the last state gives as much as without one."""
    last, full = tap.synced.transcript.last_state, tap.as_full_table
    if full is None or last is None or not full.ok:
        raise NotApplicable("no stream can be read both incrementally and as a full table")
    entries = [entry for entry in tap.entries if tap.stream_name(entry) in tap.incremental]
    free = [entry for entry in entries if "forced-replication-method" not in catalogs.metadata_of(entry)]
    catalog = catalogs.with_method(_everything(tap), "FULL_TABLE", map(catalogs.stream_id, free))
    resumed = tap.sync(catalog, state=last.state)
    for stream in map(tap.stream_name, free):
        first, second = full.transcript.records_of(stream), resumed.transcript.records_of(stream)
        if resumed.ok and len(second) < len(first) and stream not in unsteady(tap):
            text = f"FULL_TABLE with a state gives {len(second)} of {len(first)} records"
            yield Finding(text, stream=stream)


@tap_rule(
    "SEL-012",
    "a replication key that the stream does not have is refused before any record",
    severity=Severity.MUST,
    source="DISCOVERY_MODE.md, Metadata: valid-replication-keys",
    remedy="Check the chosen key when the catalog is read, and name stream and key in the error.",
    needs=["catalog"],
)
def unknown_replication_keys_are_refused(tap: TapLab) -> Iterator[Finding]:
    """Choose a key that is no property, for a stream that offers a choice."""
    catalog = _everything(tap)
    offering = [entry for entry in catalogs.entries_of(catalog) if catalogs.replication_keys_of(entry)]
    if not offering:
        raise NotApplicable("no stream has valid-replication-keys")
    entry = offering[0]
    stream = tap.stream_name(entry)
    only = _only(catalog, [entry])
    chosen = {"replication-method": "INCREMENTAL", "replication-key": NO_SUCH_PROPERTY}
    changed = catalogs.with_metadata(only, catalogs.stream_id(entry), chosen)
    if "replication_key" in entry:
        catalogs.entry_of(changed, catalogs.stream_id(entry))["replication_key"] = NO_SUCH_PROPERTY
    run = tap.sync(changed)
    if run.exit_code == 0 or run.transcript.records:
        how = "is accepted" if run.exit_code == 0 else "is refused only after records were sent"
        yield Finding(f"the replication key {NO_SUCH_PROPERTY!r} {how}", run.last_words(), stream)
    elif NO_SUCH_PROPERTY not in run.errors:
        yield Finding("the error does not name the replication key", run.last_words(), stream, Severity.SHOULD)


@tap_rule(
    "SEL-013",
    "a child stream is sent without its parent",
    severity=Severity.MUST,
    source="BEST_PRACTICES.md, child streams",
    remedy="Read the parent for its children's sake, and just don't send it.",
    needs=["catalog"],
)
def children_come_without_their_parents(tap: TapLab) -> Iterator[Finding]:
    """Every stream gives the same rows whether another one is selected or not."""
    for chosen, run in _partial_runs(tap):
        if not run.ok:
            yield Finding(f"with some streams selected the sync failed: {run.ending()}", _names(tap, chosen))
            continue
        names = {name for entry in chosen if (name := tap.stream_name(entry)) not in unsteady(tap)}
        usual = identities(tap, (row for row in rows_of(tap.synced.transcript) if row.stream in names))
        for stream in sorted({row[0] for row in missing(tap, usual, sent(tap, run))}):
            text = f"with only {_names(tap, chosen)} selected the stream has {len(run.transcript.records_of(stream))} "
            yield Finding(f"{text}of {len(tap.full.transcript.records_of(stream))} records", stream=stream)


def _names(tap: TapLab, entries: list[Document]) -> str:
    return ", ".join(map(tap.stream_name, entries))


@tap_rule(
    "SEL-014",
    "a property that the user took out of the catalog's schema is not sent",
    severity=Severity.INFO,
    source="DISCOVERY_MODE.md: the catalog is the user's to change",
    remedy="Use the schema of the catalog that was given, or say that it may not be changed.",
    needs=["catalog"],
)
def edited_schemas_are_respected(tap: TapLab) -> Iterator[Finding]:
    """One available property of each stream is taken out."""
    catalog = _everything(tap)
    taken: dict[str, str] = {}
    for entry in catalogs.entries_of(catalog):
        available = [name for name in catalogs.properties_of(entry) if _inclusion(entry, name) == "available"]
        if available:
            taken[tap.stream_name(entry)] = available[-1]
            del catalogs.properties_of(entry)[available[-1]]
            _remove_metadata(entry, available[-1])
    if not taken:
        raise NotApplicable("no property may be left out")
    run = tap.sync(catalog)
    for stream, name in taken.items() if run.ok else ():
        found = _with_property(run, stream, name)
        if found is not None:
            yield Finding(f"{name} is sent though the catalog's schema no longer has it", found, stream)


def _remove_metadata(entry: Document, name: str) -> None:
    items = entry.get("metadata") or []
    entry["metadata"] = [item for item in items if item.get("breadcrumb", [])[:2] != ["properties", name]]
