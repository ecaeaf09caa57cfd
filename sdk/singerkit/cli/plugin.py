"""What the commands of taps, targets and mappers share: `--help`, `--about`, `--version`, config, logging."""

from __future__ import annotations

import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from singerkit.cli.options import CONFIG, SHARED, Option, click_option, help_text
from singerkit.cli.run import author_code, boundary, write_stdout

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import click

#: A tap, target or mapper class, known by its public face only (see the package's docstring).
PluginClass: TypeAlias = Any
#: What the command line gave, by option name.
Given: TypeAlias = dict[str, Any]
#: Does what the options ask for; an int that it returns is the exit code.
Work: TypeAlias = "Callable[[PluginClass, Given], object]"

#: Command lines that are answered without click, which takes longer to import than the answer to make.
_SIMPLE: dict[tuple[str, ...], Given] = {
    ("--version",): {"version": True},
    ("--help",): {"help": True},
    ("--about",): {"about": True, "format": "text"},
    **{("--about", "--format", form): {"about": True, "format": form} for form in ("text", "json", "markdown")},
    **{("--about", f"--format={form}"): {"about": True, "format": form} for form in ("text", "json", "markdown")},
}


class PluginCommand:
    """The command of a plugin class: call it to run it; for anything else it is a ``click.Command``, made on first use.

    ``work`` does what the options ask for, if that is not `--help`, `--about` or `--version`.
    """

    def __init__(
        self,
        plugin_class: PluginClass,
        options: Sequence[Option],
        work: Work,
        *,
        summary: str,
        examples: Sequence[str],
    ) -> None:
        self.name: str = plugin_class.name
        self._plugin_class = plugin_class
        self._options = (CONFIG, *options, *SHARED)
        self._work = work
        self._summary = summary
        self._examples = examples

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Run: what a console script does."""
        return self.main(*arguments, **keywords)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run with these words or the process's; ends the process, unless ``standalone_mode`` is false, like click."""
        given = _SIMPLE.get(tuple(sys.argv[1:] if args is None else args))
        if given is None:
            return self.click_command.main(args, prog_name, standalone_mode=standalone_mode, **extra)
        code = self._run(given)
        if standalone_mode:
            sys.exit(code)
        return code

    @cached_property
    def click_command(self) -> click.Command:
        """The same as click knows it, for what parses, nests or inspects commands."""
        import click  # see _SIMPLE

        return click.Command(
            self.name,
            params=[click_option(option) for option in (*self._options, Option(("--help",), ""))],
            callback=self._called_by_click,
            add_help_option=False,
            help=self._summary,
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self.click_command, name)

    def _called_by_click(self, **given: Any) -> None:
        import click

        if code := self._run(given):
            click.get_current_context().exit(code)

    def _run(self, given: Given) -> int:
        return boundary(self.name, lambda: self._respond(given))

    def _respond(self, given: Given) -> object:
        if given.get("help"):
            write_stdout(help_text(self.name, self._paragraphs(), self._options, self._examples))
        elif given.get("version"):
            write_stdout(
                f"{self.name} v{self._plugin_class.plugin_version}, singerkit v{self._plugin_class.sdk_version}"
            )
        elif given.get("about"):
            from singerkit.cli.about import about_text  # not needed to run

            write_stdout(about_text(self._plugin_class, given["format"]))
        else:
            start_logging(self.name, given)
            return self._work(self._plugin_class, given)
        return None

    def _paragraphs(self) -> list[str]:
        own = (self._plugin_class.__doc__ or "").strip().partition("\n\n")[0]
        return [own, self._summary] if own else [self._summary]


def start_logging(name: str, given: Given) -> None:
    """Set up the log as the options say."""
    # Imported here: `--help`, `--about` and `--version` start faster without it.
    from singerkit.telemetry.logs import setup_logging
    from singerkit.telemetry.redact import redactor

    setup_logging(name, given["log_level"], json_format=given["log_format"] == "json", redactor=redactor)


def open_plugin(plugin_class: PluginClass, given: Given, **arguments: Any) -> Any:
    """Give the plugin with the config that the command line names; what its code prints meanwhile goes to the log.

    Errors: ``ConfigurationError`` for a config that can't be read or is not valid.
    """
    with author_code(plugin_class.name):
        return plugin_class(config=_config_of(plugin_class, given["config"]), **arguments)


def _config_of(plugin_class: PluginClass, sources: Sequence[str]) -> dict[str, Any]:
    from singerkit.config.resolve import read_config
    from singerkit.config.secrets import secret_values
    from singerkit.telemetry.redact import redactor

    schema = plugin_class.settings_schema()
    prefix = plugin_class.name.upper().replace("-", "_") + "_"
    config = read_config(sources, env_prefix=prefix, schema=schema)
    # The constructor does this as well, but author's code that runs before it may log.
    redactor.add(secret_values(config, schema))
    return config
