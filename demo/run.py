"""The main job of singerkit, to watch: what ``make demo`` runs.

1. Starts the demo's API: a real data set behind an API that behaves like the ones out there.
2. Writes a ``singer.toml`` with one pipeline, and runs it: ``tap | target-duckdb``, supervised.
3. Lets the API change a few flights, and runs it again: only what is new comes.
4. Asks the database a question, and singerkit how the pipeline stands.

Everything it writes is in ``.demo/``. Exits with 1 if a side fails, or if what arrived is not what was sent.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from rich.console import Console
from rich.table import Table
from rich.text import Text

HERE = Path(__file__).resolve().parent
TOKEN = "demo-token"
#: As many as this API allows; the fewer pages, the less of its 50 ms a page we wait.
PAGE_SIZE = 5_000
AMENDED = 25
#: A page a second or two is refused, so that the demo shows what a tap does then.
THROTTLE_EVERY = 41

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


def load(console: Console, folder: Path) -> dict[str, Any]:
    """Run the pipeline and give the record of the run: on a terminal with its live progress, else with its summary.

    Errors: `DemoError` when the run fails.
    """
    console.print(Text(f"$ cd {folder} && singerkit run flights\n", style="dim"), soft_wrap=True)
    log = None if console.is_terminal else (folder / "run.log").open("ab")
    done = subprocess.run([singerkit_command(), "run", "flights"], cwd=folder, env=environment(), stderr=log)
    if log is not None:
        log.close()
        console.print(Text(singerkit(folder, "show", "latest")))
    record: dict[str, Any] = json.loads(singerkit(folder, "show", "latest", "--json"))
    if done.returncode:
        raise DemoError(f"the run failed: {record['failure']}")
    return record


def singerkit(folder: Path, *words: str) -> str:
    """Give what a command of singerkit writes."""
    command = [singerkit_command(), *words]
    return subprocess.run(command, cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True).stdout


def environment() -> dict[str, str]:
    """Give the variables of the pipeline: singer.toml names the token, and does not hold it."""
    return {**os.environ, "FLIGHTS_TOKEN": TOKEN}


def singerkit_command() -> str:
    """Find the command that belongs to this Python."""
    beside = Path(sys.executable).parent / "singerkit"
    found = str(beside) if beside.exists() else shutil.which("singerkit")
    if found is None:
        raise DemoError(
            "the command 'singerkit' is not installed: make demo installs it, or pip install -e '.[duckdb]'"
        )
    return found


PROJECT = """\
# What `make demo` runs. Its API has ended with it; to go on by hand, in this folder:
#
#   . {activate}
#   singerkit status
#   singerkit state show flights
#   export FLIGHTS_TOKEN=any-word
#   python {server} --port {port} --token $FLIGHTS_TOKEN &
#   singerkit run flights

[taps.tap-flights]
command = [{python}, {tap}]

[taps.tap-flights.config]
api_url = "{url}"
api_token = "${{FLIGHTS_TOKEN}}"
page_size = {page_size}
# Nested objects become columns such as departure__delay_minutes.
flattening_enabled = true
flattening_max_depth = 1

[targets.target-duckdb.config]
path = "flights.duckdb"

[pipelines.flights]
tap = "tap-flights"
target = "target-duckdb"
stale_after = "1d"
"""


def prepare(folder: Path, api: DemoApi) -> None:
    """Begin with a folder that has a project and nothing else of the demo's."""
    folder.mkdir(exist_ok=True)
    for name in ("flights.duckdb", "flights.duckdb.wal", "run.log", "status.html"):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / ".singerkit", ignore_errors=True)
    project = PROJECT.format(
        activate=shlex.quote(str(Path(sys.executable).parent / "activate")),
        server=shlex.quote(str(HERE / "flights_api.py")),
        port=urlsplit(api.url).port,
        python=json.dumps(sys.executable),
        tap=json.dumps(str(HERE / "tap_flights.py")),
        url=api.url,
        page_size=PAGE_SIZE,
    )
    (folder / "singer.toml").write_text(project, encoding="utf-8")


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
    second = load(console, folder)
    check(folder, pages["flights"], amended)
    console.print("\n[bold]3. The database[/] joins what came from three streams\n")
    console.print(answer_table(query(folder, QUESTION)))
    console.print("\n[bold]4. How the pipeline stands[/], as text and as a page\n")
    console.print(Text(f"$ cd {folder} && singerkit status --html status.html && singerkit status\n", style="dim"))
    singerkit(folder, "status", "--html", "status.html")
    console.print(Text(singerkit(folder, "status")))
    conclude(console, folder, first, second, amended, pages)


def conclude(
    console: Console,
    folder: Path,
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    amended: int,
    pages: Mapping[str, int],
) -> None:
    """Say what was to be seen, in three lines, and where the files are."""
    records = sum(counts["records"] for counts in first["streams"].values())
    flights = second["streams"]["flights"]["records"]
    all_flights = first["streams"]["flights"]["records"]
    began, ended = (datetime.fromisoformat(first[name]) for name in ("started", "ended"))
    seconds = (ended - began).total_seconds()
    lines = [
        f"{records:,} records in {seconds:.0f} s; {pages['refused']} of {pages['requests']} requests were refused"
        " (429) and tried again.",
        f"The second run brought {flights:,} flights, not {all_flights:,}: {amended} amended, {flights - amended} at"
        " the bookmark.",
        "Each flight is there once: a state leaves the target only after its rows.",
    ]
    console.print("\n[bold]What you just saw[/]")
    for line in lines:
        console.print(f"- {line}", highlight=False)
    files = "singer.toml, flights.duckdb, and status.html to open in a browser"
    console.print(f"\nThe files are in {folder}/: {files}.", highlight=False)
    console.print("singer.toml begins with how to go on by hand.", highlight=False)


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
