"""The main job of singerkit, to watch: what ``make demo`` runs.

1. Starts the demo's API: a real data set behind an API that behaves like the ones out there.
2. Runs ``tap | target-duckdb`` and keeps the state that the target lets out.
3. Lets the API change a few flights, and runs both again from that state: only what is new comes.
4. Asks the database a question.

Everything it writes is in ``.demo/``. Exits with 1 if a side fails, or if what arrived is not what was sent.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from pipeline import Meter, Outcome, Pipeline

HERE = Path(__file__).resolve().parent
TOKEN = "demo-token"
#: As many as this API allows; the fewer pages, the less of its 50 ms a page we wait.
PAGE_SIZE = 5_000
AMENDED = 25
#: A page a second or two is refused, so that the demo shows what a tap does then.
THROTTLE_EVERY = 41
LIVE_EVERY_S = 0.125
PLAIN_EVERY_S = 3.0

QUESTION = """
    SELECT f.carrier__name AS airline,
           count(*) AS flights,
           avg(f.departure__delay_minutes) AS delay,
           avg(f.departure__delay_minutes) FILTER (w.precipitation_inches > 0) AS delay_in_rain,
           avg((f.status = 'cancelled')::INTEGER) AS cancelled,
           -- Two airlines report numbers of their own instead of tail numbers: no age where most planes are unknown.
           CASE WHEN 2 * count(p.year_built) > count(*) THEN avg(2013 - p.year_built) END AS age,
           mode(f.departure__airport) AS mostly_from
    FROM flights f
    LEFT JOIN weather w ON w.station = f.departure__airport
                       AND w.observed_at = date_trunc('hour', f.departure__scheduled)
    LEFT JOIN planes p ON p.carrier = f.carrier__code AND p.tail_number = f.tail_number
    GROUP BY airline
    ORDER BY flights DESC
"""


class DemoError(Exception):
    """Something did not go as it should; the message is for the person who watches."""


class DemoApi:
    """The running API, as the demo talks to it."""

    def __init__(self, url: str) -> None:
        """Know where it is."""
        self.url = url

    def _ask(self, method: str, path: str) -> Any:
        request = Request(f"{self.url}/v1/{path}", method=method, headers={"Authorization": f"Bearer {TOKEN}"})
        with urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def amend(self, count: int) -> int:
        """Let some flights have a new revision; give how many."""
        return len(self._ask("POST", f"_amend_flights?count={count}")["amended"])

    def statistics(self) -> dict[str, int]:
        """Give how many ``requests`` for pages there were, how many it ``refused`` for a while, and its ``flights``."""
        statistics: dict[str, int] = self._ask("GET", "_statistics")
        return statistics


@contextmanager
def open_api(console: Console, options: argparse.Namespace) -> Iterator[DemoApi]:
    """Start the API and wait until it serves; stop it at the end."""
    command = [sys.executable, str(HERE / "flights_api.py"), "--port", "0", "--token", TOKEN]
    command += ["--throttle-every", str(THROTTLE_EVERY), "--latency", str(options.latency)]
    if options.max_flights:
        command += ["--max-flights", str(options.max_flights)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            with console.status("Starting the API: it reads all flights that left New York City in 2013 ..."):
                url = process.stdout.readline().strip() if process.stdout else ""
            if not url:
                raise DemoError(f"the API did not start: it exited with {process.wait()}")
            yield DemoApi(url)
        finally:
            process.terminate()


def progress_table(meter: Meter, seconds: float) -> Table:
    """Give what has gone by so far, a row for each stream."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_footer=True, footer_style="bold")
    streams = list(meter.streams.items())
    records, size = (sum(getattr(count, name) for _, count in streams) for name in ("records", "bytes"))
    table.add_column("stream", "total", min_width=10)
    table.add_column("records", f"{records:,}", justify="right", min_width=9)
    table.add_column("records/s", f"{records / seconds:,.0f}", justify="right", min_width=9)
    table.add_column("bytes", megabytes(size), justify="right", min_width=9)
    for name, count in streams:
        rate = count.records_per_s
        table.add_row(name, f"{count.records:,}", "-" if rate is None else f"{rate:,.0f}", megabytes(count.bytes))
    return table


def megabytes(size: int) -> str:
    """Write a number of bytes for people."""
    return f"{size / 1e6:,.1f} MB" if size >= 50_000 else f"{size / 1e3:,.1f} kB"


def watch(pipeline: Pipeline, console: Console) -> None:
    """Show the progress until the end: live on a terminal, else a line every few seconds."""
    if not console.is_terminal:
        while pipeline.is_running(PLAIN_EVERY_S):
            counts = (f"{name} {count.records:,}" for name, count in list(pipeline.meter.streams.items()))
            console.print(f"  {pipeline.seconds:4.0f} s  " + (", ".join(counts) or "no records yet"), soft_wrap=True)
    else:
        spinner = Spinner("dots")
        with Live(console=console, transient=True, auto_refresh=False) as live:
            while pipeline.is_running(LIVE_EVERY_S):
                spinner.update(text=f"{pipeline.seconds:.1f} s")
                live.update(Group(progress_table(pipeline.meter, pipeline.seconds), spinner), refresh=True)
    console.print(progress_table(pipeline.meter, pipeline.seconds))


def load(console: Console, folder: Path, state: Path | None = None) -> Outcome:
    """Run the tap into the target and keep the last state.

    Errors: `DemoError` when a side fails or no state came.
    """
    tap = ["demo/tap_flights.py", "--config", str(folder / "tap.json")]
    tap += ["--state", str(state)] if state else []
    target = ["target-duckdb", "--config", str(folder / "target.json")]
    states = folder / "states.jsonl"
    shown = f"""$ python {" ".join(tap)} |
    singerkit {" ".join(target)} > {states}
$ tail -n 1 {states} > {folder / "state.json"}
"""
    console.print(Text(shown, style="dim"), soft_wrap=True)
    with Pipeline([sys.executable, *tap], [singerkit_command(), *target], folder) as pipeline:
        watch(pipeline, console)
        outcome = pipeline.outcome()
    if outcome.failed:
        raise DemoError("\n".join(failure_of(side, code, folder) for side, code in outcome.failed.items()))
    if outcome.state is None:
        raise DemoError("the target let no state out")
    write_private(folder / "state.json", outcome.state)
    return outcome


def singerkit_command() -> str:
    """Find the command that belongs to this Python."""
    beside = Path(sys.executable).parent / "singerkit"
    found = str(beside) if beside.exists() else shutil.which("singerkit")
    if found is None:
        raise DemoError("the command 'singerkit' is not installed: pip install -e '.[demo]'")
    return found


def failure_of(side: str, code: int, folder: Path) -> str:
    """Give a side's exit code and the end of its log, without what only informs."""
    log = folder / f"{side}.log"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    last_lines = [line for line in lines if " INFO " not in line][-8:]
    return "\n".join([f"the {side} exited with {code}; the end of {log}:", *(f"  {line}" for line in last_lines)])


def write_private(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON that only its owner can read: a config holds a token."""
    temporary = path.with_suffix(".new")
    temporary.touch(mode=0o600)
    temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)


def prepare(folder: Path, api: DemoApi) -> None:
    """Begin with an empty folder and the two configs."""
    folder.mkdir(exist_ok=True)
    for name in ("flights.duckdb", "flights.duckdb.wal", "state.json", "states.jsonl", "tap.log", "target.log"):
        (folder / name).unlink(missing_ok=True)
    # Nested objects become columns such as departure__delay_minutes.
    flattening = {"flattening_enabled": True, "flattening_max_depth": 1}
    tap = {"api_url": api.url, "api_token": TOKEN, "page_size": PAGE_SIZE, **flattening}
    write_private(folder / "tap.json", tap)
    write_private(folder / "target.json", {"path": str(folder / "flights.duckdb")})


def query(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    """Ask the database."""
    import duckdb

    with duckdb.connect(str(folder / "flights.duckdb"), read_only=True) as database:
        return database.sql(sql).fetchall()


def check(folder: Path, flights: int, amended: int) -> None:
    """Compare the database with what the API has.

    Errors: `DemoError` when a flight is missing or there twice, or an amendment did not arrive.
    """
    counts = "SELECT count(*), count(DISTINCT id), count(*) FILTER (revision = 2) FROM flights"
    ((stored, different, newer),) = query(folder, counts)
    if (stored, different, newer) != (flights, flights, amended):
        raise DemoError(
            f"the API has {flights} flights, {amended} of them amended; the database has {stored}, {different} of them"
            f" different, {newer} amended"
        )


def answer_table(rows: Sequence[tuple[Any, ...]]) -> Table:
    """Give the answer to the question, a row for each airline."""
    caption = "late: minutes at departure; in rain: the same, when it rained;\nage: of the plane, in years (averages)"
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), caption=caption, caption_justify="left")
    table.add_column("airline", no_wrap=True)
    for heading in ("flights", "late", "in rain", "cancelled", "age"):
        table.add_column(heading, justify="right")
    table.add_column("from")
    for airline, flights, delay, in_rain, cancelled, age, airport in rows:
        delays = (written(value, ".0f") for value in (delay, in_rain))
        table.add_row(airline, f"{flights:,}", *delays, f"{cancelled:.1%}", written(age, ".0f"), airport)
    return table


def written(value: float | None, form: str) -> str:
    """Write a number, or a dash where the data has none."""
    return "-" if value is None else format(value, form)


def demonstrate(console: Console, folder: Path, api: DemoApi) -> None:
    """Do everything, in order."""
    prepare(folder, api)
    console.print(f"[bold]1. The first run[/] reads everything from {api.url}\n", highlight=False)
    first = load(console, folder)
    pages = api.statistics()
    console.print(f"\n[bold]2. The API amends {AMENDED} flights; the second run[/] goes on from the state\n")
    amended = api.amend(AMENDED)
    second = load(console, folder, folder / "state.json")
    check(folder, pages["flights"], amended)
    console.print("\n[bold]3. The database[/] joins what came from three streams\n")
    console.print(answer_table(query(folder, QUESTION)))
    conclude(console, folder, first, second, amended, pages)


def conclude(
    console: Console, folder: Path, first: Outcome, second: Outcome, amended: int, pages: Mapping[str, int]
) -> None:
    """Say what was to be seen, in three lines, and where the files are."""
    records = sum(count.records for count in first.meter.streams.values())
    flights = second.meter.streams["flights"].records
    all_flights = first.meter.streams["flights"].records
    lines = [
        f"{records:,} records in {first.seconds:.0f} s; {pages['refused']} of {pages['requests']} requests were refused"
        " (429) and tried again.",
        f"The second run brought {flights:,} flights, not {all_flights:,}: {amended} amended, {flights - amended} at"
        " the bookmark.",
        "Each flight is there once: a state leaves the target only after its rows.",
    ]
    console.print("\n[bold]What you just saw[/]")
    for line in lines:
        console.print(f"- {line}", highlight=False)
    files = "flights.duckdb, state.json, configs and logs"
    console.print(f"\nThe files are in {folder}/: {files}.", highlight=False)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Run a tap into DuckDB, twice, and look at the result.")
    parser.add_argument("--max-flights", type=int, help="take the first ones only, to be done sooner")
    parser.add_argument("--latency", type=float, default=50, help="milliseconds that a page takes (default: 50)")
    parser.add_argument("--folder", type=Path, default=Path(".demo"), help="where to write (default: .demo)")
    return parser.parse_args()


def main() -> int:
    """Run the demo; give the exit code."""
    options = parse_arguments()
    console = Console()
    os.chdir(HERE.parent)
    try:
        with open_api(console, options) as api:
            demonstrate(console, options.folder, api)
    except (DemoError, OSError) as error:
        console.print(Text.assemble("\n", ("The demo failed: ", "bold red"), str(error)), soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
