"""A run: the state it begins from and leaves behind, its attempts, what follows a success, its record."""

from __future__ import annotations

import os
import platform
import secrets
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from singerkit.clock import monotonic, utc_now
from singerkit.config.problems import suggestion
from singerkit.errors import ConfigurationError, DiscoveryError, SingerKitError, SyncError
from singerkit.runner.after import facts_for_steps, follow
from singerkit.runner.catalogs import catalog_for
from singerkit.runner.job import Job
from singerkit.runner.keeper import Keeper
from singerkit.runner.listener import Listener
from singerkit.runner.private_files import PrivateFolder
from singerkit.runner.programs import commands_of, secrets_taken_over
from singerkit.runner.report.refused import refused_fact
from singerkit.runner.running import beaten, close_crashed, signs_of_life
from singerkit.runner.signals import rest, signals_into
from singerkit.runner.states import bookmarks_of, names_streams, without_streams
from singerkit.runner.store.base import RunRecord, State, StateStore
from singerkit.runner.supervise.attempt import Ending, Progress, attempt
from singerkit.runner.supervise.children import Command
from singerkit.runner.supervise.outcome import RETRYABLE, Status, exit_code_of
from singerkit.runner.target_states import MIRRORS, kept_by, state_of_before, telling_its_target
from singerkit.telemetry.redact import Redactor


def new_run_id() -> str:
    """Give an id that sorts by time: ``20260131T235959-1a2b3c``."""
    return f"{utc_now():%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


class _Stopped(Exception):
    """A signal came."""


@dataclass(eq=False)
class Run:
    """One run of a job."""

    job: Job
    store: StateStore
    listener: Listener
    #: Where private files are kept while it lasts, and what programs wrote back in between.
    folder: Path
    id: str = field(default_factory=new_run_id)
    facts: Mapping[str, Any] = field(default_factory=dict)
    #: How long to wait for another run of the same key to end (seconds).
    wait_s: float = 0.0

    def __post_init__(self) -> None:
        """Prepare what the parts share."""
        self._redactor = Redactor(self.job.secrets)
        self._signals: SimpleQueue[int] = SimpleQueue()
        #: How the attempts before the one that runs ended, taken together.
        self._earlier: Ending | None = None

    def __call__(self) -> RunRecord:
        """Run to the end and give the record that was logged.

        What can't be started is a run with the status "config".

        Errors: ``LockedError`` when another run holds the lease; ``StoreError`` when the store fails.
        """
        keeper = Keeper(self.store, self.job, run=self.id, listener=self.listener, wait_s=self.wait_s)
        try:
            with signals_into(self._signals):
                return self._record(keeper)
        finally:
            keeper.close()

    def _record(self, keeper: Keeper) -> RunRecord:
        """Run, with a record of it in the store from the start on."""
        before = keeper.stored
        record = RunRecord(
            id=self.id,
            pipeline=self.job.name,
            state_key=self.job.state_key,
            started=utc_now(),
            revision_before=before.revision if before else None,
            facts={
                **self.facts,
                **signs_of_life(keeper.lease_s),
                **(MIRRORS if self.job.state_in_target else {}),
                "labels": dict(self.job.labels),
                "host": platform.node(),
                "pid": os.getpid(),
            },
        )
        close_crashed(self.store, self.job)
        self.store.log(record)
        keeper.beat = lambda progress: self.store.log(beaten(record, self._moved(progress)))
        self.listener.started(self.job, record)
        try:
            ending, attempts = self._attempts(keeper)
        except ConfigurationError as error:
            ending, attempts = Ending(status=Status.CONFIG, failure=self._redactor.redact(error.describe())), 1
        except (SingerKitError, OSError) as error:  # of the store, which may be there again by now, or of the disk
            why = error.describe() if isinstance(error, SingerKitError) else str(error.strerror or error)
            moved = self._moved(keeper.progress)
            crashed = Ending(status=Status.CRASHED, failure=self._redactor.redact(why), progress=moved)
            with suppress(SingerKitError):
                self._log(record, crashed, keeper, 1)
            raise
        if ending.status is Status.SUCCESS:
            ending = self._after(ending, keeper)
        record = self._log(record, ending, keeper, attempts)
        keeper.forget_old_runs()
        self.listener.ended(record, before, keeper.stored)
        return record

    def _log(self, record: RunRecord, ending: Ending, keeper: Keeper, attempts: int) -> RunRecord:
        after = keeper.stored
        ended = replace(
            record,
            ended=utc_now(),
            status=str(ending.status),
            exit_code=exit_code_of(ending.status, ending.signal or signal.SIGTERM),
            attempt=attempts,
            streams=ending.progress.sent.by_stream(),
            revision_after=after.revision if after else None,
            failure=ending.failure,
            last_lines=ending.last_lines,
            facts={**record.facts, **_facts_of(ending)},
        )
        keeper.insist(partial(self.store.log, ended))
        return ended

    # Attempts -------------------------------------------------------------------------------------------------------

    def _attempts(self, keeper: Keeper) -> tuple[Ending, int]:
        """Try as often as the job allows, each time from the newest state."""
        limits = self.job.limits
        for number in range(1, limits.retries + 2):
            if not self._signals.empty():
                return self._not_begun().after(self._earlier), number
            with PrivateFolder(self.folder) as files:
                ending = self._attempt(files, keeper).after(self._earlier)
            keeper.insist(keeper.persist)
            if ending.status not in RETRYABLE or number > limits.retries:
                break
            self._earlier, keeper.progress = ending, Progress()
            seconds = limits.retry_wait_s * 2 ** (number - 1)
            self.listener.retrying(ending, seconds)
            if not self._pause(seconds, keeper):
                return replace(ending, status=Status.CANCELLED, signal=self._signals.get()), number
        return ending, number

    def _moved(self, progress: Progress) -> Progress:
        """Add what earlier attempts moved to what the one that runs did."""
        return self._earlier.progress + progress if self._earlier else progress

    def _pause(self, seconds: float, keeper: Keeper) -> bool:
        """Wait, with the lease kept; says whether nobody has asked to stop meanwhile."""
        until = monotonic() + seconds
        while monotonic() < until and self._signals.empty():
            keeper.keep_lease()
            rest(self._signals)
        return self._signals.empty()

    def _attempt(self, files: PrivateFolder, keeper: Keeper) -> Ending:
        commands = commands_of(telling_its_target(self.job) if self.job.state_in_target else self.job, files)
        self._redactor.add(secrets_taken_over(self.job, files))
        options: list[str] = []
        try:
            catalog = catalog_for(self.job, commands[0], files, self._redactor, lambda: self._go_on(keeper))
            begin = self._begin_with_what_the_target_keeps(commands, files, keeper)
        except DiscoveryError as error:
            return Ending(status=Status.TAP_FAILED, failure=str(error))
        except SyncError as error:
            return Ending(status=Status.TARGET_FAILED, culprit=self.job.target.name, failure=str(error))
        except _Stopped:
            return self._not_begun()
        if catalog is not None:
            options += [self.job.tap.catalog_option, str(catalog)]
        if (state := self._state_for_tap(begin)) is not None:
            options += ["--state", str(files.write("state.json", state))]
        commands[0] = replace(commands[0], argv=[*commands[0].argv, *options])
        return attempt(
            commands,
            limits=self.job.limits,
            groups=files.path / "groups",
            redactor=self._redactor,
            watcher=keeper,
            signals=self._signals,
            target_follows=self.job.state_in_target,
        )

    def _begin_with_what_the_target_keeps(
        self, commands: list[Command], files: PrivateFolder, keeper: Keeper
    ) -> State | None:
        """Give the state to begin with, which a target that keeps one is told, too."""
        if not self.job.state_in_target:
            return keeper.state
        target = commands[-1]
        kept = kept_by(target, self._redactor, lambda: self._go_on(keeper))
        if not kept.state and (before := state_of_before(self.store, self.job.state_key, keeper.stored)):
            return before
        commands[-1] = replace(target, argv=[*target.argv, "--started-from", str(files.write("kept.json", kept.text))])
        if kept.state:
            keeper.acknowledge(kept.state)
        return kept.state or None

    def _go_on(self, keeper: Keeper) -> None:
        """Keep the lease while a program is asked something, and end that when the run is to stop."""
        keeper.keep_lease()
        if not self._signals.empty():
            raise _Stopped

    def _not_begun(self) -> Ending:
        return Ending(status=Status.CANCELLED, signal=self._signals.get(), failure="It was stopped before it began.")

    def _state_for_tap(self, state: State | None) -> State | None:
        if state is None or "*" in self.job.full_refresh:
            return None
        bookmarked = list(bookmarks_of(state)) if names_streams(state) else []
        for stream in self.job.full_refresh.difference(bookmarked):
            hint = suggestion(stream, bookmarked)
            self.listener.log("singerkit", f"no bookmark of a stream '{stream}' is there to be left out{hint}")
        return without_streams(state, self.job.full_refresh)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop as by a signal; for who runs this outside the main thread."""
        self._signals.put(number)

    # After the load -------------------------------------------------------------------------------------------------

    def _after(self, ending: Ending, keeper: Keeper) -> Ending:
        failed = follow(
            self.job,
            facts=facts_for_steps(self.id, self.job.name, ending.progress.sent.records, keeper.stored),
            log=self.listener.log,
            redactor=self._redactor,
            signals=self._signals,
            tick=keeper.keep_lease,
        )
        if failed is None:
            return ending
        return replace(ending, status=failed.status, failure=failed.failure, signal=failed.signal)


def _facts_of(ending: Ending) -> dict[str, Any]:
    progress = ending.progress
    return {
        "read": progress.read.by_stream(),
        "waited_for_tap_s": round(progress.sent.waited_for_writer_s, 3),
        "waited_for_target_s": round(progress.sent.waited_for_reader_s, 3),
        "states": progress.states,
        "codes": dict(ending.codes),
        "culprit": ending.culprit,
        "will_recur": ending.will_recur,
        "metrics": {name: dict(metrics) for name, metrics in ending.metrics.items() if metrics},
        **refused_fact(ending.metrics.values()),
    }
