"""Tells people how runs end: webhooks and commands of the project, on failure, recovery and success."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from singerkit.protocol.codec import encode
from singerkit.runner.project import Notice
from singerkit.runner.store.base import RunRecord
from singerkit.telemetry.redact import Redactor

FAILURE, RECOVERY, SUCCESS = "failure", "recovery", "success"
_TIMEOUT_S = 20.0


def events_of(record: RunRecord, before: RunRecord | None) -> frozenset[str]:
    """Give what the end of a run is; ``before`` is the run of the same pipeline before it."""
    if record.status != SUCCESS:
        return frozenset({FAILURE})
    recovered = before is not None and before.status not in (SUCCESS, "running")
    return frozenset({SUCCESS, RECOVERY} if recovered else {SUCCESS})


def notify(notices: Iterable[Notice], record: RunRecord, before: RunRecord | None, warn: Callable[[str], None]) -> None:
    """Tell everybody who asked to be told; who can't be reached is warned of and changes nothing.

    A webhook gets a POST with a JSON object: ``event``, ``text`` (one sentence) and ``run``. A command gets the same
    on its stdin, and ``SINGERKIT_EVENT``, ``SINGERKIT_PIPELINE``, ``SINGERKIT_RUN_ID`` and ``SINGERKIT_STATUS``.
    """
    events = events_of(record, before)
    for notice in notices:
        asked = notice.on & events
        if not asked or not notice.concerns(record.pipeline):
            continue
        event = RECOVERY if RECOVERY in asked else next(iter(asked))
        redactor = Redactor(notice.secrets)
        try:
            _tell(notice, message_of(event, record), record)
        except (OSError, subprocess.SubprocessError, ValueError) as error:  # requests' errors are of OSError
            warn(redactor.redact(f"notify.{notice.name} could not be told: {_reason(error)}"))


def message_of(event: str, record: RunRecord) -> dict[str, Any]:
    """Give what is sent."""
    records = sum(counts["records"] for counts in record.streams.values())
    words = {
        FAILURE: f"{record.pipeline} failed ({record.status}): {record.failure or 'no reason was given'}",
        RECOVERY: f"{record.pipeline} succeeds again: {records:,} records",
        SUCCESS: f"{record.pipeline} succeeded: {records:,} records",
    }
    return {"event": event, "text": words[event], "run": msgspec.to_builtins(record)}


def _tell(notice: Notice, message: Mapping[str, Any], record: RunRecord) -> None:
    body = encode(message)
    if notice.url:
        import requests  # only who is told by a webhook waits for its import

        headers = {"Content-Type": "application/json", **notice.headers}
        answer = requests.post(notice.url, data=body, headers=headers, timeout=_TIMEOUT_S, allow_redirects=False)
        if answer.status_code >= 300:
            raise ValueError(f"it answered with status {answer.status_code}")
        return
    environment = {
        **os.environ,
        "SINGERKIT_EVENT": message["event"],
        "SINGERKIT_PIPELINE": record.pipeline,
        "SINGERKIT_RUN_ID": record.id,
        "SINGERKIT_STATUS": record.status,
    }
    subprocess.run(  # noqa: S603 - a command of the user's project
        notice.command, input=body, env=environment, stdout=subprocess.DEVNULL, timeout=_TIMEOUT_S, check=True
    )


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return f"the command ended with exit code {error.returncode}"
    if isinstance(error, subprocess.TimeoutExpired):
        return f"the command took more than {_TIMEOUT_S:g} s"
    if type(error).__module__.startswith("requests"):
        return type(error).__name__  # its text holds the URL
    return str(error)
