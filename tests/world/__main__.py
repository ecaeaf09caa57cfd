"""`python tests/world [NAME...]`: check published connectors, keep what came of it, and write the page about it.

Each connector gets a virtual environment of its own under ``.world/``. Those that need a database find PostgreSQL and
MySQL (or MariaDB) on this machine. The results are kept in ``results/``; with ``--page`` only the page is written.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from listed import CONNECTORS, Connector
from page import write_page
from recording import record

WORLD = Path(__file__).parents[2] / ".world"


def main(arguments: list[str] | None = None) -> int:
    """Record the named connectors, or all of them; give 1 when one could not be run."""
    parser = argparse.ArgumentParser(prog="python tests/world", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(CONNECTORS)}")
    parser.add_argument("--page", action="store_true", help="write the page from the results that there are")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in CONNECTORS]:
        parser.error(f"not in connectors.toml: {', '.join(unknown)}")
    chosen = [] if options.page else [CONNECTORS[name] for name in options.names or CONNECTORS]
    failed = [connector.name for connector in chosen if not _recorded(connector)]
    write_page()
    return int(bool(failed))


def _recorded(connector: Connector) -> bool:
    try:
        summary = record(connector, WORLD)
    except (OSError, RuntimeError) as error:
        print(f"{connector.name}: {error}", file=sys.stderr, flush=True)
        return False
    print(f"{connector.name}: {summary}", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
