"""How each pipeline stands: its last run, its last success, and whether that is older than it may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from singerkit.clock import instant_of
from singerkit.runner.report.refused import refused_in
from singerkit.runner.report.schedule import longest_gap_s
from singerkit.runner.report.shares import lines_of, together
from singerkit.runner.running import as_known, is_ahead
from singerkit.runner.states import bookmarks_of, names_streams
from singerkit.runner.store.base import DamagedStateError, RunRecord, StateStore
from singerkit.runner.units import KEY_MARK

#: What a run may take, on top of the schedule's gap, before its pipeline counts as stale.
_GRACE_S = 900.0
_RUNS_LOOKED_AT = 200


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What is expected of a pipeline: a success at least every ``stale_after_s`` seconds (``None``: nothing is)."""

    pipeline: str
    state_key: str
    stale_after_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a pipeline stands.

    Shape: ``lags`` maps a stream to the age of its bookmark, where that is an instant; ``failures`` counts the runs
    that failed since the last success; ``is_damaged`` says that its state can't be read. Units: seconds, records.
    """

    pipeline: str
    state_key: str
    last_run: RunRecord | None
    last_success: RunRecord | None
    age_s: float | None
    stale_after_s: float | None
    failures: int
    lags: Mapping[str, float]
    is_damaged: bool = False

    @property
    def records(self) -> int:
        """Records of the last success."""
        streams = self.last_success.streams.values() if self.last_success else ()
        return sum(counts["records"] for counts in streams)

    @property
    def refused(self) -> int:
        """Records of the last success that the target refused and left out."""
        return sum(refused_in(self.last_success).values()) if self.last_success else 0

    @property
    def is_stale(self) -> bool:
        """Whether the last success is older than it may be, or there never was one though one is expected."""
        return self.stale_after_s is not None and (self.age_s is None or self.age_s > self.stale_after_s)

    @property
    def is_healthy(self) -> bool:
        """Whether it is not stale, its state can be read, and its last run did not fail."""
        return (
            not self.is_stale
            and not self.is_damaged
            and (self.last_run is None or self.last_run.status in ("success", "running"))
        )

    def facts(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {
            "pipeline": self.pipeline,
            "state_key": self.state_key,
            "status": self.last_run.status if self.last_run else None,
            "healthy": self.is_healthy,
            "stale": self.is_stale,
            "state_damaged": self.is_damaged,
            "last_run": _instant(self.last_run.started if self.last_run else None),
            "last_success": _instant(self.last_success.ended if self.last_success else None),
            "age_s": self.age_s,
            "stale_after_s": self.stale_after_s,
            "failures_since": self.failures,
            "records": self.records,
            "refused": self.refused,
            "bookmark_lag_s": dict(self.lags),
        }


def expectation_of(
    pipeline: str, state_key: str, schedule: str | None, stale_after_s: float | None, now: datetime
) -> Expectation:
    """Give what is expected: what the project says, else by the schedule.

    Errors: ``ConfigurationError`` for a schedule that can't be read; ``MissingExtraError``.
    """
    if stale_after_s is None and schedule:
        stale_after_s = longest_gap_s(schedule, now) + _GRACE_S
    return Expectation(pipeline=pipeline, state_key=state_key, stale_after_s=stale_after_s)


def standings(store: StateStore, expectations: Iterable[Expectation], now: datetime) -> list[Standing]:
    """Give how the expected pipelines stand."""
    return [_standing(store, expectation, now) for expectation in expectations]


def known_by_runs(store: StateStore, now: datetime) -> list[Expectation]:
    """Give the pipelines that ran in the last weeks, of which nothing is expected."""
    found: dict[str, Expectation] = {}
    for run in believable(store.runs(limit=_RUNS_LOOKED_AT), now):
        if run.pipeline not in found and KEY_MARK not in run.pipeline and now - run.started < timedelta(days=30):
            found[run.pipeline] = Expectation(pipeline=run.pipeline, state_key=run.state_key)
    return list(found.values())


def believable(runs: Iterable[RunRecord], now: datetime) -> list[RunRecord]:
    """Give runs as they have to be understood, without those of a clock that was ahead of the time."""
    return [as_known(run, now) for run in runs if not is_ahead(run.started, now)]


def _standing(store: StateStore, expected: Expectation, now: datetime) -> Standing:
    """Look at the runs with the pipeline's state key: those of other environments, and backfills, are none of its."""
    found = store.runs(expected.pipeline, limit=_RUNS_LOOKED_AT)
    lines = lines_of(believable(found, now), expected.state_key)
    successes = [next((run for run in line if run.status == "success"), None) for line in lines]
    failures = [
        run
        for line, success in zip(lines, successes, strict=True)
        for run in line[: line.index(success) if success else None]
        if run.status != "running"
    ]
    if successes == [None] and len(found) == _RUNS_LOOKED_AT:
        older = store.newest_success(expected.pipeline, expected.state_key)
        successes = list(believable([older], now)) if older else []
    whole = [success for success in successes if success is not None]
    success = together(whole) if len(whole) == len(lines) else None
    newest = [line[0] for line in lines if line]
    bad = [run for run in newest if run.status not in ("success", "running")]
    try:
        stored, is_damaged = store.get(expected.state_key), False
    except DamagedStateError:
        stored, is_damaged = None, True
    return Standing(
        pipeline=expected.pipeline,
        state_key=expected.state_key,
        last_run=max(bad or newest, key=lambda run: run.started, default=None),
        last_success=success,
        age_s=(now - success.ended).total_seconds() if success and success.ended else None,
        stale_after_s=expected.stale_after_s,
        failures=len(failures),
        lags=_lags(stored.state, now) if stored else {},
        is_damaged=is_damaged,
    )


def _lags(state: Mapping[str, Any], now: datetime) -> dict[str, float]:
    """Give the age of each bookmark that is an instant; of the oldest partition where there are several."""
    if not names_streams(state):
        return {}
    ages: dict[str, float] = {}
    for stream, entry in bookmarks_of(state).items():
        parts = [entry, *(entry.get("partitions") or [])] if isinstance(entry, dict) else []
        instants = [instant for part in parts if (instant := _bookmark(part)) is not None]
        if instants:
            ages[stream] = (now - min(instants)).total_seconds()
    return ages


def _bookmark(entry: Any) -> datetime | None:
    value = entry.get("replication_key_value") if isinstance(entry, dict) else None
    try:
        return instant_of(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _instant(value: datetime | None) -> str | None:
    return value.isoformat() if value else None
