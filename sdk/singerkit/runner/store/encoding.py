"""States and runs as the text that is stored, with a digest that shows damage; keys that every store can hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from singerkit.digests import digest_of
from singerkit.protocol.codec import decode_exact, encode
from singerkit.runner.store.base import DamagedStateError, RunRecord, State, StoredState, StoreError

T = TypeVar("T")

_LONGEST_KEY = 500
_runs = msgspec.json.Decoder(RunRecord)


def checked_key(key: str) -> str:
    """Give the key back.

    Errors: ``StoreError`` for one that not every store could hold.
    """
    if not key or len(key) > _LONGEST_KEY or not key.isprintable() or key != key.strip():
        raise StoreError(
            f"{key[:60]!r} can't be a state key: it has to be 1 to {_LONGEST_KEY} printable characters, without spaces"
            " at its ends"
        )
    return key


def state_text(state: State) -> str:
    """Give a state as JSON text.

    Errors: ``StoreError`` for what is not a JSON object.
    """
    if not isinstance(state, dict):
        raise StoreError(f"a state has to be a JSON object, and is {type(state).__name__}")
    try:
        return encode(state).decode()
    except (TypeError, ValueError) as error:
        raise StoreError(f"the state can't be written as JSON: {error}") from None


def stored_of(key: str, text: str, digest: str, revision: int, at: datetime, run: str) -> StoredState:
    """Read a state that was stored with its digest.

    Errors: ``DamagedStateError`` where it is not what was stored.
    """
    try:
        state: Any = decode_exact(text.encode()) if digest_of(text) == digest else None
    except ValueError:
        state = None
    if not isinstance(state, dict):
        raise DamagedStateError(
            f"revision {revision} of '{key}' is damaged: it is not what was stored. `singerkit state history {key}` "
            f"shows the other ones, `singerkit state restore {key} REVISION` brings one of them back",
            revision,
            at,
            run,
        )
    return StoredState(state, revision, at, run)


def whole(read: Callable[[T], StoredState | None], stored: Iterable[T]) -> Iterator[StoredState]:
    """Read states, and leave out what is damaged."""
    for one in stored:
        with suppress(DamagedStateError):
            found = read(one)
            if found is not None:
                yield found


def run_text(run: RunRecord) -> str:
    """Give a run as JSON text."""
    return encode(run).decode()


def run_of(text: str | bytes, where: str) -> RunRecord:
    """Read a run; members that are not known, as of a newer version, are left out.

    Errors: ``StoreError`` where it is damaged.
    """
    try:
        return _runs.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"{where} is damaged: {error}") from None
