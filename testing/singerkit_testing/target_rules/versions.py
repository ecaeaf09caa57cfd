"""Versions and batches: two extensions, judged only where a target says that it has them."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

from singerkit_testing.messages import ID, TEXT, Sent, activate_version, record, schema, state
from singerkit_testing.outcomes import lost, unclear
from singerkit_testing.rules import Finding, NotApplicable, Severity, target_rule
from singerkit_testing.target_rules.framing import few

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from singerkit_testing.readers import Row
    from singerkit_testing.target_lab import Destination, Load, TargetLab

_VERSIONS = "singer-python, messages: ACTIVATE_VERSION; not in SPEC.md"
_BATCHES = "Meltano SDK, BATCH messages; not in SPEC.md"
_BATCH = 5
_STREAMS = ("replaced", "buffered", "emptied", "pending")


def _versioned(stream: str, version: int, ids: Iterable[int], *, activate: bool = True) -> list[Sent]:
    first = schema(stream, {"id": ID, "name": TEXT}, ["id"])
    rows = [{**record(stream, id=number, name=f"version {version}"), "version": version} for number in ids]
    return [first, *rows, *([activate_version(stream, version)] if activate else [])]


def two_versions(target: TargetLab) -> tuple[Destination, Load]:
    """Load a first version of four streams, then what becomes of each in a second run."""
    place = target.fresh()
    metadata = {"add_record_metadata": True} if "add_record_metadata" in target.settings else {}
    settings = {**target.batches_of(_BATCH), **metadata}  # some keep the version in a metadata column
    first = [message for stream in _STREAMS for message in _versioned(stream, 1, range(1, 8))]
    load = place.load(first, settings=settings)
    if load.ok:
        second = [
            *_versioned("replaced", 2, range(1, 7)),
            *_versioned("buffered", 2, [1, 2]),
            *_versioned("emptied", 2, []),
            *_versioned("pending", 2, [20], activate=False),
            state({"n": 2}),  # only now is it sure that the tap went through all of it
        ]
        load = place.load(second, settings=settings)
    return place, load


def _live(place: Destination, stream: str) -> set[str]:
    """Give the ids of the rows that are not marked as deleted."""
    return {str(row.get("id")) for row in place.rows(stream, metadata=True) if not _is_deleted(row)}


def _is_deleted(row: Row) -> bool:
    marks = [value for name, value in row.items() if "deleted" in name.lower()]
    return any(value not in (None, "", False, "false") for value in marks)


def _versions_loaded(target: TargetLab) -> Destination:
    place, load = target.remember("two versions", lambda: two_versions(target))
    if not load.ok:
        raise NotApplicable(f"two versions of four streams were not loaded: {load.ending()}")
    if says_it_does_not_act(load):
        raise NotApplicable("the target says in its log that it does not act on ACTIVATE_VERSION")
    return place


def says_it_does_not_act(load: Load) -> bool:
    """Whether the log warns about ACTIVATE_VERSION: then nobody expects rows to go."""
    return any("ACTIVATE_VERSION" in line and "WARN" in line for line in load.errors.splitlines())


@target_rule(
    "TGT-120",
    "ACTIVATE_VERSION does not end a run",
    severity=Severity.MUST,
    source=_VERSIONS,
    remedy="Warn and go on if you don't support versions: the message carries no data.",
)
def activate_version_does_not_end_a_run(target: TargetLab) -> Iterator[Finding]:
    """Send versioned records and activate their version."""
    messages = [*_versioned("versioned", 1, [1, 2]), state({"n": 1})]
    load = target.load(messages)
    if not load.ok:
        yield Finding(f"ACTIVATE_VERSION fails: {load.ending()}", stream="versioned")
    else:
        yield from lost(target, load.destination, messages, "versioned")


@target_rule(
    "TGT-121",
    "activating a version keeps all of its rows and removes older ones",
    severity=Severity.MUST,
    source=_VERSIONS,
    remedy="Delete where the row's version is lower than the activated one, or none; never where it is equal.",
    needs=["reader", "activate_version"],
)
def activation_removes_older_rows(target: TargetLab) -> Iterator[Finding]:
    """Load seven rows, then six of a newer version, in batches of five where that can be set."""
    place, load = target.remember("two versions", lambda: two_versions(target))
    if not load.ok:
        yield Finding(f"two versions of four streams are not loaded: {load.ending()}")
        return
    place = _versions_loaded(target)
    found, wanted = _live(place, "replaced"), {str(number) for number in range(1, 7)}
    if wanted - found:
        yield Finding(f"rows of the activated version are gone: ids {sorted(wanted - found)}", stream="replaced")
    if found - wanted:
        yield Finding(f"rows of an older version are still there: ids {sorted(found - wanted)}", stream="replaced")


@target_rule(
    "TGT-122",
    "rows that wait are stored before their version is activated",
    severity=Severity.MUST,
    source=_VERSIONS,
    remedy="Store the stream's batch, then activate.",
    needs=["reader", "activate_version"],
)
def waiting_rows_are_stored_first(target: TargetLab) -> Iterator[Finding]:
    """Activate a version while its two rows wait in a batch."""
    found = _live(_versions_loaded(target), "buffered")
    if found != {"1", "2"}:
        yield Finding(f"of the rows 1 and 2 of the activated version there is {sorted(found)}", stream="buffered")


@target_rule(
    "TGT-123",
    "only ACTIVATE_VERSION removes rows, also if no record came before it",
    severity=Severity.MUST,
    source=_VERSIONS,
    remedy="Act on ACTIVATE_VERSION alone: not on the version of a record, and also without any record.",
    needs=["reader", "activate_version"],
)
def only_activation_removes_rows(target: TargetLab) -> Iterator[Finding]:
    """Activate a version without records; send a record of a new version without activating it."""
    place = _versions_loaded(target)
    left = _live(place, "emptied")
    if left:
        yield Finding(f"a version without rows was activated, but {len(left)} older ones are there", stream="emptied")
    found = _live(place, "pending")
    if not {str(number) for number in range(1, 8)} <= found:
        yield Finding("rows are gone before a newer version was activated", sorted(found), "pending")


@target_rule(
    "TGT-124",
    "ACTIVATE_VERSION of an unknown stream is ignored or refused in plain words",
    severity=Severity.MUST,
    source=_VERSIONS,
    remedy="Warn that the stream is unknown; there is nothing to remove.",
)
def activation_of_an_unknown_stream(target: TargetLab) -> Iterator[Finding]:
    """Activate a version of a stream that had no SCHEMA."""
    load = target.load([activate_version("stranger", 1), *_versioned("versioned", 1, [1])])
    if not load.ok:
        yield from unclear(load, ["stranger"], activate_version("stranger", 1))


@target_rule(
    "TGT-125",
    "without metadata columns, activating a version does not empty the table",
    severity=Severity.MUST,
    source=f"{_VERSIONS}; add_record_metadata is a setting of the Meltano SDK",
    remedy="Keep the version whatever the setting says, or don't act on ACTIVATE_VERSION without it.",
    needs=["reader", "activate_version"],
)
def activation_without_metadata(target: TargetLab) -> Iterator[Finding]:
    """Switch the metadata columns off, load and activate; then on, and load again."""
    if "add_record_metadata" not in target.settings:
        raise NotApplicable("the target declares no setting add_record_metadata")
    for is_on, (load, live) in metadata_off_then_on(target).items():
        if not load.ok:
            severity = Severity.SHOULD if "add_record_metadata" in load.last_words() else None
            yield Finding(f"add_record_metadata {is_on} fails: {load.ending()}", stream="plain", severity=severity)
        elif not {"1", "2", "3"} <= live:
            yield Finding(
                f"with add_record_metadata {is_on} the rows of the activated version are gone", stream="plain"
            )


def metadata_off_then_on(target: TargetLab) -> dict[bool, tuple[Load, set[str]]]:
    """Load and activate a version without metadata columns, then one with them, unless that run failed.

    Shape: whether they are on, to the run and the ids of ``plain`` after it; ``stamped_True`` and ``stamped_False`` are
    streams that only the one run has.
    """
    return target.remember("metadata off, then on", lambda: dict(_off_then_on(target)))


def _off_then_on(target: TargetLab) -> Iterator[tuple[bool, tuple[Load, set[str]]]]:
    place = target.fresh()
    for version, is_on in ((1, False), (2, True)):
        messages = [*_versioned("plain", version, [1, 2, 3]), *few(f"stamped_{is_on}")]
        load = place.load(messages, settings={"add_record_metadata": is_on})
        yield is_on, (load, _live(place, "plain") if load.ok and target.reader is not None else set())
        if not load.ok:
            return


def _batch(stream: str, path: Path) -> dict[str, Any]:
    encoding = {"format": "jsonl", "compression": "gzip"}
    return {"type": "BATCH", "stream": stream, "encoding": encoding, "manifest": [path.as_uri()]}


@target_rule(
    "TGT-126",
    "the files of a BATCH are loaded before the next state is released",
    severity=Severity.MUST,
    source=_BATCHES,
    remedy="Load every file of the manifest; let a missing or damaged one end the run.",
    needs=["reader", "batch"],
)
def batches_are_loaded(target: TargetLab) -> Iterator[Finding]:
    """Load a compressed file of three records, then one that is damaged."""
    place = target.fresh()
    path = place.work / "batch.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(b'{"id":%d,"name":"from a file"}\n' % number for number in (1, 2, 3))))
    first = schema("filed", {"id": ID, "name": TEXT}, ["id"])
    # A target may read files only below a folder that its config names.
    root = {"batch_root": str(place.work)} if "batch_root" in target.settings else {}
    load = place.load([first, _batch("filed", path), state({"n": 1})], settings=root)
    if not load.ok:
        yield Finding(f"a BATCH of three records fails: {load.ending()}", stream="filed")
    elif len(load.rows("filed")) != 3:
        yield Finding(
            f"exit code 0, but of three records in a file {len(load.rows('filed'))} are there", stream="filed"
        )
    path.write_bytes(b"no gzip")
    load = place.load([first, _batch("filed", path), state({"n": 2})], settings=root)
    if load.ok or load.states:
        yield Finding("a damaged file of a BATCH is skipped", stream="filed")
