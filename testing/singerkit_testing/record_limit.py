"""Reading only the first records of each stream, so that the tests of a large source end."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def limit_records(tap: Any, limit: int | None) -> None:
    """Let each stream of a tap give so many records in all, over all of its contexts; None: all."""
    if limit is None:
        return
    for stream in tap.streams.values():
        stream.get_records = _limited(stream.get_records, limit)


def _limited(get_records: Callable[[Any], Any], limit: int) -> Callable[[Any], Iterator[Any]]:
    lock = threading.Lock()
    given = 0

    def first_records(context: Any) -> Iterator[Any]:
        nonlocal given
        for record in get_records(context):
            with lock:
                if given >= limit:
                    return
                given += 1
            yield record

    return first_records
