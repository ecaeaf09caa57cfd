"""A tap whose source is far away: its answers are recorded by the tap itself, once, and given again in every check.

The harness knows only two options that such a tap has, ``--record DIR`` and ``--replay DIR``; of the folder, that
``recording.json`` may hold the tap's ``config``; and of a tap class, a classmethod ``replaying(folder)`` that gives a
context. Any other option can stand in the command.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, cast

from singerkit_testing.errors import HarnessError
from singerkit_testing.settings import read_config


def recording_options(*, record: str | Path | None = None, replay: str | Path | None = None) -> tuple[str, ...]:
    """Give the words for every run of the tap: each runs in a folder of its own, so the path becomes absolute.

    Errors: ``HarnessError`` where both are asked for, or there is nothing to replay.
    """
    if record and replay:
        raise HarnessError("either record or replay: the one writes the folder that the other reads")
    if record:
        return "--record", str(Path(record).absolute())
    if replay and not Path(replay).is_dir():
        raise HarnessError(f"there is no recording {replay}: make one by recording a check of the tap")
    return ("--replay", str(Path(replay).absolute())) if replay else ()


def recorded_config(replay: str | Path | None) -> dict[str, Any] | None:
    """Give the config that a recording was made with, its secrets masked; ``None`` where it is not known."""
    path = None if replay is None else Path(replay) / "recording.json"
    if path is None or not path.is_file():
        return None
    config = (read_config(path) or {}).get("config")
    return config if isinstance(config, dict) else None


def replayed(tap_class: Any, folder: str | Path | None) -> AbstractContextManager[None]:
    """Give a context in which taps of a class are answered from a recording; without one, as ever.

    Errors: ``HarnessError`` for a class that can't do that.
    """
    if folder is None:
        return nullcontext()
    if not hasattr(tap_class, "replaying"):
        raise HarnessError(f"{tap_class.__name__} has no classmethod 'replaying', so it can't be run from a recording")
    return cast("AbstractContextManager[None]", tap_class.replaying(Path(folder).absolute()))
