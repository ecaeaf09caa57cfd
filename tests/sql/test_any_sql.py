"""A SQL target of an author's, for a database that singerkit has no dialect for: a few lines, all load methods."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys

import pytest

PROGRAM = """
from singerkit import SQLConnector, SQLSink, SQLTarget
from singerkit import typing as th
from singerkit.sql_target import LOAD_METHOD, ON_SCHEMA_CHANGE


class Connector(SQLConnector):
    def get_sqlalchemy_url(self, config):
        return "sqlite:///" + config["file"]


class Sink(SQLSink):
    connector_class = Connector


class TargetAny(SQLTarget):
    name = "target-any"
    default_sink_class = Sink
    config_jsonschema = th.PropertiesList(
        th.Property("file", th.StringType, required=True), LOAD_METHOD, ON_SCHEMA_CHANGE
    ).to_dict()


TargetAny.cli()
"""


class Loaded:
    def __init__(self, folder):
        self.folder = folder
        self.program = folder / "target_any.py"
        self.program.write_text(PROGRAM)

    def run(self, *messages, **settings):
        config = self.folder / "config.json"
        config.write_text(json.dumps({"file": str(self.folder / "any.sqlite"), **settings}))
        return subprocess.run(
            [sys.executable, str(self.program), "--config", str(config)],
            input="".join(json.dumps(message) + "\n" for message in messages),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def load(self, *messages, **settings):
        ended = self.run(*messages, **settings)
        assert ended.returncode == 0, ended.stderr
        return ended

    def rows(self, query='SELECT * FROM "people" ORDER BY id'):
        with sqlite3.connect(self.folder / "any.sqlite") as connection:
            found = connection.execute(query).fetchall()
        connection.close()
        return found


@pytest.fixture
def target(tmp_path):
    return Loaded(tmp_path)


PROPERTIES = {
    "id": {"type": "integer"},
    "a:b%": {"type": ["string", "null"]},
    "at": {"type": ["string", "null"], "format": "date-time"},
    "n": {"type": ["number", "null"]},
    "more": {"type": ["object", "null"]},
}


def schema(keys=("id",), properties=PROPERTIES):
    return {
        "type": "SCHEMA",
        "stream": "people",
        "schema": {"type": "object", "properties": properties},
        "key_properties": list(keys),
    }


def record(number, text):
    values = {"id": number, "a:b%": text, "at": "2024-01-01T00:00:00Z", "n": 1.5, "more": {"x": [1]}}
    return {"type": "RECORD", "stream": "people", "record": values}


STATE = {"type": "STATE", "value": {"at": 1}}


def test_rows_are_replaced_by_key(target):
    ended = target.load(schema(), record(1, "a"), record(2, "b"), record(1, "c"), STATE)
    assert json.loads(ended.stdout) == {"at": 1}
    target.load(schema(), record(2, "d"), record(3, "e"))
    assert [(row[0], row[1]) for row in target.rows()] == [(1, "c"), (2, "d"), (3, "e")]
    assert target.rows()[0][2:] == ("2024-01-01 00:00:00.000000", 1.5, '{"x":[1]}')


def test_records_without_keys_and_append_only_are_added(target):
    target.load(schema(keys=()), record(1, "a"), record(1, "a"))
    target.load(schema(keys=()), record(1, "b"), load_method="append-only")
    assert [row[1] for row in target.rows()] == ["a", "a", "b"]


def test_decimals_go_to_a_driver_that_takes_none(target):
    number = {"type": ["number", "null"], "multipleOf": 0.01}
    properties = {"id": {"type": "integer"}, "price": number}
    rows = [{"id": 1, "price": -4.35}, {"id": 2, "price": None}, {"id": 3, "price": 7}]
    target.load(schema(properties=properties), *({"type": "RECORD", "stream": "people", "record": row} for row in rows))
    assert target.rows() == [(1, -4.35), (2, None), (3, 7)]


def test_overwrite_takes_the_place_of_the_table_at_the_end(target):
    target.load(schema(), record(1, "old"))
    failed = target.run(
        schema(), record(2, "new"), {"type": "RECORD", "stream": "none", "record": {}}, load_method="overwrite"
    )
    assert failed.returncode == 4
    assert [row[1] for row in target.rows()] == ["old"]
    target.load(schema(), record(2, "new"), STATE, load_method="overwrite")
    assert [row[1] for row in target.rows()] == ["new"]


def test_columns_are_added(target):
    target.load(schema(properties={"id": {"type": "integer"}}), record(1, "a"))
    target.load(schema(), record(2, "b"))
    assert [row[:2] for row in target.rows()] == [(1, None), (2, "b")]


def test_a_column_that_is_too_narrow_is_one_clear_error(target):
    target.load(schema(), record(1, "a"))
    wide = schema(properties={**PROPERTIES, "n": {"type": "string"}})
    message = {"type": "RECORD", "stream": "people", "record": {"id": 2, "n": "text"}}
    ended = target.run(wide, message, STATE)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "the column 'n'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_state_is_kept_in_any_database(target):
    ended = target.run(schema(keys=()), record(1, "a"), STATE, record(2, "b"), state_key="100%:?")
    assert (ended.returncode, json.loads(ended.stdout)) == (1, {"at": 1})
    later = {"type": "STATE", "value": {"at": "100% :x ?"}}
    target.load(schema(), record(1, "b"), schema(keys=()), record(2, "c"), later, state_key="100%:?", batch_size_rows=1)
    assert [(row[0], row[1]) for row in target.rows()] == [(1, "b"), (2, "c")]
    kept = target.rows('SELECT pipeline, commits, state FROM "_singerkit_state"')
    assert kept == [("100%:?", 2, '{"at": "100% :x ?"}')]


def test_hooks_that_store_by_themselves_keep_no_state(target):
    hook = "\n    def bulk_insert_records(self, full_table_name, schema, records):\n        pass\n"
    target.program.write_text(PROGRAM.replace("connector_class = Connector\n", f"connector_class = Connector\n{hook}"))
    ended = target.run(schema(), record(1, "a"), STATE, state_key="shop")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Sink.bulk_insert_records stores rows by itself" in ended.stderr
