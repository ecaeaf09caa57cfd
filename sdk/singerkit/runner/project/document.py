"""singer.toml as text and as a tree of values: reading it, and finding the line of a setting."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, TypeAlias

from singerkit.errors import ConfigurationError

Tree: TypeAlias = dict[str, Any]
KeyPath: TypeAlias = tuple[str | int, ...]


class Source:
    """The text of a singer.toml, which knows where in it a setting stands."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text

    @classmethod
    def read(cls, path: Path) -> Source:
        """Read the file.

        Errors: ``ConfigurationError`` when it can't be read or is not UTF-8.
        """
        try:
            return cls(path, path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n"))
        except OSError as error:
            raise ConfigurationError(f"{path} can't be read: {error.strerror or type(error).__name__}") from None
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"{path} is not UTF-8 text (byte {error.start})") from None

    def parse(self) -> Tree:
        """Give what it says; dates and times as the texts that JSON has for them.

        Errors: ``ConfigurationError`` with the line, when it is not TOML or holds what JSON can't.
        """
        try:
            document = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationError(f"{self.path} is not valid TOML: {_decapitalized(str(error))}") from None
        except RecursionError:
            raise ConfigurationError(f"{self.path} is nested too deeply") from None
        except ValueError:  # an integer beyond what Python converts
            raise ConfigurationError(f"{self.path} holds a number with too many digits") from None
        tree: Tree = self._as_json(document, ())
        return tree

    def place(self, *paths: Sequence[str | int]) -> str:
        """Give ``path/singer.toml:12`` for the first of the paths that is there."""
        return f"{self.path}:{self.line(*paths)}"

    def line(self, *paths: Sequence[str | int]) -> int:
        """Give the line of the first of the paths that is there; else of the longest part of one that is; else 1."""
        lines = dict(_lines(self.text))
        parts = (path[:-end] for path in paths for end in range(1, len(path)))
        return next((line for path in (*paths, *parts) if (line := _line_of(lines, path))), 1)

    def _as_json(self, value: Any, path: KeyPath) -> Any:
        if isinstance(value, dict):
            return {name: self._as_json(member, (*path, name)) for name, member in value.items()}
        if isinstance(value, list):
            return [self._as_json(item, (*path, index)) for index, item in enumerate(value)]
        if isinstance(value, datetime | date | time):
            return value.isoformat().replace("+00:00", "Z")
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigurationError(f"{self.place(path)}: {'.'.join(map(str, path))}: JSON has no such number")
        return value


def _decapitalized(text: str) -> str:
    return text[:1].lower() + text[1:]


def _line_of(lines: dict[tuple[str, ...], int], path: Sequence[str | int]) -> int | None:
    """Find the line of a setting, or of the statement that holds it: a list's item has the line of the list."""
    names = tuple(step for step in path if isinstance(step, str))
    return lines.get(names)


def _lines(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """Give the keys of a valid TOML text, each with the line that its statement begins at; the first one is the last.

    A statement is parsed by the TOML parser itself, as soon as it has the lines that make it whole.
    """
    found: list[tuple[tuple[str, ...], int]] = []
    table: tuple[str, ...] = ()
    statement, begin = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        statement, begin = (f"{statement}\n{line}", begin) if statement else (line, number)
        try:
            tree = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        if statement.lstrip().startswith("["):
            table = next(_keys(tree, deepest=True), ())
            found += [(table[:end], begin) for end in range(1, len(table) + 1)]
        else:
            found += [(table + keys, begin) for keys in _keys(tree)]
        statement = ""
    return reversed(found)


def _keys(tree: Any, *, deepest: bool = False) -> Iterator[tuple[str, ...]]:
    """Give the path of every member, or only of the innermost ones."""
    while isinstance(tree, list) and tree:  # an array of tables
        tree = tree[-1]
    for name, member in tree.items() if isinstance(tree, dict) else ():
        below = [(name, *keys) for keys in _keys(member, deepest=deepest)]
        if not deepest or not below:
            yield (name,)
        yield from below
