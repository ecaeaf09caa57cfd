"""What batches leave behind in memory is kept for the next ones."""

from __future__ import annotations

from contextlib import suppress
from functools import cache

#: Of glibc's mallopt(3): what the heap may have free at its end, and from what size on a block is mapped by itself.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 128 * 1024 * 1024
#: The largest that glibc takes.
_MAPPED_BYTES = 32 * 1024 * 1024


@cache
def keep_freed_memory() -> None:
    """Have the C library keep what is freed, where it is glibc: else each batch has the system clear the pages anew.

    That takes a twentieth of a load's time, for some megabytes at the peak.
    """
    with suppress(ImportError, AttributeError, OSError, TypeError):  # another C library, or another system
        import ctypes

        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_MMAP_THRESHOLD, _MAPPED_BYTES)
