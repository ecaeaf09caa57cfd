"""`singerkit completion`: what a shell needs to complete commands, options and pipelines."""

from __future__ import annotations

import sys

import click
from click.shell_completion import get_completion_class

from singerkit.cli.run import boundary, write_stdout

_HELP = """Write the script by which a shell completes what you type.

\b
  bash:  singerkit completion bash > ~/.local/share/bash-completion/completions/singerkit
  zsh:   singerkit completion zsh > ~/.zfunc/_singerkit
  fish:  singerkit completion fish > ~/.config/fish/completions/singerkit.fish
"""


@click.command("completion", help=_HELP)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Write the script to stdout."""

    def work() -> None:
        kind = get_completion_class(shell)
        assert kind is not None  # noqa: S101 - click knows the three
        write_stdout(kind(click.Group(), {}, "singerkit", "_SINGERKIT_COMPLETE").source().rstrip("\n"))

    sys.exit(boundary("singerkit", work))
