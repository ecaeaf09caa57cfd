"""The whole of a Meltano project as a singer.toml."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from singerkit.errors import MissingExtraError
from singerkit.runner.from_meltano.connectors import Connectors
from singerkit.runner.from_meltano.pipelines import Pipelines, without_dependent
from singerkit.runner.from_meltano.source import KINDS, Left, Located, MeltanoSource

_OF_DOCUMENT = {
    "default_environment": "say --env {value}, or set SINGERKIT_ENV={value}",
    "database_uri": "it holds Meltano's own state: `singerkit state import` reads it",
    "state_backend": "set [state] url, and bring the states over: `singerkit state import`",
    "python": "set `python` on the connectors that need it",
    "requires_meltano": "singerkit is no Meltano",
}
#: What is about Meltano itself.
_SILENT = frozenset(
    {"version", "project_id", "send_anonymous_usage_stats", "include_paths", "plugins", "schedules", "jobs"}
) | {"environments", "env", "venv", "cli", "elt", "database_max_retries", "database_retry_timeout", "annotations"}
_OTHER_PLUGINS = {
    "utilities": "not installed by singerkit; its commands in jobs became `after` steps",
    "transformers": "not installed by singerkit; its commands in jobs became `after` steps",
    "orchestrators": "`singerkit deploy` writes what Airflow and others need",
    "transforms": "not installed by singerkit",
    "files": "its files are there already",
}


class Conversion(NamedTuple):
    """A singer.toml, and what was left out or needs a hand, in the order of the source."""

    text: str
    left: list[Left]


def convert_project(path: Path) -> Conversion:
    """Convert a meltano.yml, with the files that it includes and the lock files of its plugins.

    No secret of it gets into the text: secrets become references to variables.

    Errors: ``ConfigurationError`` when it can't be read; ``MissingExtraError`` without PyYAML or tomlkit.
    """
    source = MeltanoSource(path)
    left: list[Left] = []

    def leave(owner: Located, key: str, what: str, why: str) -> None:
        if (found := Left(owner.place(key), what, why)) not in left:
            left.append(found)

    connectors = Connectors(source, leave)
    pipelines = Pipelines(source, connectors, leave)
    environments = {each["name"]: _environment(each, connectors, leave) for each in source.environments}
    for target in connectors.tables["targets"].values():
        if "config" in target:
            target["config"] = without_dependent(target["config"])
    _leave_the_rest(source, leave)
    document = {**connectors.tables, "pipelines": pipelines.tables, "env": environments}
    order = {document.file: number for number, document in enumerate(source.documents)}
    left.sort(key=lambda each: (order.get(each.place.rpartition(":")[0], 0), int(each.place.rpartition(":")[2])))
    return Conversion(_toml({name: table for name, table in document.items() if table}), left)


def _environment(environment: Located, connectors: Connectors, leave: Any) -> dict[str, Any]:
    """Give the overrides of an environment."""
    found: dict[str, dict[str, Any]] = {}
    config = environment.get("config") or {}
    for kind, plugins in (config.get("plugins") or {}).items():
        for plugin in plugins or ():
            if kind not in ("extractors", "loaders") or plugin["name"] not in connectors.tables[KINDS[kind]]:
                why = "no connector of this name is in the project"
                leave(plugin, "name", f"environment {environment['name']}: {plugin['name']}", why)
                continue
            over = connectors.config(kind, plugin["name"], plugin, plugin.get("config") or {})
            over |= connectors.extras(plugin["name"], plugin) if kind == "extractors" else {}
            if isinstance(plugin.get("env"), dict):
                over["environment"] = connectors.environment(plugin)
            found.setdefault(KINDS[kind], {})[plugin["name"]] = over
    for key in sorted(environment.keys() - {"name", "config", "annotations"}):
        why = "set these variables where it runs" if key == "env" else "name the states yourself, with `state_key`"
        leave(environment, key, f"environment {environment['name']}.{key}", why)
    return found


def _leave_the_rest(source: MeltanoSource, leave: Any) -> None:
    for document in source.documents:
        for key in sorted(document.keys() - _SILENT):
            why = _OF_DOCUMENT.get(key, "it has no meaning here")
            leave(document, key, key, why.format(value=document[key]))
    for kind, why in _OTHER_PLUGINS.items():
        for plugin in source.plugins.get(kind, ()):
            leave(plugin, "name", f"{kind}: {plugin['name']}", why)


def _toml(document: Mapping[str, Any]) -> str:
    try:
        tomlkit = import_module("tomlkit")
    except ImportError:
        raise MissingExtraError("writing singer.toml needs tomlkit: pip install 'singerkit[meltano]'") from None
    text: str = tomlkit.dumps(_plain(document))
    return text


def _plain(value: Any) -> Any:
    """Give plain dicts and lists, without the nulls that TOML has no word for."""
    if isinstance(value, Mapping):
        return {str(name): _plain(member) for name, member in value.items() if member is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value if item is not None]
    return value
