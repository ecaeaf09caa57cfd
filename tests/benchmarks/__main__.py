"""`python tests/benchmarks/`: measure singerkit against singer-sdk in one run and print the ratios."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from figures import RowResult
from loaders import DESTINATIONS
from loading import measure_loading
from page import publish
from processes import CommandFailed
from report import describe_run, print_report, report_as_json
from rich.console import Console
from rows import ROWS as SDK_ROWS
from rows import Bench, Row
from same_work import warm_up
from sides import PeerUnavailable, Side, open_singer_sdk, open_singerkit

ROWS: dict[str, Row] = {**SDK_ROWS, **dict.fromkeys(DESTINATIONS, measure_loading)}

ALONE = frozenset({"parents", "parents-incremental", *DESTINATIONS})
"""Rows that need singerkit as the first side."""


PLAIN_WIDTH = 140
"""Columns of the table where it is not printed on a terminal."""


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; give 1 when a row could not be measured or a side did not do its work. Never fails on time."""
    options = _parser().parse_args(arguments)
    progress = Console(stderr=True)
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    sides = _open_sides(options, progress)
    if not sides:
        return 1
    results = _measure(options, sides, progress)
    print_report(console, results, describe_run(sides, options.records, options.repeats))
    if options.json or options.publish:
        facts = {"records": options.records, "parents": options.parents, "repeats": options.repeats}
        measured_at = datetime.now(UTC).isoformat(timespec="seconds")
        document = report_as_json(results, sides, measured_at=measured_at, **facts)
        if options.json:
            options.json.write_text(json.dumps(document, indent=2) + "\n")
        if options.publish:
            publish(document)
    return int(any(result.failures for result in results.values()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python tests/benchmarks/", description=__doc__)
    parser.add_argument("--records", type=int, default=200_000, help="of the throughput rows; memory reads 5 x as many")
    parser.add_argument("--parents", type=int, default=10_000, help="of the rows with children")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", type=_row_names, default=list(ROWS), help=f"of {','.join(ROWS)}")
    parser.add_argument("--side", choices=("both", "singerkit", "singer-sdk"), default="both")
    parser.add_argument("--no-install", action="store_true", help="measure singerkit alone where singer-sdk is missing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    parser.add_argument("--publish", action="store_true", help="put the rows into the page about performance")
    return parser


def _row_names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in ROWS]:
        raise argparse.ArgumentTypeError(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    return names


def _open_sides(options: argparse.Namespace, progress: Console) -> list[Side]:
    sides = [] if options.side == "singer-sdk" else [open_singerkit()]
    if options.side != "singerkit":
        try:
            with progress.status("singer-sdk: environment"):
                sides.append(open_singer_sdk(install=not options.no_install))
        except PeerUnavailable as reason:
            progress.print(f"singer-sdk is not measured: {reason}", style="yellow", markup=False)
    return sides


def _measure(options: argparse.Namespace, sides: list[Side], progress: Console) -> dict[str, RowResult]:
    results = {}
    with tempfile.TemporaryDirectory(prefix="singerkit-benchmark-") as folder, progress.status("") as status:
        bench = Bench(
            sides,
            options.records,
            options.parents,
            options.repeats,
            Path(folder),
            status.update,
            install=not options.no_install,
            with_peers=options.side == "both",
        )
        for side in sides:
            status.update(f"{side.name}: warming up")
            warm_up(side, bench.folder)
        for name in options.only:
            if name in ALONE and sides[0].package != "singerkit":
                continue
            status.update(f"{name}: the same work on both sides?")
            try:
                results[name] = ROWS[name](bench, name)
            except CommandFailed as failure:
                results[name] = RowResult(failures=(str(failure),))
    return results


if __name__ == "__main__":
    sys.exit(main())
