"""The correct programs really are correct, by a small oracle that shares no code with the harness."""

from __future__ import annotations

import gzip
import json
import subprocess
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import catalogue
import pytest
from catalogue import BROKEN, BROKEN_MAPPERS, BROKEN_TAPS, BROKEN_TARGETS, CORRECT, Program

KEYS = {"orders": ["shop", "number"], "people": ["id"], "facts": ["id"], "order_lines": ["shop", "number", "line"]}
KEYS["clock"] = []  # one row, which no two runs write alike


def lines(output: bytes) -> list[dict[str, Any]]:
    return [json.loads(line, parse_float=Decimal) for line in output.split(b"\n") if line]


def output_of(program: Program, *arguments: str, stdin: bytes = b"") -> bytes:
    command = [*program.command, *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, check=True, timeout=20).stdout


def run(program: Program, *arguments: str, stdin: bytes = b"") -> list[Any]:
    return [each for message in lines(output_of(program, *arguments, stdin=stdin)) for each in unpacked(message)]


def unpacked(message: Any) -> list[Any]:
    """A BATCH as the records that it stands for."""
    if not isinstance(message, dict) or message.get("type") != "BATCH":
        return [message]
    files = [gzip.decompress(Path(uri.removeprefix("file://")).read_bytes()) for uri in message["manifest"]]
    return [{**message, "type": "RECORD", "record": record} for each in files for record in lines(each)]


def written(path: Path, value: Any) -> str:
    path.write_text(json.dumps(value, default=str))
    return str(path)


def identities(messages: list[dict[str, Any]]) -> Counter[str]:
    """The records by key, those without key by all that they have."""
    rows = [(m["stream"], m["record"]) for m in messages if m["type"] == "RECORD"]
    return Counter(repr((name, [str(row[key]) for key in KEYS.get(name, sorted(row))])) for name, row in rows)


def order(row: dict[str, Any]) -> str:
    return str(row.get("id", (row.get("shop"), row.get("number"))))


@pytest.mark.parametrize("program", [each for each in CORRECT if each.kind == "tap"], ids=str)
def test_a_correct_tap_loses_nothing_wherever_it_resumes(program, tmp_path):
    config = ["--config", written(tmp_path / "config.json", {**catalogue.copy_source(tmp_path), **program.config})]
    catalog = json.loads(output_of(program, *config, "--discover"))
    for entry in catalog["streams"]:
        entry["metadata"][0]["metadata"]["selected"] = True
    config += ["--catalog", written(tmp_path / "catalog.json", catalog)]

    messages = run(program, *config)

    everything = identities(messages)
    if program.name not in catalogue.OTHER_RECORDS:
        for stream in ("orders", "people", "facts"):
            sent = [m["record"] for m in messages if m.get("stream") == stream and m["type"] == "RECORD"]
            assert sorted(sent, key=order) == sorted(catalogue.records_of(stream), key=order)
    positions = [index for index, message in enumerate(messages) if message["type"] == "STATE"]
    for position in positions[1:-1:4]:
        state = written(tmp_path / "state.json", messages[position]["value"])
        rest = run(program, *config, "--state", state)
        assert not everything - identities(messages[:position]) - identities(rest), messages[position]


def stream_of(messages: int) -> list[bytes]:
    """A schema and records, with a state after every second one; each key comes twice."""
    schema = {"type": "object", "properties": {"id": {"type": "integer"}, "text": {"type": "string"}}}
    head = {"type": "SCHEMA", "stream": "people", "schema": schema, "key_properties": ["id"]}
    sent = [head]
    for number in range(messages):
        sent.append({"type": "RECORD", "stream": "people", "record": {"id": number // 2, "text": f"{number}\n☃"}})
        if number % 2:
            sent.append({"type": "STATE", "value": {"bookmarks": {"people": {"n": number}}}})
    return [json.dumps(message).encode() + b"\n" for message in sent]


def stored(folder: Path, name: str) -> dict[int, str]:
    if name == "sqlite_tables":
        import sqlite3

        with sqlite3.connect(folder / "out.db") as connection:
            return dict(connection.execute("SELECT id, text FROM people"))
    written = [line for path in sorted(folder.glob("people*")) for line in lines(path.read_bytes())]
    rows = [line.get("record") if "type" in line else line for line in written]  # some keep whole messages
    return {row["id"]: row["text"] for row in rows if row}


@pytest.mark.parametrize("program", [each for each in CORRECT if each.kind == "target"], ids=str)
def test_a_correct_target_has_stored_what_its_states_say(program, tmp_path):
    folder = tmp_path / "out"
    config = {"folder": str(folder), "batch_size_rows": 3, **program.config}
    config_file = written(tmp_path / "config.json", config)
    sent = stream_of(20)
    with subprocess.Popen([*program.command, "--config", config_file], stdin=-1, stdout=-1, stderr=-3) as process:
        process.stdin.writelines(sent[:17])
        process.stdin.flush()
        time.sleep(0.3)
        process.kill()
        released = lines(process.stdout.read())
    if released:
        newest = released[-1]["bookmarks"]["people"]["n"]
        rows = stored(folder, program.name)
        assert all(rows[number // 2] >= f"{number}\n" for number in range(newest + 1))

    states = run(program, "--config", config_file, stdin=b"".join(sent))

    assert states[-1] == {"bookmarks": {"people": {"n": 19}}}
    assert stored(folder, program.name) == {number // 2: f"{number}\n☃" for number in range(1, 20, 2)}


def test_every_broken_program_has_a_rule_and_a_sentence():
    assert {each.name for each in BROKEN if each.kind == "tap"} == set(BROKEN_TAPS)
    assert {each.name for each in BROKEN if each.kind == "target"} == set(BROKEN_TARGETS)
    assert {each.name for each in BROKEN if each.kind == "mapper"} == set(BROKEN_MAPPERS)
    assert all(each.says for each in BROKEN + CORRECT)


def test_the_corpus_is_as_large_as_promised():
    assert len(BROKEN) >= 44
    assert len(CORRECT) >= 18
