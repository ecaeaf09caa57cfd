"""Which recording this process writes or reads at the moment, if any; light, since every tap asks when it is made."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol


class Tape(Protocol):
    """A recording, as a tap knows it."""

    def completed(self, config: Mapping[str, Any], *, is_given: bool) -> Mapping[str, Any]:
        """Give a config with what it lacks, as far as the recording knows it; all of it where none ``is_given``."""

    def begin(self, tap: str, config: Mapping[str, Any], secrets: Collection[str], ignored: Collection[str]) -> None:
        """Be told of a tap before it asks anything: its config, the texts in it that are secret, what to ignore."""


_tapes: list[Tape] = []


def current_tape() -> Tape | None:
    """Give the recording that is under way."""
    return _tapes[-1] if _tapes else None


@contextmanager
def running(tape: Tape) -> Iterator[None]:
    """Make a recording the current one."""
    _tapes.append(tape)
    try:
        yield
    finally:
        _tapes.remove(tape)


@contextmanager
def recording_to(folder: str | Path) -> Iterator[None]:
    """Record what the taps of this process are answered; see :class:`singerkit.http.recording.Recorder`."""
    from singerkit.http.recording import Recorder  # imports requests

    recorder = Recorder(folder)
    with running(recorder), recorder.active():
        yield


@contextmanager
def replaying(folder: str | Path) -> Iterator[None]:
    """Answer the taps of this process from a folder; see :class:`singerkit.http.recording.Replayer`."""
    from singerkit.http.recording import Replayer  # imports requests

    replayer = Replayer(folder)
    with running(replayer), replayer.active():
        yield
