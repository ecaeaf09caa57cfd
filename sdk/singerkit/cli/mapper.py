"""The command line of a mapper."""

from __future__ import annotations

from singerkit.cli.options import INPUT
from singerkit.cli.plugin import PluginClass, PluginCommand
from singerkit.cli.target import listen

_SUMMARY = "It reads Singer messages from stdin, rewrites them, and writes the result to stdout."

_EXAMPLES = ("tap-x --config tap.json | {name} --config config.json | target-y --config target.json",)


def mapper_command(mapper_class: PluginClass) -> PluginCommand:
    """Give the command of a mapper class."""
    return PluginCommand(mapper_class, [INPUT], listen, summary=_SUMMARY, examples=_EXAMPLES)
