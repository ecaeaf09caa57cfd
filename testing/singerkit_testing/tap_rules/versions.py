"""Versions of full tables: how a target learns which rows are gone (an extension)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singerkit_testing.rules import Finding, NotApplicable, Severity, tap_rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singerkit_testing.tap_lab import TapLab
    from singerkit_testing.transcript import Transcript


@tap_rule(
    "TAP-079",
    "a version is the same throughout a full table, new in the next one, and activated after its last record",
    severity=Severity.MUST,
    source="singer-python, ActivateVersionMessage (an extension)",
    remedy="Take a new version for each full table, give it to every record, and activate it when it is complete; "
    "before its records only in the very first sync.",
)
def versions_are_activated(tap: TapLab) -> Iterator[Finding]:
    """In the first sync, and in one that goes on from its last state."""
    first = tap.synced.transcript
    streams = [stream for stream in first.streams if _versions(first, stream) and tap.method(stream) == "FULL_TABLE"]
    if not streams:
        raise NotApplicable("no full table has versions")
    last = first.last_state
    second = tap.resumed(last.state).transcript if last is not None else tap.again.transcript
    for stream in streams:
        yield from _one_sync(first, stream, "in the first sync")
        yield from _one_sync(second, stream, "in the second sync")
        yield from _from_sync_to_sync(first, second, stream)


def _versions(transcript: Transcript, stream: str) -> list[Any]:
    versions = (message.value.get("version") for message in transcript.records_of(stream))
    return list(dict.fromkeys(version for version in versions if isinstance(version, int)))


def _one_sync(transcript: Transcript, stream: str, when: str) -> Iterator[Finding]:
    records, versions = transcript.records_of(stream), _versions(transcript, stream)
    if not versions:
        return
    if len(versions) > 1:
        yield Finding(f"records of several versions {when}: {versions[:5]}", records[-1], stream)
    after = [message for message in transcript.activations if message.stream == stream]
    if not any(m.value.get("version") == versions[-1] and m.number > records[-1].number for m in after):
        yield Finding(f"version {versions[-1]} is not activated after its last record {when}", records[-1], stream)


def _from_sync_to_sync(first: Transcript, second: Transcript, stream: str) -> Iterator[Finding]:
    old, new = _versions(first, stream), _versions(second, stream)
    if not new:
        return
    if new[0] in old:
        yield Finding(f"the second sync has the version of the first, {new[0]}", second.records_of(stream)[0], stream)
        return
    begin = second.records_of(stream)[0].number
    for message in second.activations:
        if message.stream == stream and message.number < begin and message.value.get("version") in new:
            text = f"line {message.number}: version {new[0]} is activated before its records: the old rows are gone"
            yield Finding(text, message, stream)
