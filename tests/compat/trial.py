"""One trial: download the connector, port a copy, install both, and compare what they do."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from published import FOLDER, Connector

ROOT = FOLDER.parents[1]
RESULTS = FOLDER / "results"
WORK = ROOT / ".port"
PROGRAMS = Path(sys.executable).parent

TEST_S, COMMAND_S = 900, 120
TRIED_WITH = ["pytest>=7", "pytest-timeout>=2.3"]
MOST_CHARACTERS = 300


def record(connector: Connector) -> str:
    """Try one connector, keep what came of it, and give a summary in a few words.

    Errors: ``RuntimeError`` if it can't be downloaded or installed.
    """
    began = time.monotonic()
    place = WORK / connector.name
    original = unpacked(connector, place)
    ported = place / "after"
    shutil.rmtree(ported, ignore_errors=True)
    shutil.copytree(original, ported)
    port = subprocess.run([PROGRAMS / "singerkit", "port", ported], capture_output=True, text=True, check=False)
    if port.returncode not in (0, 1) or " places to look at by hand" not in port.stdout:
        raise RuntimeError(f"singerkit port ended with {port.returncode}: {port.stderr.strip()[-500:]}")
    sides = {
        "before": Side(connector, original, place / "environment-before", ["singer-sdk[testing]", *connector.before]),
        "after": Side(connector, ported, place / "environment-after", ["-e", f"{ROOT}[testing]"]),
    }
    for side in sides.values():
        side.install()
    result = {
        "version": connector.version,
        "sdk": sides["before"].version("singer-sdk"),
        "tried": time.strftime("%Y-%m"),
        "changed": re.findall(r"^changed: (.*)$", port.stdout, re.MULTILINE),
        "by_hand": [anonymous(line, place) for line in port.stdout.splitlines() if " (see docs/" in line],
        "tests": compared_tests(sides["before"].tests(), sides["after"].tests()),
        "about": compared_about(sides["before"].about(), sides["after"].about()),
        "discover": compared_catalogs(sides["before"].discover(), sides["after"].discover()),
    }
    result["same"] = is_same(result)
    result["seconds"] = round(time.monotonic() - began)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{connector.name}.json").write_text(as_text(result), "utf-8")
    return f"{'same' if result['same'] else 'DIFFERENT'}, {json.dumps(short(result))}"


def unpacked(connector: Connector, place: Path) -> Path:
    """Give the folder with the connector's source distribution; it is downloaded once."""
    original = place / "before"
    stamp = place / "version.txt"
    if stamp.exists() and stamp.read_text() == connector.version:
        return original
    shutil.rmtree(original, ignore_errors=True)
    downloads = WORK / "sdists" / connector.name
    downloads.mkdir(parents=True, exist_ok=True)
    words = ["download", "--quiet", "--no-deps", "--no-binary", connector.name, "--dest", str(downloads)]
    run([sys.executable, "-m", "pip", *words, f"{connector.name}=={connector.version}"])
    archive = next(iter(sorted(downloads.glob(f"*{connector.version}.tar.gz"))))
    with tarfile.open(archive) as tar:
        tar.extractall(place / "unpacking", filter="data")
    shutil.move(next((place / "unpacking").iterdir()), original)
    (place / "unpacking").rmdir()
    stamp.write_text(connector.version)
    return original


class Side:
    """The connector as it was, or as it is after the port, in an environment of its own."""

    def __init__(self, connector: Connector, source: Path, environment: Path, requirements: list[str]) -> None:
        self.connector = connector
        self.source = source
        self.environment = environment
        self.requirements = requirements
        self.programs = environment / "bin"

    def install(self) -> None:
        """Make the environment, unless it is there and holds just that."""
        groups = [
            word for group in self.connector.groups for word in ("--group", f"{self.source}/pyproject.toml:{group}")
        ]
        words = [*TRIED_WITH, *self.requirements, *self.connector.requires, *groups, "-e", str(self.source)]
        wanted = "\n".join([*words, (self.source / "pyproject.toml").read_text("utf-8")])
        stamp = self.environment / "holds.txt"
        if stamp.exists() and stamp.read_text() == wanted:
            return
        shutil.rmtree(self.environment, ignore_errors=True)
        uv = str(PROGRAMS / "uv")
        run([uv, "venv", "--quiet", "--python", sys.executable, str(self.environment)])
        run([uv, "pip", "install", "--quiet", "--no-sources", "--python", str(self.programs / "python"), *words])
        stamp.write_text(wanted)

    def version(self, distribution: str) -> str:
        """Give the version of a distribution that is installed."""
        code = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
        return run([str(self.programs / "python"), "-c", code, distribution]).strip()

    def tests(self) -> dict[str, str]:
        """Run the connector's own tests; give the outcome of each by its name, with what was said of a failure."""
        if not self.connector.tests:
            return {}
        report = self.environment / "report.xml"
        report.unlink(missing_ok=True)
        words = [
            "-m",
            "pytest",
            "-q",
            "-ra",
            f"--rootdir={self.source}",
            "--timeout=60",
            "-p",
            "no:cacheprovider",
            "-o",
            "addopts=",
        ]
        words += ["-o", "junit_family=xunit2", f"--junitxml={report}", *self.connector.options, self.connector.tests]
        self._run([str(self.programs / "python"), *words], "tests.txt", TEST_S)
        return outcomes(report)

    def about(self) -> dict[str, Any] | None:
        """Give what ``--about`` says, or ``None`` where it fails."""
        return self._json(["--about", "--format=json"], "about.txt")

    def discover(self) -> dict[str, Any] | None:
        """Give the catalog, or ``None`` where there is none to be had offline."""
        if self.connector.config is None:
            return None
        config = self.environment / "config.json"
        config.write_text(json.dumps(self.connector.config).replace("{source}", str(self.source)))
        return self._json(["--config", str(config), "--discover"], "discover.txt")

    def _json(self, words: list[str], output: str) -> dict[str, Any] | None:
        text = self._run([str(self.programs / self.connector.command), *words], output, COMMAND_S)
        try:
            return json.loads(text)
        except ValueError:
            return None

    def _run(self, command: list[str], output: str, seconds: int) -> str:
        """Run a command in the connector's folder, keep what it says, give its stdout."""
        environment = {**os.environ, "PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}"}
        environment |= {
            name: text.replace("{source}", str(self.source)) for name, text in self.connector.environment.items()
        }
        try:
            done = subprocess.run(
                command, cwd=self.source, env=environment, capture_output=True, text=True, check=False, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            return ""
        (self.environment / output).write_text(f"{done.stdout}\n{done.stderr}")
        return done.stdout


def outcomes(report: Path) -> dict[str, str]:
    """Read a JUnit report: each test's name to ``passed``, ``skipped`` or what was said of its failure."""
    if not report.exists():
        return {}
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        child = next((each for each in case if each.tag in {"failure", "error", "skipped"}), None)
        if child is None:
            found[name] = "passed"
        elif child.tag == "skipped":
            found[name] = "skipped"
        else:
            found[name] = f"{child.tag}: {' '.join((child.get('message') or child.text or '').split())}"
    return found


def compared_tests(before: dict[str, str], after: dict[str, str]) -> dict[str, Any]:
    """Compare the tests that passed before: those are the ones that need nothing from outside."""
    offline = [name for name, outcome in before.items() if outcome == "passed"]
    lost = {name: after.get(name, "not found")[:MOST_CHARACTERS] for name in offline if after.get(name) != "passed"}
    return {
        "before": len(offline),
        "after": len(offline) - len(lost),
        "failed_before": sum(outcome not in {"passed", "skipped"} for outcome in before.values()),
        "lost": lost,
        "gained": sum(outcome == "passed" and before.get(name) != "passed" for name, outcome in after.items()),
    }


def compared_about(before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, Any] | None:
    """Compare the settings that the two know."""
    if before is None:
        return None
    known = set((before.get("settings") or {}).get("properties") or {})
    kept = set(((after or {}).get("settings") or {}).get("properties") or {})
    return {"settings": len(known), "missing": sorted(known - kept), "works": after is not None}


def compared_catalogs(before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, Any] | None:
    """Compare streams, their properties, keys and replication methods."""
    if before is None:
        return None
    found, kept = streams_of(before), streams_of(after or {"streams": []})
    return {
        "streams": len(found),
        "different": sorted(name for name in {*found, *kept} if found.get(name) != kept.get(name)),
    }


def streams_of(catalog: dict[str, Any]) -> dict[str, Any]:
    """Give what matters of each stream, by its id."""
    return {
        entry["tap_stream_id"]: {
            "properties": {
                name: _type_of(member) for name, member in (entry["schema"].get("properties") or {}).items()
            },
            "key_properties": sorted(entry.get("key_properties") or []),
            "replication_key": entry.get("replication_key"),
            "replication_method": entry.get("replication_method"),
        }
        for entry in catalog["streams"]
    }


def _type_of(schema: dict[str, Any]) -> list[Any]:
    declared = schema.get("type") or []
    return [sorted([declared] if isinstance(declared, str) else declared), schema.get("format")]


def is_same(result: dict[str, Any]) -> bool:
    """Tell whether the ported connector does all that was compared as before."""
    about, discover = result["about"], result["discover"]
    return (
        not result["tests"]["lost"]
        and about is not None
        and about["works"]
        and not about["missing"]
        and (discover is None or not discover["different"])
        and not result["by_hand"]
    )


def short(result: dict[str, Any]) -> dict[str, Any]:
    """Give the numbers of a result."""
    tests = result["tests"]
    return {
        "tests": f"{tests['after']} of {tests['before']}",
        "by hand": len(result["by_hand"]),
        "about": result["about"],
        "discover": result["discover"],
    }


def anonymous(text: str, place: Path) -> str:
    """Take out what another machine would have otherwise."""
    return text.replace(f"{place}/", "")


def as_text(result: dict[str, Any]) -> str:
    """Write a result as JSON."""
    return json.dumps(result, indent=2, ensure_ascii=False) + "\n"


def run(command: list[str]) -> str:
    """Run a command, and give its stdout.

    Errors: ``RuntimeError`` if it fails.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} {command[1]} failed: {done.stderr.strip()[-800:]}")
    return done.stdout
