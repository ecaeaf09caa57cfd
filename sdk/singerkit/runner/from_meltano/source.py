"""meltano.yml and the files beside it, read so that everything knows its line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from singerkit.config.problems import config_problems
from singerkit.errors import ConfigurationError, ConfigValidationError, MissingExtraError
from singerkit.runner.from_meltano.form import FORM

KINDS = {"extractors": "taps", "loaders": "targets", "mappers": "mappers"}


class Located(dict[str, Any]):
    """A mapping of a YAML file that knows the lines of its keys."""

    file: str = ""
    lines: Mapping[str, int]

    def place(self, key: str) -> str:
        """Give ``meltano.yml:12`` for a key."""
        return f"{self.file}:{self.lines.get(key, 1)}"


class Left(NamedTuple):
    """Something that was left out or needs a hand: where it is, what it is, why or what to do."""

    place: str
    what: str
    why: str

    @property
    def line(self) -> str:
        """All of it as one line."""
        return f"{self.place}: {self.what}: {self.why}"


class MeltanoSource:
    """A Meltano project, with the files that it includes as one.

    Shape: ``plugins`` has a list of plugins by kind; ``variables`` the names that its ``.env`` sets.
    """

    def __init__(self, path: Path) -> None:
        """Read the project.

        Errors: ``ConfigurationError`` when a file can't be read or is no mapping; ``MissingExtraError`` without PyYAML.
        """
        self.folder = path.parent
        self.main = _read(path)
        documents = [
            self.main,
            *(_read(included) for included in _included(self.main, self.folder) if included != path),
        ]
        self.plugins: dict[str, list[Located]] = {}
        for document in documents:
            for kind, plugins in _mapping(document, "plugins").items():
                self.plugins.setdefault(kind, []).extend(_mappings(plugins))
        self.environments = [found for document in documents for found in _mappings(document.get("environments"))]
        self.schedules = [found for document in documents for found in _mappings(document.get("schedules"))]
        self.jobs = [found for document in documents for found in _mappings(document.get("jobs"))]
        self.env = {name: value for document in documents for name, value in _mapping(document, "env").items()}
        self.documents = documents
        self.variables = _variables(self.folder / ".env")

    def definition(self, kind: str, plugin: Mapping[str, Any]) -> dict[str, Any]:
        """Give what the lock file of a plugin says of it; nothing where it has none."""
        base, variant = plugin.get("inherit_from") or plugin["name"], plugin.get("variant") or "*"
        for path in sorted((self.folder / "plugins" / kind).glob(f"{base}--{variant}.lock")):
            try:
                found = json.loads(path.read_bytes())
            except (OSError, ValueError):
                raise ConfigurationError(f"{path} can't be read as JSON") from None
            if isinstance(found, dict):
                return found
        return {}


def _variables(path: Path) -> frozenset[str]:
    if not path.is_file():
        return frozenset()
    from dotenv import dotenv_values  # few need it

    return frozenset(dotenv_values(path))


def _included(document: Mapping[str, Any], folder: Path) -> Iterator[Path]:
    for pattern in document.get("include_paths") or ():
        yield from sorted(path for path in folder.glob(str(pattern)) if path.is_file())


def _mapping(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = document.get(key)
    return found if isinstance(found, dict) else {}


def _mappings(found: Any) -> list[Located]:
    return [each for each in found or () if isinstance(each, Located) and isinstance(each.get("name"), str)]


def _read(path: Path) -> Located:
    try:
        yaml = import_module("yaml")
    except ImportError:
        raise MissingExtraError("reading meltano.yml needs PyYAML: pip install 'singerkit[meltano]'") from None

    class Loader(yaml.SafeLoader):  # type: ignore[name-defined,misc]
        """Gives mappings with lines, and dates as they are written."""

    def construct(loader: Any, node: Any) -> Located:
        loader.flatten_mapping(node)
        found = Located(
            (str(loader.construct_object(key, deep=True)), loader.construct_object(value, deep=True))
            for key, value in node.value
        )
        found.file, found.lines = path.name, {str(key.value): key.start_mark.line + 1 for key, _ in node.value}
        return found

    Loader.add_constructor("tag:yaml.org,2002:map", construct)
    Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: loader.construct_scalar(node))
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader)
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror or type(error).__name__}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise ConfigurationError(f"{path} is not valid YAML{line}: {getattr(error, 'problem', '') or error}") from None
    if not isinstance(document, Located):
        raise ConfigurationError(f"{path} is no Meltano project: it has to hold a mapping")
    if problems := config_problems(document, FORM):
        raise ConfigValidationError(f"{path} is not a Meltano project as we know it:", errors=problems)
    return document
