"""The runs in which the hooks' calls are noted: real commands, a loopback API, a SQLite database."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from .api import open_api

HERE = Path(__file__).parent
#: Name, number of calls, what was called within it.
Tree: TypeAlias = list[Any]

SCHEMA = {"type": "object", "properties": {"id": {"type": "integer"}, "note": {"type": ["string", "null"]}}}
WIDER = {"id": {"type": ["integer", "string"]}, "more": {"type": ["string", "null"]}}
VERSION = 5


def tree_of(scenario: str, folder: Path) -> Tree:
    """Run a scenario, and give who called what."""
    if scenario in ("stream", "rest", "graphql", "sql-tap"):
        return _tap_tree(scenario, folder)
    if scenario == "tests":
        return _run("traced_tests.py", scenario, folder, config=None)
    return _run("traced_targets.py", scenario, folder, config=_config(scenario, folder), messages=_messages(scenario))


def _tap_tree(scenario: str, folder: Path) -> Tree:
    config = {"start_date": "2020-01-01T00:00:00Z"}
    if scenario == "stream":
        partitions = [{"context": {"who": who}, "replication_key": "at"} for who in "abc"]
        values = [{**entry, "replication_key_value": "2021-01-01T00:00:00Z"} for entry in partitions]
        state = {"bookmarks": {"plain": {"partitions": values}}}
        return _run("traced_taps.py", scenario, folder, config=config, state=state)
    if scenario == "sql-tap":
        _run("traced_targets.py", "sql-target", folder, config=_database(folder), messages=_messages("sql-target"))
        return _run("traced_taps.py", "sql", folder, config=_database(folder))
    with open_api() as url:
        return _run("traced_taps.py", scenario, folder, config={"url": url, **config})


def _config(scenario: str, folder: Path) -> dict[str, Any]:
    if scenario == "files":
        (folder / "batch.jsonl").write_text('{"id": 1}\n')
        return {"batch_root": str(folder)}
    if scenario != "sql-target":
        return {}
    return {**_database(folder), "load_method": "upsert", "add_record_metadata": True, "hard_delete": True}


def _database(folder: Path) -> dict[str, Any]:
    return {"sqlalchemy_url": f"sqlite:///{folder}/traced.db"}


def _messages(scenario: str) -> list[dict[str, Any]]:
    state = {"type": "STATE", "value": {"bookmarks": {}}}
    if scenario == "files":
        encoding = {"format": "jsonl", "compression": "none"}
        batch = {"type": "BATCH", "stream": "orders", "encoding": encoding, "manifest": ["batch.jsonl"]}
        return [_schema(SCHEMA), batch, state]
    messages = [_schema(SCHEMA), *_records()]
    if scenario == "sql-target":  # a second schema, which needs another column and a wider one
        messages += [_schema({**SCHEMA, "properties": {**SCHEMA["properties"], **WIDER}}), *_records()]
    activation = {"type": "ACTIVATE_VERSION", "stream": "orders", "version": VERSION}
    return [*messages, activation, state]


def _schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "SCHEMA", "stream": "orders", "schema": schema, "key_properties": ["id"]}


def _records() -> list[dict[str, Any]]:
    return [{"type": "RECORD", "stream": "orders", "record": {"id": n}, "version": VERSION} for n in range(9)]


def _run(
    program: str,
    scenario: str,
    folder: Path,
    *,
    config: Mapping[str, Any] | None,
    state: Mapping[str, Any] | None = None,
    messages: list[dict[str, Any]] | None = None,
) -> Tree:
    options = []
    for name, document in (("config", config), ("state", state)):
        if document is not None:
            (folder / f"{name}.json").write_text(json.dumps(document))
            options += [f"--{name}", str(folder / f"{name}.json")]
    text = "".join(
        json.dumps(message).replace('"batch.jsonl"', f'"file://{folder}/batch.jsonl"') + "\n"
        for message in messages or []
    )
    calls = folder / f"{scenario}.calls.json"
    words = [sys.executable, str(HERE / program), scenario, str(calls), *options]
    done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    tree: Tree = json.loads(calls.read_text())
    return tree
