"""The list of connectors, as `connectors.toml` holds it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Connector:
    """One published connector and how it is tried; what the members mean stands at the top of `connectors.toml`."""

    name: str
    version: str
    command: str
    kind: str
    tests: str = ""
    groups: list[str] = field(default_factory=list)
    requires: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    config: dict[str, Any] | None = None
    note: str = ""


def read_connectors(path: Path) -> dict[str, Connector]:
    """Read a list of connectors, in its order."""
    return {name: Connector(name, **facts) for name, facts in tomllib.loads(path.read_text("utf-8")).items()}


CONNECTORS = read_connectors(FOLDER / "connectors.toml")
