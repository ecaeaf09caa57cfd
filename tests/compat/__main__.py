"""`python tests/compat [NAME...]`: port published connectors, run their tests before and after, and write the page.

Each connector is downloaded by its name and gets two virtual environments under ``.port/``: as it was published, and
ported. What came of it is kept in ``results/``; with ``--page`` only the page is written.
"""

from __future__ import annotations

import argparse
import sys

from published import CONNECTORS, Connector
from results_page import write_page
from trial import record


def main(arguments: list[str] | None = None) -> int:
    """Try the named connectors, or all of them; give 1 when one could not be tried."""
    parser = argparse.ArgumentParser(prog="python tests/compat", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(CONNECTORS)}")
    parser.add_argument("--page", action="store_true", help="write the page from the results that there are")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in CONNECTORS]:
        parser.error(f"not in connectors.toml: {', '.join(unknown)}")
    chosen = [] if options.page else [CONNECTORS[name] for name in options.names or CONNECTORS]
    failed = [connector.name for connector in chosen if not _tried(connector)]
    write_page()
    return int(bool(failed))


def _tried(connector: Connector) -> bool:
    try:
        summary = record(connector)
    except (OSError, RuntimeError) as error:
        print(f"{connector.name}: {error}", file=sys.stderr, flush=True)
        return False
    print(f"{connector.name}: {summary}", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
