"""Finding the program of a connector: in its own environment, on PATH, among those that come with singerkit."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from singerkit.built_in import CONNECTORS
from singerkit.config.problems import suggestion
from singerkit.errors import ConfigurationError


def words_of(command: str | list[str], where: str) -> list[str]:
    """Give the words of a command, which is a text as for a shell or a list.

    Errors: ``ConfigurationError`` when a quote is not closed.
    """
    try:
        return shlex.split(command) if isinstance(command, str) else list(command)
    except ValueError as error:
        raise ConfigurationError(f"{where}: {str(error).lower()}") from None


def installed_program(environment: Path, words: list[str], where: str, name: str) -> tuple[str, ...]:
    """Give a command with the program that is in a connector's own environment.

    Errors: ``ConfigurationError`` when it is not installed, or has no such program.
    """
    # Where it is now: an installation meanwhile puts another one in its place.
    programs = environment.resolve() / "bin"
    program = programs / words[0]
    if program.is_file():
        return (str(program), *words[1:])
    if not programs.is_dir():
        raise ConfigurationError(f"{where}: it is not installed: run `singerkit install {name}`")
    have = sorted(path.name for path in programs.iterdir() if path.name.startswith(("tap", "target", "map", "singer")))
    has = f"; it has: {', '.join(have)}" if have else ""
    raise ConfigurationError(f"{where}: its package has no program '{words[0]}'{has}: name its program in `command`")


def found_program(folder: Path, words: list[str], where: str) -> tuple[str, ...]:
    """Give a command with its program found; a relative path begins at the project's folder.

    Errors: ``ConfigurationError`` when there is no such program.
    """
    name = words[0]
    if "/" in name:
        program = folder / name
        if shutil.which(program) is None:
            raise ConfigurationError(f"{where}: there is no program at '{program}'")
        return (str(program), *words[1:])
    beside = Path(sys.executable).parent  # where connectors are that were installed together with singerkit
    if found := shutil.which(name) or shutil.which(name, path=str(beside)):
        return (found, *words[1:])
    if name in CONNECTORS:
        # -P: what lies in the project's folder must not be imported in place of the standard library.
        return (sys.executable, "-P", "-m", "singerkit", *words)
    hint = suggestion(name, [*CONNECTORS]) or (
        ": install it (singer.toml can, by `package`) or write its path; `singerkit connectors` lists those that come"
    )
    raise ConfigurationError(f"{where}: there is no program '{name}' on PATH, and none comes with singerkit{hint}")
