"""States that Meltano keeps: in its system database, in a folder of files, and as its commands write them.

A state of Meltano has two parts: what the last run that ended well left (``completed``), and what runs left since then
that did not (``partial``). The latter is newer, and every state that a target let out may be resumed from, so it is
merged over the former. The tap's own state is in either as ``singer_state``.

Source: Meltano 4.4, ``meltano state export`` and ``get``, table ``state`` of the system database, and the layout
``STATE_ID/state.json`` of the state backends.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from singerkit.errors import StateError
from singerkit.protocol.codec import decode_exact
from singerkit.runner.states import merged

_PARTS = ("completed", "partial")
_SINGER_STATE = "singer_state"
_FILE = "state.json"
#: Where a project's folder has its database, below the project itself, or below ``.meltano``.
_DATABASES = (".meltano/meltano.db", "meltano.db")


def states_of_document(document: Mapping[str, Any]) -> dict[str | None, dict[str, Any]] | None:
    """Give the states that an output of Meltano holds by their ids (``None``: it does not say); ``None`` for another.

    Errors: ``StateError`` for one that is damaged.
    """
    if set(document) == {_SINGER_STATE}:
        return {None: _singer_state(document, "the file")}
    if _has_parts(document):
        return {None: _joined(document, "the file")}
    if document and all(isinstance(entry, dict) and _has_parts(entry) for entry in document.values()):
        return {id: _joined(entry, f"state '{id}'") for id, entry in document.items() if any(entry.values())}
    return None


def states_of_folder(folder: Path) -> dict[str | None, dict[str, Any]]:
    """Give the states of a folder by their ids: of a project, its ``.meltano``, or a state backend's.

    Errors: ``StateError`` where there are none.
    """
    database = next((folder / name for name in _DATABASES if (folder / name).is_file()), None)
    files = sorted(folder.rglob(_FILE))
    states: dict[str | None, dict[str, Any]] = states_of_database(database) if database else {}
    for path in files:
        id = path.parent.relative_to(_backend_of(folder)).as_posix()
        if state := _joined(_read(path.read_bytes(), f"'{path}'"), f"'{path}'"):
            states[id] = state
    if not states:
        raise StateError(
            f"'{folder}' has no state of Meltano: no database ({' or '.join(_DATABASES)}), and no file STATE_ID/{_FILE}"
        )
    return states


def _backend_of(folder: Path) -> Path:
    """Give the folder that a state backend has by default, where it is named by the one that it is in."""
    return next((path for path in (folder / ".meltano/state", folder / "state") if path.is_dir()), folder)


def states_of_database(path: Path) -> dict[str | None, dict[str, Any]]:
    """Give the states of a system database by their ids.

    Errors: ``StateError`` for a file that is none.
    """
    query = "SELECT state_id, completed_state, partial_state FROM state ORDER BY state_id"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            rows = database.execute(query).fetchall()
    except sqlite3.Error as error:
        raise StateError(f"'{path}' is no system database of Meltano: {error}") from None
    return dict(_states_of_rows(rows))


def _states_of_rows(rows: list[tuple[str, str | None, str | None]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for id, *texts in rows:
        parts = {
            part: _read(text.encode(), f"state '{id}'") if text else None
            for part, text in zip(_PARTS, texts, strict=True)
        }
        if any(parts.values()):
            yield id, _joined(parts, f"state '{id}'")


def _read(text: bytes, where: str) -> Any:
    try:
        return decode_exact(text)
    except ValueError as error:
        raise StateError(f"{where} is no JSON: {error}") from None


def _has_parts(document: Mapping[str, Any]) -> bool:
    return bool(document) and not document.keys() - set(_PARTS)


def _joined(parts: Any, where: str) -> dict[str, Any]:
    if not isinstance(parts, dict):
        raise StateError(f"{where} is no state of Meltano: it is no JSON object")
    states = [_singer_state(parts[part], f"{where}, {part}") for part in _PARTS if parts.get(part)]
    if not states:
        return {}
    return states[0] if len(states) == 1 else merged(*states)


def _singer_state(payload: Any, where: str) -> dict[str, Any]:
    state = payload.get(_SINGER_STATE) if isinstance(payload, dict) else None
    if not isinstance(state, dict):
        raise StateError(f"{where} is no state of Meltano: it has no object '{_SINGER_STATE}'")
    return state
