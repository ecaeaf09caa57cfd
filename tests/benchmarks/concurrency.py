"""`python tests/benchmarks/concurrency.py`: how much faster slow APIs are read with several workers, and what it costs.

Two loads, both from an API in a process of its own that waits before it answers: one offset-paginated stream (100 pages
at 50 ms, 8 workers), and partitions of five pages each (200 at 100 ms, 16 workers). Each is read with one worker too.
What is compared is the time from the first request to the last answer, as the API has it, for waiting is what is saved
(the tap's start, some tenths of a second, is not in it). The records have to be the same, in order within each
partition, and the server must never have seen more requests in flight than there were workers. Exit code 1 if not, or
if a bound is missed; `--scale 0.1` shortens the waits, for a quick look.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

ROOT = Path(__file__).parents[1]
API = ROOT / "connectors_for_tests" / "paging_api.py"
PAGE_ROWS = 10
PARTITION_PAGES = 5
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Load:
    """What is read, and what it has to reach."""

    title: str
    settings: dict[str, Any]
    records: int
    latency_s: float
    workers: int
    times_faster: float
    most_mb: float = 150


@dataclass(frozen=True)
class Run:
    """What one run of the tap took, and what came of it: the ids of each partition, in order."""

    elapsed_s: float
    peak_mb: float
    most_in_flight: int
    ids: dict[str, list[int]]


def main() -> int:
    """Measure both loads and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="of the latencies")
    parser.add_argument("--pages", type=int, default=100, help="of the one stream")
    parser.add_argument("--partitions", type=int, default=200)
    options = parser.parse_args()
    loads = (
        Load("pages by offset", {"stream": "offset"}, options.pages * PAGE_ROWS, 0.05 * options.scale, 8, 6),
        Load(
            "partitions of 5 pages",
            {"stream": "partitions", "partitions": options.partitions},
            *(PARTITION_PAGES * PAGE_ROWS, 0.1 * options.scale, 16, 10),
        ),
    )
    met = [measure(load) for load in loads]
    return int(not all(met))


def measure(load: Load) -> bool:
    """Run a load with one worker and with several; tell whether it reaches what it has to."""
    one, many = (run_tap(load, workers) for workers in (1, load.workers))
    expected = list(range(1, load.records + 1))
    ratio = one.elapsed_s / many.elapsed_s
    checks = {
        "records": one.ids == many.ids and all(ids == expected for ids in many.ids.values()),
        "in flight": one.most_in_flight == 1 and many.most_in_flight <= load.workers,
        "times faster": ratio >= load.times_faster,
        "memory": many.peak_mb < load.most_mb,
    }
    print(
        f"{load.title}, {load.latency_s * 1000:.0f} ms a page: {one.elapsed_s:.1f} s with 1 worker, "
        f"{many.elapsed_s:.1f} s with {load.workers}: {ratio:.1f} x (at least {load.times_faster:g}); "
        f"at most {many.most_in_flight} in flight; {many.peak_mb:.0f} MB (below {load.most_mb:g}); "
        f"{sum(map(len, many.ids.values()))} records; "
        + (
            "missed: " + ", ".join(name for name, met in checks.items() if not met)
            if not all(checks.values())
            else "met"
        )
    )
    return all(checks.values())


def run_tap(load: Load, workers: int) -> Run:
    """Run the tap in a process of its own against a fresh API."""
    with open_api(load.records, load.latency_s) as url, tempfile.TemporaryDirectory() as folder:
        config, output = Path(folder, "config.json"), Path(folder, "output.jsonl")
        config.write_text(json.dumps({**load.settings, "url": url, "max_concurrency": workers}))
        with output.open("wb") as file:
            command = [sys.executable, ROOT / "benchmarks" / "connectors" / "paging_tap.py", "--config", config]
            process = subprocess.Popen(command, stdout=file, stderr=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"the tap failed: {status}")
        with urlopen(f"{url}/counts") as answer:
            counts = json.load(answer)
        return Run(counts["elapsed_s"], usage.ru_maxrss * 1024 / MEGABYTE, counts["most_in_flight"], ids_of(output))


def ids_of(output: Path) -> dict[str, list[int]]:
    """Give the ids of each partition's records, in the order in which they were written."""
    found: dict[str, list[int]] = {}
    with output.open("rb") as lines:
        for line in lines:
            message = json.loads(line)
            if message["type"] == "RECORD":
                found.setdefault(message["record"].get("partition", ""), []).append(message["record"]["id"])
    return found


@contextmanager
def open_api(records: int, latency_s: float) -> Iterator[str]:
    """Start the API; give its URL, and stop it at the end."""
    command = [sys.executable, API, str(records), str(latency_s)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


if __name__ == "__main__":
    sys.exit(main())
