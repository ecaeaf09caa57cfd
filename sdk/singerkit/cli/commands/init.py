"""`singerkit init`: a new singer.toml, or that of a Meltano project."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from singerkit.cli.run import boundary, write_stdout
from singerkit.errors import ConfigurationError
from singerkit.runner.project import FILE_NAME, load_project
from singerkit.runner.project.json_schema import ADDRESS
from singerkit.telemetry.redact import escape_controls

_HELP = f"""Write a {FILE_NAME} into a folder (this one).

With --from meltano.yml it is made of a Meltano project: taps, targets, mappers, selection, jobs, schedules and
environments. What has no place in it, and what needs a hand, is listed with its line. Secrets become references to
variables; a .env file beside it is read as it is.

\b
Examples:
  singerkit init
  singerkit init --from meltano.yml
"""

SCHEMA_LINE = f"#:schema {ADDRESS}\n"
_NEW = """\
# What is to be moved from where to where. `singerkit run example` runs the pipeline below; `singerkit project-schema`
# writes the schema of this file, by which editors complete and check it.

[taps.files]
command = "tap-csv"                 # on PATH, or one of `singerkit connectors`; `package = "tap-x==1.2"` installs one
select = ["*.*"]                    # what is read: "stream.*", "!stream.property", "*.id"

[taps.files.config]                 # the settings: `singerkit tap-csv --about` lists them
files = [{ entity = "people", path = "people.csv", keys = ["id"] }]
# api_key = "${FILES_API_KEY}"      # from the environment or a file .env beside this one; ${file:path} reads a file

[targets.lake]
command = "target-jsonl"
config = { destination_path = "out" }

[pipelines.example]
tap = "files"
target = "lake"
# schedule = "0 * * * *"            # for `singerkit deploy`
# timeout = "1h"
# retries = 2
# after = ["dbt build"]             # commands that follow a success

# [env.prod.targets.lake.config]    # `singerkit run example --env prod` runs with this over the above
# destination_path = "/srv/lake"

# [state]                           # .singerkit/state.db, unless it says otherwise
# url = "postgresql://user:${STATE_PASSWORD}@host/states"
"""
_IGNORED = (".singerkit/", ".env")


@click.command("init", help=_HELP)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=".")
@click.option("--from", "origin", type=click.Path(path_type=Path), help="A meltano.yml to convert.")
@click.option("--force", is_flag=True, help=f"Write over a {FILE_NAME} that is there.")
def init(folder: Path, origin: Path | None, force: bool) -> None:
    """Write the file; ends the process."""
    sys.exit(boundary("singerkit", lambda: _init(folder, origin, force)))


def _init(folder: Path, origin: Path | None, force: bool) -> None:
    path = folder / FILE_NAME
    if path.exists() and not force:
        raise ConfigurationError(f"{path} is there already; --force writes over it")
    text, report = _converted(origin) if origin else (_NEW, [])
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(SCHEMA_LINE + text, encoding="utf-8")
    names = ", ".join(load_project(path).pipelines) or "none"
    write_stdout("\n".join([f"Wrote {path}; pipelines: {names}.", *_ignore(folder), *map(escape_controls, report)]))


def _ignore(folder: Path) -> list[str]:
    """Keep what is no source, and secrets, out of version control; says what its user has to do."""
    path = folder / ".gitignore"
    if not path.exists():
        path.write_text("".join(f"{name}\n" for name in _IGNORED), encoding="utf-8")
        return []
    lines = path.read_text(encoding="utf-8").split()
    missing = [name for name in _IGNORED if not {name, name.rstrip("/"), f"/{name}"} & {*lines}]
    return [f"Add to {path}: {' '.join(missing)}"] if missing else []


def _converted(origin: Path) -> tuple[str, list[str]]:
    from singerkit.runner.from_meltano import convert_project  # needs an extra

    conversion = convert_project(origin)
    head = ["Left out, or in need of a hand:"] if conversion.left else []
    return conversion.text, [*head, *(f"  {left.line}" for left in conversion.left)]
