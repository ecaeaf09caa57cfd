"""The page of commands names every command and every option; the page on scaling out is typed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

from singerkit.cli.main import CONNECTORS
from singerkit.cli.verbs import VERBS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reference/command-line.md").read_text("utf-8")
ELSEWHERE = {"check", "connectors"}  # the harness has a page of its own; the other has no options


@pytest.mark.parametrize("name", [name for name in VERBS if name not in ELSEWHERE])
def test_every_option_is_on_the_page(name):
    module, _, attribute = VERBS[name].location.partition(":")
    command = getattr(import_module(module), attribute)
    section = next((part for part in PAGE.split("\n## ") if f"singerkit {name}" in part.splitlines()[0]), None)
    assert section is not None or f"`singerkit {name}`" in PAGE
    if isinstance(command, click.Group):
        assert all(f"{name} {word}" in PAGE for word in command.commands)
        return
    options = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
    missing = {option for option in options - {"--help"} if option not in (section or PAGE)}
    assert not missing - {option for option in options if f"`{option}" in PAGE.split("These commands take")[-1][:60]}


def test_the_page_on_scaling_out_works_as_written(tmp_path):
    text = (DOCS / "how-to/scale-out.md").read_text("utf-8")
    (tmp_path / "singer.toml").write_text(re.search(r"```toml\n(.*?)^```", text, re.M | re.S)[1])
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.M | re.S)
    commands = "\n".join(blocks).replace("\n$ ", "\n").removeprefix("$ ")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-ec", commands], cwd=tmp_path, capture_output=True, text=True, timeout=180, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == re.search(r"^```json\n(.*?)^```", text, re.M | re.S)[1]


@pytest.mark.parametrize(("name", "heading"), [("tap-csv", "Taps"), ("target-postgres", "Targets and mappers")])
def test_every_option_of_connectors_is_on_the_page(name, heading):
    module, _, attribute = CONNECTORS[name].location.partition(":")
    command = getattr(import_module(module), attribute).cli.click_command
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    options = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
    assert len(options) > 8
    assert not {option for option in options if f"`{option}" not in section}
