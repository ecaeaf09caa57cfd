"""Options as data, and the help text made of them.

The options become click's only when a command line has to be parsed: importing click takes longer than everything else
that `--help` and `--about` do.
"""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import click

_WIDTH = 100
_INDENT = 28


class Option(NamedTuple):
    """One option: a flag, unless ``metavar`` or ``choices`` say which value it takes.

    ``if_bare``: the value when none is given. ``variable``: the environment variable that gives it otherwise.
    """

    flags: tuple[str, ...]
    help: str
    metavar: str = ""
    choices: tuple[str, ...] = ()
    default: str | None = None
    if_bare: str | None = None
    variable: str | None = None
    is_repeatable: bool = False


CONFIG = Option(
    ("-c", "--config"),
    "JSON file with the settings; repeatable, later files win. ENV reads them from environment variables and .env.",
    metavar="FILE|ENV",
    is_repeatable=True,
)

INPUT = Option(("-i", "--input"), "Read messages from a file instead of stdin.", metavar="FILE")

PRINT_STATE = Option(
    ("--print-state",),
    "Show the state that is kept in the destination (state_key), for the tap's --state, and read no input.",
)

STARTED_FROM = Option(
    ("--started-from",),
    "The state that the tap was started with: the run ends if another is kept in the destination by now (state_key).",
    metavar="FILE",
)

SHARED = (
    Option(("--about",), "Show what this is, what it can do, and its settings."),
    Option(("--format",), "The form of --about.", choices=("text", "json", "markdown"), default="text"),
    Option(
        ("--log-level",),
        "How much to log; info when not set.",
        choices=("debug", "info", "warning", "error", "critical"),
    ),
    Option(
        ("--log-format",),
        "The form of the log, which goes to stderr.",
        choices=("text", "json"),
        default="text",
        variable="SINGERKIT_LOG_FORMAT",
    ),
    Option(("--version",), "Show the version."),
)

_HELP = Option(("--help",), "Show this text.")


def click_option(option: Option) -> click.Option:
    """Give click's form of an option."""
    import click  # see the module's docstring

    if not option.metavar and not option.choices:
        return click.Option(option.flags, is_flag=True, help=option.help)
    bare: dict[str, Any] = {"is_flag": False, "flag_value": option.if_bare} if option.if_bare else {}
    return click.Option(
        option.flags,
        help=option.help,
        metavar=option.metavar or None,
        type=click.Choice(option.choices, case_sensitive=False) if option.choices else str,
        default=option.default,
        multiple=option.is_repeatable,
        envvar=option.variable,
        **bare,
    )


def help_text(name: str, paragraphs: Sequence[str], options: Sequence[Option], examples: Sequence[str]) -> str:
    """Give what `--help` shows."""
    lines = [f"Usage: {name} [OPTIONS]", ""]
    for paragraph in paragraphs:
        lines += [*wrap(paragraph, _WIDTH, initial_indent="  ", subsequent_indent="  "), ""]
    lines.append("Options:")
    for option in (*options, _HELP):
        lines += _option_lines(option)
    return "\n".join([*lines, "", "Examples:", *(f"  {example.format(name=name)}" for example in examples)])


def _option_lines(option: Option) -> Iterator[str]:
    head = "  " + ", ".join(option.flags)
    text = f"{option.help} One of: {', '.join(option.choices)}." if option.choices else option.help
    head += f" {option.metavar}" if option.metavar else ""
    first, *others = wrap(text, _WIDTH - _INDENT)
    yield f"{head:<{_INDENT - 1}} {first}"
    yield from (" " * _INDENT + line for line in others)
