"""The commands that a person types first in a new project."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

_TAP_OPTIONS = {
    "rest": " --replay recordings",
    "graphql": " --replay recordings",
    "sql": " --config demo/config.json",
    "files": " --config demo/config.json",
    "other": "",
}


class _Programs(NamedTuple):
    """How a project's own program, a script of its tests, and singerkit are called in its folder."""

    own: str
    script: str
    singerkit: str


def next_commands(kind: str, answers: Mapping[str, str], project: Path, *, python: str | None) -> list[str]:
    """Give the commands: into the project and its first run; its tests; without uv its installation, too.

    ``python`` is what a shell calls a Python that has singerkit. It needs no installation for the first two: what
    makes a project has what the project needs. ``None`` where uv makes an environment for the project.
    """
    programs, rest = _by_uv(project.name) if python is None else _by_python(project.name, python)
    return [f"cd {shlex.quote(str(project))} && {_first_run(kind, answers, programs)}", *rest]


def _by_uv(name: str) -> tuple[_Programs, list[str]]:
    return _Programs(f"uv run {name}", "uv run python", "uv run singerkit"), ["uv run pytest"]


def _by_python(name: str, python: str) -> tuple[_Programs, list[str]]:
    # By a path where the shell would find another Python: then it finds no singerkit, or another one, too.
    singerkit = "singerkit" if python == "python" else f"{python} -m singerkit"
    programs = _Programs(f"{python} -m {name.replace('-', '_')}", f"PYTHONPATH=. {python}", singerkit)
    return programs, [f"{python} -m pytest", f"{python} -m pip install --editable ."]


def _first_run(kind: str, answers: Mapping[str, str], programs: _Programs) -> str:
    source = answers.get("source", "")
    if kind == "tap":
        return f"{programs.own}{_TAP_OPTIONS[source]} | {programs.singerkit} target-jsonl"
    if kind == "target" and source == "rest":
        return f"{programs.script} tests/test_target.py < demo/messages.jsonl"
    return f"{programs.own} --config demo/config.json < demo/messages.jsonl"
