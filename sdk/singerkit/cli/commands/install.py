"""`singerkit install`: connectors into environments of their own, from a lock file."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from singerkit.cli.run import boundary
from singerkit.errors import ConfigValidationError
from singerkit.runner.install import LOCK_NAME, Installer, find_tool, wanted_of
from singerkit.runner.project import required_project
from singerkit.telemetry.redact import escape_controls, redactor

_HELP = """Install connectors into environments of their own.

Each connector of singer.toml that has a `package` gets an environment below .singerkit/environments; those that ask for
the same share one. What a package needs is written into singer.lock, with hashes, and installed from there, so that
every machine gets the same: commit that file. uv is used where there is one, else pip.

\b
Examples:
  singerkit install                  all connectors, as they are locked
  singerkit install tap-github       this one
  singerkit install --upgrade        the newest versions that singer.toml allows
  singerkit install --check          fail if the lock is not of this singer.toml (for CI)
"""


@click.command("install", help=_HELP)
@click.argument("names", nargs=-1, metavar="[CONNECTOR]...")
@click.option("--upgrade", is_flag=True, help="Resolve anew, also what is locked; install local folders again.")
@click.option("--check", is_flag=True, help="Change nothing; fail if singer.toml, lock and environments differ.")
@click.option(
    "--project", "project_path", type=click.Path(path_type=Path), help="singer.toml, if not in this folder or above."
)
@click.option("--env", "environment", help="The environment of singer.toml to use.")
def install(
    names: tuple[str, ...], upgrade: bool, check: bool, project_path: Path | None, environment: str | None
) -> None:
    """Install, or check; ends the process."""
    sys.exit(boundary("singerkit", lambda: _install(names, upgrade, check, project_path, environment)))


def _install(
    names: tuple[str, ...], upgrade: bool, check: bool, project_path: Path | None, environment: str | None
) -> None:
    project = required_project(project_path, environment)
    wanted = wanted_of(project, names)
    for each in wanted:
        redactor.add(each.packages.secrets)
    installer = Installer(project, find_tool(project.folder, redactor), _say)
    if check:
        if drift := [*installer.drift(wanted, is_all=not names)]:
            raise ConfigValidationError(f"{LOCK_NAME} is not up to date; run `singerkit install`:", errors=drift)
        _say(f"{LOCK_NAME}: up to date")
        return
    if not wanted:
        _say(f"no connector of {project.path} has a `package`: there is nothing to install")
    installer.install(wanted, upgrade=upgrade)
    if not names:
        installer.forget()


def _say(line: str) -> None:
    click.echo(escape_controls(redactor.redact(line)), err=True)
