"""The boundary of a run: whatever happens inside ends as log lines and an exit code, never as a traceback.

The last line names the page that helps.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from singerkit import help_pages
from singerkit.errors import ConfigurationError, OutputClosed, SingerKitError

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterator

EXIT_FAILED = 1
EXIT_INTERRUPTED = 128 + 2


def boundary(name: str, work: Callable[[], object]) -> int:
    """Do the work and give the exit code: what ``work`` returns if that is an int, else 0; the error's, if it fails.

    A failure becomes one message of the log, under ``name``; the traceback is shown at log level debug only.
    """
    try:
        result = work()
    except OutputClosed:
        return OutputClosed.exit_code
    except SingerKitError as error:
        _report(name, error)
        return error.exit_code
    except KeyboardInterrupt:
        _logger(name).warning("interrupted")
        return EXIT_INTERRUPTED
    except SystemExit as request:
        return _honour_exit(name, request)
    except BaseException as error:  # noqa: BLE001 - the boundary: nothing may pass it, `asyncio.CancelledError` neither
        _report_unforeseen(name, error)
        return EXIT_FAILED
    return result if isinstance(result, int) and not isinstance(result, bool) else 0


def _logger(name: str) -> logging.Logger:
    """Give the plugin's logger; sets up logging if the failure came before that was done."""
    # Imported here: `--help`, `--about` and `--version` log nothing, and start faster without it.
    import logging

    from singerkit.telemetry.logs import setup_logging
    from singerkit.telemetry.redact import redactor

    if not logging.getLogger().handlers:
        setup_logging(name, redactor=redactor)
    return logging.getLogger(name)


def _report(name: str, error: SingerKitError) -> None:
    details: list[str] = getattr(error, "errors", None) or getattr(error, "violations", None) or []
    # The description repeats the details as lines; the log shows each below the message, escaped by itself.
    headline = error.describe().removesuffix("".join(f"\n  {line}" for line in details))
    if not details:  # of a program that was asked something, and failed: the end of its log
        headline, *details = headline.split("\n  ")
    _critical(name, headline, error, details, help_pages.page_on_error(type(error)))


def _report_unforeseen(name: str, error: BaseException) -> None:
    from singerkit.telemetry.logs import describe_exception, is_internal, notes_of, place_of

    section = help_pages.CONNECTOR_CODE
    if isinstance(error, OSError) and error.strerror:  # the machine's state, not the connector's mistake
        section = help_pages.MACHINE
        file = f" '{error.filename}'" if error.filename else ""
        message = f"{error.strerror}{file} (at {place_of(error)})"
    elif is_internal(error):
        section = help_pages.INTERNAL
        message = f"internal error: {describe_exception(error)}"
    else:
        message = describe_exception(error)
    # The notes say in which stream it was.
    _critical(name, ": ".join([*notes_of(error), message]), error, [], help_pages.page_on_error(section))


def _critical(name: str, message: str, error: BaseException | None, details: list[str], help_page: str) -> None:
    logger = _logger(name)
    trace = error if logger.isEnabledFor(10) else None  # 10 is logging.DEBUG
    logger.critical("%s", message, exc_info=trace, extra={"details": details, "help_page": help_page})


def _honour_exit(name: str, request: SystemExit) -> int:
    """Give the code that was asked for; success is not for the connector's code to declare halfway."""
    if isinstance(request.code, int) and request.code != 0:
        return request.code
    reason = f": {request.code}" if isinstance(request.code, str) else ""
    message = f"the run was ended by a call of sys.exit(){reason}"
    _critical(name, message, None, [], help_pages.page_on_error(help_pages.CONNECTOR_CODE))
    return EXIT_FAILED


@contextmanager
def author_code(name: str) -> Iterator[None]:
    """While this lasts, what the author's code prints goes to the log: stdout belongs to the protocol.

    What is written past ``sys.stdout``, by a C library or a child process, goes to stderr.
    """
    from singerkit.telemetry.logs import LoggedOutput

    printed = LoggedOutput(_logger(name))
    real, sys.stdout = sys.stdout, printed
    try:
        with _descriptor_1_to_stderr():
            yield
    finally:
        sys.stdout = real
        printed.finish()


@contextmanager
def _descriptor_1_to_stderr() -> Iterator[None]:
    try:
        before = os.dup(1)
        os.dup2(2, 1)
    except OSError:  # one of them is closed, so there is nothing to keep apart
        yield
        return
    try:
        yield
    finally:
        os.dup2(before, 1)
        os.close(before)


def write_stdout(text: str) -> None:
    """Print to stdout, to the end: lines, the last one with its end; of no text nothing.

    Errors: ``OutputClosed`` when the reader is gone; ``ConfigurationError`` when there is no stdout.
    """
    if sys.stdout is None:
        raise ConfigurationError("stdout is closed, so the text has nowhere to go: send it to a program or a file")
    try:
        sys.stdout.write(text + "\n" if text and not text.endswith("\n") else text)
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still buffered would fail again when Python ends, with a message.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputClosed("the program that read our output has ended") from None
