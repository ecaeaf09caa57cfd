"""`singerkit new`: a project for a new tap, target or mapper."""

from __future__ import annotations

import shlex
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from singerkit.cli.run import boundary, write_stdout
from singerkit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from singerkit.scaffold.answers import Ask
    from singerkit.scaffold.templates import Question, Template

_HELP = """Make a new tap, target or mapper: a small project that works at once.

What is not given as an option is asked for in the terminal. The project has a demo, tests that need no network, the
conformance check, CI and a page on what to do next.

\b
Examples:
  singerkit new tap
  singerkit new tap --name shop --source rest --auth bearer --paging cursor --no-input
  singerkit new tap --name shop --from-openapi openapi.yaml
  singerkit new target --name shop --source sql
"""


def _complete_kind(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    from singerkit.scaffold.templates import KINDS

    return [kind for kind in KINDS if kind.startswith(incomplete)]


def _complete_answer(_ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Give what can be chosen for a tap, which has all that there is; what does not fit the kind is refused later."""
    from singerkit.scaffold.templates import Template

    choices = Template("tap").questions[param.name or ""].choices
    return [answer for answer in choices if answer.startswith(incomplete)]


@click.command("new", help=_HELP)
@click.argument("kind", metavar="tap|target|mapper", shell_complete=_complete_kind)
@click.option("--name", help="What it reads or loads: `shop` makes tap-shop.")
@click.option("--source", shell_complete=_complete_answer, help="rest, graphql, sql, files or other.")
@click.option(
    "--auth",
    shell_complete=_complete_answer,
    help="none, bearer, api-key, basic; for taps also oauth-client, oauth-refresh and login.",
)
@click.option("--paging", shell_complete=_complete_answer, help="none, page, offset, cursor, link, next-url or keyset.")
@click.option("--license", shell_complete=_complete_answer, help="Apache-2.0, MIT, BSD-3-Clause or none.")
@click.option("--ci", shell_complete=_complete_answer, help="github, gitlab or none.")
@click.option(
    "--from-openapi",
    metavar="FILE",
    type=click.Path(),
    help="Make a tap's streams from an OpenAPI document, JSON or YAML.",
)
@click.option("--output", type=click.Path(path_type=Path), default=Path(), help="Where the project's folder is made.")
@click.option("--no-input", is_flag=True, help="Ask nothing: what is not given is the first choice.")
def new(kind: str, from_openapi: str | None, output: Path, no_input: bool, **given: str | None) -> None:
    """Make a project and say how to go on."""
    answers = {name: answer for name, answer in given.items() if answer is not None}
    sys.exit(boundary("singerkit new", lambda: _make(kind, answers, from_openapi, output, no_input=no_input)))


def _make(kind: str, given: dict[str, str], document: str | None, output: Path, *, no_input: bool) -> None:
    from singerkit.scaffold.templates import KINDS, Template, generator

    if kind not in KINDS:
        from singerkit.config.problems import suggestion

        raise ConfigurationError(f"'{kind}' can't be made, only {', '.join(KINDS)}{suggestion(kind, KINDS)}")
    if not output.is_dir():
        raise ConfigurationError(f"--output: there is no folder '{output}'")
    # What would fail at the end fails before anything is asked.
    generator()
    template = Template(kind)
    if "name" in given:
        template.place(given["name"], output)
    can_ask = sys.stdin.isatty() and not no_input
    ask = partial(_ask, partial(_free_name, template, output)) if can_ask else _default_of
    if document is not None:
        _make_from_document(template, given, document, output, ask)
        return
    from singerkit.scaffold.answers import gather_answers

    if not can_ask and "name" not in given:
        raise ConfigurationError("--name is needed where nothing can be asked")
    answers = gather_answers(template, given, ask)
    project = template.make(answers, output)
    _say_how_to_go_on(kind, answers, project)


def _make_from_document(template: Template, given: dict[str, str], document: str, output: Path, ask: Ask) -> None:
    from singerkit.scaffold.openapi_project import make_from_openapi

    made = make_from_openapi(template, given, document, output, ask)
    _say_how_to_go_on(template.kind, made.answers, made.folder)
    if made.undecided:
        write_stdout("\n".join(["", "To decide by hand:", *(f"  {line}" for line in made.undecided)]))


def _say_how_to_go_on(kind: str, answers: dict[str, str], project: Path) -> None:
    from singerkit.scaffold.next_commands import next_commands

    commands = next_commands(kind, answers, project, python=None if shutil.which("uv") else _python())
    write_stdout("\n".join([f"Made {project}. Next:", "", *(f"  {command}" for command in commands)]))


def _python() -> str:
    """Give what a shell calls the Python that runs us, which has singerkit."""
    found = shutil.which("python")
    is_ours = found is not None and Path(found).parent == Path(sys.executable).parent
    return "python" if is_ours else shlex.quote(sys.executable)


def _default_of(question: Question) -> str:
    return question.default


def _ask(free_name: Callable[[str], str], question: Question) -> str:
    """Put a question, again until the answer can be used; choices are listed, and may be answered by number.

    Errors: ``KeyboardInterrupt`` when the person leaves.
    """
    names = list(question.choices)
    if names:
        click.echo(question.text)
    for number, name in enumerate(names, start=1):
        click.echo(f"  {number}  {name:<14} {question.choices[name]}".rstrip())
    text, read = ("Number or word", partial(_chosen, names)) if names else (question.text, free_name)
    try:
        typed = click.prompt(text, default=question.default, value_proc=read)
    except click.Abort:
        click.echo()
        raise KeyboardInterrupt from None
    click.echo()
    return str(typed)


def _chosen(names: list[str], typed: str) -> str:
    if typed.isdecimal() and 0 < int(typed) <= len(names):
        return names[int(typed) - 1]
    if typed in names:
        return typed
    raise click.BadParameter(f"'{typed}' is none of them")


def _free_name(template: Template, output: Path, typed: str) -> str:
    try:
        template.place(typed, output)
    except ConfigurationError as error:
        raise click.BadParameter(str(error)) from None
    return typed
