"""Records that a target refused and went on without, as its metrics tell them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from singerkit.runner.store.base import RunRecord

_FACT = "refused"
_METRIC = "refused_record_count"


def refused_fact(metrics: Iterable[Mapping[str, float]]) -> dict[str, dict[str, int]]:
    """Give the fact of a run that holds the refused records by stream; nothing where there were none.

    Shape: ``metrics`` are the counters of each program, by ``METRIC/STREAM``.
    """
    refused: dict[str, int] = {}
    for counters in metrics:
        for name, value in counters.items():
            metric, _, stream = name.partition("/")
            if metric == _METRIC and value:
                refused[stream] = refused.get(stream, 0) + int(value)
    return {_FACT: refused} if refused else {}


def refused_in(record: RunRecord) -> dict[str, int]:
    """Give how many records of each stream a run left out because its target refused them."""
    return dict(record.facts.get(_FACT) or {})


def refused_in_all(records: Iterable[RunRecord]) -> dict[str, dict[str, int]]:
    """Give the fact of a run that these runs are part of."""
    return refused_fact({f"{_METRIC}/{stream}": count for stream, count in refused_in(run).items()} for run in records)
