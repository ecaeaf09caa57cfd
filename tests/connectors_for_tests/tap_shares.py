"""A tap with two streams: `parts` in partitions, each a slow series by number, and `plain`, which has none."""

from __future__ import annotations

import sys
import time
from typing import Any

from singerkit import Stream, Tap
from singerkit import typing as th


class _Series(Stream):
    primary_keys = ("part", "n")
    replication_key = "n"
    is_sorted = True
    STATE_MSG_FREQUENCY = 5
    schema = th.PropertiesList(
        th.Property("part", th.IntegerType, required=True), th.Property("n", th.IntegerType, required=True)
    ).to_dict()

    def get_records(self, context: Any) -> Any:
        """Give the numbers behind the bookmark."""
        start = self.get_starting_replication_key_value(context) or 0
        for number in range(start + 1, self.config["rows"] + 1):
            time.sleep(self.config["pause_s"])
            yield {"part": (context or {}).get("part", 0), "n": number}


class Parts(_Series):
    name = "parts"

    @property
    def partitions(self) -> Any:
        """As many as the config says."""
        return [{"part": number} for number in range(self.config["parts"])]


class Plain(_Series):
    name = "plain"


class TapShares(Tap):
    name = "tap-shares"
    config_jsonschema = th.PropertiesList(
        th.Property("parts", th.IntegerType, default=3),
        th.Property("rows", th.IntegerType, default=20),
        th.Property("pause_s", th.NumberType, default=0.0),
    ).to_dict()

    def discover_streams(self) -> Any:
        """Give both."""
        return [Parts(self), Plain(self)]


if __name__ == "__main__":
    TapShares.cli(sys.argv[1:])
