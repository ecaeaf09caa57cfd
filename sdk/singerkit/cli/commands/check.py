"""`singerkit check`: the conformance harness."""

from __future__ import annotations

import shlex
import shutil
import sys
from importlib import import_module

import click

from singerkit.cli.main import CONNECTORS


@click.command(
    "check",
    help="Check any tap, target or mapper against the Singer specification.",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def check(words: tuple[str, ...]) -> None:
    """Hand over to the harness, which has options of its own."""
    try:
        # The harness must not depend on what it judges, nor singerkit on the harness: they meet here, by name.
        main = import_module("singerkit_testing.check").main
    except ImportError as error:
        raise click.ClickException(f"checking needs {error.name}: pip install 'singerkit[testing]'") from error
    sys.exit(main([_command_of(word) for word in words]))


def _command_of(word: str) -> str:
    """Let the connectors that come with singerkit be named as they are: `check tap-csv`."""
    is_ours = word in CONNECTORS and shutil.which(word) is None
    return shlex.join([sys.argv[0], word]) if is_ours else word
