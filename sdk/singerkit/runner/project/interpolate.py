r"""What stands for a value that is not in the file: ``${NAME}``, ``${NAME:-default}``, ``${file:path}``.

``${NAME:integer}`` (``number``, ``boolean``, ``json``; also with a default: ``${NAME:integer:-5432}``) gives a value of
that type, and has to be the whole text. ``$${`` stands for ``${``. What comes in is taken as it is: a reference inside
a variable's value is text. Every value that comes from a variable or a file counts as a secret; a default does not.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from singerkit.config.problems import suggestion
from singerkit.errors import ConfigurationError

_TOKEN = re.compile(r"\$\$\{|\$\{([^}]*)(\})?")
_REFERENCE = re.compile(
    r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::(?P<type>[a-z]+))?(?P<has_default>:-(?P<default>.*))?", re.DOTALL
)

#: Variables that are no secrets, and that programs need to run.
PLAIN_VARIABLES = frozenset(
    {"HOME", "HOSTNAME", "LANG", "LC_ALL", "LOGNAME", "PATH", "PWD", "SHELL", "TERM", "TMPDIR", "TZ", "USER"}
)


class Interpolated(NamedTuple):
    """A value without references, and the texts in it that must not be seen."""

    value: Any
    secrets: frozenset[str]


class Interpolation:
    """Puts values in the place of references; reads variables and files when they are asked for."""

    def __init__(self, variables: Mapping[str, str], folder: Path) -> None:
        """Take the variables, and the folder that relative paths of files begin at."""
        self._variables = variables
        self._folder = folder

    def of(self, value: Any, where: str) -> Interpolated:
        """Give a value, be it nested, with every reference in its texts replaced; names of members are left alone.

        ``where`` is the setting's path for messages.

        Errors: ``ConfigurationError`` naming setting and variable, when a variable is not set, a file can't be read,
        a value is not of the type that is asked for, or a reference is not of the form above.
        """
        secrets: set[str] = set()
        return Interpolated(self._of(value, where, secrets), frozenset(secrets - {""}))

    def references_in(self, text: str, where: str) -> dict[str, str]:
        """Give the references of a text by what they stand for, so that it can be written down without it."""
        tokens = [token[0] for token in _TOKEN.finditer(text) if token[0] != "$${"]
        return {found: token for token in tokens if (found := str(self.of(token, where).value))}

    def _of(self, value: Any, where: str, secrets: set[str]) -> Any:
        if isinstance(value, dict):
            return {name: self._of(member, f"{where}.{name}", secrets) for name, member in value.items()}
        if isinstance(value, list):
            return [self._of(item, f"{where}[{index}]", secrets) for index, item in enumerate(value)]
        return self._of_text(value, where, secrets) if isinstance(value, str) else value

    def _of_text(self, text: str, where: str, secrets: set[str]) -> Any:
        whole = _TOKEN.fullmatch(text)
        if whole and whole[0] != "$${":
            return self._of_token(whole, where, secrets, is_whole=True)
        return _TOKEN.sub(lambda token: str(self._of_token(token, where, secrets, is_whole=False)), text)

    def _of_token(self, token: re.Match[str], where: str, secrets: set[str], *, is_whole: bool) -> Any:
        if token[0] == "$${":
            return "${"
        if not token[2]:
            raise ConfigurationError(f"{where}: '${{' without a closing brace; $${{ stands for ${{ itself")
        if token[1].startswith("file:"):
            return self._of_file(token[1].removeprefix("file:"), where, secrets)
        reference = _REFERENCE.fullmatch(token[1])
        if reference is None or reference["type"] not in _TYPES:
            raise ConfigurationError(f"{where}: ${{{token[1]}}} is not understood; {_FORMS}")
        if reference["type"] and not is_whole:
            raise ConfigurationError(f"{where}: ${{{token[1]}}} has a type, so it has to be the whole text")
        return self._of_variable(reference, where, secrets)

    def _of_variable(self, reference: re.Match[str], where: str, secrets: set[str]) -> Any:
        name = reference["name"]
        text = self._variables.get(name, "")
        if not text and reference["has_default"]:
            text = reference["default"]
        elif name not in self._variables:
            hint = suggestion(name, [*self._variables])
            raise ConfigurationError(f"{where}: the environment variable {name} is not set{hint}")
        elif name not in PLAIN_VARIABLES:
            secrets.add(text)
        try:
            return _TYPES[reference["type"]](text)
        except ValueError:
            raise ConfigurationError(f"{where}: the value of {name} is not of type {reference['type']}") from None

    def _of_file(self, name: str, where: str, secrets: set[str]) -> str:
        try:
            text = (self._folder / name).read_bytes().decode("utf-8-sig")
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ConfigurationError(f"{where}: the file '{name}' can't be read: {reason}") from None
        except ValueError:
            raise ConfigurationError(f"{where}: the file '{name}' is not UTF-8 text, or not a path") from None
        text = text.removesuffix("\n").removesuffix("\r")
        secrets.add(text)
        return text


def variables_in(value: Any) -> frozenset[str]:
    """Give the names of the variables that a value, be it nested, refers to."""
    return frozenset(reference["name"] for reference in _references_in(value))


def required_variables_in(value: Any) -> frozenset[str]:
    """Give the names of those that have no default somewhere, so that they have to be set."""
    return frozenset(reference["name"] for reference in _references_in(value) if not reference["has_default"])


def files_in(value: Any) -> frozenset[str]:
    """Give the paths of the files that a value, be it nested, refers to, as they are written."""
    return frozenset(inner.removeprefix("file:") for inner in _inner_texts(value) if inner.startswith("file:"))


def _references_in(value: Any) -> Iterator[re.Match[str]]:
    return filter(None, map(_REFERENCE.fullmatch, _inner_texts(value)))


def _inner_texts(value: Any) -> Iterator[str]:
    """Give what is between the braces of each reference."""
    if isinstance(value, dict | list):
        for member in value.values() if isinstance(value, dict) else value:
            yield from _inner_texts(member)
    elif isinstance(value, str):
        yield from (token[1] for token in _TOKEN.finditer(value) if token[2])


_FORMS = "it may be ${NAME}, ${NAME:-default}, ${NAME:integer|number|boolean|json} or ${file:path}"


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0", "yes", "no", "on", "off"):
        raise ValueError
    return text.lower() in ("true", "1", "yes", "on")


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError from None


_TYPES: Mapping[str | None, Callable[[str], Any]] = {
    None: str,
    "string": str,
    "integer": int,
    "number": _number,
    "boolean": _boolean,
    "json": _json,
}
