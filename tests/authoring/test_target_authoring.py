"""What a target's or a mapper's author writes, in a file of their own, run from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from engine_runs import activate_of, line_of, record_of, schema_of, state_of

HEAD = """
from __future__ import annotations
import datetime, decimal, json, sys
from pathlib import Path
from singerkit import BatchSink, InlineMapper, RecordSink, Sink, Target, typing as th
from singerkit.protocol.messages import *

def note(*what):
    with Path("notes.jsonl").open("a") as file:
        file.write(json.dumps(what, default=repr) + "\\n")

class Notes(BatchSink):
    def process_batch(self, context): note("batch", self.stream_name, context["records"])

class TargetThings(Target):
    "Stores things."
    name = "target-things"
    default_sink_class = Notes
    config_jsonschema = th.PropertiesList(th.Property("token", th.StringType, secret=True)).to_dict()
"""

SCHEMA = schema_of("a", n={"type": ["number", "null"]}, at={"type": "string", "format": "date-time"}, text={})


class Author:
    """Runs what an author wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = ""

    def run(self, body: str, *messages: Any, code: int = 0, command: str = "TargetThings", **config: Any) -> list:
        """Load the messages; give what was noted."""
        found = self.process(body, *messages, command=command, **config)
        self.log = found.stderr.decode()
        assert found.returncode == code, self.log
        self.out = found.stdout
        path = self.folder / "notes.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def process(self, body: str, *messages: Any, command: str = "TargetThings", **config: Any):
        program = self.folder / "target_things.py"
        program.write_text(HEAD + body + f"\n{command}.cli()\n")
        path = self.folder / "config.json"
        path.write_text(json.dumps(config))
        words = [sys.executable, str(program), "--config", str(path)]
        data = b"".join(map(line_of, messages))
        return subprocess.run(words, input=data, capture_output=True, timeout=60, check=False, cwd=self.folder)


@pytest.fixture
def author(tmp_path: Path) -> Author:
    return Author(tmp_path)


def test_hooks_come_in_their_order(author: Author) -> None:
    notes = author.run(
        """
class Hooks(BatchSink):
    max_size = 2
    def setup(self): note("setup", self.stream_name, list(self.key_properties), sorted(self.schema["properties"]))
    def start_batch(self, context): note("start", sorted(context))
    def preprocess_record(self, record, context): return {**record, "seen": True}
    def process_record(self, record, context): context.setdefault("mine", []).append(record)
    def process_batch(self, context): note("batch", context["mine"])
    def activate_version(self, new_version): note("activate", new_version)
    def clean_up(self): note("clean up")
TargetThings.default_sink_class = Hooks
""",
        SCHEMA,
        *(record_of("a", number, version=5) for number in range(3)),
        activate_of("a", 5),
        state_of(1),
    )
    assert notes == [
        ["setup", "a", ["id"], ["at", "id", "n", "text"]],
        ["start", ["batch_id", "batch_start_time"]],
        ["batch", [{"id": 0, "seen": True}, {"id": 1, "seen": True}]],
        ["start", ["batch_id", "batch_start_time"]],
        ["batch", [{"id": 2, "seen": True}]],
        ["activate", 5],
        ["clean up"],
    ]
    assert author.out == b"1\n"


def test_a_record_sink_gets_one_at_a_time(author: Author) -> None:
    notes = author.run(
        """
class One(RecordSink):
    def process_record(self, record, context): note(record["id"])
TargetThings.default_sink_class = One
""",
        SCHEMA,
        *(record_of("a", number) for number in range(5)),
    )
    assert notes == [[number] for number in range(5)]


@pytest.mark.parametrize(
    ("declares", "number", "at"),
    [
        ("pass", "float", "datetime"),
        ("exact_numbers = True", "Decimal", "datetime"),
        ("parse_datetimes = False", "float", "str"),
    ],
)
def test_a_sink_says_how_values_arrive(author: Author, declares: str, number: str, at: str) -> None:
    body = f"""
class Typed(BatchSink):
    {declares}
    def process_batch(self, context):
        (record,) = context["records"]
        note(type(record["n"]).__name__, type(record["at"]).__name__, str(record["n"]))
TargetThings.default_sink_class = Typed
"""
    line = b'{"type":"RECORD","stream":"a","record":{"id":1,"n":1.10,"at":"2024-01-01T00:00:00Z"}}\n'
    (note,) = author.run(body, SCHEMA, line)
    assert note == [number, at, "1.10" if number == "Decimal" else "1.1"]


def test_metadata_is_added_when_asked_for(author: Author) -> None:
    ((_, _, (record,)),) = author.run("", SCHEMA, record_of("a", 1, version=7), add_record_metadata=True)
    assert record["_sdc_table_version"] == 7
    assert {name for name in record if name.startswith("_sdc_")} >= {
        "_sdc_batched_at",
        "_sdc_deleted_at",
        "_sdc_extracted_at",
        "_sdc_received_at",
        "_sdc_sequence",
        "_sdc_sync_started_at",
    }


def test_streams_may_have_sinks_of_their_own(author: Author) -> None:
    notes = author.run(
        """
class Other(Notes):
    def process_batch(self, context): note("other", self.stream_name)
def get_sink_class(self, stream_name): return Other if stream_name == "b" else Notes
TargetThings.get_sink_class = get_sink_class
""",
        SCHEMA,
        schema_of("b"),
        record_of("a", 1),
        record_of("b", 1),
    )
    assert sorted(note[:2] for note in notes) == [["batch", "a"], ["other", "b"]]


def test_maps_change_what_the_sink_gets(author: Author) -> None:
    maps = {"a": {"__alias__": "renamed", "__filter__": "id > 1", "text": "str(id) + '!'"}}
    notes = author.run("", SCHEMA, record_of("a", 1), record_of("a", 2), state_of(1), stream_maps=maps)
    assert notes == [["batch", "renamed", [{"id": 2, "text": "2!"}]]]
    assert author.out == b"1\n"


def test_a_stream_that_a_map_removes_does_not_hold_back_the_state(author: Author) -> None:
    assert author.run("", SCHEMA, record_of("a", 1), state_of(1), stream_maps={"a": None}) == []
    assert author.out == b"1\n"


def test_bad_records_are_refused_unless_validation_is_off(author: Author) -> None:
    bad = record_of("a", 1, n="C4NARY")
    author.run("", SCHEMA, bad, state_of(1), code=1)
    assert "/n: type: expected" in author.log
    assert "line 2" in author.log
    assert "stream 'a'" in author.log
    assert "C4NARY" not in author.log
    assert author.out == b""
    assert author.run("", SCHEMA, bad, validate_records=False)[0][2] == [{"id": 1, "n": "C4NARY"}]


def test_a_sink_that_gives_no_validator_takes_what_its_schema_does_not_allow(author: Author) -> None:
    bad = record_of("a", 1, n="many")
    mixed = """
class Mixed(Notes):
    def get_validator(self): return None if self.config.get("token") else super().get_validator()
TargetThings.default_sink_class = Mixed
"""
    assert author.run(mixed, SCHEMA, bad, code=1) == []
    assert author.run(mixed, SCHEMA, bad, token="t")[0][2] == [{"id": 1, "n": "many"}]


def test_a_batch_is_stored_when_the_author_says_that_it_is_full(author: Author) -> None:
    by_length = """
class Short(BatchSink):
    max_size = 4
    length = 0
    @property
    def is_full(self): return super().is_full or self.length > 9
    def process_record(self, record, context):
        super().process_record(record, context)
        self.length += len(record["text"])
    def process_batch(self, context): note(self.current_size, [record["id"] for record in context["records"]])
    def mark_drained(self):
        note("drained", self.current_size)
        self.length = 0
TargetThings.default_sink_class = Short
"""
    texts = ["12345", "12345", "1234567890", "1", "1", "1", "1", "1"]
    records = [record_of("a", number, text=text) for number, text in enumerate(texts)]
    notes = author.run(by_length, SCHEMA, *records, batch_size_rows=1_000)
    # The engine's own batches are of four, too.
    assert [note for note in notes if note[0] != "drained"] == [[2, [0, 1]], [1, [2]], [1, [3]], [4, [4, 5, 6, 7]]]
    assert notes.count(["drained", 0]) == 4


def test_an_author_s_check_of_the_config_comes_with_the_schema_s(author: Author) -> None:
    checks = """
from singerkit.errors import ConfigValidationError
class TargetChecked(TargetThings):
    config_jsonschema = {"type": "object", "required": ["token"], "properties": {"token": {"type": "string"}}}
    def _validate_config(self, *, raise_errors=True):
        errors = super()._validate_config(raise_errors=False)
        if self.config.get("load_method") == "overwrite": errors.append("load_method: nothing is overwritten here")
        if errors and raise_errors: raise ConfigValidationError("not valid:", errors=errors)
        return errors
"""
    author.run(checks, SCHEMA, command="TargetChecked", load_method="overwrite", code=2)
    assert "token: is required" in author.log
    assert "load_method: nothing is overwritten here" in author.log
    assert author.run(checks, SCHEMA, record_of("a", 1), command="TargetChecked", token="t")[0][1] == "a"


CHECKED = """
class TargetChecked(TargetThings):
    def _validate_config(self, **keywords):
        return RETURNED
"""


@pytest.mark.parametrize(
    "returned", ['["port: is too small", "host: is required"]', '([], ["port: is too small", "host: is required"])']
)
def test_problems_that_an_author_s_check_only_returns_stop_the_run_too(author: Author, returned: str) -> None:
    """Older connectors return warnings and problems."""
    author.run(CHECKED.replace("RETURNED", returned), SCHEMA, record_of("a", 1), command="TargetChecked", code=2)
    assert "CRITICAL target-things: the config is not valid:\n  port: is too small\n  host: is required\n" in author.log


@pytest.mark.parametrize("returned", ["[]", "None", "([], [])", '(["host: is old"], [])'])
def test_an_author_s_check_that_finds_nothing_lets_the_run_go_on(author: Author, returned: str) -> None:
    notes = author.run(CHECKED.replace("RETURNED", returned), SCHEMA, record_of("a", 1), command="TargetChecked")
    assert notes[0][1] == "a"


def test_the_state_that_was_released_last_can_be_read(author: Author) -> None:
    reads = """
class Asks(Notes):
    max_size = 1
    def process_batch(self, context): note(self._target._latest_state)
TargetThings.default_sink_class = Asks
"""
    notes = author.run(reads, SCHEMA, record_of("a", 1), state_of(1), record_of("a", 2), state_of(2))
    assert notes[0] == [None]
    assert notes[1] in ([None], [1])


def test_a_validator_checks_one_record_for_who_asks(author: Author) -> None:
    asks = """
class Asks(BatchSink):
    def process_batch(self, context):
        from singerkit.errors import DataError
        try: self.get_validator().validate({"id": 1, "n": "many"})
        except DataError as error: note("refused", str(error))
TargetThings.default_sink_class = Asks
"""
    assert author.run(asks, SCHEMA, record_of("a", 1, n=1)) == [["refused", "/n: type: expected number or null"]]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("TargetThings.default_sink_class = None", ["default_sink_class"]),
        ("class Bare(BatchSink): pass\nTargetThings.default_sink_class = Bare", ["process_batch", "Bare"]),
        ("class Bare(RecordSink): pass\nTargetThings.default_sink_class = Bare", ["process_record", "Bare"]),
        ("class Bare(Sink): pass\nTargetThings.default_sink_class = Bare", ["BatchSink", "Bare"]),
        ("Notes.get_validator = lambda self: dict", ["Notes.get_validator", "preprocess_record"]),
        ("def setup(self): raise RuntimeError('no connection')\nNotes.setup = setup", ["no connection", "'a'"]),
        ("def clean_up(self): raise RuntimeError('not closed')\nNotes.clean_up = clean_up", ["not closed", "'a'"]),
        ("def version(self, v): raise RuntimeError('kept')\nNotes.activate_version = version", ["kept", "'a'"]),
    ],
)
def test_mistakes_of_the_author_are_named(author: Author, body: str, words: list) -> None:
    found = author.process(body, SCHEMA, record_of("a", 1, version=1), activate_of("a", 1), state_of(1))
    log = found.stderr.decode()
    assert found.returncode not in (0, 141)
    assert "Traceback" not in log
    for word in words:
        assert word in log


def test_secrets_do_not_show(author: Author) -> None:
    body = """
def setup(self):
    print(self.config["token"])
    raise RuntimeError("can't open https://x/?key=" + self.config["token"])
Notes.setup = setup
"""
    found = author.process(body, SCHEMA, token="C4NARY-token")
    assert found.returncode == 1
    assert b"C4NARY" not in found.stdout + found.stderr


# Mappers

MAPPER = """
class MapperThings(InlineMapper):
    name = "mapper-things"
    def map_record_message(self, message_dict):
        record = message_dict["record"]
        if record["id"] == 0: return
        for copy in range(record["id"]):
            yield RecordMessage.from_dict({**message_dict, "record": {**record, "copy": copy}})
"""


def map_lines(author: Author, *messages: Any, code: int = 0, body: str = MAPPER) -> list[dict]:
    author.run(body, *messages, code=code, command="MapperThings")
    return [json.loads(line) for line in author.out.splitlines()]


def test_a_mapper_gives_none_one_or_several_for_a_message_in_order(author: Author) -> None:
    messages = map_lines(author, SCHEMA, *(record_of("a", n) for n in (0, 2, 1)), state_of({"n": 1}), record_of("a", 1))
    assert [(m["type"], m.get("record")) for m in messages] == [
        ("SCHEMA", None),
        ("RECORD", {"id": 2, "copy": 0}),
        ("RECORD", {"id": 2, "copy": 1}),
        ("RECORD", {"id": 1, "copy": 0}),
        ("STATE", None),
        ("RECORD", {"id": 1, "copy": 0}),
    ]
    assert messages[0] == SCHEMA
    assert messages[4] == state_of({"n": 1})


def test_what_a_mapper_does_not_change_keeps_every_digit(author: Author) -> None:
    body = "class MapperThings(InlineMapper):\n    name = 'mapper-things'\n"
    lines = [
        b'{"type":"RECORD","stream":"a","record":{"n":12345678901234567890.10,"i":1180591620717411303424,"t":"\\ud800"}}\n',
        b'{"type":"STATE","value":{"f":1.50}}\n',
        b'{"type":"ACTIVATE_VERSION","stream":"a","version":5}\n',
        b'{"type":"HELLO","x":1.10}\n',
        b'{"type":"STATE","value":null}\n',
    ]
    author.run(body, *lines, command="MapperThings")
    assert author.out == b"".join(lines)


@pytest.mark.parametrize(
    "line", [b"nonsense\n", b'{"type":"RECORD","stream":"a","record":{"id":NaN}}\n', b"[" * 9000 + b"\n"]
)
@pytest.mark.parametrize("after", [0, 3])
def test_a_mapper_refuses_bad_lines_by_their_number(author: Author, line: bytes, after: int) -> None:
    good = [record_of("a", 1)] * after
    messages = map_lines(author, SCHEMA, *good, line, code=4)
    assert len(messages) <= 1 + after
    assert f"line {after + 2}" in author.log
    assert "internal error" not in author.log


def test_a_mapper_s_bug_is_one_clear_error(author: Author) -> None:
    body = MAPPER.replace("record = message_dict", "record = message_dict['nothing']; record = message_dict")
    map_lines(author, SCHEMA, record_of("a", 1), code=1, body=body)
    assert author.log.count("CRITICAL") == 1
    assert "Traceback" not in author.log
