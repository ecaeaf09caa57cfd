"""The verbs of `singerkit` itself."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

import click
from click.shell_completion import CompletionItem

from singerkit import __version__
from singerkit.cli.main import CONNECTORS
from singerkit.help_pages import DOCUMENTATION

if TYPE_CHECKING:
    from collections.abc import Mapping


class Verb(NamedTuple):
    """A verb of `singerkit`: ``module:command``, imported when it is used, what it does, and what it is for."""

    location: str
    sentence: str
    purpose: str


RUNNING = "To run pipelines"
WRITING = "To write connectors"
OTHER = "Beside these"

VERBS: Mapping[str, Verb] = {
    "init": Verb("singerkit.cli.commands.init:init", "Write a new singer.toml, or make one of a meltano.yml.", RUNNING),
    "install": Verb(
        "singerkit.cli.commands.install:install",
        "Install connectors of singer.toml, each into its own environment.",
        RUNNING,
    ),
    "select": Verb("singerkit.cli.commands.select:select", "Show what of a tap is read, and try rules.", RUNNING),
    "run": Verb("singerkit.cli.commands.run:run", "Run a pipeline, or any tap and target, supervised.", RUNNING),
    "status": Verb(
        "singerkit.cli.commands.status:status",
        "Show how the pipelines stand: a health check, a page, metrics.",
        RUNNING,
    ),
    "runs": Verb("singerkit.cli.commands.runs:runs", "List what ran.", RUNNING),
    "show": Verb("singerkit.cli.commands.runs:show", "Show how one run went.", RUNNING),
    "state": Verb("singerkit.cli.commands.state:state", "Look at stored states, and change them.", RUNNING),
    "deploy": Verb(
        "singerkit.cli.commands.deploy:deploy", "Write the files by which a scheduler runs the pipelines.", RUNNING
    ),
    "plan": Verb("singerkit.cli.commands.plan:plan", "List the units of a pipeline, for schedulers.", RUNNING),
    "dbt-sources": Verb(
        "singerkit.cli.commands.dbt_sources:dbt_sources", "Write what a pipeline loads as dbt sources.", RUNNING
    ),
    "new": Verb(
        "singerkit.cli.commands.new:new", "Make a new tap, target or mapper: a project that works at once.", WRITING
    ),
    "check": Verb(
        "singerkit.cli.commands.check:check",
        "Check any tap, target or mapper against the Singer specification.",
        WRITING,
    ),
    "port": Verb("singerkit.cli.commands.port:port", "Move a connector from singer_sdk to singerkit.", WRITING),
    "connectors": Verb(
        "singerkit.cli.commands.connectors:connectors", "List the connectors that come with singerkit.", OTHER
    ),
    "project-schema": Verb(
        "singerkit.cli.commands.project_schema:project_schema_command", "Write the JSON Schema of singer.toml.", OTHER
    ),
    "completion": Verb(
        "singerkit.cli.commands.completion:completion", "Write what a shell needs to complete commands.", OTHER
    ),
}

_HELP = """Write, run and check Singer taps and targets.

A tap reads a source and writes messages; a target reads messages and stores them. Any tap works with any target, of any
toolkit and language. `singerkit NAME --help` says what a connector or command can do.
"""

_EPILOG = f"""\b
Examples:
  singerkit run "tap-csv --config tap.json" "target-duckdb --config target.json"
  singerkit tap-csv --config tap.json | singerkit target-duckdb --config target.json > states.jsonl
  singerkit run orders    (a pipeline of singer.toml)
  singerkit new tap --name shop
  singerkit check tap-shop --config config.json

Documentation: {DOCUMENTATION}
"""


_HOW_ANOTHER_IS_RUN = ": a connector that does not come with singerkit is run as `{}`, or by `singerkit run`"


def _is_connector(name: str) -> bool:
    return name.startswith(("tap-", "target-", "mapper-"))


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

            known = [*CONNECTORS] if _is_connector(name) else [*CONNECTORS, *VERBS]
            hint = suggestion(name, known) or (_HOW_ANOTHER_IS_RUN.format(name) if _is_connector(name) else "")
            ctx.fail(f"there is no command '{name}'{hint}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of connectors too."""
        connectors = [CompletionItem(name) for name in CONNECTORS if name.startswith(incomplete)]
        return [*super().shell_complete(ctx, incomplete), *connectors]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the connectors, then the verbs, by what they are for."""
        with formatter.section("Connectors"):
            formatter.write_dl([(name, connector.sentence) for name, connector in CONNECTORS.items()])
        for purpose in (RUNNING, WRITING, OTHER):
            with formatter.section(purpose):
                formatter.write_dl([(name, verb.sentence) for name, verb in VERBS.items() if verb.purpose == purpose])


@click.group(cls=_Verbs, help=_HELP, epilog=_EPILOG, context_settings={"max_content_width": 100})
@click.version_option(__version__, prog_name="singerkit", message="%(prog)s v%(version)s")
def verbs() -> None:
    """Hand over to the verb that is named."""
