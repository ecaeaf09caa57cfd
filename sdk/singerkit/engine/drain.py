"""Is a batch full? By rows, by bytes, or because its oldest record has waited long enough."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DrainRule:
    """When a stream's records are handed to its sink.

    Units: rows; bytes of message lines; seconds since the oldest record of the batch came.
    """

    max_rows: int
    max_bytes: int
    max_age_s: float

    def is_full(self, rows: int, line_bytes: int) -> bool:
        """Tell whether a batch of this size has to be drained before more is added."""
        return rows >= self.max_rows or line_bytes >= self.max_bytes
