"""Failures of connectors' code: where they happened, and how they are told."""

from __future__ import annotations

from singerkit.errors import SingerKitError
from singerkit.telemetry.logs import describe_exception
from singerkit.types import Context


def attach(failure: BaseException, stream: str, context: Context | None) -> BaseException:
    """Say where a failure happened: once, here, at the boundary of the run."""
    if isinstance(failure, SingerKitError):
        failure.stream = failure.stream or stream
        failure.context = failure.context or context
    else:
        failure.add_note(f"in stream '{stream}'")
    return failure


def describe(failure: BaseException) -> str:
    """Give the line that a person reads."""
    if isinstance(failure, SingerKitError):
        return failure.describe()
    return " ".join([describe_exception(failure), *getattr(failure, "__notes__", ())])


def cause_of(failure: BaseException) -> str:
    """Give what went wrong, on one line and without where."""
    text = str(failure) if isinstance(failure, SingerKitError) else describe_exception(failure)
    return (text or type(failure).__name__).partition("\n")[0]
