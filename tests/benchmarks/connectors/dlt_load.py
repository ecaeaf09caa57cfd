"""Load a stream's records with dlt, from the same Singer messages: `dlt_load.py CONFIG < messages`.

The config: `destination` (`postgres`, `duckdb`, `sqlalchemy` or `filesystem`), `credentials` (a URL or a path; of
`filesystem` `bucket_url`), `dataset`, `folder` (for dlt's files) and, where it is not to be dlt's own choice,
`file_format`. Rows are appended, as dlt does by itself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import dlt
import orjson

PAGE_ROWS = 1_000


def pages() -> Iterator[list[dict[str, Any]]]:
    """Give the records of stdin by the thousand, which costs dlt less than one by one."""
    messages = map(orjson.loads, sys.stdin.buffer)
    records = (message["record"] for message in messages if message["type"] == "RECORD")
    while page := list(islice(records, PAGE_ROWS)):
        yield page


def main(config_file: str) -> None:
    """Run the pipeline once."""
    config = orjson.loads(Path(config_file).read_bytes())
    place = {name: config[name] for name in ("credentials", "bucket_url") if name in config}
    destination = getattr(dlt.destinations, config["destination"])(**place)
    pipeline = dlt.pipeline(
        "orders", pipelines_dir=config["folder"], destination=destination, dataset_name=config["dataset"]
    )
    pipeline.run(pages(), table_name="orders", loader_file_format=config.get("file_format"))


if __name__ == "__main__":
    main(sys.argv[1])
