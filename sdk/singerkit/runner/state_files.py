"""States in files: as a tap takes them, as a target writes them, as ``state export`` and Meltano do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from singerkit.errors import StateError
from singerkit.protocol.codec import decode_exact, encode
from singerkit.runner.meltano_states import states_of_database, states_of_document, states_of_folder

_SQLITE_HEADER = b"SQLite format 3\0"
_FORMAT = "singerkit states"
#: States by key; ``None`` where the file does not say whose it is.
States = dict[str | None, dict[str, Any]]


def exported(states: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Give the states of many keys as one JSON text, which :func:`read_states` reads."""
    return encode({"format": _FORMAT, "version": 1, "states": states})


def read_states(path: Path) -> States:
    """Read the states of a file or folder, whichever kind it is.

    Errors: ``StateError`` for what holds no state.
    """
    try:
        if path.is_dir():
            return states_of_folder(path)
        content = path.read_bytes()
    except OSError as error:
        raise StateError(f"'{path}' can't be read: {error.strerror}") from None
    if content.startswith(_SQLITE_HEADER):
        return states_of_database(path)
    return states_of_text(content, f"'{path}'")


def states_of_text(content: bytes, where: str) -> States:
    """Give the states that a JSON text holds; of JSON lines, as a target writes them, the last one counts.

    Errors: ``StateError`` for what holds no state.
    """
    document = _document(content, where)
    if document.get("format") == _FORMAT:
        return _of_export(document, where)
    found = states_of_document(document)
    if found is not None:
        return found
    if document.get("type") == "STATE":
        return {None: _state(document.get("value"), where)}
    return {None: document}


def _document(content: bytes, where: str) -> dict[str, Any]:
    text = content.removeprefix(b"\xef\xbb\xbf").strip()
    if not text:
        raise StateError(f"{where} is empty: it holds no state")
    try:
        return _state(decode_exact(text), where)
    except ValueError as error:
        lines = text.splitlines()
        if len(lines) == 1:
            raise StateError(f"{where} is no JSON: {error}") from None
    try:
        return _state(decode_exact(lines[-1]), f"the last line of {where}")
    except ValueError as error:
        raise StateError(f"{where} is neither one JSON object nor one a line: {error}") from None


def _of_export(document: Mapping[str, Any], where: str) -> States:
    if document.get("version") != 1 or not isinstance(document.get("states"), dict):
        raise StateError(f"{where} is an export that this singerkit does not know: upgrade it")
    return {key: _state(state, f"state '{key}' in {where}") for key, state in document["states"].items()}


def _state(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise StateError(f"{where} is no JSON object, so it is no state")
    return value
