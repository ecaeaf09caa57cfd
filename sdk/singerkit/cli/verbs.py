"""The verbs of `singerkit` itself."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

import click
from click.shell_completion import CompletionItem

from singerkit import __version__
from singerkit.cli.main import CONNECTORS

if TYPE_CHECKING:
    from collections.abc import Mapping


class Verb(NamedTuple):
    """A verb of `singerkit`: ``module:command``, imported when it is used, and what it does."""

    location: str
    sentence: str


VERBS: Mapping[str, Verb] = {
    "run": Verb("singerkit.cli.commands.run:run", "Run a pipeline, or any tap and target, supervised."),
    "plan": Verb("singerkit.cli.commands.plan:plan", "List the units of a pipeline, for schedulers."),
    "runs": Verb("singerkit.cli.commands.runs:runs", "List what ran."),
    "show": Verb("singerkit.cli.commands.runs:show", "Show how one run went."),
    "status": Verb(
        "singerkit.cli.commands.status:status", "Show how the pipelines stand: a health check, a page, metrics."
    ),
    "deploy": Verb("singerkit.cli.commands.deploy:deploy", "Write the files by which a scheduler runs the pipelines."),
    "dbt-sources": Verb(
        "singerkit.cli.commands.dbt_sources:dbt_sources", "Write what a pipeline loads as dbt sources."
    ),
    "check": Verb(
        "singerkit.cli.commands.check:check", "Check any tap, target or mapper against the Singer specification."
    ),
    "connectors": Verb("singerkit.cli.commands.connectors:connectors", "List the connectors that come with singerkit."),
    "new": Verb("singerkit.cli.commands.new:new", "Make a new tap, target or mapper: a project that works at once."),
    "port": Verb("singerkit.cli.commands.port:port", "Move a connector from singer_sdk to singerkit."),
    "init": Verb("singerkit.cli.commands.init:init", "Write a new singer.toml, or make one of a meltano.yml."),
    "install": Verb(
        "singerkit.cli.commands.install:install", "Install connectors of singer.toml, each into its own environment."
    ),
    "select": Verb("singerkit.cli.commands.select:select", "Show what of a tap is read, and try rules."),
    "project-schema": Verb(
        "singerkit.cli.commands.project_schema:project_schema_command", "Write the JSON Schema of singer.toml."
    ),
    "state": Verb("singerkit.cli.commands.state:state", "Look at stored states, and change them."),
    "completion": Verb(
        "singerkit.cli.commands.completion:completion", "Write what a shell needs to complete commands."
    ),
}

_HELP = """Move data with Singer taps and targets.

A tap reads a source and writes messages; a target reads messages and stores them. A pipe joins them, and any tap works
with any target. Those below come with singerkit; `singerkit NAME --help` says what each can do.
"""

_EPILOG = """\b
Examples:
  singerkit tap-csv --about
  singerkit tap-csv --config tap.json | singerkit target-duckdb --config target.json > states.jsonl
  tail -n 1 states.jsonl > state.json
  singerkit tap-csv --config tap.json --state state.json | singerkit target-duckdb --config target.json
"""


class _Verbs(click.Group):
    """Imports a verb when it is used; shows the connectors in its help too, and what a mistyped name may have meant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names of the verbs."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb, or give ``None`` where there is none of that name."""
        if cmd_name not in VERBS:
            return None
        module, _, attribute = VERBS[cmd_name].location.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb.

        Errors: ``UsageError`` with the closest name.
        """
        name = args[0]
        if name not in VERBS and not name.startswith("-"):
            from singerkit.config.problems import suggestion  # only a mistake needs it

            ctx.fail(f"there is no command '{name}'{suggestion(name, [*CONNECTORS, *VERBS])}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of connectors too."""
        connectors = [CompletionItem(name) for name in CONNECTORS if name.startswith(incomplete)]
        return [*super().shell_complete(ctx, incomplete), *connectors]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the connectors, then the verbs."""
        with formatter.section("Connectors"):
            formatter.write_dl([(name, connector.sentence) for name, connector in CONNECTORS.items()])
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.sentence) for name, verb in VERBS.items()])


@click.group(cls=_Verbs, help=_HELP, epilog=_EPILOG)
@click.version_option(__version__, prog_name="singerkit", message="%(prog)s v%(version)s")
def verbs() -> None:
    """Hand over to the verb that is named."""
