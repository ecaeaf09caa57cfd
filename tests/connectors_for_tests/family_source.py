"""A source with customers, their invoices and the invoices' lines, that can be made to fail at any step.

Records are sorted by ``at``, with ties. A fault is what happens at the n-th record that the source gives, in whatever
order threads ask for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine_runs import stream

from singerkit.engine.spec import StreamSpec

NAMES = ("customers", "invoices", "lines")


@dataclass(frozen=True)
class Shape:
    """How large the family is: customers, invoices a customer, lines an invoice; how many records share an ``at``."""

    customers: int
    invoices: int
    lines: int
    ties: int = 1

    def ids(self, name: str) -> set[int]:
        """Give the ids of all records of a stream."""
        counts = {"customers": 1, "invoices": self.invoices, "lines": self.invoices * self.lines}
        return set(range(self.customers * counts[name]))


class Faults:
    """Counts the records that are given and lets something happen at one of them."""

    def __init__(self, at: int | None = None, happen: Callable[[], Any] = lambda: None) -> None:
        self._at = at
        self._happen = happen
        self._given = 0
        self._lock = threading.Lock()

    def step(self, record: dict[str, Any]) -> dict[str, Any]:
        """Give the record, or what is to happen in its place."""
        with self._lock:
            self._given += 1
            due = self._given == self._at
        return (self._happen() or record) if due else record


def family(
    shape: Shape,
    state: Mapping[str, Any] | None,
    faults: Faults,
    *,
    keys: Mapping[str, str | None],
    is_sorted: bool = True,
) -> list[StreamSpec]:
    """Declare the three streams, which go on from the state; ``keys`` says which are incremental."""

    def read(name: str, count: int, multiply: int) -> Callable[[Any], Iterator[dict[str, Any]]]:
        def records(context: Any) -> Iterator[dict[str, Any]]:
            parent = 0 if context is None else context["parent"]
            start = _start(state, name, context) if keys[name] else None
            first = parent * multiply
            numbers = range(first, first + count)
            for number in numbers if is_sorted else reversed(numbers):
                at = number // shape.ties
                if start is None or at >= start:
                    yield faults.step({"id": number, "at": at, "parent": parent})

        return records

    def declare(name: str, parent: str | None, count: int, multiply: int) -> StreamSpec:
        reader = read(name, count, multiply)
        return stream(name, reader, key=keys[name], parent=parent, is_sorted=is_sorted)

    return [
        declare("customers", None, shape.customers, 0),
        declare("invoices", "customers", shape.invoices, shape.invoices),
        declare("lines", "invoices", shape.lines, shape.lines),
    ]


def _start(state: Mapping[str, Any] | None, name: str, context: Any) -> Any:
    entry = (state or {}).get("bookmarks", {}).get(name, {})
    if context is not None:
        entry = next((e for e in entry.get("partitions", ()) if e["context"] == context), {})
    return entry.get("replication_key_value")
