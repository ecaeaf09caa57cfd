"""`singerkit plan`: the units of a pipeline."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from singerkit.cli.run import boundary, write_stdout
from singerkit.cli.workplace import needed_project
from singerkit.runner.units import plan_units

_HELP = """Write the units of PIPELINE to stdout, a line of JSON each: a stream with those below it, or a partition.

Each can be run by itself: `singerkit run PIPELINE --unit LINE`; all of them by `singerkit run PIPELINE --executor ...`.
"""


@click.command("plan", help=_HELP)
@click.argument("pipeline")
@click.option("--project", "project_path", type=click.Path(path_type=Path), help="singer.toml, if not found above.")
@click.option("--env", "environment", help="The environment of singer.toml to use.")
def plan(pipeline: str, project_path: Path | None, environment: str | None) -> None:
    """Ask the tap, and write what it has."""

    def work() -> None:
        project = needed_project(project_path, environment)
        units = plan_units(project.job(pipeline), project.folder / ".singerkit")
        write_stdout("\n".join(unit.text() for unit in units))

    sys.exit(boundary("singerkit", work))
