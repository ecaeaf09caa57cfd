"""The list of connectors, as `connectors.toml` holds it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Connector:
    """One connector and how it is run; what the members mean stands at the top of `connectors.toml`."""

    name: str
    command: str
    sdk: str
    config: dict[str, Any]
    package: str = ""
    python: str = ""
    override: list[str] = field(default_factory=list)
    source: str = ""
    streams: dict[str, str] = field(default_factory=dict)
    method: dict[str, str] = field(default_factory=dict)
    broken: dict[str, Any] = field(default_factory=dict)
    reader: str = ""
    destination: str = ""
    options: list[str] = field(default_factory=list)
    note: str = ""

    @property
    def is_own(self) -> bool:
        """Whether it comes with singerkit."""
        return not self.package


def read_connectors(path: Path) -> dict[str, Connector]:
    """Read a list of connectors, in its order."""
    return {name: Connector(name, **facts) for name, facts in tomllib.loads(path.read_text("utf-8")).items()}


CONNECTORS = read_connectors(FOLDER / "connectors.toml")
