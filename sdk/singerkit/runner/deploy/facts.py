"""What templates are filled with: the facts of a project and of its pipelines."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from singerkit.runner.deploy.platforms import Choices
from singerkit.runner.deploy.schedules import five_fields, on_calendar
from singerkit.runner.project import Project
from singerkit.runner.project.commands import words_of
from singerkit.runner.project.durations import seconds_of
from singerkit.runner.project.interpolate import PLAIN_VARIABLES, files_in, required_variables_in, variables_in
from singerkit.runner.project.spec import Connector, Pipeline

_EXTRAS_OF_STORES = {"postgresql": "postgres", "s3": "cloud", "gs": "cloud", "az": "cloud", "file": "cloud"}
_EXTRAS_OF_CONNECTORS = {
    "tap-sql": "sql",
    "target-duckdb": "duckdb",
    "target-mysql": "mysql",
    "target-parquet": "arrow",
    "target-postgres": "postgres",
}
#: Beyond thirty days a limit is none, and some platforms refuse it.
_LONGEST_LIMIT_S = 30 * 86_400


@dataclass(frozen=True)
class Variable:
    """A variable of the environment that a pipeline needs; an optional one has a default in singer.toml."""

    name: str
    is_optional: bool


@dataclass(frozen=True)
class Needs:
    """What has to be there beside the files of the project: variables to set, secret files to bring."""

    variables: tuple[Variable, ...]
    files: tuple[str, ...]

    @classmethod
    def of(cls, value: Any, others: Sequence[str] = ()) -> Needs:
        """Give what the references of a value need, and other variables, which may be missing."""
        required = required_variables_in(value) - PLAIN_VARIABLES
        names = (variables_in(value) - PLAIN_VARIABLES) | {*others}
        return cls(
            tuple(Variable(name, name not in required) for name in sorted(names)), tuple(sorted(files_in(value)))
        )


@dataclass(frozen=True)
class PipelineFacts:
    """A pipeline, for templates.

    Shape: ``slug`` is the names of project, environment and pipeline in lower-case letters, digits and dashes,
    ``identifier`` the same with underscores; ``schedule`` five fields of cron or empty; ``calendar`` the same for
    systemd; ``run`` and ``install`` are the words after ``singerkit``, the latter empty where there is nothing to
    install; ``pool`` names the limit that it shares with other pipelines, and ``pool_slots`` what it takes of it.

    Units: seconds. ``limit_s`` is the longest that all attempts may take, ``None`` without a timeout or with steps
    afterwards, which have none; ``grace_s`` is from a signal until it has ended.
    """

    name: str
    slug: str
    identifier: str
    schedule: str
    calendar: tuple[str, ...]
    run: tuple[str, ...]
    install: tuple[str, ...]
    limit_s: int | None
    grace_s: int
    pool: str
    pool_slots: int
    shards: int
    needs: Needs


def slug_of(*words: str) -> str:
    """Give words as one name of lower-case letters, digits and dashes, as host names are."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(filter(None, words)).lower()).strip("-")


def pipeline_facts(project: Project, name: str, choices: Choices) -> PipelineFacts:
    """Give the facts of a pipeline.

    Errors: ``ConfigurationError`` for a name that is not there, or a schedule that can't be deployed.
    """
    said = project.pipeline(name)
    where = f"pipelines.{name}.schedule"
    schedule = five_fields(said.schedule, where) if said.schedule else ""
    slug = slug_of(choices.name, project.environment or "", name)
    pool, slots = next(iter(project.settings.taps[said.tap].resources.items()), ("", 0.0))
    install = _to_install(project, said)
    return PipelineFacts(
        name=name,
        slug=slug,
        identifier=slug.replace("-", "_"),
        schedule=schedule,
        calendar=on_calendar(schedule, where) if schedule else (),
        run=("run", name, *environment_words(project)),
        install=("install", *install, *environment_words(project)) if install else (),
        limit_s=_limit_s(said),
        grace_s=math.ceil(seconds_of(said.grace)),
        pool=pool,
        pool_slots=max(1, math.ceil(slots)),
        shards=choices.shards.get(name, 1),
        needs=Needs.of(_settings(project, name, said), choices.variables),
    )


def environment_words(project: Project) -> tuple[str, ...]:
    """Give the option that names the project's environment."""
    return ("--env", project.environment) if project.environment else ()


def packages_of(project: Project, pipelines: Sequence[str]) -> list[str]:
    """Give what is written as packages of the connectors of pipelines, references as they are."""
    connectors = [each for name in pipelines for _, each in _connectors(project, project.pipeline(name))]
    return [text for each in connectors for text in ([each.package] if isinstance(each.package, str) else each.package)]


def extras_of(project: Project, pipelines: Sequence[str]) -> frozenset[str]:
    """Give the extras of singerkit that status, store and those connectors need that come with singerkit.

    Errors: ``ConfigurationError`` when a command's quote is not closed.
    """
    of_store = _EXTRAS_OF_STORES.get(project.settings.state.url.partition("://")[0])
    found = {"schedule", *([of_store] if of_store else [])}
    for name, connector in (
        each for pipeline in pipelines for each in _connectors(project, project.pipeline(pipeline))
    ):
        words = words_of(connector.command, f"{name}.command") or [name]
        if not connector.package and words[0] in _EXTRAS_OF_CONNECTORS:
            found.add(_EXTRAS_OF_CONNECTORS[words[0]])
    return frozenset(found)


def _connectors(project: Project, said: Pipeline) -> list[tuple[str, Connector]]:
    return [
        (said.tap, project.settings.taps[said.tap]),
        *((name, project.settings.mappers[name]) for name in said.mappers),
        (said.target, project.settings.targets[said.target]),
    ]


def _to_install(project: Project, said: Pipeline) -> list[str]:
    return list(dict.fromkeys(name for name, connector in _connectors(project, said) if connector.package))


def _settings(project: Project, name: str, said: Pipeline) -> Any:
    """Give all settings that a run of a pipeline reads, references as they are."""
    notices = [
        notice
        for notice in project.settings.notify.values()
        if not notice.pipelines or any(fnmatchcase(name, pattern) for pattern in notice.pipelines)
    ]
    connectors = [connector for _, connector in _connectors(project, said)]
    return msgspec.to_builtins([said, project.settings.state, *connectors, *notices])


def _limit_s(said: Pipeline) -> int | None:
    """Give the longest that all attempts may take, with the time to drain and the waits between them, which double."""
    if said.timeout is None or said.after:
        return None
    attempt = seconds_of(said.timeout) + seconds_of(said.drain) + seconds_of(said.grace)
    waits = seconds_of(said.retry_wait) * (2.0 ** min(said.retries, 64) - 1)
    limit_s = math.ceil(attempt * (said.retries + 1) + waits)
    return limit_s if limit_s <= _LONGEST_LIMIT_S else None
