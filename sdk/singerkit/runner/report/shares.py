"""The runs by which a pipeline is judged: its own, or those of its shares where it was last run as such (`--shard`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from singerkit.runner.report.refused import refused_in_all
from singerkit.runner.store.base import RunRecord
from singerkit.runner.units import KEY_MARK

_SHARE = re.compile(re.escape(KEY_MARK) + r"share-\d+-of-(\d+)$")


def is_of(run: RunRecord, state_key: str) -> bool:
    """Tell whether a run is of this state: as a whole, or as a share. Backfills and other environments are not."""
    return run.state_key == state_key or _count(run, state_key) is not None


def lines_of(runs: Sequence[RunRecord], state_key: str) -> list[list[RunRecord]]:
    """Give the runs that are to be looked at one after the other: all in one line, or a line for each share.

    Shape: newest first, as ``runs`` are; a share that never ran has an empty line.
    """
    own = [run for run in runs if is_of(run, state_key)]
    count = _count(own[0], state_key) if own else None
    if count is None:
        return [[run for run in own if run.state_key == state_key]]
    shares = (f"{state_key}{KEY_MARK}share-{index}-of-{count}" for index in range(count))
    return [[run for run in own if run.state_key == share] for share in shares]


def together(runs: Sequence[RunRecord]) -> RunRecord:
    """Give runs as one: since all of them are needed, it is as old as the oldest, with what they all moved."""
    oldest, *others = sorted(runs, key=lambda run: run.ended or run.started)
    if not others:
        return oldest
    streams: dict[str, dict[str, int]] = {}
    for run in runs:
        for stream, counts in run.streams.items():
            sums = streams.setdefault(stream, {})
            for name, value in counts.items():
                sums[name] = sums.get(name, 0) + value
    return replace(oldest, streams=streams, facts={**oldest.facts, **refused_in_all(runs)})


def _count(run: RunRecord, state_key: str) -> int | None:
    match = _SHARE.fullmatch(run.state_key.removeprefix(state_key)) if run.state_key.startswith(state_key) else None
    return int(match[1]) if match else None
