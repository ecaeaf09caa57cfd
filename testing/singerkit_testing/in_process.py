"""Running a connector inside this process while what it writes to its standard output is kept.

A connector takes file descriptor 1 for itself, so that is what is exchanged, not only ``sys.stdout``. It runs in a
thread of its own: signals stay with whoever runs the tests.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
import threading
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def captured(work: Callable[[], object]) -> tuple[str, str]:
    """Do the work and give what it wrote to stdout and to stderr.

    Errors: whatever the work raises, ``SystemExit`` included.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with _exchanged(1, "stdout", out), _exchanged(2, "stderr", err):
            _in_thread(work)
        return _text_of(out), _text_of(err)


def buffers(work: Callable[[], object]) -> tuple[io.TextIOWrapper, io.TextIOWrapper]:
    """Do the work and give what it wrote to stdout and to stderr as text files to read."""
    out, err = (io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8") for text in captured(work))
    return out, err


@contextlib.contextmanager
def _exchanged(descriptor: int, name: str, file: IO[bytes]) -> Iterator[None]:
    before: IO[str] = getattr(sys, name)
    before.flush()
    kept = os.dup(descriptor)
    os.dup2(file.fileno(), descriptor)
    writer = open(os.dup(descriptor), "w", encoding="utf-8")  # noqa: SIM115, PTH123 - closed below
    setattr(sys, name, writer)
    try:
        yield
    finally:
        setattr(sys, name, before)
        writer.close()
        os.dup2(kept, descriptor)
        os.close(kept)


def _in_thread(work: Callable[[], object]) -> None:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as failure:  # noqa: BLE001 - raised below
            failures.append(failure)

    thread = threading.Thread(target=run, name="connector", daemon=True)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def _text_of(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")
