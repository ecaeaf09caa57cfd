"""How pipelines stand, as metrics in the text format of Prometheus, for a textfile collector.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from singerkit.runner.report.freshness import Standing
from singerkit.runner.report.refused import refused_in

_Sample: TypeAlias = tuple[dict[str, str], float]


def exposition(standings: Sequence[Standing]) -> str:
    """Give the metrics; each gauge has a label ``pipeline``."""
    return "".join(line + "\n" for line in _lines(standings))


def _lines(standings: Sequence[Standing]) -> Iterator[str]:
    named = [({"pipeline": standing.pipeline}, standing) for standing in standings]
    yield from _gauge(
        "singerkit_pipeline_healthy",
        "Whether the last run did not fail and the last success is not too old.",
        ((labels, float(standing.is_healthy)) for labels, standing in named),
    )
    yield from _gauge(
        "singerkit_pipeline_stale",
        "Whether the last success is older than it may be.",
        ((labels, float(standing.is_stale)) for labels, standing in named),
    )
    yield from _gauge(
        "singerkit_pipeline_failures_since_success",
        "Runs that failed since the last success.",
        ((labels, float(standing.failures)) for labels, standing in named),
    )
    yield from _gauge(
        "singerkit_pipeline_last_success_timestamp_seconds",
        "When the last success ended, in seconds since 1970.",
        ((labels, run.ended.timestamp()) for labels, standing in named if (run := standing.last_success) and run.ended),
    )
    yield from _gauge(
        "singerkit_pipeline_last_success_duration_seconds",
        "How long the last success took.",
        (
            (labels, (run.ended - run.started).total_seconds())
            for labels, standing in named
            if (run := standing.last_success) and run.ended
        ),
    )
    yield from _gauge(
        "singerkit_pipeline_last_success_records",
        "Records that the last success sent to the target, by stream.",
        (
            ({**labels, "stream": stream}, float(counts["records"]))
            for labels, standing in named
            if standing.last_success
            for stream, counts in standing.last_success.streams.items()
        ),
    )
    yield from _gauge(
        "singerkit_pipeline_last_success_refused_records",
        "Records that the target of the last success refused and left out, by stream.",
        (
            ({**labels, "stream": stream}, float(count))
            for labels, standing in named
            if standing.last_success
            for stream, count in refused_in(standing.last_success).items()
        ),
    )
    yield from _gauge(
        "singerkit_bookmark_lag_seconds",
        "How old a stream's bookmark is.",
        (({**labels, "stream": stream}, lag) for labels, standing in named for stream, lag in standing.lags.items()),
    )


def _gauge(name: str, sentence: str, samples: Iterable[_Sample]) -> Iterator[str]:
    yield f"# HELP {name} {sentence}"
    yield f"# TYPE {name} gauge"
    for labels, value in samples:
        shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        yield f"{name}{{{shown}}} {value:.17g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
