"""From the text of a singer.toml to checked settings, for one environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from singerkit.config.problems import Problem, problems_of, suggestion
from singerkit.errors import ConfigurationError, ConfigValidationError
from singerkit.runner.project import durations
from singerkit.runner.project.document import Source, Tree
from singerkit.runner.project.interpolate import variables_in
from singerkit.runner.project.json_schema import project_schema
from singerkit.runner.project.merging import inherited, lineage, merged
from singerkit.runner.project.spec import Document, Pipeline, Settings

#: The kinds of programs, by the name of their tables.
KINDS = ("taps", "targets", "mappers")


class Reading(NamedTuple):
    """What was read: the text, what it says for one environment, and the variables that it names for any."""

    source: Source
    settings: Settings
    variables: frozenset[str]


def read_settings(path: Path, environment: str | None) -> Reading:
    """Read a singer.toml, and put the overrides of an environment over it.

    Errors: ``ConfigurationError`` when the file can't be read or the environment is not there;
    ``ConfigValidationError`` with every setting that is not known or not possible, each with its line.
    """
    source = Source.read(path)
    tree = source.parse()
    _check_form(tree, source)
    variables = variables_in([_without_shell_commands(settings) for settings in (tree, *tree.get("env", {}).values())])
    if problems := [*_package_problems(tree, source)]:
        raise _invalid(path, problems)
    chain = _environments(tree, source, environment)
    for name in chain:
        tree = merged(tree, {key: value for key, value in tree["env"][name].items() if key != "inherits"})
    for kind in KINDS:
        tables = tree.get(kind, {})
        tree[kind] = {name: _inherited(source, kind, name, tables) for name in tables}
    tree.pop("env", None)
    settings = msgspec.convert(tree, Settings)
    if problems := [*_reference_problems(settings, source, chain)]:
        raise _invalid(path, problems)
    return Reading(source, settings, variables)


def _invalid(path: Path, problems: Sequence[str]) -> ConfigValidationError:
    return ConfigValidationError(f"{path} is not valid:", errors=problems)


def _check_form(tree: Tree, source: Source) -> None:
    """Let the types decide; the schema made of them says what is wrong, in all places at once, and where."""
    try:
        msgspec.convert(tree, Document)
    except msgspec.ValidationError as error:
        found = problems_of(tree, project_schema())
        placed = sorted((source.line(problem.path), _in_words(problem).line) for problem in found)
        raise _invalid(
            source.path, [f"{source.path}:{number}: {line}" for number, line in placed] or [str(error)]
        ) from None


def _without_shell_commands(tree: Tree) -> Tree:
    """Leave out what a shell looks up, not we: the steps that follow a run."""
    pipelines = tree.get("pipelines", {}).values()
    ours = [{key: value for key, value in pipeline.items() if key != "after"} for pipeline in pipelines]
    return {**{key: value for key, value in tree.items() if key not in ("env", "pipelines")}, "pipelines": ours}


def _in_words(problem: Problem) -> Problem:
    return problem._replace(what=durations.IN_WORDS) if problem.what.endswith(durations.PATTERN) else problem


def _package_problems(tree: Tree, source: Source) -> Iterator[str]:
    """Refuse packages in environments: there is one lock file, and one installation of each connector."""
    for environment, settings in tree.get("env", {}).items():
        for kind in KINDS:
            for name, connector in settings.get(kind, {}).items():
                for key in ("package", "python"):
                    if key in connector:
                        path = ("env", environment, kind, name, key)
                        what = "what is installed is the same in every environment: write it in another connector"
                        yield f"{source.place(path)}: {'.'.join(path)}: {what}"


def _environments(tree: Tree, source: Source, name: str | None) -> list[str]:
    """Give the environments to be put over the settings, one over the other."""
    if not name:
        return []
    known = tree.get("env", {})
    if name not in known:
        has = f"it has: {', '.join(known)}" if known else "it has none"
        hint = suggestion(name, [*known])
        raise ConfigurationError(f"{source.path} has no environment '{name}'{hint or f'; {has}'}")
    return lineage(name, known, lambda at, what: f"{source.place(('env', at, 'inherits'))}: env.{at}.inherits: {what}")


def _inherited(source: Source, kind: str, name: str, tables: Mapping[str, Tree]) -> Tree:
    return inherited(
        name, tables, lambda at, what: f"{source.place((kind, at, 'inherits'))}: {kind}.{at}.inherits: {what}"
    )


def _reference_problems(settings: Settings, source: Source, chain: Sequence[str]) -> Iterator[str]:
    """Give what is missing, and names that nothing has."""

    def problem(path: tuple[str, ...], what: str) -> str:
        places = [("env", name, *path) for name in reversed(chain)]
        return f"{source.place(*places, path)}: {'.'.join(path)}: {what}"

    for name, pipeline in settings.pipelines.items():
        for key, word, known in _names_of(pipeline, settings):
            path = ("pipelines", name, key)
            if not word:
                yield problem(path, "is required")
            elif word not in known:
                has = suggestion(word, [*known]) or (f"; there are: {', '.join(known)}" if known else "")
                yield problem(path, f"there is no {key.removesuffix('s')} '{word}'{has}")
    for name, notification in settings.notify.items():
        if bool(notification.url) == bool(notification.command):
            yield problem(("notify", name), "needs either a `url` or a `command`")


def _names_of(pipeline: Pipeline, settings: Settings) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    yield "tap", pipeline.tap, settings.taps
    yield "target", pipeline.target, settings.targets
    for mapper in pipeline.mappers:
        yield "mappers", mapper, settings.mappers
