"""A batch as a file that another piece of software reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def in_memory(data: bytes) -> Iterator[str]:
    """Give the path of a file with this content; it is gone afterwards, and when the process is killed."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("batch")
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(file, rest) :]
            yield f"/proc/self/fd/{file}"
        finally:
            os.close(file)
        return
    from tempfile import NamedTemporaryFile

    with NamedTemporaryFile(suffix=".jsonl") as temporary:
        temporary.write(data)
        temporary.flush()
        yield temporary.name
