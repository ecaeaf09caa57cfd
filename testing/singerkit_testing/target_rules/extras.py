"""Extensions that a target declares itself: what it declares has to work."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from singerkit_testing.errors import Unreadable
from singerkit_testing.messages import ID, TEXT, Sent, record, schema, state
from singerkit_testing.outcomes import lost
from singerkit_testing.rules import Finding, NotApplicable, Severity, target_rule
from singerkit_testing.structured_logs import REMEDY, SOURCE, TITLE, structured_logging, unstructured
from singerkit_testing.target_rules.framing import few
from singerkit_testing.target_rules.states import released_on_the_way
from singerkit_testing.target_rules.versions import metadata_off_then_on, says_it_does_not_act, two_versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from singerkit_testing.process import Running
    from singerkit_testing.target_lab import Destination, Load, TargetLab

_EXTRAS = "Meltano SDK, capabilities and settings; not in SPEC.md"
_METADATA = "_sdc_"
_ROWS = 5
_PATIENCE_S = 3.0


@target_rule(
    "EXT-003",
    "declared capabilities are there",
    severity=Severity.MUST,
    source=_EXTRAS,
    remedy="Declare a capability only if the target has it.",
    needs=["about"],
)
def declared_capabilities_are_there(target: TargetLab) -> Iterator[Finding]:
    """Try each declared capability that shows from outside."""
    for capability, check in _CAPABILITIES.items():
        if capability in target.abilities:
            yield from check(target)


def _validates(target: TargetLab) -> Iterator[Finding]:
    first, *rest = few("checked")
    load = target.load([first, *rest, record("checked", id="no integer", name="three")])
    if load.ok:
        yield Finding("declares validate-records, but a record with a wrong type is taken", stream="checked")


def _activates(target: TargetLab) -> Iterator[Finding]:
    _, load = target.remember("two versions", lambda: two_versions(target))
    if says_it_does_not_act(load):
        what = "declares activate-version, but says in its log that it does not act on it"
        yield Finding(what, severity=Severity.SHOULD)


_MAPS = {"stream_maps": {"mapped": {"extra": "name", "__filter__": "id == 1"}}}
_FLATTENING = {"flattening_enabled": True, "flattening_max_depth": 1}


def _nested() -> list[Sent]:
    form = {"type": "object", "properties": {"inner": TEXT}}
    return [schema("flat", {"id": ID, "outer": form}, ["id"]), record("flat", id=1, outer={"inner": "core"})]


def _changed(target: TargetLab, messages: list[Sent], settings: dict[str, Any]) -> Load:
    """Load with maps and with flattening, both in one run where a target declares both; if that fails, with one."""
    if {"stream_maps", "schema_flattening"} <= target.abilities:
        both = {**_MAPS, **_FLATTENING}
        load = target.remember("maps and flattening", lambda: target.load([*few("mapped"), *_nested()], settings=both))
        if load.ok:
            return load
    return target.load(messages, settings=settings)


def _maps(target: TargetLab) -> Iterator[Finding]:
    load = _changed(target, few("mapped"), _MAPS)
    if not load.ok:
        yield Finding(f"declares stream-maps, but a map fails: {load.ending()}", stream="mapped")
    elif target.reader is not None:
        rows = load.rows("mapped")
        if len(rows) != 1 or rows[0].get("extra") != "one":
            yield Finding("declares stream-maps, but a map has no effect", rows, "mapped")


def _flattens(target: TargetLab) -> Iterator[Finding]:
    load = _changed(target, _nested(), _FLATTENING)
    if not load.ok:
        yield Finding(f"declares schema-flattening, but flattening fails: {load.ending()}", stream="flat")
    elif target.reader is not None and [row.get("outer__inner") for row in load.rows("flat")] != ["core"]:
        yield Finding("declares schema-flattening, but there is no column outer__inner", load.rows("flat"), "flat")


_CAPABILITIES: dict[str, Callable[[TargetLab], Iterator[Finding]]] = {
    "validate_records": _validates,
    "activate_version": _activates,
    "stream_maps": _maps,
    "schema_flattening": _flattens,
}


@target_rule(
    "EXT-009",
    "maps and flattening that change nothing change nothing",
    severity=Severity.SHOULD,
    source=_EXTRAS,
    remedy="Pass what a map does not mention as it is.",
    needs=["reader", "stream_maps"],
)
def an_identity_map_changes_nothing(target: TargetLab) -> Iterator[Finding]:
    """Map each property to itself; flatten to the depth of 0."""
    identity: dict[str, Any] = {"stream_maps": {"mapped": {"id": "id", "name": "name"}}}
    shallow: dict[str, Any] = {"flattening_enabled": True, "flattening_max_depth": 0}
    yield from _unchanged(target, {**identity, **shallow})


def _unchanged(target: TargetLab, settings: dict[str, Any]) -> Iterator[Finding]:
    messages = few("mapped", state({"n": 1}))
    load = target.load(messages, settings=settings)
    if not load.ok:
        yield Finding(f"{settings} fails: {load.ending()}", stream="mapped")
    else:
        yield from lost(target, load.destination, messages, "mapped")


@target_rule(
    "EXT-010",
    "the settings of batches, metadata and load methods do what they say",
    severity=Severity.MUST,
    source=_EXTRAS,
    remedy="Add `_sdc_*` columns when add_record_metadata is on, none when it is off; obey load_method.",
    needs=["reader", "about"],
)
def settings_do_what_they_say(target: TargetLab) -> Iterator[Finding]:
    """Switch the metadata on and off, try each load method over two runs, fill small batches while input is open."""
    checks = {"add_record_metadata": _metadata, "load_method": _load_methods, "batch_size_rows": _small_batches}
    if not checks.keys() & target.settings.keys():
        raise NotApplicable("the target declares none of these settings")
    for name, check in checks.items():
        if name in target.settings:
            yield from check(target)


def _metadata(target: TargetLab) -> Iterator[Finding]:
    for is_on in (True, False):
        stream = f"stamped_{is_on}"
        load = _stamped(target, stream, is_on=is_on)
        if not load.ok:
            severity = Severity.SHOULD if "add_record_metadata" in load.last_words() else None
            yield Finding(f"add_record_metadata {is_on} fails: {load.ending()}", stream=stream, severity=severity)
            continue
        yield from lost(target, load.destination, few(stream), stream)
        names = {name for row in load.destination.rows(stream, metadata=True) for name in row}
        has = any(name.lower().startswith(_METADATA) for name in names)
        if has != is_on:
            yield Finding(f"add_record_metadata is {is_on}, and the columns are {sorted(names)}", stream=stream)


def _stamped(target: TargetLab, stream: str, *, is_on: bool) -> Load:
    """Load with or without metadata: in the run of another rule, where that rule applies and the run went well."""
    if "activate_version" in target.abilities:
        load, _ = metadata_off_then_on(target).get(is_on, (None, None))
        if load is not None and load.ok:
            return load
    return target.load(few(stream), settings={"add_record_metadata": is_on})


_RESULTS: dict[str, list[str]] = {
    "append": ["one", "one", "two"],
    "upsert": ["one", "two"],
    "overwrite": ["one"],
}


def _load_methods(target: TargetLab) -> Iterator[Finding]:
    offered = target.settings["load_method"].get("enum") if isinstance(target.settings["load_method"], dict) else None
    first, one, two = few("method")
    for method in offered if isinstance(offered, list) else []:
        expected = _RESULTS.get(str(method).removesuffix("-only"))
        if expected is None:
            continue
        place = target.fresh()
        runs: list[list[Sent]] = [[first, one, two], [first, one]]
        loads = [place.load(run, settings={"load_method": method}) for run in runs]
        if not all(load.ok for load in loads):
            yield Finding(f"load_method {method} fails: {loads[-1].ending()}", stream="method")
        elif sorted(str(row.get("name")) for row in place.rows("method")) != expected:
            yield Finding(f"load_method {method} does not do what it says", place.rows("method"), "method")


def _small_batches(target: TargetLab) -> Iterator[Finding]:
    if target.batch_size_setting == "batch_size_rows" and released_on_the_way(target):
        return  # the first batches were stored, else no state would have come
    messages: list[Sent] = [schema("batched", {"id": ID, "name": TEXT}, ["id"])]
    messages += [record("batched", id=number, name=f"row {number}") for number in range(1, 3 * _ROWS + 2)]
    place = target.fresh()
    with place.start(settings={"batch_size_rows": _ROWS}) as running:
        running.write(place.input_of([*messages, state({"n": 1})]))
        running.wait_drained()
        if running.wait_until(_Look(place, running), _PATIENCE_S) or not running.is_running:
            return
    what = f"batch_size_rows is {_ROWS}, but of {3 * _ROWS + 1} rows none is there while the input is open"
    yield Finding(what, stream="batched", severity=Severity.INFO)


class _Look:
    """Asks now and then whether rows are there already; one that can't look, as the file is locked, has seen enough."""

    def __init__(self, place: Destination, running: Running) -> None:
        self._place = place
        self._running = running
        self._next = 0.0

    def __call__(self) -> bool:
        if b"\n" in self._running.stdout:
            return True
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + _PATIENCE_S / 10
        try:
            return len(self._place.rows("batched")) >= _ROWS
        except Unreadable:
            return True


@target_rule(
    "EXT-011",
    TITLE,
    severity=Severity.SHOULD,
    source=SOURCE,
    remedy=REMEDY,
    needs=["about", "structured_logging"],
)
def logs_are_structured(target: TargetLab) -> Iterator[Finding]:
    """Look at the log of a load, and of one with a line that is no JSON."""
    with structured_logging() as environment:
        good = target.load(few("logged", state({"n": 1})), environment=environment)
        failed = target.load([*few("logged"), b"nope"], environment=environment)
    yield from unstructured(good, failed)
