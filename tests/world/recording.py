"""One recorded run: install the connector, make its source, let the harness judge it, keep the outcome in short."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import sources
from listed import FOLDER, Connector

ROOT = FOLDER.parents[1]
RESULTS = FOLDER / "results"
HARNESS = ["-e", f"{ROOT}[testing,duckdb,postgres,mysql,sql]", "psycopg2-binary>=2.9", "pyarrow>=15"]
"""What the harness itself needs, its drivers for reading targets back among it."""

MOST_MESSAGES, MOST_CHARACTERS = 3, 300
HOURS_S = 3600
MUTABLE = frozenset(sources.INSTANTS)
"""The sources that can be changed while a tap is looked at."""


def record(connector: Connector, world: Path, results: Path = RESULTS) -> str:
    """Record one connector, and give a summary in a few words.

    Errors: ``RuntimeError`` if it can't be installed, or the harness gives no report.
    """
    harness = environment(world / "harness", HARNESS)
    own = harness if connector.is_own else _own_environment(connector, world / connector.name)
    folder = world / "runs" / connector.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [str(harness / "singerkit"), "check", *_order(connector, own, folder)]
    report = judged(command, folder)
    result = shortened(report, {"version": version(connector, own), "sdk": sdk(connector, own)}, hidden=[world, ROOT])
    results.mkdir(exist_ok=True)
    (results / f"{connector.name}.json").write_text(as_text(result), "utf-8")
    return f"{result['seconds']} s, {json.dumps(result['counts'])}"


def _own_environment(connector: Connector, folder: Path) -> Path:
    return environment(folder, connector.package.split(), override=connector.override, python=connector.python)


def environment(folder: Path, requirements: list[str], *, override: Iterable[str] = (), python: str = "") -> Path:
    """Make a virtual environment unless it is there and holds just that, and give the folder of its programs."""
    wanted = "\n".join([python, *requirements, *override])
    stamp = folder / "holds.txt"
    if not (stamp.exists() and stamp.read_text() == wanted):
        shutil.rmtree(folder, ignore_errors=True)
        uv = str(Path(sys.executable).with_name("uv"))
        _run([uv, "venv", "--quiet", "--python", python or sys.executable, str(folder)])
        overrides = folder / "override.txt"
        overrides.write_text("\n".join(override))
        place = ["--python", str(folder / "bin" / "python"), *(["--override", str(overrides)] if override else [])]
        _run([uv, "pip", "install", "--quiet", *place, *requirements])
        stamp.write_text(wanted)
    return folder / "bin"


def _run(command: list[str], **options: Any) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HOURS_S, **options)
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} {command[1]} failed: {done.stderr.strip()[-500:]}")
    return done.stdout


def _order(connector: Connector, programs: Path, folder: Path) -> list[str]:
    program, *words = connector.command.split()
    command = " ".join([str(programs / program), *words])
    places = {"{source}": str(folder / "source")}
    config = _filled(connector.config, places)
    order = [command, "--config", _document(folder / "config.json", config), *connector.options]
    if connector.reader:
        if connector.destination:
            sources.make_database(connector.destination, sources.DESTINATION)
        return [*order, "--reader", connector.reader]
    sources.make_source(connector.source, folder / "source")
    expected = folder / "expect.json"
    expected.write_text(sources.expectation_text(connector.streams, connector.source), "utf-8")
    order += ["--expect", str(expected)]
    if connector.broken:
        broken = {**config, **_filled(connector.broken, places)}
        order += ["--broken-config", _document(folder / "broken.json", broken)]
    if connector.method:
        catalog = _catalog(connector, command, folder)
        order += ["--catalog", _document(folder / "catalog.json", catalog)]
    if connector.source in MUTABLE:
        order += ["--mutate-source", f"{sys.executable} {FOLDER / 'sources.py'} {connector.source}"]
    return order


def _document(path: Path, document: Any) -> str:
    path.write_text(json.dumps(document))
    return str(path)


def _filled(value: Any, places: dict[str, str]) -> Any:
    text = json.dumps(value)
    for name, place in places.items():
        text = text.replace(name, place)
    return json.loads(text)


def _catalog(connector: Connector, command: str, folder: Path) -> dict[str, Any]:
    """Discover, and choose the replication methods as a user would: in the metadata of each stream."""
    catalog = json.loads(_run([*command.split(), "--config", str(folder / "config.json"), "--discover"], cwd=folder))
    for entry in catalog["streams"]:
        key = connector.method.get(entry["tap_stream_id"])
        chosen = (
            {"replication-method": "INCREMENTAL", "replication-key": key}
            if key
            else {"replication-method": "FULL_TABLE"}
        )
        next(item for item in entry["metadata"] if not item["breadcrumb"])["metadata"].update(chosen)
        if "replication_method" in entry:  # singer-sdk writes these beside the metadata
            entry.update(replication_method=chosen["replication-method"], **({"replication_key": key} if key else {}))
    return catalog


def judged(command: list[str], folder: Path) -> dict[str, Any]:
    """Run the harness, and give its report.

    Errors: ``RuntimeError`` if there is none.
    """
    report = folder / "report.json"
    words = [*command, "--report", str(report)]
    with (folder / "output.txt").open("w") as output:
        done = subprocess.run(words, cwd=folder, stdout=output, stderr=output, check=False, timeout=HOURS_S)
    if not report.exists():
        said = (folder / "output.txt").read_text().strip()
        raise RuntimeError(f"singerkit check ended with {done.returncode} and wrote no report: {said[-500:]}")
    return json.loads(report.read_text("utf-8"))


def version(connector: Connector, programs: Path) -> str:
    """Give the version of the connector."""
    distribution = "singerkit" if connector.is_own else connector.package.split("==")[0]
    return _installed(programs, distribution)


def sdk(connector: Connector, programs: Path) -> str:
    """Name what the connector is built with, and its version."""
    return "" if connector.is_own or not connector.sdk else f"{connector.sdk} {_installed(programs, connector.sdk)}"


def _installed(programs: Path, distribution: str) -> str:
    code = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
    return _run([str(programs / "python"), "-c", code, distribution]).strip()


def shortened(report: dict[str, Any], facts: dict[str, str], hidden: list[Path]) -> dict[str, Any]:
    """Keep of a report what is worth comparing with the next one: outcomes and short messages, no paths or times."""
    return {
        "kind": report["kind"],
        **facts,
        "checked": report["started"][:7],
        "seconds": round(report["seconds"]),
        "counts": report["summary"],
        "rules": {each["rule"]: _outcome(each, hidden) for each in report["results"]},
    }


def _outcome(result: dict[str, Any], hidden: list[Path]) -> dict[str, Any]:
    if result["verdict"] == "pass":
        return {"verdict": "pass"}
    said = [finding["message"] for finding in result["findings"]] or [result["note"]]
    messages = [anonymous(text, hidden)[:MOST_CHARACTERS] for text in said[:MOST_MESSAGES]]
    return {"verdict": result["verdict"], "title": result["title"], "messages": messages}


def anonymous(text: str, hidden: list[Path]) -> str:
    """Take out of a message what another run or another machine would have otherwise."""
    for path in hidden:
        text = text.replace(f"{path}/", "")
    text = re.sub(r"\S*/singer-check-[^/\s'\"]+/\d+", "{folder}", text)
    text = re.sub(r"\bc[0-9a-f]{10}(?![0-9a-f])", "{case}", text)
    text = re.sub(r"/\S*/(lib|bin)/python[\d.]*/", "…/", text)
    text = re.sub(r"\b20\d\d-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.,]\d+", "{time}", text)
    return " ".join(text.split())


def as_text(result: dict[str, Any]) -> str:
    """Write a result as JSON, one line a rule."""
    rules = ",\n".join(f"    {json.dumps(rule)}: {_line(outcome)}" for rule, outcome in result["rules"].items())
    head = ",\n".join(f"  {json.dumps(name)}: {_line(value)}" for name, value in result.items() if name != "rules")
    return f'{{\n{head},\n  "rules": {{\n{rules}\n  }}\n}}\n'


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
