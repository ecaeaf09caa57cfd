"""Streams that are loaded over several runs into one place; those of all rules travel in the same runs.

Starting a target costs most, and what one stream's runs do must not matter to another's. Only when a run of all
together fails is each series loaded by itself, so that the culprit stands alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from singerkit_testing.errors import HarnessError, Unreadable
from singerkit_testing.messages import Sent
from singerkit_testing.readers import Row
from singerkit_testing.target_lab import Destination, Load, TargetLab

_Parts = Sequence[Sequence[Sent]]
_MAKERS: dict[str, Callable[[], _Parts]] = {}
_WATCHED: set[str] = set()


@dataclass(frozen=True)
class Series:
    """What became of the runs of one series.

    Shape: `parts` are the messages of each run; `loads` are the runs that were made, of which only the last can have
    failed; `rows_after` has, for a series that is watched and with a reader, the rows of its stream after each of them.
    """

    place: Destination
    parts: tuple[tuple[Sent, ...], ...]
    loads: tuple[Load, ...]
    rows_after: tuple[list[Row], ...]

    @property
    def ok(self) -> bool:
        """Every run was taken."""
        return self.loads[-1].ok

    @property
    def failure(self) -> str:
        """How the run that failed ended."""
        return self.loads[-1].ending()

    @property
    def sent(self) -> list[Sent]:
        """The messages of all runs."""
        return [message for part in self.parts for message in part]


def register_series(name: str, build: Callable[[], _Parts], *, watched: bool = False) -> None:
    """Register the messages of two or three runs; with `watched` its first stream is read back after each of them.

    Errors: ``HarnessError`` if two have one name.
    """
    if name in _MAKERS:
        raise HarnessError(f"two series are called {name}")
    _MAKERS[name] = build
    _WATCHED.update([name] if watched else [])


def series_of(target: TargetLab, name: str) -> Series:
    """Give what became of a registered series.

    Errors: ``NotApplicable`` if the target can't even load the simplest records (TGT-001 says so).
    """
    _ = target.loaded
    together = target.remember("all series", lambda: _all_together(target))
    if name in together:
        return together[name]
    return target.remember(("series", name), lambda: _loaded(target, {name: _parts(name)})[name])


def _parts(name: str) -> tuple[tuple[Sent, ...], ...]:
    return tuple(tuple(part) for part in _MAKERS[name]())


def _all_together(target: TargetLab) -> Mapping[str, Series]:
    try:
        done = _loaded(target, {name: _parts(name) for name in _MAKERS})
    except Unreadable:  # by whose rows it came is seen when each is alone
        return {}
    return done if all(series.ok for series in done.values()) else {}


def _loaded(target: TargetLab, wanted: Mapping[str, tuple[tuple[Sent, ...], ...]]) -> dict[str, Series]:
    """Load series of several lengths so that the last run is the last of them all."""
    place = target.fresh()
    most = max(map(len, wanted.values()))
    runs = [{name: parts[at - most] for name, parts in wanted.items() if len(parts) >= most - at} for at in range(most)]
    loads: list[Load] = []
    rows: dict[str, list[list[Row]]] = {name: [] for name in wanted}
    for run in runs:
        loads.append(place.load(message for part in run.values() for message in part))
        if not loads[-1].ok:
            break
        for name in _WATCHED & run.keys() if target.reader is not None else ():
            rows[name].append(place.rows(_stream(wanted[name])))
    return {
        name: Series(place, parts, tuple(loads[-len(parts) :]), tuple(rows[name])) for name, parts in wanted.items()
    }


def _stream(parts: Iterable[Iterable[Sent]]) -> str:
    """Give the name of the first stream."""
    return next(
        str(message["stream"])
        for part in parts
        for message in part
        if isinstance(message, dict) and "stream" in message
    )
