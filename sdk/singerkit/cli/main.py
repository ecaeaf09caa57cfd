"""The `singerkit` command: by name the connectors that come with it, and its own verbs."""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from singerkit.built_in import CONNECTORS, Connector
from singerkit.cli.run import boundary

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CONNECTORS", "Connector", "main", "run_connector"]


def main(args: Sequence[str] | None = None) -> None:
    """Hand over to the connector or the verb that is named; ends the process."""
    name, *rest = (sys.argv[1:] if args is None else args) or ["--help"]
    if name in CONNECTORS:
        run_connector(name, rest)
    # Imported here: a connector's command line needs none of it.
    from singerkit.cli.verbs import verbs

    verbs.main([name, *rest], "singerkit")


def run_connector(name: str, args: Sequence[str]) -> None:
    """Run a connector that comes with singerkit, with its command line; ends the process."""
    # What is imported stays: looking through it for garbage takes a tenth of the start.
    gc.set_threshold(50_000)
    loaded: list[Any] = []
    code = boundary(name, lambda: loaded.append(_load(CONNECTORS[name].location)))
    if code:
        sys.exit(code)
    loaded[0].cli.main(list(args), f"singerkit {name}")


def _load(location: str) -> Any:
    module, _, attribute = location.partition(":")
    return getattr(import_module(module), attribute)
