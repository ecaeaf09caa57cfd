"""The project as a whole: finds and reads it, gives its jobs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from singerkit.built_in import CONNECTORS
from singerkit.config.problems import suggestion
from singerkit.config.resolve import read_json_object
from singerkit.config.secrets import secret_values
from singerkit.errors import ConfigurationError
from singerkit.runner.job import Job, Limits, Program, Retention
from singerkit.runner.project.commands import found_program, installed_program, words_of
from singerkit.runner.project.durations import seconds_of
from singerkit.runner.project.interpolate import PLAIN_VARIABLES, Interpolated, Interpolation
from singerkit.runner.project.merging import merged
from singerkit.runner.project.reading import KINDS, Reading, read_settings
from singerkit.runner.project.selection import catalog_rules
from singerkit.runner.project.spec import Connector, Notification, Pipeline, Tap, Target

FILE_NAME = "singer.toml"
#: The environment that is used where none is named.
ENVIRONMENT_VARIABLE = "SINGERKIT_ENV"


class Notice(NamedTuple):
    """Who is to be told how runs of some pipelines end, with everything filled in.

    Shape: ``on`` holds words of "failure", "recovery", "success"; either ``url`` or ``command`` is there.
    """

    name: str
    on: frozenset[str]
    url: str
    headers: Mapping[str, str]
    command: tuple[str, ...]
    pipelines: tuple[str, ...]
    secrets: frozenset[str]

    def concerns(self, pipeline: str) -> bool:
        """Tell whether a pipeline is one of those that it is for."""
        return not self.pipelines or any(fnmatchcase(pipeline, pattern) for pattern in self.pipelines)


class Packages(NamedTuple):
    """What is to be installed for a connector.

    Shape: ``filled`` is ``written`` with references filled in; ``references`` gives each by what it stands for.
    """

    written: tuple[str, ...]
    filled: tuple[str, ...]
    references: Mapping[str, str]
    secrets: frozenset[str]


class Project:
    """What a singer.toml says, for one environment.

    References (``${NAME}``) are looked up when what they are in is asked for, so that a pipeline needs only its own
    variables.
    """

    def __init__(self, reading: Reading, environment: str | None) -> None:
        self.path = reading.source.path
        self.folder = self.path.parent
        self.environment = environment
        self.settings = reading.settings
        #: Variables that the file refers to, for any environment and any program: no program is to get them unasked.
        self.withheld = reading.variables - PLAIN_VARIABLES
        self._source = reading.source
        self._interpolation = Interpolation(_variables(self.folder), self.folder)

    @property
    def pipelines(self) -> list[str]:
        """The names of the pipelines, in the order of the file."""
        return list(self.settings.pipelines)

    def pipeline(self, name: str) -> Pipeline:
        """Give what the file says of a pipeline, references as they are.

        Errors: ``ConfigurationError`` with the closest name.
        """
        found: Pipeline = _named(name, self.settings.pipelines, "pipeline", self.path)
        return found

    def state_key(self, name: str) -> str:
        """Give the key of a pipeline's state: with an environment, ``ENVIRONMENT:KEY``."""
        key = self.pipeline(name).state_key or name
        return f"{self.environment}:{key}" if self.environment else key

    @property
    def state_url(self) -> str:
        """Where states are kept; a relative path of SQLite begins at the project's folder."""
        return self._state.value or f"sqlite:///{self.folder / '.singerkit' / 'state.db'}"

    @property
    def state_secrets(self) -> frozenset[str]:
        """The texts in ``state_url`` that no output may show."""
        return self._state.secrets

    @property
    def _state(self) -> Interpolated:
        found = self._filled(self.settings.state.url, "state", "url")
        path = found.value.removeprefix("sqlite:///")
        is_relative = path != found.value and path and not path.startswith("/")
        url = f"sqlite:///{self.folder / path}" if is_relative else found.value
        return Interpolated(url, found.secrets | secret_values({"url": url}, {}))

    @property
    def notifications(self) -> list[Notice]:
        """Who is told how runs end."""
        return [self._notice(name, said) for name, said in self.settings.notify.items()]

    def _notice(self, name: str, said: Notification) -> Notice:
        url = self._filled(said.url, "notify", name, "url")
        headers = self._filled(said.headers, "notify", name, "headers")
        words = self._filled(words_of(said.command, f"notify.{name}.command"), "notify", name, "command")
        secrets = url.secrets | headers.secrets | words.secrets | secret_values({"headers": headers.value}, {})
        on = frozenset(said.on or ("failure", "recovery"))
        return Notice(name, on, url.value, headers.value, tuple(words.value), tuple(said.pipelines), secrets)

    def job(self, name: str) -> Job:
        """Give a pipeline as what is to be run.

        Errors: ``ConfigurationError`` for a name that is not there, a program that is not installed, a variable that
        is not set, a file that can't be read.
        """
        pipeline = self.pipeline(name)
        tap = self.settings.taps[pipeline.tap]
        full = pipeline.full_refresh
        return Job(
            name=name,
            state_key=self.state_key(name),
            tap=self.program("taps", pipeline.tap, pipeline.tap_config, f"pipelines.{name}.tap_config"),
            target=self.program("targets", pipeline.target, pipeline.target_config, f"pipelines.{name}.target_config"),
            mappers=tuple(self.program("mappers", mapper) for mapper in pipeline.mappers),
            catalog=self.folder / tap.catalog if tap.catalog else None,
            catalog_rules=catalog_rules([*tap.select, *pipeline.select], tap.metadata, tap.schema, pipeline.streams),
            limits=_limits(pipeline),
            retention=Retention(runs=self.settings.state.keep_runs, revisions=self.settings.state.keep_revisions),
            full_refresh=frozenset(full) if isinstance(full, list) else frozenset({"*"} if full else ()),
            after=tuple(pipeline.after),
            folder=self.folder,
            withheld=self.withheld,
            max_units=self._max_units(tap, self.settings.targets[pipeline.target], pipeline.target),
            resources=tap.resources,
            labels={**({"environment": self.environment} if self.environment else {}), **pipeline.labels},
            schedule=pipeline.schedule or None,
            stale_after_s=_optional_seconds(pipeline.stale_after),
            state_in_target=pipeline.state_in == "target",
        )

    def _max_units(self, tap: Tap, target: Target, name: str) -> int | None:
        """Give how many units may run at once, because of what the tap or the target allows."""
        words = words_of(target.command, "command") or [name]
        known = CONNECTORS.get(words[0])
        of_target = target.max_units or (1 if known is not None and known.is_alone and not target.package else 0)
        return min((count for count in (tap.max_units, of_target) if count), default=None)

    def connector(self, kind: str, name: str) -> Connector:
        """Give what the file says of a connector; ``kind`` is "taps", "targets" or "mappers".

        Errors: ``ConfigurationError`` with the closest name.
        """
        found: Connector = _named(name, getattr(self.settings, kind), kind.removesuffix("s"), self.path)
        return found

    def program(self, kind: str, name: str, over: Mapping[str, Any] | None = None, over_path: str = "") -> Program:
        """Give a connector as a command, with its config filled in; ``over`` are settings over its own.

        Errors: as :meth:`job`.
        """
        said = self.connector(kind, name)
        where = f"{kind}.{name}"
        inline = self._filled(said.config, kind, name, "config")
        above = self._interpolation.of(dict(over or {}), over_path)
        environment = self._filled(said.environment, kind, name, "environment")
        words, secrets = self.program_words(kind, name)
        in_file = self._config_file(said, where)
        config: dict[str, Any] | None = merged(merged(in_file, inline.value), above.value)
        if said.writeback and said.config_file and not (inline.value or above.value):
            # The program changes the file itself, where it is.
            words, config = (*words, "--config", str(self.folder / said.config_file)), None
        elif not config and not said.config_file:
            config = None
        return Program(
            name=name,
            argv=words,
            config=config,
            environment=environment.value,
            secrets=secrets
            | inline.secrets
            | above.secrets
            | environment.secrets
            | secret_values(config or in_file, {})
            | secret_values(environment.value, {}),
            folder=self.folder,
            writes_back=said.writeback,
            catalog_option=said.catalog_option if isinstance(said, Tap) else "--catalog",
        )

    def program_words(self, kind: str, name: str) -> tuple[tuple[str, ...], frozenset[str]]:
        """Give the command of a connector, its program found, and the secrets in it.

        Errors: ``ConfigurationError`` when there is no such program, or it is not installed.
        """
        said = self.connector(kind, name)
        where = f"{kind}.{name}"
        filled = self._filled(words_of(said.command, f"{where}.command"), kind, name, "command")
        words = filled.value or [name]
        place = f"{self._source.place((kind, name, 'command'), (kind, name))}: {where}"
        if said.package:
            words_found = installed_program(self.environment_folder(kind, name), words, place, name)
        else:
            words_found = found_program(self.folder, words, place)
        return words_found, filled.secrets

    def environment_folder(self, kind: str, name: str) -> Path:
        """Give where the program of a connector with a package is, or will be: its own, or shared by the like of it."""
        return self.folder / ".singerkit" / "environments" / self.environment_name(kind, name)

    def environment_name(self, kind: str, name: str) -> str:
        """Give ``KIND.NAME`` of the first connector that asks for the same package and the same Python."""
        wanted = self.connector(kind, name)
        return next(
            f"{other}.{label}"
            for other in KINDS
            for label, said in getattr(self.settings, other).items()
            if (said.package, said.python) == (wanted.package, wanted.python)
        )

    def packages(self, kind: str, name: str) -> Packages:
        """Give what is to be installed for a connector; nothing where it has no package.

        Errors: ``ConfigurationError`` for a variable that is not set.
        """
        said = self.connector(kind, name)
        written = [said.package] if isinstance(said.package, str) else said.package
        filled = self._filled(written, kind, name, "package")
        known: dict[str, str] = {}
        for text in written:
            known |= self._interpolation.references_in(text, f"{kind}.{name}.package")
        return Packages(tuple(filter(None, written)), tuple(filter(None, filled.value)), known, filled.secrets)

    def _config_file(self, said: Connector, where: str) -> dict[str, Any]:
        if not said.config_file:
            return {}
        try:
            return read_json_object(self.folder / said.config_file, "config")
        except ConfigurationError as error:
            raise ConfigurationError(f"{where}.config_file: {error}") from None

    def _filled(self, value: Any, *path: str) -> Interpolated:
        """Fill in references; a message that says which one is missing gets the line."""
        try:
            return self._interpolation.of(value, ".".join(path))
        except ConfigurationError as error:
            raise ConfigurationError(f"{self._source.place(path)}: {error}") from None


def _named(name: str, known: Mapping[str, Any], kind: str, path: Path) -> Any:
    if name in known:
        return known[name]
    has = f"; it has: {', '.join(known)}" if known else "; it has none"
    raise ConfigurationError(f"{path} has no {kind} '{name}'{suggestion(name, [*known]) or has}")


def _limits(pipeline: Pipeline) -> Limits:
    return Limits(
        timeout_s=_optional_seconds(pipeline.timeout),
        idle_timeout_s=_optional_seconds(pipeline.idle_timeout),
        grace_s=seconds_of(pipeline.grace),
        drain_s=seconds_of(pipeline.drain),
        retries=pipeline.retries,
        retry_wait_s=seconds_of(pipeline.retry_wait),
    )


def _optional_seconds(duration: float | str | None) -> float | None:
    return None if duration is None else seconds_of(duration)


def _variables(folder: Path) -> dict[str, str]:
    """Give the variables that references name: those of the process, and of `.env` where it has none of the name."""
    path = folder / ".env"
    if not path.is_file():
        return dict(os.environ)
    # Imported here: few projects have such a file, and every start would pay for it.
    from dotenv import dotenv_values

    try:
        values = dotenv_values(path, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} can't be read: {getattr(error, 'strerror', None) or error}") from None
    return {**{name: value for name, value in values.items() if value is not None}, **os.environ}


def find_project(start: Path | None = None) -> Path | None:
    """Give the singer.toml of a folder (the working folder), or of the nearest one above it."""
    folder = (start or Path.cwd()).absolute()
    candidates = (parent / FILE_NAME for parent in (folder, *folder.parents))
    return next((path for path in candidates if path.is_file()), None)


def load_project(path: Path, environment: str | None = None) -> Project:
    """Read a singer.toml, for an environment: the named one, else SINGERKIT_ENV's, else none.

    Errors: ``ConfigurationError`` when it can't be read; ``ConfigValidationError`` with all that is wrong in it.
    """
    chosen = environment or os.environ.get(ENVIRONMENT_VARIABLE) or None
    return Project(read_settings(path.absolute(), chosen), chosen)


def required_project(path: Path | None = None, environment: str | None = None) -> Project:
    """Read a singer.toml: the named one, else that of the working folder or of the nearest one above it.

    Errors: as :func:`load_project`; ``ConfigurationError`` when there is none.
    """
    found = path or find_project()
    if found is None:
        raise ConfigurationError(f"there is no {FILE_NAME} in this folder or above: `singerkit init` writes one")
    return load_project(found, environment)
