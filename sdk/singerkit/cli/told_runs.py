"""How runs end is told to those who want to be told: also of those that could not begin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from singerkit.cli.workplace import Workplace
from singerkit.clock import utc_now
from singerkit.errors import ConfigurationError, DiscoveryError, MissingExtraError, SingerKitError, SyncError
from singerkit.runner.notify import notify
from singerkit.runner.report import open_telemetry
from singerkit.runner.run import new_run_id
from singerkit.runner.store.base import RunRecord
from singerkit.runner.supervise.outcome import Status

#: So many runs are looked at for the one of the same state before.
_LOOKED_BACK = 100
_STATUSES = {ConfigurationError: Status.CONFIG, DiscoveryError: Status.TAP_FAILED, SyncError: Status.TARGET_FAILED}


@dataclass(frozen=True)
class Teller:
    """Tells of the runs of a workplace; ``warn`` is given what kept it from that."""

    place: Workplace
    warn: Callable[[str], None]

    def tell(self, record: RunRecord) -> None:
        """Tell how a run ended; that somebody can't be told does not change it."""
        if open_telemetry.is_wanted():
            try:
                open_telemetry.export(record)
            except MissingExtraError as error:
                self.warn(str(error))
        if self.place.project is not None and (notices := self.place.project.notifications):
            recent = self.place.store.runs(record.pipeline, limit=_LOOKED_BACK)
            earlier = [run for run in recent if run.id != record.id and run.state_key == record.state_key]
            notify(notices, record, next(iter(earlier), None), self.warn)

    @contextmanager
    def beginning(self, pipeline: str, state_key: str) -> Iterator[None]:
        """While this lasts, a run begins: one that can't is kept and told of like any other, as nobody may be watching.

        What goes wrong about that is left aside: why the run could not begin counts.
        """
        began = utc_now()
        try:
            yield
        except tuple(_STATUSES) as error:
            record = RunRecord(
                id=new_run_id(),
                pipeline=pipeline,
                state_key=state_key,
                started=began,
                ended=utc_now(),
                status=str(next(status for kind, status in _STATUSES.items() if isinstance(error, kind))),
                exit_code=error.exit_code,
                failure=error.describe(),
                facts={"begun": False},
            )
            for work in (self.place.store.log, self.tell):
                with suppress(SingerKitError):
                    work(record)
            raise
