"""`singerkit connectors`: what comes with it."""

from __future__ import annotations

import click

from singerkit.cli.main import CONNECTORS
from singerkit.cli.run import write_stdout


@click.command("connectors", help="List the connectors that come with singerkit.")
def connectors() -> None:
    """Write a line for each connector: its name and what it does."""
    width = max(map(len, CONNECTORS))
    write_stdout("\n".join(f"{name:<{width}}  {connector.sentence}" for name, connector in CONNECTORS.items()))
