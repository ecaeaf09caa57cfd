"""The log: where it goes, in which form, how much of it.

One handler on the root logger, so that the loggers of authors and libraries are redacted, escaped and cut like ours.
"""

from __future__ import annotations

import codecs
import io
import json
import logging
import os
import re
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any, TextIO

from singerkit.telemetry.redact import Redactor, escape_controls

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LEVELS = ("debug", "info", "warning", "error", "critical")

#: Characters of one log line, and lines of detail below it; together they keep a failure within 64 KiB of log.
MAX_LINE = 4_000
MAX_DETAILS = 40
MAX_DETAIL = 250
_MAX_TRACEBACK_LINES = 60

_INDENT = "\n  "


def setup_logging(
    name: str,
    level: str | None = None,
    json_format: bool = False,
    stream: TextIO | None = None,
    redactor: Redactor | None = None,
) -> None:
    """Send the log to ``stream`` (stderr) as text or JSON lines, from ``level`` on; replaces what was set before.

    ``level`` None: the environment decides, see :func:`log_level`.
    """
    level = level or log_level(name, os.environ)
    formatter = _JsonFormatter(name, redactor) if json_format else _LineFormatter(redactor)
    handler = _LogHandler(stream or sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [*(other for other in root.handlers if not _prints(other)), handler]
    root.setLevel(level.upper())
    logging.raiseExceptions = False  # a log line that can't be written must not become a traceback
    logging.captureWarnings(True)
    threading.excepthook = _log_thread_failure
    # This library logs URLs with their queries, and queries hold credentials: at debug level those of all requests, as
    # warnings those whose answers have odd headers, which is for the server to choose.
    logging.getLogger("urllib3").setLevel(max(root.level, logging.ERROR))


class _LogHandler(logging.StreamHandler[TextIO]):
    """The handler of :func:`setup_logging`; of its own class so that a later call finds it."""


def _prints(handler: logging.Handler) -> bool:
    """Tell whether a handler is ours, or prints beside ours and without redaction (``logging.basicConfig``)."""
    printed = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    return isinstance(handler, _LogHandler) or getattr(handler, "stream", None) in printed


def _log_thread_failure(failure: threading.ExceptHookArgs) -> None:
    """Log what ended a thread; Python would print a traceback, which nobody redacts."""
    if failure.exc_value is not None:
        trace = (failure.exc_type, failure.exc_value, failure.exc_traceback)
        logging.getLogger(__name__).error("a thread has failed", exc_info=trace)


def log_level(name: str, environ: Mapping[str, str]) -> str:
    """Give the level that ``TAP_X_LOGLEVEL``, ``SINGERKIT_LOG_LEVEL`` or ``LOGLEVEL`` asks for; else info."""
    own = name.upper().replace("-", "_") + "_LOGLEVEL"
    wanted = environ.get(own) or environ.get("SINGERKIT_LOG_LEVEL") or environ.get("LOGLEVEL") or "info"
    return wanted.lower() if wanted.lower() in LEVELS else "info"


class _Formatter(logging.Formatter):
    """What both forms share: every text is redacted, then escaped, then cut."""

    def __init__(self, redactor: Redactor | None) -> None:
        super().__init__()
        self._redact = (redactor or Redactor()).redact

    def _clean(self, text: str, limit: int) -> str:
        # Redact first: a secret that is cut in two, or escaped, would not be recognised any more.
        text = escape_controls(self._redact(text))
        return text if len(text) <= limit else f"{text[:limit]}... ({len(text) - limit} more characters)"

    def _message(self, record: logging.LogRecord) -> str:
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - an author's wrong log call must not stop the run
            message = str(record.msg)
        if record.exc_info and not _is_debugging():
            message += f": {describe_exception(record.exc_info[1])}"
        return self._clean(message, MAX_LINE)

    def _details(self, record: logging.LogRecord) -> list[str]:
        """Give the lines below the message: the caller's ``extra={"details": [...]}``, then the traceback."""
        given: Sequence[str] = getattr(record, "details", ())
        shown = [*given[:MAX_DETAILS]]
        if len(given) > MAX_DETAILS:
            shown.append(f"... ({len(given) - MAX_DETAILS} more)")
        if record.exc_info and _is_debugging():
            text = "".join(traceback.format_exception(*record.exc_info))
            # Not those that only point into the line above, which newer Pythons have many of.
            shown += [line for line in text.splitlines() if line.strip(" ~^")][-_MAX_TRACEBACK_LINES:]
        return [self._clean(line, MAX_DETAIL) for line in shown]


class _LineFormatter(_Formatter):
    """``2026-01-01T00:00:00Z INFO tap-x: message``; details are indented, so that none passes for a line of the log."""

    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        head = f"{when} {record.levelname} {self._clean(record.name, 100)}: {self._message(record)}"
        help_page = getattr(record, "help_page", None)
        return _INDENT.join([head, *self._details(record), *([f"help: {help_page}"] if help_page else [])])


class _JsonFormatter(_Formatter):
    """One JSON object a line, with the keys that runners read."""

    def __init__(self, name: str, redactor: Redactor | None) -> None:
        super().__init__(redactor)
        self._app_name = name

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "level": record.levelname.lower(),
            "ts": record.created,
            "logger_name": self._clean(record.name, 100),
            "app_name": self._app_name,
            "pid": record.process,
            "thread_name": record.threadName,
            "stream_name": getattr(record, "stream_name", None),
            "message": self._message(record),
        }
        if details := self._details(record):
            fields["details"] = details
        if help_page := getattr(record, "help_page", None):
            fields["help"] = help_page
        if metric := getattr(record, "metric_info", None):
            fields["metric_info"] = json.loads(self._redact(json.dumps(metric)))
        return json.dumps(fields)


_NAMING_ERRORS = (LookupError, AttributeError, NameError, ImportError, TypeError, OSError)
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)+'|\"(?:[^\"\\]|\\.)+\"")
#: What a key is called, as against what a record holds.
_IDENTIFIER = re.compile(r"['\"][A-Za-z0-9_-]{1,64}['\"]")
#: What the engine notes on an exception: it quotes a stream, no value.
_OF_ENGINE = re.compile(r"in (?:the sink of )?stream '")
_MOST_NOTES = 4
# `os.path` because pathlib costs start-up time.
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep  # noqa: PTH100, PTH120
_PYTHON = os.path.dirname(os.path.abspath(os.__file__)) + os.sep  # noqa: PTH100, PTH120


def _is_debugging() -> bool:
    return logging.getLogger().isEnabledFor(logging.DEBUG)


def describe_exception(error: BaseException | None) -> str:
    """Give one line for an exception that nobody foresaw: its type, its text, where it was raised.

    What the text quotes is masked unless the exception is of a kind that quotes names only: it may be a record's value.
    """
    if error is None:
        return "no exception"
    text = str(error)
    if not _is_debugging():
        if isinstance(error, KeyError):
            text = _QUOTED.sub(lambda key: key[0] if _IDENTIFIER.fullmatch(key[0]) else "'…'", text)
        elif not isinstance(error, _NAMING_ERRORS):
            text = _QUOTED.sub("'…'", text)
    place = place_of(error)
    return type(error).__name__ + (f": {text}" if text else "") + (f" at {place}" if place else "")


def notes_of(error: BaseException) -> list[str]:
    """Give what was noted on an exception; what notes of others than the engine quote is masked."""
    noted = getattr(error, "__notes__", None)
    notes = [note for note in noted if isinstance(note, str)] if isinstance(noted, list) else []
    if not _is_debugging():
        notes = [note if _OF_ENGINE.match(note) else _QUOTED.sub("'…'", note) for note in notes]
    return notes[-_MOST_NOTES:]


def place_of(error: BaseException) -> str:
    """Give file and line where an exception was raised; empty if it never was.

    Where Python's own library raised it, the place is that of the call.
    """
    place = _place(error)
    return f"{os.path.basename(place[0])}:{place[1]}" if place else ""  # noqa: PTH119 - see _PACKAGE


def is_internal(error: BaseException) -> bool:
    """Tell whether it was singerkit's own code that an exception came from, and not an author's or a library's."""
    place = _place(error)
    return place is None or place[0].startswith(_PACKAGE)


def _place(error: BaseException) -> tuple[str, int] | None:
    places: list[tuple[str, int]] = []
    step = error.__traceback__
    while step is not None:
        places.append((step.tb_frame.f_code.co_filename, step.tb_lineno))
        step = step.tb_next
    outside = (place for place in reversed(places) if not _is_python(place[0]))
    return next(outside, places[-1] if places else None)


def _is_python(file: str) -> bool:
    return file.startswith("<frozen ") or (file.startswith(_PYTHON) and "-packages" not in file)


class LoggedOutput(io.TextIOBase):
    """Stands in for ``sys.stdout`` while an author's code runs: what it prints becomes lines of the log.

    It has what text files have; who asks for the descriptor gets that of stderr.
    """

    encoding = "utf-8"
    errors = "backslashreplace"
    name = "<stdout>"
    mode = "w"
    line_buffering = True
    write_through = True

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__()
        self._logger = logger
        self._unfinished = ""
        self.buffer = _LoggedBytes(self)

    def writable(self) -> bool:
        """Say yes: it can be printed to."""
        return True

    def write(self, text: str) -> int:
        """Log each line that is complete."""
        *lines, self._unfinished = (self._unfinished + text).split("\n")
        for line in lines:
            self._logger.info("%s", line)
        return len(text)

    def fileno(self) -> int:
        """Give the descriptor of stderr, for child processes and C libraries.

        Errors: ``io.UnsupportedOperation`` when there is no stderr.
        """
        return _fileno_of_stderr()

    def reconfigure(self, **options: Any) -> None:
        """Accept what text files accept: a log line is always written at once, in UTF-8."""

    def finish(self) -> None:
        """Log what was printed without a line end."""
        self.buffer.finish()
        if self._unfinished:
            self.write("\n")


class _LoggedBytes(io.BufferedIOBase):
    """The ``buffer`` of :class:`LoggedOutput`, for code that prints bytes."""

    name = "<stdout>"
    mode = "wb"

    def __init__(self, text: LoggedOutput) -> None:
        super().__init__()
        self._text = text
        self._decoder = _new_decoder()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        given = bytes(memoryview(data))
        self._text.write(self._decoder.decode(given))
        return len(given)

    def fileno(self) -> int:
        return _fileno_of_stderr()

    def finish(self) -> None:
        """Let go of a character that was not written to its end."""
        self._text.write(self._decoder.decode(b"", final=True))


def _new_decoder() -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder(LoggedOutput.encoding)(LoggedOutput.errors)


def _fileno_of_stderr() -> int:
    if sys.stderr is None:
        raise io.UnsupportedOperation("fileno")
    return sys.stderr.fileno()
