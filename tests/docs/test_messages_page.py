"""The page of messages has every member of each, and its examples are what a target takes.

``SINGERKIT_WRITE_DOCS=1`` writes it anew.
"""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec

from singerkit.protocol.messages import MESSAGE_TYPES

PAGE = Path(__file__).parents[2] / "docs/reference/messages.md"

HEAD = """# Messages

A tap writes messages to stdout, a target reads them from stdin: one JSON object a line, UTF-8, in any order of members.
Members that are not listed are ignored. Integers of any size and decimals of any precision keep their digits. A line
that is no message ends the run with exit code 4, and the error names line, byte and stream; see
[Errors](errors.md#invalidinputline).
"""

#: What each member means; the tests see to it that these are the members that there are.
MEANINGS = {
    "SCHEMA": {
        "stream": "the stream's name",
        "schema": "JSON Schema of its records, an object with `properties`; a later one replaces it, and everything "
        "before it is stored first",
        "key_properties": "the properties that make a record unique; none where it is missing, empty or null",
        "bookmark_properties": "the replication key; for readers that want to know, targets here do not",
    },
    "RECORD": {
        "stream": "the stream; its SCHEMA has to come before",
        "record": "the record, an object that fits the schema",
        "version": "the version of the table that it belongs to, as ACTIVATE_VERSION names it",
        "time_extracted": "when it was read, RFC 3339; becomes `_sdc_extracted_at` with `add_record_metadata`",
    },
    "STATE": {
        "value": "how far the tap has come, any JSON; a target writes the very bytes to stdout when all records before "
        "are durable. See [The life of a state](../explanation/life-of-a-state.md)",
    },
    "ACTIVATE_VERSION": {
        "stream": "the stream",
        "version": "rows with an older version, or none, may go; they are removed with `hard_delete`, else marked by "
        "`_sdc_deleted_at`",
    },
    "BATCH": {
        "stream": "the stream; its SCHEMA has to come before",
        "encoding": "`format`: `jsonl`, `parquet` or `arrow`; `compression`: `gzip`, `zstd` or `none`",
        "manifest": "the addresses of the files, `file://` or of an object store, below the setting `batch_root`. See "
        "[Hand over files](../how-to/batch-files.md)",
    },
}
SCHEMA = {"type": "object", "properties": {"id": {"type": "integer"}, "total": {"type": ["number", "null"]}}}
EXAMPLES = {
    "SCHEMA": {"stream": "orders", "schema": SCHEMA, "key_properties": ["id"], "bookmark_properties": ["id"]},
    "RECORD": {
        "stream": "orders",
        "record": {"id": 7, "total": 12.5},
        "version": 1767225600000,
        "time_extracted": "2026-01-01T00:00:00Z",
    },
    "BATCH": {
        "stream": "orders",
        "encoding": {"format": "jsonl", "compression": "none"},
        "manifest": ["file:///srv/batches/orders-1.jsonl"],
    },
    "ACTIVATE_VERSION": {"stream": "orders", "version": 1767225600000},
    "STATE": {"value": {"bookmarks": {"orders": {"replication_key": "id", "replication_key_value": 7}}}},
}


def page_text():
    parts = [HEAD]
    for kind in ("SCHEMA", "RECORD", "STATE", "ACTIVATE_VERSION", "BATCH"):
        message = MESSAGE_TYPES[kind]
        parts += [f"## {kind}\n", inspect.cleandoc(message.__doc__) + "\n", f"```json\n{line_of(kind)}\n```\n"]
        rows = ["| member | type | needed | meaning |", "|---|---|---|---|"]
        for field in msgspec.structs.fields(message):
            needed = "yes" if field.default is field.default_factory else ""
            rows.append(f"| `{field.name}` | {type_of(field)} | {needed} | {MEANINGS[kind][field.name]} |")
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def type_of(field):
    words = {"dict": "object", "list": "array", "tuple": "array", "str": "text", "int": "integer"}
    if field.name == "time_extracted":
        return "text"
    name = getattr(field.type, "__name__", str(field.type))
    found = [word for python, word in words.items() if python in str(field.type)]
    return found[0] if found else {"Any": "any JSON"}[name]


def line_of(kind):
    message = MESSAGE_TYPES[kind].from_dict(EXAMPLES[kind])
    return json.dumps(message.to_dict())


def test_the_page_has_the_members_that_there_are():
    for kind, message in MESSAGE_TYPES.items():
        assert [*MEANINGS[kind]] == [*message.__struct_fields__]
    if os.environ.get("SINGERKIT_WRITE_DOCS"):
        PAGE.write_text(page_text(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page_text(), "SINGERKIT_WRITE_DOCS=1 writes the page"


def test_a_target_takes_the_examples(tmp_path):
    (tmp_path / "orders-1.jsonl").write_text('{"id": 8, "total": null}\n')
    (tmp_path / "config.json").write_text(json.dumps({"batch_root": str(tmp_path), "destination_path": "out"}))
    page = PAGE.read_text(encoding="utf-8")
    lines = {json.loads(line)["type"]: line for line in page.splitlines() if line.startswith('{"type"')}
    order = ("SCHEMA", "RECORD", "BATCH", "ACTIVATE_VERSION", "STATE")
    given = "".join(lines[kind] + "\n" for kind in order).replace("/srv/batches", str(tmp_path))
    command = [sys.executable, "-m", "singerkit", "target-jsonl", "--config", "config.json"]
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == EXAMPLES["STATE"]["value"]
    stored = "".join(path.read_text() for path in tmp_path.glob("out/*"))
    assert [json.loads(line)["id"] for line in stored.splitlines()] == [7, 8]


def test_a_member_that_is_needed_is_refused_where_it_is_missing(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"batch_root": str(tmp_path)}))
    command = [sys.executable, "-m", "singerkit", "target-jsonl", "--config", "config.json"]
    before = line_of("SCHEMA")
    for kind, example in EXAMPLES.items():
        for field in msgspec.structs.fields(MESSAGE_TYPES[kind]):
            if field.default is not field.default_factory:
                continue
            left = {name: value for name, value in example.items() if name != field.name}
            given = f"{before}\n{json.dumps({'type': kind, **left})}\n"
            done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, cwd=tmp_path)
            assert done.returncode == 4, (kind, field.name, done.stderr)
            assert "line 2" in done.stderr
