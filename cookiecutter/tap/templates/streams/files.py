"""The streams: what the files hold."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from singerkit import Stream
from singerkit import typing as th


class Measurements(Stream):
    """The rows of CSV files that are called after their day; a second run skips those before the last one."""

    name = "measurements"
    primary_keys = ("file", "line")
    replication_key = "file"
    is_sorted = True
    schema = th.PropertiesList(
        th.Property("file", th.StringType, required=True, description="The file's name."),
        th.Property("line", th.IntegerType, required=True, description="The line in the file, from 2."),
        th.Property("sensor", th.StringType),
        th.Property("at", th.DateTimeType),
        th.Property("celsius", th.NumberType),
    ).to_dict()

    def get_records(self, context: Any) -> Iterator[dict[str, Any]]:
        """Read the files in the order of their names, from the bookmark on."""
        first = self.get_starting_replication_key_value(context) or ""
        for path in sorted(Path(self.config["folder"]).glob("*.csv")):
            if path.name >= first:
                yield from self._rows(path)

    def _rows(self, path: Path) -> Iterator[dict[str, Any]]:
        with path.open(newline="", encoding="utf-8") as file:
            for line, row in enumerate(csv.DictReader(file), start=2):
                celsius = float(row["celsius"]) if row["celsius"] else None
                yield {"file": path.name, "line": line, **row, "celsius": celsius}
