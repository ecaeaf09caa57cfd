"""Before anything is measured: do both sides do the same work, all of it?

Each check gives what is wrong, one sentence each; an empty list means that all is well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from connectors.orders import generate_records
from inputs import write_config, write_messages
from processes import Command, CommandFailed, run
from sides import Side

CHECKED_ROWS = 2_500


def warm_up(side: Side, folder: Path) -> None:
    """Start every command once, so that byte code is compiled and files are cached. Failures show in the rows."""
    config = write_config(folder, source="memory", records=1)
    for command in (side.tap("--help"), side.tap("--about"), side.tap("--config", config)):
        with suppress(CommandFailed):
            run(command)
    with suppress(CommandFailed):
        run(side.target("--config", write_config(folder)), stdin=write_messages(folder / "warm-up.jsonl", 1))


def check_tap(side: Side, folder: Path, **settings: Any) -> list[str]:
    """Run the tap and compare what it wrote, value by value, with the records it was to read."""
    output = folder / f"{side.package}-output.jsonl"
    config = write_config(folder, records=CHECKED_ROWS, **settings)
    run(side.tap("--config", config), stdout=output)
    written = [message["record"] for message in read_messages(output) if message["type"] == "RECORD"]
    return [f"{side.name} {fault}" for fault in _compare(written, list(generate_records(CHECKED_ROWS)))]


def check_target(side: Side, folder: Path, **layout: Any) -> list[str]:
    """Run the target: every record must arrive as a dict, and an invalid one must be refused."""
    report = folder / f"{side.package}-report.jsonl"
    report.unlink(missing_ok=True)
    command = side.target("--config", write_config(folder, report_file=str(report)))
    messages = write_messages(folder / "checked.jsonl", CHECKED_ROWS, **layout)
    run(command, stdin=messages)
    batches = list(read_messages(report))
    faults = []
    if (received := sum(batch["records"] for batch in batches)) != CHECKED_ROWS:
        faults.append(f"hands over {received} of {CHECKED_ROWS} records")
    if {name for batch in batches for name in batch["types"]} != {"dict"}:
        faults.append("hands over records that are not dicts")
    if _accepts_invalid(command, messages):
        faults.append("accepts a record that violates its schema")
    return [f"{side.name} {fault}" for fault in faults]


def write_invalid(messages: Path) -> Path:
    """Write the messages once more, with records that violate their schema; give the file's path."""
    invalid = messages.with_name("invalid.jsonl")
    text = messages.read_text()
    invalid.write_text(text.replace('"active": true', '"active": 1').replace('"active":true', '"active":1'))
    return invalid


def read_messages(path: Path) -> Iterable[dict[str, Any]]:
    """Give the JSON objects of a file with one per line."""
    with path.open("rb") as file:
        for line in file:
            yield json.loads(line)


def _compare(written: list[dict[str, Any]], expected: list[dict[str, Any]]) -> list[str]:
    if len(written) != len(expected):
        return [f"writes {len(written)} of {len(expected)} records"]
    differing = {
        name
        for ours, theirs in zip(written, expected, strict=True)
        for name in ours.keys() | theirs.keys()
        if ours.get(name) != theirs.get(name)
    }
    return [f"writes other values of {', '.join(sorted(differing))}"] if differing else []


def _accepts_invalid(command: Command, messages: Path) -> bool:
    try:
        run(command, stdin=write_invalid(messages))
    except CommandFailed:
        return False
    return True
