"""The verbs of `singerkit` itself."""

from __future__ import annotations

import shlex
import shutil
import sys
from importlib import import_module

import click

from singerkit import __version__
from singerkit.cli.main import CONNECTORS
from singerkit.cli.run import write_stdout

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
    """Shows the connectors in its help too, and what a mistyped name could have been."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb.

        Errors: ``UsageError`` with the closest name.
        """
        name = args[0]
        if name not in self.commands and not name.startswith("-"):
            from singerkit.config.problems import suggestion  # only a mistake needs it

            ctx.fail(f"there is no command '{name}'{suggestion(name, [*CONNECTORS, *self.commands])}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the connectors, then the verbs."""
        with formatter.section("Connectors"):
            formatter.write_dl([(name, connector.sentence) for name, connector in CONNECTORS.items()])
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(80)) for name, command in self.commands.items()])


@click.group(cls=_Verbs, help=_HELP, epilog=_EPILOG)
@click.version_option(__version__, prog_name="singerkit", message="%(prog)s v%(version)s")
def verbs() -> None:
    """Hand over to the verb that is named."""


@verbs.command("connectors", help="List the connectors that come with singerkit.")
def _list_connectors() -> None:
    width = max(map(len, CONNECTORS))
    write_stdout("\n".join(f"{name:<{width}}  {connector.sentence}" for name, connector in CONNECTORS.items()))


@verbs.command(
    "check",
    help="Check any tap, target or mapper against the Singer specification.",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def _check(words: tuple[str, ...]) -> None:
    try:
        # The harness must not depend on what it judges, nor singerkit on the harness: they meet here, by name.
        check = import_module("singerkit_testing.check").main
    except ImportError as error:
        raise click.ClickException(f"checking needs {error.name}: pip install 'singerkit[testing]'") from error
    sys.exit(check([_command_of(word) for word in words]))


def _command_of(word: str) -> str:
    """Let the connectors that come with singerkit be named as they are: `check tap-csv`."""
    is_ours = word in CONNECTORS and shutil.which(word) is None
    return shlex.join([sys.argv[0], word]) if is_ours else word
