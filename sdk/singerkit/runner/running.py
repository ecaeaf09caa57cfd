"""Records of runs that last: they say now and then how far they have come, so that a dead one is known by silence."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from singerkit.clock import instant_of, utc_now, utc_now_text, utc_text
from singerkit.runner.job import Job
from singerkit.runner.keeper import LEASE_S
from singerkit.runner.store.base import RunRecord, StateStore
from singerkit.runner.supervise.attempt import Progress
from singerkit.runner.supervise.outcome import Status, exit_code_of

#: A run says something several times in a lease; who is silent for so many leases is gone.
_SILENT_LEASES = 3
#: What is dated so much later than now was so by a clock that was wrong then: machines differ by less (seconds).
_AHEAD_S = 3600.0
_LOOKED_BACK = 20
_SEEN, _LEASE_S = "seen", "lease_s"


def signs_of_life(lease_s: float) -> dict[str, float]:
    """Give the facts by which a run's silence is understood later; ``lease_s`` is how long its lease lasts."""
    return {_LEASE_S: lease_s}


def beaten(record: RunRecord, progress: Progress) -> RunRecord:
    """Give the record of a run as it stands now."""
    return replace(record, streams=progress.sent.by_stream(), facts={**record.facts, _SEEN: utc_now_text()})


def seen(record: RunRecord) -> datetime:
    """Give when a run was last known to be alive."""
    said = record.facts.get(_SEEN)
    return instant_of(said) if isinstance(said, str) else record.started


def crashed_run(record: RunRecord) -> RunRecord:
    """Give the record of a run whose runner is gone."""
    return replace(
        record,
        ended=seen(record),
        status=str(Status.CRASHED),
        exit_code=exit_code_of(Status.CRASHED),
        failure="The runner was killed, or its machine stopped.",
    )


def close_crashed(store: StateStore, job: Job) -> None:
    """Say of earlier runs of a job that never ended that they crashed: who holds its lease knows that they are gone.

    Errors: ``StoreError``.
    """
    for run in store.runs(job.name, limit=_LOOKED_BACK):
        if run.status == "running" and run.state_key == job.state_key:
            store.log(crashed_run(run))


def as_known(record: RunRecord, now: datetime | None = None) -> RunRecord:
    """Give a record as it has to be understood, whatever the clocks said.

    A run that is silent for too long crashed. One that ended after now is only known to have begun: its clock jumped
    ahead while it lasted, and has been set right since.
    """
    now = now or utc_now()
    if record.status != "running":
        return replace(record, ended=record.started) if record.ended and is_ahead(record.ended, now) else record
    silent_after_s = _SILENT_LEASES * float(record.facts.get(_LEASE_S, LEASE_S))
    last = record.started if is_ahead(seen(record), now) else seen(record)
    is_silent = (now - last).total_seconds() > silent_after_s
    return crashed_run(replace(record, facts={**record.facts, _SEEN: utc_text(last)})) if is_silent else record


def is_ahead(at: datetime, now: datetime) -> bool:
    """Tell whether an instant was written by a clock that was ahead of the time: such a one says nothing of today."""
    return (at - now).total_seconds() > _AHEAD_S
