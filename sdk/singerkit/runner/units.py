"""A pipeline as units: parts that are read and loaded by themselves, each a run with a state and a lease of its own.

A tap that knows ``--units`` says them itself: a stream with those below it, or one partition or range of keys. Of any
other tap each selected stream is a unit. A unit is JSON below two kilobytes, so that it can be handed to a scheduler.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from singerkit.digests import digest_of
from singerkit.errors import ConfigurationError, DiscoveryError
from singerkit.runner.asking import ask
from singerkit.runner.catalogs import catalog_for, catalog_of
from singerkit.runner.job import CatalogRules, Job, Retention
from singerkit.runner.private_files import PrivateFolder
from singerkit.runner.programs import command_of
from singerkit.runner.supervise.children import Command
from singerkit.telemetry.redact import Redactor, escape_controls

MAX_BYTES = 2_000
#: A pipeline may have hundreds of units, and its own history tells the longer past.
_KEPT_OF_A_UNIT = 20
#: Stands between a state's key and the unit in the key of a unit's state.
KEY_MARK = "#"


@dataclass(frozen=True)
class Unit:
    """A part of a pipeline's work.

    Shape: ``streams`` are those whose records it gives; ``stream`` is the one without a parent, and ``context`` the
    partition of it, if it is one; ``by_tap`` says that the tap itself is told the unit, instead of by its catalog.
    """

    pipeline: str
    stream: str
    streams: tuple[str, ...]
    context: Mapping[str, Any] | None = None
    by_tap: bool = False

    @property
    def id(self) -> str:
        """A name that no other unit of the pipeline has, the same in every plan."""
        if self.context is None:
            return self.stream
        return f"{self.stream}:{digest_of(json.dumps(self.context, sort_keys=True, default=str))}"

    def text(self) -> str:
        """Give it as JSON on one line.

        Errors: ``ConfigurationError`` when that is too much to hand around.
        """
        members: dict[str, Any] = {
            "pipeline": self.pipeline,
            "unit": self.id,
            "stream": self.stream,
            "streams": list(self.streams),
        }
        if self.context is not None:
            members["context"] = dict(self.context)
        if self.by_tap:
            members["by_tap"] = True
        text = json.dumps(members, ensure_ascii=False)
        if len(text.encode()) > MAX_BYTES:
            raise ConfigurationError(
                f"stream '{self.stream}': the context of a partition is too large for a unit (over {MAX_BYTES} bytes)"
            )
        return text


def unit_of_text(text: str) -> Unit:
    """Read a unit as :meth:`Unit.text` writes it.

    Errors: ``ConfigurationError`` for what is none.
    """
    try:
        members = json.loads(text)
        return Unit(
            members["pipeline"],
            members["stream"],
            tuple(members["streams"]),
            members.get("context"),
            bool(members.get("by_tap")),
        )
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError("a unit is a line of `singerkit plan`; this is none") from None


def plan_units(job: Job, folder: Path) -> list[Unit]:
    """Give all units of a job; asks the tap. ``folder`` is for private files.

    Errors: ``ConfigurationError``, ``DiscoveryError`` when the tap can't tell.
    """
    _refuse_state_in_target(job)
    with PrivateFolder(folder) as files:
        tap = command_of(job, job.tap, job.tap.name, files)
        if b"--units" in ask(tap, ["--help"]).output:
            units = list(_told_by_tap(job, tap, files))
        else:
            units = [Unit(job.name, name, (name,)) for name in _selected(catalog_of(job, folder))]
    for unit in units:
        unit.text()
    _refuse_overwriting(job, units)
    return units


def _refuse_state_in_target(job: Job) -> None:
    """Refuse units whose states would be the target's: nobody could gather them into the pipeline's there."""
    if job.state_in_target:
        raise ConfigurationError(
            f"pipelines.{job.name}.state_in is 'target', so the pipeline can't be run as units: run it whole, or keep "
            "its state in the store"
        )


def overwrites(job: Job) -> bool:
    """Tell whether each run of the target replaces its tables."""
    return (job.target.config or {}).get("load_method") == "overwrite"


def _refuse_overwriting(job: Job, units: Sequence[Unit]) -> None:
    """Refuse partitions of which each would replace the table that the others load."""
    if overwrites(job) and (unit := next((unit for unit in units if unit.context is not None), None)):
        raise ConfigurationError(
            f"stream '{unit.stream}' is read in partitions, and {job.target.name} overwrites (load_method): each would "
            "replace the others. Run the pipeline whole, or load by upsert or append-only"
        )


def unit_job(job: Job, unit: Unit) -> Job:
    """Give the job that reads and loads one unit, under a key of its own; steps that follow belong to the whole."""
    _refuse_state_in_target(job)
    tap, rules = job.tap, job.catalog_rules
    if unit.by_tap:
        said = {"stream": unit.stream, **({"context": unit.context} if unit.context is not None else {})}
        tap = replace(tap, argv=(*tap.argv, "--unit", json.dumps(said)))
    else:
        rules = _only(unit.stream, job.catalog_rules)
    return replace(
        job,
        name=f"{job.name}{KEY_MARK}{unit.id}",
        tap=tap,
        catalog_rules=rules,
        state_key=unit_key(job, unit),
        after=(),
        retention=Retention(runs=_KEPT_OF_A_UNIT, revisions=_KEPT_OF_A_UNIT),
    )


def unit_key(job: Job, unit: Unit) -> str:
    """Give the key of a unit's state."""
    return f"{job.state_key}{KEY_MARK}{unit.id}"


def _told_by_tap(job: Job, tap: Command, files: PrivateFolder) -> Iterator[Unit]:
    redactor = Redactor(job.tap.secrets)
    catalog = catalog_for(job, tap, files, redactor)
    options = [job.tap.catalog_option, str(catalog)] if catalog else []
    answer = ask(tap, [*options, "--units"])
    if answer.code:
        raise DiscoveryError(f"{tap.name} could not say its units {answer.failure(redactor)}")
    for line in filter(str.strip, answer.output.decode("utf-8", "replace").splitlines()):
        try:
            said = json.loads(line)
            yield Unit(job.name, said["stream"], tuple(said["streams"]), said.get("context"), by_tap=True)
        except (ValueError, KeyError, TypeError):
            said = escape_controls(redactor.redact(line)[:80])
            raise DiscoveryError(f"{tap.name} said something else than units: {said}") from None


def _selected(catalog: Mapping[str, Any]) -> Iterator[str]:
    for entry in catalog["streams"]:
        found: Mapping[str, Any] = next(
            (item for item in entry.get("metadata") or () if not item.get("breadcrumb")), {}
        )
        metadata = found.get("metadata") or {}
        if metadata.get("selected", metadata.get("selected-by-default", entry.get("selected", True))):
            yield entry["tap_stream_id"]


def _only(stream: str, rules: CatalogRules | None) -> CatalogRules:
    """Give rules by which nothing but one stream is selected."""

    def only(catalog: dict[str, Any]) -> dict[str, Any]:
        catalog = rules(catalog) if rules else catalog
        return {**catalog, "streams": [_selected_entry(entry, stream) for entry in catalog["streams"]]}

    return only


def _selected_entry(entry: Mapping[str, Any], stream: str) -> dict[str, Any]:
    is_it = entry.get("tap_stream_id") == stream
    items = entry.get("metadata") or []
    others = [item for item in items if item.get("breadcrumb")]
    of_stream = next((item.get("metadata") or {} for item in items if not item.get("breadcrumb")), {})
    selected = {"breadcrumb": [], "metadata": {**of_stream, "selected": is_it}}
    return {**entry, "selected": is_it, "metadata": [selected, *others]}
