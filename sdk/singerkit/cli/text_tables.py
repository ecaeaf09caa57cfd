"""Rows as lines of text: complete also where nobody reads them on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from singerkit.telemetry.redact import escape_controls


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Give a line for the head and for each row, columns as wide as their widest cell."""
    lines = [head, *[[escape_controls(cell) for cell in row] for row in rows]]
    widths = [max(len(line[at]) for line in lines) for at in range(len(head))]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
