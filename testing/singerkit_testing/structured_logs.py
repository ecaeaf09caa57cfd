"""Whether a log is structured, as a connector declares that it can be: JSON objects, one a line."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from singerkit_testing.folders import write_document
from singerkit_testing.rules import Finding, NotApplicable, Severity
from singerkit_testing.wire import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singerkit_testing.process import Outcome

TITLE = "with structured logging each line of the log is a JSON object with level, message and time"
SOURCE = "Meltano SDK, logging: structured logging (an extension)"
REMEDY = "Send what is logged, warnings and the last error too, through one formatter; print nothing to stderr."
LEVELS = frozenset({"trace", "debug", "info", "warning", "warn", "error", "critical", "fatal"})
_TIMES = ("ts", "timestamp", "time", "@timestamp", "asctime")
# Python's own dictionary of a log's configuration, as runners write it for connectors of that SDK.
_CONFIGURATION: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"structured": {"()": "singer_sdk.logging.StructuredFormatter"}},
    "handlers": {"log": {"class": "logging.StreamHandler", "formatter": "structured", "stream": "ext://sys.stderr"}},
    "root": {"level": "INFO", "handlers": ["log"]},
}


@contextmanager
def structured_logging() -> Iterator[dict[str, str | None]]:
    """Give the environment in which a connector that can do it logs JSON: the variables of the SDKs that are known."""
    with tempfile.TemporaryDirectory(prefix="singer-check-log-") as folder:
        path = write_document(Path(folder) / "logging.yaml", _CONFIGURATION)  # JSON is YAML
        yield {"SINGER_SDK_LOG_CONFIG": str(path), "SINGERKIT_LOG_FORMAT": "json"}


def unstructured(good: Outcome, failed: Outcome) -> Iterator[Finding]:
    """Judge the logs of a run that went well and of one that did not; the latter is the lesser evil.

    Errors: ``NotApplicable`` if both logs are empty.
    """
    if not good.stderr.strip() and not failed.stderr.strip():
        raise NotApplicable("nothing was logged")
    yield from _unstructured(good, "in a good run")
    yield from _unstructured(failed, "in a run that fails", Severity.INFO)


def _unstructured(run: Outcome, when: str, severity: Severity | None = None) -> Iterator[Finding]:
    """Give one finding: the first line that is not as it should be, and how many there are."""
    lines = [line for line in run.stderr.split(b"\n") if line.strip()]
    flawed = [(line, flaw) for line in lines if (flaw := _flaw(line))]
    if flawed:
        line, flaw = flawed[0]
        what = f"{when}, {len(flawed)} of {len(lines)} lines of the log are not structured; the first has {flaw}"
        yield Finding(what, line, severity=severity)


def _flaw(line: bytes) -> str | None:
    entry = decode(line).value
    if not isinstance(entry, dict):
        return "no JSON object"
    if str(entry.get("level")).lower() not in LEVELS:
        return "no level"
    if not isinstance(entry.get("message"), str):
        return "no message"
    is_dated = any(isinstance(entry.get(name), str | int | Decimal) for name in _TIMES)
    return None if is_dated else f"no time ({', '.join(_TIMES)})"
