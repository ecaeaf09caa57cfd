"""What taps, targets and mappers share: a name, a config that is checked, a version, a command line."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from singerkit import clock
from singerkit.cli.plugin import PluginCommand
from singerkit.config.settings import PluginKind, settings_schema
from singerkit.errors import ConfigValidationError
from singerkit.types import Schema


class ClassValue:
    """A value computed from the class when it is asked for: ``TapShop.cli``, ``TapShop.plugin_version``."""

    def __init__(self, compute: Any) -> None:
        self._compute = compute

    def __get__(self, instance: object, owner: type) -> Any:
        """Compute it for the class that is asked."""
        return self._compute(owner)


class Plugin:
    """A tap, target or mapper; the author gives it a ``name`` and the JSON Schema of its config."""

    #: What it is called, ``tap-shop``: its command, and the prefix of its environment variables, ``TAP_SHOP_``.
    name: str = ""
    #: The distribution that brings it, if it is not called like the plugin.
    package_name: str | None = None
    #: The JSON Schema of its own settings; those that a capability brings are added by themselves.
    config_jsonschema: ClassVar[Schema] = {"type": "object", "properties": {}}
    #: What ``--about`` says that it can do; a capability brings its settings.
    capabilities: ClassVar[Sequence[str]] = ()
    kind: ClassVar[PluginKind]

    def __init__(
        self,
        *,
        config: Mapping[str, Any] | str | Path | Sequence[str | Path] | None = None,
        parse_env_config: bool = False,
        validate_config: bool = True,
        setup_mapper: bool = True,
    ) -> None:
        """Resolve the config: an object, a JSON file, or several files of which the later win.

        ``setup_mapper`` is taken from who passes it, and changes nothing: maps are compiled stream by stream.

        Errors: ``ConfigurationError`` for what can't be read, ``ConfigValidationError`` with every problem at once.
        """
        self.logger = logging.getLogger(self.name)
        self.initialized_at = int(clock.utc_now().timestamp() * 1000)
        checks_more = type(self)._validate_config is not Plugin._validate_config
        self._config = self._resolve(
            config, parse_env_config=parse_env_config, validate_config=validate_config and not checks_more
        )
        if validate_config and checks_more and (problems := _problems_in(self._validate_config())):
            raise ConfigValidationError("the config is not valid:", errors=problems)

    @property
    def config(self) -> Mapping[str, Any]:
        """The config, complete with defaults, read-only."""
        return self._config

    @classmethod
    def settings_schema(cls) -> Schema:
        """Give the JSON Schema of the config with the settings that singerkit brings."""
        return settings_schema(cls.config_jsonschema, cls.capabilities, kind=cls.kind)

    @classmethod
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Add the settings that singerkit brings to a schema of the config, as :meth:`settings_schema` has them."""
        built_in = settings_schema(config_jsonschema, cls.capabilities, kind=cls.kind)["properties"]
        config_jsonschema.setdefault("properties", {}).update(built_in)

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Give every problem of the config; called when the plugin is made, where it is overridden.

        Errors: ``ConfigValidationError`` with all of them, unless ``raise_errors`` is false.
        """
        from singerkit.config.problems import config_problems
        from singerkit.schema.refs import resolve_references

        schema = resolve_references(dict(self.settings_schema()))
        problems = config_problems(self._config, schema)
        if problems and raise_errors:
            raise ConfigValidationError("the config is not valid:", errors=problems, schema=schema)
        return problems

    @staticmethod
    def _get_package_version(package: str) -> str:
        """Give the version of a distribution, for plugins that compute their own."""
        from importlib import metadata  # not needed to run

        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            return "[could not be detected]"

    @ClassValue
    def plugin_version(cls: type[Plugin]) -> str:
        """Give the version of the distribution that the plugin comes in."""
        from importlib import metadata  # not needed to run

        try:
            return metadata.version(cls.package_name or cls.name)
        except metadata.PackageNotFoundError:
            return cls.sdk_version if cls.__module__.startswith("singerkit.") else "[could not be detected]"

    @ClassValue
    def sdk_version(cls: type[Plugin]) -> str:
        """Give the version of singerkit."""
        from singerkit import __version__

        return __version__

    @ClassValue
    def cli(cls: type[Plugin]) -> PluginCommand:
        """Give the command: what a console script points to, ``tap_shop.tap:TapShop.cli``."""
        return cls._command()

    @classmethod
    def _command(cls) -> PluginCommand:
        raise NotImplementedError

    def _resolve(self, config: Any, *, parse_env_config: bool, validate_config: bool) -> Mapping[str, Any]:
        # Imported here: `--help` and `--about` need no config, and start faster without it.
        from singerkit.config.resolve import ENVIRONMENT, read_config, resolve_config
        from singerkit.config.secrets import secret_values
        from singerkit.telemetry.redact import redactor

        schema = self.settings_schema()
        sources: list[str | Path] = [] if config is None or isinstance(config, Mapping) else _listed(config)
        if parse_env_config:
            sources.append(ENVIRONMENT)
        prefix = self.name.upper().replace("-", "_") + "_"
        given = read_config(sources, env_prefix=prefix, schema=schema)
        if isinstance(config, Mapping):
            given.overlay(config)
        completed = self._complete_config(given, is_given=bool(config))
        redactor.add(secret_values(completed, schema))
        return resolve_config(completed, schema, validate=validate_config)

    def _complete_config(self, config: Mapping[str, Any], *, is_given: bool) -> Mapping[str, Any]:
        """Give a config with what something else than files and environment knows; ``is_given``: by the user."""
        return config


def _problems_in(returned: Any) -> list[str]:
    """Give the problems of what an author's check returns; those written for older releases give warnings first."""
    return list((returned[-1] if isinstance(returned, tuple) else returned) or ())


def _listed(config: Any) -> list[str | Path]:
    return [config] if isinstance(config, str | Path) else list(config)
