"""The command line of a target."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from singerkit.cli.options import INPUT, PRINT_STATE, STARTED_FROM
from singerkit.cli.plugin import Given, PluginClass, PluginCommand, open_plugin
from singerkit.cli.run import author_code, write_stdout
from singerkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SUMMARY = "It reads Singer messages from stdin, stores the records, and writes to stdout the states that are stored."

_EXAMPLES = (
    "tap-x --config tap.json | {name} --config config.json >> states.jsonl",
    "{name} --config config.json --input messages.jsonl",
)


def target_command(target_class: PluginClass) -> PluginCommand:
    """Give the command of a target class."""
    options = [INPUT, PRINT_STATE, STARTED_FROM] if target_class.keeps_states else [INPUT]
    return PluginCommand(target_class, options, listen, summary=_SUMMARY, examples=_EXAMPLES)


def listen(plugin_class: PluginClass, given: Given) -> object:
    """Let the plugin read its input to the end, or show the state that it keeps."""
    if given.get("print_state"):
        write_stdout(_stored_state(plugin_class, given))
        return None
    with _open_input(given["input"]) as messages:
        plugin = open_plugin(plugin_class, given)
        if given.get("started_from"):
            plugin.started_from = _content(given["started_from"])
        if messages is None and sys.stdin.isatty():
            plugin.logger.info("Waiting for Singer messages from this terminal: pipe a tap's output into it")
        return plugin.listen(messages)


def _stored_state(plugin_class: PluginClass, given: Given) -> str:
    plugin = open_plugin(plugin_class, given)
    with author_code(plugin_class.name):
        state: str = plugin.stored_state()
    return state


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"--started-from: '{path}' can't be read: {error.strerror}") from None


def input_descriptor(messages: BinaryIO | None) -> int:
    """Give the descriptor to read messages from: the file's, or stdin's.

    Errors: ``ConfigurationError`` when it is closed, or the file is none of the system.
    """
    try:
        descriptor = (messages or sys.stdin).fileno()
        os.fstat(descriptor)
    except (AttributeError, OSError, ValueError):  # sys.stdin is None when the process was started without it
        if messages is None:
            reason = "stdin is closed: pipe a tap's output into this, or name a file with --input"
        else:
            reason = "the input is closed, or has no descriptor: give an open file"
        raise ConfigurationError(reason) from None
    return descriptor


@contextmanager
def _open_input(path: str | None) -> Iterator[BinaryIO | None]:
    if path is None:
        input_descriptor(None)  # before the config is read, and anything opened
        yield None
        return
    try:
        messages = open(path, "rb")  # noqa: PTH123, SIM115 - closed below; pathlib would say the same
    except OSError as error:
        raise ConfigurationError(f"input file '{path}' can't be read: {error.strerror}") from None
    with messages:
        yield messages
