"""What a store says when it does not do what it was asked, the same words whatever the store."""

from __future__ import annotations

from datetime import datetime

from singerkit.clock import utc_text
from singerkit.runner.store.base import ConflictError, FencedError, LockedError


def locked(key: str, owner: str, expires: datetime) -> LockedError:
    """Say who holds a lease, and until when."""
    return LockedError(
        f"'{key}' is held by {owner}, until {utc_text(expires)} unless that is prolonged: wait for it to end"
    )


def fenced(key: str, owner: str) -> FencedError:
    """Say that a lease was lost; ``owner``: who has taken it since, empty where it was given back."""
    now = f"{owner} has taken it since" if owner else "it was given back since, or never taken"
    return FencedError(f"the lease of '{key}' was lost: {now}. Nothing was written; run again")


def conflict(key: str, expected: int | None, found: int | None) -> ConflictError:
    """Say which revision was found instead of the one that was read."""
    return ConflictError(
        f"the state of '{key}' was changed by somebody else: {_revision(found)} was found where {_revision(expected)}"
        " was expected. Nothing was written; run again"
    )


def _revision(number: int | None) -> str:
    return "no state" if number is None else f"revision {number}"
