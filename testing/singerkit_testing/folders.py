"""Fresh folders for runs, and configs that still mean the same in them."""

from __future__ import annotations

import itertools
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from singerkit_testing.wire import encode

if TYPE_CHECKING:
    from collections.abc import Mapping


class Folders:
    """Hands out numbered folders within one that disappears in the end."""

    def __init__(self) -> None:
        self._root = tempfile.TemporaryDirectory(prefix="singer-check-", ignore_cleanup_errors=True)
        self._numbers = itertools.count(1)

    def fresh(self) -> Path:
        """Make an empty folder."""
        folder = Path(self._root.name) / f"{next(self._numbers):04}"
        folder.mkdir()
        return folder

    def byte_code(self) -> dict[str, str | None]:
        """Give the environment in which Python keeps its byte code here, if it is told not to keep any.

        Containers often tell it so; a connector that is started a hundred times would be compiled a hundred times.
        """
        if not os.environ.get("PYTHONDONTWRITEBYTECODE"):
            return {}
        return {"PYTHONDONTWRITEBYTECODE": None, "PYTHONPYCACHEPREFIX": str(Path(self._root.name) / "byte-code")}

    def close(self) -> None:
        """Delete them all."""
        self._root.cleanup()


def write_document(path: Path, document: Any) -> Path:
    """Write what a command line option names: an object as JSON, bytes as they are."""
    path.write_bytes(document if isinstance(document, bytes) else encode(document))
    return path


def rooted(value: Any, folder: Path | None = None) -> Any:
    """Make the relative paths in a config absolute: the connector runs in another folder than the person who wrote it.

    Shape: a text counts as a path if it looks like one (has a slash or a dot) and its first part exists here.
    """
    if isinstance(value, dict):
        return {name: rooted(part, folder) for name, part in value.items()}
    if isinstance(value, list):
        return [rooted(part, folder) for part in value]
    return _rooted_text(value, folder or Path.cwd()) if isinstance(value, str) else value


def _rooted_text(text: str, folder: Path) -> str:
    looks_like_path = (os.sep in text or "." in text) and len(text) < 1000 and "://" not in text and "\0" not in text
    if not looks_like_path or text.startswith(("/", "~", "{")) or text.strip("./") == "":
        return text
    first = next(part for part in Path(text).parts if part != ".")
    return str(folder / text) if (folder / first).exists() else text


def filled(value: Any, replacements: Mapping[str, str]) -> Any:
    """Replace placeholders such as ``{workdir}`` in all texts of a config."""
    if isinstance(value, dict):
        return {name: filled(part, replacements) for name, part in value.items()}
    if isinstance(value, list):
        return [filled(part, replacements) for part in value]
    if isinstance(value, str):
        for placeholder, text in replacements.items():
            value = value.replace(placeholder, text)
    return value
