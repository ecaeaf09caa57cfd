"""The commands of the page on deploying are run as written, on the project of the page."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from singerkit.cli.commands.deploy import deploy
from singerkit.runner.deploy import PLATFORMS
from singerkit.runner.project import load_project

PAGE = (Path(__file__).parents[2] / "docs/how-to/deploy.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ singerkit deploy (.*)$", PAGE, re.MULTILINE)


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "singer.toml").write_text(re.search(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_work_as_written(project):
    for command in COMMANDS:
        done = CliRunner().invoke(deploy, shlex.split(command))
        assert done.exit_code == 0, (command, done.output)
    assert {folder.name for folder in (project / "deploy").iterdir()} == {*PLATFORMS} - {"github-actions"}
    assert (project / ".github/workflows/singerkit-shop-orders.yml").is_file()


def test_each_platform_has_its_section_and_what_it_says_of_names_is_so(project):
    assert {command.split()[0] for command in COMMANDS} == {*PLATFORMS}
    for command in COMMANDS:
        CliRunner().invoke(deploy, shlex.split(command))
    written = "".join(path.read_text() for path in (project / "deploy").rglob("*") if path.is_file())
    for name in (
        "singerkit_shop_orders",
        "singerkit-shop-orders",
        "singerkit_shop_status",
        ".singerkit/shop-orders.log",
    ):
        assert name in written
    assert load_project(project / "singer.toml").pipelines == ["orders"]


def test_the_reference_has_all_options():
    reference = (Path(__file__).parents[2] / "docs/reference/command-line.md").read_text(encoding="utf-8")
    section = reference.split("## singerkit deploy")[1].split("\n## ")[0]
    options = {option for parameter in deploy.params for option in parameter.opts if option.startswith("--")}
    assert options - {"--project", "--env"} == set(re.findall(r"`(--[a-z]+)", section))
