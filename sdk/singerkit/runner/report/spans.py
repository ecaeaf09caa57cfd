"""Spans of time for people."""

from __future__ import annotations

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def span(seconds: float | None) -> str:
    """Give a span of seconds: ``42.1 s``, ``3 min 20 s``, ``2 h 5 min``, ``3 d 4 h``; empty for ``None``."""
    if seconds is None:
        return ""
    if seconds < _MINUTE:
        return f"{max(seconds, 0.0):.1f} s"
    whole = int(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    if whole < 2 * _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"
