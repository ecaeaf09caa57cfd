"""Steps that follow a success: shell commands, one after the other, until one fails."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from singerkit.clock import monotonic
from singerkit.runner.job import Job
from singerkit.runner.signals import rest
from singerkit.runner.store.base import StoredState
from singerkit.runner.supervise.children import describe_code
from singerkit.runner.supervise.outcome import Status
from singerkit.telemetry.redact import Redactor


@dataclass(frozen=True)
class Failed:
    """What a run whose data were loaded comes to by a step that failed, or was stopped by a signal."""

    status: Status
    failure: str
    signal: int | None = None


def follow(
    job: Job,
    *,
    facts: Mapping[str, str],
    log: Callable[[str, str], None],
    redactor: Redactor,
    signals: SimpleQueue[int],
    tick: Callable[[], None],
) -> Failed | None:
    """Run the steps that follow a success of a job; ``facts`` and ``tick`` are as for :func:`run_step`.

    Errors: what ``tick`` raises.
    """
    failed = run_steps(
        job.after,
        facts=facts,
        folder=job.folder,
        show=lambda line: log("after", redactor.redact(line)),
        signals=signals,
        tick=tick,
        grace_s=job.limits.grace_s,
    )
    if failed is None:
        return None
    step, code = redactor.redact(failed[0]), failed[1]
    if not signals.empty():
        failure = f"The data were loaded; the step `{step}` that follows was stopped."
        return Failed(Status.CANCELLED, failure, signals.get())
    failure = f"The data were loaded; the step `{step}` that follows failed ({describe_code(code)})."
    return Failed(Status.AFTER_FAILED, failure)


def facts_for_steps(run: str, pipeline: str, records: Mapping[str, int], state: StoredState | None) -> dict[str, str]:
    """Give what steps are told, as variables of their environment; ``records`` are by stream."""
    return {
        "SINGERKIT_RUN_ID": run,
        "SINGERKIT_PIPELINE": pipeline,
        "SINGERKIT_STATUS": str(Status.SUCCESS),
        "SINGERKIT_RECORDS": str(sum(records.values())),
        "SINGERKIT_STREAMS": ",".join(sorted(records)),
        "SINGERKIT_STATE_REVISION": str(state.revision if state else ""),
    }


def run_steps(steps: Sequence[str], **given: Any) -> tuple[str, int] | None:
    """Run steps until one fails; give that one and its exit code, or ``None``. ``given`` is as for :func:`run_step`."""
    for step in steps:
        given["show"](f"$ {step}")
        if code := run_step(step, **given):
            return step, code
    return None


def run_step(
    step: str,
    *,
    facts: Mapping[str, str],
    folder: Path | None,
    show: Callable[[str], None],
    signals: SimpleQueue[int],
    tick: Callable[[], None],
    grace_s: float,
) -> int:
    """Run one step and give its exit code; ``facts`` are added to its environment, its output is shown line by line.

    A signal to the runner ends it, by force after ``grace_s``; ``tick`` is called several times a second meanwhile, and
    when it raises, the step is ended at once: it may be somebody else's turn.
    """
    process = subprocess.Popen(  # noqa: S602 - a shell command of the user's project
        step,
        shell=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **facts},
        cwd=folder,
        start_new_session=True,
        text=True,
        errors="replace",
    )

    def show_lines() -> None:
        assert process.stdout is not None  # noqa: S101 - a pipe, above
        with process.stdout as lines:
            for line in lines:
                show(line.rstrip("\n"))

    reader = threading.Thread(target=show_lines, daemon=True)
    reader.start()
    try:
        _wait(process, signals, tick, grace_s)
    except BaseException:
        _end(process, signal.SIGKILL)
        process.wait()
        raise
    reader.join(1)
    return process.returncode


def _wait(process: subprocess.Popen[str], signals: SimpleQueue[int], tick: Callable[[], None], grace_s: float) -> None:
    asked_at: float | None = None
    while process.poll() is None:
        tick()
        if asked_at is None and signals.empty():
            rest(signals)
            continue
        if asked_at is None:
            asked_at = monotonic()
            _end(process, signal.SIGTERM)  # once: what it starts to clean up is of its group too
        elif monotonic() - asked_at > grace_s:
            _end(process, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.2)


def _end(process: subprocess.Popen[str], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
