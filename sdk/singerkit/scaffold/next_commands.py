"""The commands that a person types first in a new project."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

_TAP_OPTIONS = {
    "rest": " --replay recordings",
    "graphql": " --replay recordings",
    "sql": " --config demo/config.json",
    "files": " --config demo/config.json",
    "other": "",
}


def next_commands(kind: str, answers: Mapping[str, str], project: Path, *, has_uv: bool) -> list[str]:
    """Give three commands: into the project (and, without uv, its installation), a first run, its tests."""
    prefix = "uv run " if has_uv else ""
    enter = f"cd {shlex.quote(str(project))}"
    if not has_uv:
        enter += " && python -m pip install --editable . 'singerkit[testing]'"
    test = "uv run pytest" if has_uv else "python -m pytest"
    return [enter, _first_run(kind, answers, project.name, prefix), test]


def _first_run(kind: str, answers: Mapping[str, str], command: str, prefix: str) -> str:
    source = answers.get("source", "")
    if kind == "tap":
        return f"{prefix}{command}{_TAP_OPTIONS[source]} | {prefix}singerkit target-jsonl"
    if kind == "target" and source == "rest":
        return f"{prefix}python tests/test_target.py < demo/messages.jsonl"
    return f"{prefix}{command} --config demo/config.json < demo/messages.jsonl"
