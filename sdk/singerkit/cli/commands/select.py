"""`singerkit select`: what of a tap is read, and rules to be tried."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from singerkit.cli.run import boundary, write_stdout
from singerkit.config.problems import suggestion
from singerkit.config.resolve import read_json_object
from singerkit.errors import ConfigurationError, MissingExtraError
from singerkit.protocol.catalog import Catalog, CatalogEntry, Selection, selection_of
from singerkit.protocol.codec import encode
from singerkit.runner.catalogs import discover
from singerkit.runner.job import Job, Program
from singerkit.runner.private_files import PrivateFolder
from singerkit.runner.programs import command_of
from singerkit.runner.project import Project, required_project
from singerkit.runner.project.selection import apply_rules
from singerkit.runner.project.spec import Pipeline, Tap
from singerkit.telemetry.redact import escape_controls, redactor
from singerkit.types import Breadcrumb

_HELP = """Show what of a tap is read, by what it discovers and the rules of singer.toml.

WHAT is the name of a tap or of a pipeline, whose rules come on top. RULE is tried in addition: "stream",
"stream.property", "stream.nested.property", with "*", "?" and "[...]"; "!" before it leaves out. Write rules in single
quotes. A rule that matches nothing is reported.

\b
Examples:
  singerkit select tap-shop
  singerkit select tap-shop --all
  singerkit select tap-shop 'orders.*' '!orders.note'
  singerkit select tap-shop 'orders.*' '!orders.note' --save
"""


@click.command("select", help=_HELP)
@click.argument("what")
@click.argument("rules", nargs=-1, metavar="[RULE]...")
@click.option("--all", "show_all", is_flag=True, help="Show also what is not selected.")
@click.option("--remove", multiple=True, metavar="RULE", help="Leave this rule of singer.toml away.")
@click.option("--save", is_flag=True, help="Write the rules into singer.toml; needs 'singerkit[meltano]'.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, for scripts.")
@click.option(
    "--project", "project_path", type=click.Path(path_type=Path), help="singer.toml, if not in this folder or above."
)
@click.option("--env", "environment", help="The environment of singer.toml to use.")
def select(
    what: str,
    rules: tuple[str, ...],
    show_all: bool,
    remove: tuple[str, ...],
    save: bool,
    as_json: bool,
    project_path: Path | None,
    environment: str | None,
) -> None:
    """Show it; ends the process."""

    def work() -> None:
        project = required_project(project_path, environment)
        if save and project.environment:
            raise ConfigurationError(
                "--save writes what holds for every environment: leave --env and SINGERKIT_ENV away"
            )
        tap, pipeline = _tap_and_pipeline(project, what)
        said = project.settings.taps[tap]
        chosen = _with_rules(said.select, rules, remove)
        catalog = _discovered(project, tap, said, pipeline)
        over = project.settings.pipelines.get(pipeline, Pipeline())
        changed, remarks = apply_rules(catalog, [*chosen, *over.select], said.metadata, said.schema, over.streams)
        entries = Catalog.from_dict(changed).streams
        write_stdout(_as_json(entries, remarks) if as_json else "\n".join(_lines(entries, show_all)))
        for remark in remarks:
            click.echo(escape_controls(remark), err=True)
        if chosen != said.select:
            _keep(project, tap, chosen, save=save)

    sys.exit(boundary("singerkit", work))


def _tap_and_pipeline(project: Project, what: str) -> tuple[str, str]:
    """Give the names of a tap, and of the pipeline if that is what was named."""
    if what in project.settings.taps:
        return what, ""
    if what in project.settings.pipelines:
        return project.pipeline(what).tap, what
    hint = suggestion(what, [*project.settings.taps, *project.settings.pipelines])
    raise ConfigurationError(f"{project.path} has neither a tap nor a pipeline '{what}'{hint}")


def _with_rules(said: Sequence[str], added: Sequence[str], removed: Sequence[str]) -> list[str]:
    for rule in removed:
        if rule not in said:
            raise ConfigurationError(f"'{rule}' is none of the tap's rules{suggestion(rule, said)}")
    return list(dict.fromkeys([*(rule for rule in said if rule not in removed), *added]))


def _discovered(project: Project, tap: str, said: Tap, pipeline: str) -> Mapping[str, Any]:
    if said.catalog:
        return read_json_object(project.folder / said.catalog, "catalog")
    program: Program = project.job(pipeline).tap if pipeline else project.program("taps", tap)
    redactor.add(program.secrets)
    job = Job(name=tap, state_key=tap, tap=program, target=program, withheld=project.withheld)
    with PrivateFolder(project.folder / ".singerkit") as files:
        return discover(command_of(job, program, tap, files), redactor)


# What is shown ------------------------------------------------------------------------------------------------------


def _selection(entry: CatalogEntry) -> Selection:
    return selection_of(entry, entry.schema, automatic=entry.chosen_key_properties or ())


def _names(entry: CatalogEntry) -> dict[Breadcrumb, str]:
    """Give the properties of a stream, with their names as rules have them."""
    return {
        path: ".".join(step.replace(".", "\\.") for step in path if step not in ("properties", "items"))
        for path in entry.metadata
        if path
    }


def _lines(entries: Sequence[CatalogEntry], show_all: bool) -> Iterator[str]:
    shown = [entry for entry in entries if show_all or _selection(entry).stream_selected]
    for entry in shown:
        selection = _selection(entry)
        names = _names(entry)
        count = sum(map(selection.includes, names)) if selection.stream_selected else 0
        method = " ".join(filter(None, (entry.chosen_replication_method, entry.chosen_replication_key)))
        counted = f"{count} of {len(names)} properties"
        yield escape_controls(f"{entry.tap_stream_id}: {', '.join(filter(None, (counted, method)))}")
        for path, name in names.items():
            is_in = selection.stream_selected and selection.includes(path)
            if is_in or show_all:
                yield escape_controls(f"  {'+' if is_in else '-'} {name}{_remark(entry, path)}")
    if not shown:
        yield f"Nothing is selected; the tap has: {', '.join(entry.tap_stream_id for entry in entries) or 'no streams'}"


def _remark(entry: CatalogEntry, path: Breadcrumb) -> str:
    return {"automatic": "  (always)", "unsupported": "  (unsupported)"}.get(entry.metadata[path].inclusion or "", "")


def _as_json(entries: Sequence[CatalogEntry], remarks: Sequence[str]) -> str:
    streams = []
    for entry in entries:
        selection = _selection(entry)
        properties = {
            name: {"selected": selection.includes(path), "inclusion": entry.metadata[path].inclusion}
            for path, name in _names(entry).items()
        }
        facts = {"stream": entry.tap_stream_id, "selected": selection.stream_selected, "properties": properties}
        streams.append(facts)
    return encode({"streams": streams, "remarks": list(remarks)}).decode()


# Keeping rules ------------------------------------------------------------------------------------------------------


def _keep(project: Project, tap: str, rules: Sequence[str], *, save: bool) -> None:
    if save:
        _write(project.path, tap, rules)
        click.echo(f"Wrote the rules of {tap} into {project.path}", err=True)
        return
    line = f"select = {json.dumps(rules, ensure_ascii=False)}"
    click.echo(f"To keep this, write under [taps.{tap}] of {project.path}, or add --save:\n{line}", err=True)


def _write(path: Path, tap: str, rules: Sequence[str]) -> None:
    """Change the rules in the file, and nothing else of it: comments stay."""
    try:
        tomlkit = import_module("tomlkit")
    except ImportError:
        raise MissingExtraError(f"--save needs tomlkit: pip install {shlex.quote('singerkit[meltano]')}") from None
    document = tomlkit.parse(path.read_text(encoding="utf-8"))
    array = tomlkit.array()
    array.extend(rules)
    document["taps"][tap]["select"] = array.multiline(len(rules) > 2)
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(tomlkit.dumps(document), encoding="utf-8")
    temporary.replace(path)
