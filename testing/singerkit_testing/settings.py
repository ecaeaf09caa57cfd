"""Reading what a person hands to the harness: a config, and a connector's own description of itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from singerkit_testing.errors import HarnessError
from singerkit_testing.folders import rooted

Config = Mapping[str, Any] | str | Path | None


class Unset:
    """The default where None means something."""


UNSET = Unset()


def read_config(config: Config) -> dict[str, Any] | None:
    """Take a config as an object or as the file that holds one; relative paths in it become absolute.

    Errors: ``HarnessError`` if the file can't be read or holds no object.
    """
    if config is None:
        return None
    document = dict(config) if isinstance(config, Mapping) else _read(Path(config))
    changed: dict[str, Any] = rooted(document)
    return changed


def read_exactly(path: Path) -> dict[str, Any]:
    """Read an object from a file as it stands there: texts unchanged, numbers with a fraction as `Decimal`.

    Errors: as `read_config`.
    """
    return _read(path, parse_float=Decimal)


def _read(path: Path, parse_float: Callable[[str], Any] = float) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes(), parse_float=parse_float)
    except OSError as error:
        raise HarnessError(f"the config {path} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise HarnessError(f"the config {path} is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise HarnessError(f"the config {path} holds no object")
    return document


def capabilities_of(about: Mapping[str, Any] | None) -> set[str]:
    """Give the capabilities that a connector declares, with underscores: ``activate_version``."""
    listed = (about or {}).get("capabilities")
    return {str(name).replace("-", "_") for name in listed} if isinstance(listed, list) else set()


def settings_of(about: Mapping[str, Any] | None) -> dict[str, Any]:
    """Give the settings that a connector declares: name to schema; empty if it does not."""
    declared = (about or {}).get("settings")
    properties = declared.get("properties") if isinstance(declared, dict) else None
    return properties if isinstance(properties, dict) else {}
