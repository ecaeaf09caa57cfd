"""A target that validates its input, receives every batch as dicts and stores nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from chosen_sdk import sdk, th


class NoOpSink(sdk.BatchSink):
    """Drops its batches; on request it first writes down what it was given."""

    def process_batch(self, context: dict[str, Any]) -> None:
        records = context["records"]
        if report_file := self.config.get("report_file"):
            _report(Path(report_file), records)


class TargetBenchmark(sdk.Target):
    """The target that is measured."""

    name = "target-benchmark"
    config_jsonschema = th.PropertiesList(th.Property("report_file", th.StringType)).to_dict()
    default_sink_class = NoOpSink


def _report(path: Path, records: list[Any]) -> None:
    """Append one line: how many records, of which Python types, and the first and last of them."""
    line = {
        "records": len(records),
        "types": sorted({type(record).__name__ for record in records}),
        "first": records[0],
        "last": records[-1],
    }
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, default=str) + "\n")


if __name__ == "__main__":
    TargetBenchmark.cli()
