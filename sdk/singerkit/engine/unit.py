"""Parts of a tap's work that can be read by themselves: a stream with those below it, or one partition of it.

A runner asks a tap for its units and has each read by a process of its own. A unit is JSON on one line:
``{"stream": "orders", "streams": ["orders", "order_lines"], "context": {"shop": 7}}``; ``streams`` are the selected
ones of the lineage, ``context`` is there for a partition.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from singerkit.config.problems import suggestion
from singerkit.engine.plan import StreamPlan, TapPlan
from singerkit.errors import ConfigurationError
from singerkit.types import Context


@dataclass(frozen=True)
class Unit:
    """A stream without a parent, all of it or one partition."""

    stream: str
    context: Context | None = None


def parse_unit(text: str) -> Unit:
    """Read a unit as :func:`units_of` gives it.

    Errors: ``ConfigurationError`` for what is none.
    """
    try:
        members = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"--unit wants JSON as --units writes it: {error}") from None
    stream = members.get("stream") if isinstance(members, dict) else None
    context = members.get("context") if isinstance(members, dict) else None
    if not isinstance(stream, str) or not (context is None or isinstance(context, dict)):
        raise ConfigurationError("--unit wants an object with a 'stream', and a 'context' for one of its partitions")
    return Unit(stream, context)


def units_of(plan: TapPlan) -> Iterator[dict[str, Any]]:
    """Give every unit of a tap's plan; asks streams for their partitions."""
    for root in plan.roots:
        streams = [stream.spec.tap_stream_id for stream in _lineage(root) if stream.selected]
        unit: dict[str, Any] = {"stream": root.spec.tap_stream_id, "streams": streams}
        contexts = list(root.spec.partitions() or ())
        yield from ({**unit, "context": context} for context in contexts)
        if not contexts:
            yield unit


def plan_of_unit(plan: TapPlan, unit: Unit) -> TapPlan:
    """Give the plan that reads one unit and nothing else.

    Errors: ``ConfigurationError`` when no stream of that name is read without a parent.
    """
    roots = {root.spec.tap_stream_id: root for root in plan.roots}
    if unit.stream not in roots:
        hint = suggestion(unit.stream, list(roots))
        raise ConfigurationError(f"--unit: '{unit.stream}' is no selected stream without a parent{hint}")
    root = roots[unit.stream]
    if unit.context is not None:
        contexts = [unit.context]
        root = replace(root, spec=replace(root.spec, partitions=lambda: contexts))
    return TapPlan((root,), tuple(_lineage(root)))


def _lineage(root: StreamPlan) -> Iterator[StreamPlan]:
    """Give a stream and those below it, parents first."""
    yield root
    for child in root.children:
        yield from _lineage(child)
