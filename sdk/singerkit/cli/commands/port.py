"""`singerkit port`: moves a connector from ``singer_sdk`` to singerkit."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from singerkit.cli.run import boundary, write_stdout
from singerkit.errors import MissingExtraError

if TYPE_CHECKING:
    from singerkit.port.project import Port

_HELP = """Move a connector from singer_sdk to singerkit.

PATH is the folder that has the connector's pyproject.toml. Its code, its tests and its dependencies are rewritten in
place; what can't be moved is listed with file, line and reason, and stays as it is. The exit code is 1 where something
is left to do by hand. Config and state files of the connector stay as they are.
"""


@click.command("port", help=_HELP)
@click.argument("path", type=click.Path(path_type=Path), default=Path())
@click.option("--check", is_flag=True, help="Only report; the exit code is 1 if something is to do.")
@click.option("--diff", is_flag=True, help="Show the changes as a diff, and write nothing.")
def port(path: Path, check: bool, diff: bool) -> None:
    """Rewrite a connector, or say what would be rewritten."""
    sys.exit(boundary("singerkit port", lambda: _port(path, writes=not (check or diff), shows=diff)))


def _port(path: Path, *, writes: bool, shows: bool) -> int:
    try:
        from singerkit.port.project import port_project
    except ImportError as error:
        raise MissingExtraError(f"porting needs {error.name}: pip install 'singerkit[port]'") from error
    planned = port_project(path)
    if writes:
        planned.write()
    if shows:
        diffs = "".join(change.diff() for change in planned.changes)
        if diffs:
            write_stdout(diffs)
        for finding in planned.findings:
            click.echo(str(finding), err=True)
    else:
        write_stdout("\n".join(_lines(planned, wrote=writes)))
    return int(bool(planned.findings or (planned.changes and not writes)))


def _lines(planned: Port, *, wrote: bool) -> list[str]:
    lines = [f"{'changed' if wrote else 'to change'}: {change.name}" for change in planned.changes]
    lines += [str(finding) for finding in planned.findings]
    if wrote:
        lines += [f"{name} is out of date: lock the dependencies again" for name in planned.stale_locks]
    if not planned.changes and not planned.findings:
        return ["nothing to do: nothing here asks for singer_sdk"]
    done = f"{len(planned.changes)} files {'changed' if wrote else 'to change'}"
    return [*lines, f"{done}, {len(planned.findings)} places to look at by hand"]
