"""What the measured programs are given: config files, files of Singer messages, a loopback API."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from connectors.orders import ORDERS_SCHEMA, generate_records

API = Path(__file__).parent / "api.py"
TIME_EXTRACTED = "2024-02-01T00:00:00+00:00"
STATE_EVERY_ROWS = 10_000
COMPACT = (",", ":")
SPACED = (", ", ": ")
"""The separators that `json.dumps` puts by itself, and with it the older taps."""


def write_config(folder: Path, **settings: Any) -> Path:
    """Write a config file, named for its settings, and give its path."""
    name = "-".join(str(value).replace("/", "_") for value in settings.values()) or "empty"
    path = folder / f"config-{name}.json"
    path.write_text(json.dumps(settings))
    return path


def write_messages(path: Path, records: int, *, separators: tuple[str, str] = COMPACT) -> Path:
    """Write what a tap of `records` orders writes: SCHEMA, RECORD lines, a STATE per ten thousand and at the end."""
    encode = json.JSONEncoder(separators=separators).encode
    with path.open("w", encoding="utf-8") as file:
        file.write(
            encode({"type": "SCHEMA", "stream": "orders", "schema": ORDERS_SCHEMA, "key_properties": ["id"]}) + "\n"
        )
        for index, record in enumerate(generate_records(records), start=1):
            message = {"type": "RECORD", "stream": "orders", "record": record, "time_extracted": TIME_EXTRACTED}
            file.write(encode(message) + "\n")
            if index % STATE_EVERY_ROWS == 0:
                file.write(encode(_state(index)) + "\n")
        file.write(encode(_state(records)) + "\n")
    return path


def _state(index: int) -> dict[str, Any]:
    bookmark = {"replication_key": "id", "replication_key_value": index}
    return {"type": "STATE", "value": {"bookmarks": {"orders": bookmark}}}


@contextmanager
def open_api() -> Iterator[str]:
    """Start the API as its own process, so that its CPU is not counted; give its URL, stop it at the end."""
    process = subprocess.Popen([sys.executable, API], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
