r"""Meltano's references to variables (``$NAME``, ``${NAME}``, ``\$``) as those of singer.toml."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

_VARIABLE = re.compile(r"(?P<escape>\\)?\$(?:\{(?P<curly>\w+)\}|(?P<plain>[A-Z][A-Z0-9_]*))")
#: What Meltano sets for a pipeline; filled in where the pipeline is written.
OF_PIPELINE = frozenset(
    {
        "MELTANO_EXTRACTOR_NAME",
        "MELTANO_EXTRACTOR_NAMESPACE",
        "MELTANO_EXTRACT__LOAD_SCHEMA",
        "MELTANO_LOADER_NAME",
        "MELTANO_LOADER_NAMESPACE",
    }
)
#: By Meltano's kind of a setting, the word for its type in a reference.
_TYPES = {"integer": ":integer", "decimal": ":number", "boolean": ":boolean", "array": ":json", "object": ":json"}


class References:
    """Converts texts; ``defaults`` are variables that the project itself sets, ``unknown`` is told of Meltano's own."""

    def __init__(self, defaults: Mapping[str, Any], unknown: Callable[[str], None]) -> None:
        self._defaults = {name: str(value) for name, value in defaults.items() if _is_plain(value)}
        self._unknown = unknown

    def convert(self, value: Any, kind: str = "") -> Any:
        """Give a value, be it nested, with every reference converted; ``kind`` is Meltano's of the setting."""
        if isinstance(value, dict):
            return {name: self.convert(member) for name, member in value.items() if member is not None}
        if isinstance(value, list):
            return [self.convert(item) for item in value if item is not None]
        if not isinstance(value, str):
            return value
        whole = _VARIABLE.fullmatch(value)
        if whole and not whole["escape"]:
            return self._reference(whole, _TYPES.get(kind, ""))
        parts, end = [], 0
        for found in _VARIABLE.finditer(value):
            parts += [_escaped(value[end : found.start()]), self._reference(found, "")]
            end = found.end()
        return "".join([*parts, _escaped(value[end:])])

    def _reference(self, found: re.Match[str], type_suffix: str) -> str:
        name = found["curly"] or found["plain"]
        if found["escape"]:
            return _escaped(found[0].removeprefix("\\"))
        if name == "MELTANO_PROJECT_ROOT":
            return "."  # programs run in the project's folder
        if name.startswith("MELTANO_") and name not in OF_PIPELINE:
            self._unknown(name)
        default = f":-{self._defaults[name]}" if name in self._defaults else ""
        return f"${{{name}{type_suffix}{default}}}"


def reference_to(name: str, kind: str = "") -> str:
    """Give the reference to a variable that holds a setting of a kind."""
    return f"${{{name}{_TYPES.get(kind, '')}}}"


def _is_plain(value: Any) -> bool:
    return value is not None and not isinstance(value, dict | list) and not re.search(r"[$}]", str(value))


def _escaped(text: str) -> str:
    return text.replace("${", "$${")
