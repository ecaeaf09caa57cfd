"""Scaffolded projects: which combinations of answers there are, and how projects are made, linted, tested and run."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from singerkit.scaffold.next_commands import next_commands
from singerkit.scaffold.templates import Template

Answers = dict[str, str]
MYPY_CACHE = str(Path(__file__).parents[2] / ".mypy_cache/scaffold")
_WEB = {"tap": ("rest", "graphql"), "target": ("rest",)}
_PYTEST = ["-m", "pytest", "-q", "--import-mode=importlib", "-p", "no:cacheprovider", "-c", os.devnull]


def combinations(kind: str) -> list[Answers]:
    """Give every combination of answers that makes sense."""
    questions = [question for question in Template(kind).questions.values() if question.choices]
    names = [question.name for question in questions]
    products = itertools.product(*(question.choices for question in questions))
    return [answers for values in products if _makes_sense(kind, answers := dict(zip(names, values, strict=True)))]


def _makes_sense(kind: str, answers: Mapping[str, str]) -> bool:
    is_web = answers.get("source") in _WEB.get(kind, ())
    if not is_web and {answers.get("auth", "none"), answers.get("paging", "none")} != {"none"}:
        return False
    return answers.get("source") != "graphql" or answers["paging"] in ("none", "cursor")


def make(kind: str, answers: Mapping[str, str], name: str, folder: Path, program: str | None = None) -> Path:
    """Make a project by the command line: that of a program, or our own."""
    options = [word for option, value in answers.items() for word in (f"--{option}", value)]
    command = [program] if program else [sys.executable, "-m", "singerkit"]
    run([*command, "new", kind, "--name", name, *options, "--output", str(folder), "--no-input"], folder)
    return folder / f"{kind}-{name}"


def run(command: str | list[str], folder: Path, **environment: str) -> str:
    """Run a command, which has to succeed; gives what it printed."""
    words = ["bash", "-c", f"set -o pipefail; {command}"] if isinstance(command, str) else command
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, env={**os.environ, **environment})
    assert done.returncode == 0, (command, done.stdout[-4000:], done.stderr[-4000:])
    return done.stdout


def first_run(kind: str, answers: Mapping[str, str], project: Path) -> str:
    """Give the command of the first run, as it is printed where our Python is not the one of the shell."""
    return next_commands(kind, answers, project, python=shlex.quote(sys.executable))[0]


def lint(projects: Iterable[Path]) -> None:
    """Check that projects in one folder are formatted, linted and typed."""
    packages = [next(project.glob("*/__init__.py")).parent for project in projects]
    folder = packages[0].parents[1]
    run([sys.executable, "-m", "ruff", "check", "."], folder)
    run([sys.executable, "-m", "ruff", "format", "--check", "."], folder)
    run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", MYPY_CACHE, *map(str, packages)], folder)


def run_tests(projects: Iterable[Path], chosen: str) -> str:
    """Run some tests of projects in one folder; gives what pytest said."""
    places = list(projects)
    folder = places[0].parent
    paths = os.pathsep.join(map(str, places))
    return run([sys.executable, *_PYTEST, f"--rootdir={folder}", "-k", chosen, "."], folder, PYTHONPATH=paths)


def stored(project: Path) -> Iterator[dict[str, Any]]:
    """Read what target-jsonl stored."""
    for path in sorted((project / "output").rglob("*.jsonl")):
        yield from map(json.loads, path.read_text(encoding="utf-8").splitlines())
