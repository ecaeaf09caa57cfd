"""States and runs as the text that is stored, with a digest that shows damage; keys that every store can hold."""

from __future__ import annotations

from typing import Any

import msgspec

from singerkit.digests import digest_of
from singerkit.protocol.codec import decode_exact, encode
from singerkit.runner.store.base import RunRecord, State, StoreError

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


def state_of(text: str, digest: str, where: str) -> State:
    """Read a state that was stored with its digest; ``where`` says which one it is.

    Errors: ``StoreError`` where it is not what was stored.
    """
    if digest_of(text) != digest:
        raise StoreError(f"{where} is damaged: it is not what was stored. Restore an older revision, or a backup")
    try:
        state: Any = decode_exact(text.encode())
    except ValueError:
        state = None
    if not isinstance(state, dict):
        raise StoreError(f"{where} is damaged: it is no JSON object. Restore an older revision, or a backup")
    return state


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
