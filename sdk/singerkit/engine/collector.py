"""The garbage collector, while records move: they hold no cycles, so looking through them is in vain."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_THRESHOLD = 50_000


@contextmanager
def calm_collector() -> Iterator[None]:
    """Leave out of collections what is loaded so far, and collect rarely, as long as this lasts."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_THRESHOLD, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
