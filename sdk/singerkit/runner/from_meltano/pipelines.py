"""Jobs and schedules as pipelines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from singerkit.runner.from_meltano.connectors import Connectors, Leave
from singerkit.runner.from_meltano.source import Located, MeltanoSource


class Block(NamedTuple):
    """One ``tap ... target`` of a job, and the commands that follow it."""

    tap: str
    mappers: tuple[str, ...]
    target: str
    after: list[str]


class Pipelines:
    """The pipelines of a Meltano project, converted: ``tables`` has them by name."""

    def __init__(self, source: MeltanoSource, connectors: Connectors, leave: Leave) -> None:
        self._source = source
        self._connectors = connectors
        self._leave = leave
        self.tables: dict[str, dict[str, Any]] = {}
        self._of_job: dict[str, list[str]] = {}
        for job in source.jobs:
            self._add_job(job)
        for schedule in source.schedules:
            self._add_schedule(schedule)
        if not self.tables:
            self._add_pairs()

    def _add_job(self, job: Located) -> None:
        tasks = job.get("tasks") or []
        words = [word for task in _flat(tasks) for word in str(task).split()]
        blocks = [*self._blocks(job, words)]
        names = []
        for number, block in enumerate(blocks, 1):
            names.append(self._add(job["name"] if len(blocks) == 1 else f"{job['name']}-{number}", block))
        self._of_job[job["name"]] = names
        if len(names) > 1:
            why = f"runs one after the other as: singerkit run {' '.join(names)}"
            self._leave(job, "tasks", f"job {job['name']}", why)

    def _blocks(self, job: Located, words: Sequence[str]) -> Iterator[Block]:
        """Split a job's words into blocks; what is neither a connector nor a known command is left out."""
        tables = self._connectors.tables
        block: Block | None = None
        tap, mappers = "", list[str]()
        for word in words:
            if word in tables["taps"]:
                tap, mappers = word, []
            elif tap and word in tables["mappers"]:
                mappers.append(word)
            elif tap and word in tables["targets"]:
                if block:
                    yield block
                block, tap = Block(tap, tuple(mappers), word, []), ""
            elif block and (command := self._command(word)):
                block.after.append(command)
            else:
                why = "it comes before any tap and target" if self._command(word) else "nothing of this name is known"
                self._leave(job, "tasks", f"job {job['name']}: '{word}'", why)
        if block:
            yield block

    def _command(self, word: str) -> str | None:
        """Give the shell command of a utility's command, such as ``dbt:run``."""
        name, _, command = word.partition(":")
        for kind in ("utilities", "transformers", "orchestrators"):
            for plugin in self._source.plugins.get(kind, ()):
                if plugin["name"] == name:
                    return self._utility_command(kind, plugin, command)
        return None

    def _utility_command(self, kind: str, plugin: Located, command: str) -> str:
        definition = self._source.definition(kind, plugin)
        said = {**(definition.get("commands") or {}), **(plugin.get("commands") or {})}.get(command, command)
        executable = plugin.get("executable") or definition.get("executable")
        if isinstance(said, dict):
            executable, said = said.get("executable") or executable, said.get("args", "")
        default = "dbt" if plugin["name"].startswith("dbt") else plugin["name"]
        return f"{executable or default} {said}".strip()

    def _add_schedule(self, schedule: Located) -> None:
        interval = str(schedule.get("interval") or "")
        cron = "" if interval in ("", "@once", "@manual", "@none") else interval
        if interval and not cron:
            self._leave(schedule, "interval", f"schedule {schedule['name']}", f"'{interval}' is no time")
        if "job" in schedule:
            names = self._of_job.get(str(schedule["job"]), [])
            if not names:
                self._leave(schedule, "job", f"schedule {schedule['name']}", "its job has nothing that can be run")
            for name in names if cron else ():
                self.tables[name]["schedule"] = cron
        else:
            tap, target = str(schedule.get("extractor")), str(schedule.get("loader"))
            if tap not in self._connectors.tables["taps"] or target not in self._connectors.tables["targets"]:
                self._leave(schedule, "name", f"schedule {schedule['name']}", "its tap or target is not in the project")
                return
            name = self._add(schedule["name"], Block(tap, (), target, []), state_key=schedule["name"])
            self.tables[name] |= {"schedule": cron} if cron else {}
        for key in sorted(schedule.keys() - {"name", "interval", "job", "extractor", "loader"}):
            if not (key == "transform" and schedule[key] == "skip"):
                what = f"schedule {schedule['name']}.{key}"
                self._leave(schedule, key, what, "a pipeline has no place for it")

    def _add_pairs(self) -> None:
        """Write a pipeline for every tap where it is clear what it loads into."""
        targets = [*self._connectors.tables["targets"]]
        taps = [*self._connectors.tables["taps"]]
        if len(targets) == 1:
            for tap in taps:
                self._add(f"{tap}-to-{targets[0]}", Block(tap, (), targets[0], []))
        elif taps and targets:
            what = f"{', '.join(taps)} and {', '.join(targets)}"
            self._leave(self._source.main, "plugins", what, "no job and no schedule joins them: write [pipelines.NAME]")

    def _add(self, name: str, block: Block, state_key: str = "") -> str:
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or "pipeline"
        key = state_key or f"{block.tap}-to-{block.target}"  # so that states of Meltano go on under their names
        table: dict[str, Any] = {"tap": block.tap, "target": block.target}
        table |= {"mappers": [*block.mappers]} if block.mappers else {}
        table |= {"state_key": key} if key != name else {}
        table |= {"after": block.after} if block.after else {}
        if filters := self._connectors.filters.get(block.tap):
            table["streams"] = filters
        if over := self._target_config(block):
            table["target_config"] = over
        self.tables[name] = table
        return name

    def _target_config(self, block: Block) -> dict[str, Any]:
        """Give the settings of the target that depend on the tap."""
        namespace = self._connectors.namespace(block.tap)
        values = {
            "MELTANO_EXTRACTOR_NAME": block.tap,
            "MELTANO_EXTRACTOR_NAMESPACE": namespace,
            "MELTANO_EXTRACT__LOAD_SCHEMA": self._connectors.load_schemas.get(block.tap, namespace),
            "MELTANO_LOADER_NAME": block.target,
            "MELTANO_LOADER_NAMESPACE": block.target.replace("-", "_"),
        }
        return _depending(self._connectors.tables["targets"][block.target].get("config", {}), values)


def without_dependent(config: Mapping[str, Any]) -> dict[str, Any]:
    """Give a target's config without the settings that depend on the pipeline."""
    dependent = _depending(config, {})
    return {
        name: without_dependent(value) if isinstance(value, dict) else value
        for name, value in config.items()
        if name not in dependent or isinstance(value, dict)
    }


_OF_PIPELINE = re.compile(r"\$\{(MELTANO_(?:EXTRACT(?:OR)?|LOADER)_\w+)\}")


def _depending(config: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, dict) and (below := _depending(value, values)):
            found[name] = below
        elif isinstance(value, str) and _OF_PIPELINE.search(value):
            found[name] = _OF_PIPELINE.sub(lambda reference: values.get(reference[1], ""), value)
    return found


def _flat(tasks: Any) -> Iterator[Any]:
    for task in tasks if isinstance(tasks, list) else [tasks]:
        if isinstance(task, list):
            yield from _flat(task)
        else:
            yield task
