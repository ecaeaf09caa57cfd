"""What an author subclasses to store records."""

from __future__ import annotations

from singerkit.sinks.core import BatchSink, RecordSink, Sink

__all__ = ["BatchSink", "RecordSink", "Sink"]
