"""`singerkit project-schema`: the JSON Schema of singer.toml."""

from __future__ import annotations

import json
import sys

import click

from singerkit.cli.run import boundary, write_stdout
from singerkit.runner.project.json_schema import project_schema


@click.command("project-schema", help="Write the JSON Schema of singer.toml, by which editors complete and check it.")
def project_schema_command() -> None:
    """Write it to stdout; ends the process."""
    sys.exit(boundary("singerkit", lambda: write_stdout(json.dumps(project_schema(), indent=2))))
