"""singer.lock: what every connector's environment consists of, to the hash."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from singerkit.digests import digest_of
from singerkit.errors import ConfigurationError

_HEAD = """\
# Written by `singerkit install`. Commit it. What changes it: another `package` in singer.toml, and
# `singerkit install --upgrade`.
"""
_VERSION = 1


class Locked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One environment.

    Shape: ``packages`` and ``python`` are what singer.toml asks for, ``requirements`` what it comes to: one requirement
    each, with its hashes where there can be any; references (``${NAME}``) instead of secrets.
    """

    packages: tuple[str, ...]
    python: str
    requirements: tuple[str, ...]

    @property
    def digest(self) -> str:
        """A short text that is another one as soon as anything here is."""
        return digest_of(json.dumps([self.python, self.requirements]))


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    environments: dict[str, Locked] = {}


def read_lock(path: Path) -> dict[str, Locked]:
    """Read a lock file; where there is none, nothing is locked.

    Errors: ``ConfigurationError`` when it can't be read or was not written by us.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} can't be read: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    try:
        document = msgspec.convert(tomllib.loads(text), _Document)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigurationError(f"{path} is damaged ({error}): restore it, or remove it and install again") from None
    if document.version != _VERSION:
        raise ConfigurationError(f"{path} is of version {document.version}; this singerkit knows version {_VERSION}")
    return document.environments


def write_lock(path: Path, environments: Mapping[str, Locked]) -> None:
    """Write a lock file, in the place of an old one at once."""
    parts = [_HEAD, f"version = {_VERSION}\n"]
    for name, locked in sorted(environments.items()):
        parts += [f"\n[environments.{_text(name)}]\n", f"packages = [{', '.join(map(_text, locked.packages))}]\n"]
        parts += [f"python = {_text(locked.python)}\n", "requirements = [\n"]
        parts += [f"  {_text(requirement)},\n" for requirement in locked.requirements] + ["]\n"]
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text("".join(parts), encoding="utf-8")
    os.replace(temporary, path)  # noqa: PTH105 - the atomic one


def _text(value: Any) -> str:
    return json.dumps(value).replace("\x7f", "\\u007f")  # JSON's strings are TOML's, but for this character
