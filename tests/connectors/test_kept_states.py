"""States that are kept in the database: stored with the rows before them, begun from, and never mistaken."""

from __future__ import annotations

import json
import re

import pytest

from singerkit.errors import ConfigurationError, FatalSyncError, StateError

from . import servers
from .conftest import plugin, record, schema, schema_of, state

EVENTS = {"id": {"type": "integer"}, "what": {"type": ["number", "null"]}}


@pytest.fixture
def keeping(database):
    database.config["state_key"] = "shop"
    return database


def events(*numbers, **values):
    return [record("events", id=number, **values) for number in numbers]


def state_of(target, **settings):
    return json.loads(target.stored_state(**settings))


def table_of(target, name):
    """Give a table's name as it stands in a statement."""
    if target.name in servers.SERVERS:
        return f"{schema_of(target.folder)}.{name}"
    return name


def change(target, assignment):
    """Change the row of the state by hand."""
    servers.execute(
        target.name, f"UPDATE {table_of(target, '_singerkit_state')} SET {assignment}", folder=target.folder
    )


def test_a_run_begins_with_the_state_that_the_one_before_has_stored(keeping):
    assert state_of(keeping) == {}
    head = schema("events", keys=(), **EVENTS)
    ended = keeping.load(head, *events(1, 2), state({"bookmarks": {"events": 2}}), state({"bookmarks": {"events": 3}}))
    assert ended.states == [{"bookmarks": {"events": 3}}]
    assert state_of(keeping) == {"bookmarks": {"events": 3}}
    keeping.load(head, *events(3), state({"bookmarks": {"events": 4}}))
    assert state_of(keeping) == {"bookmarks": {"events": 4}}
    assert [row["id"] for row in keeping.rows("events")] == [1, 2, 3]
    # Another pipeline into the same schema has a state of its own.
    keeping.load(schema("others"), record("others", id=1, name="x"), state({"n": 1}), state_key="second")
    assert state_of(keeping, state_key="second") == {"n": 1}
    assert state_of(keeping) == {"bookmarks": {"events": 4}}


def test_a_state_comes_back_as_it_came(keeping):
    text = '{"a": 1.50, "b":12345678901234567890123, "c": "\\u00e9 é 🎈 %s ? :x \\\\ \'", "d": null}'
    keeping.load(schema("events", keys=(), **EVENTS), b'{"type": "STATE", "value": ' + text.encode() + b"}\n")
    ended = keeping.run(words=["--print-state"])
    assert ended.out == text + "\n"


def test_rows_of_a_state_that_did_not_come_are_not_stored(keeping):
    head = schema("events", keys=(), **EVENTS)
    other = schema("others", keys=(), **EVENTS)
    messages = [head, other, *events(1), record("others", id=1), state({"n": 1}), *events(2), record("others", id=2)]
    ended = keeping.run(*messages)
    assert ended.code == 1
    assert "without a STATE behind its last records (2)" in ended.err
    assert "Traceback" not in ended.err
    assert ended.states == [{"n": 1}]
    assert state_of(keeping) == {"n": 1}
    for stream in ("events", "others"):
        assert [row["id"] for row in keeping.rows(stream)] == [1]


def test_columns_that_become_wider_and_schemas_that_change_while_rows_wait(keeping):
    whole = {"id": {"type": "integer"}, "what": {"type": ["integer", "null"]}}
    messages = [
        schema("events", keys=(), **whole),
        *events(1, what=7),
        schema("events", keys=(), **EVENTS),
        *events(2, what=1.5),
        *events(3, what=2**70),
        schema("events", keys=(), **{**EVENTS, "what": {"type": ["string", "null"]}, "more": {"type": "string"}}),
        *events(4, what="seven", more="x"),
        state({"n": 4}),
    ]
    keeping.load(*messages, batch_size_rows=1)
    rows = keeping.rows("events")
    assert [row["id"] for row in rows] == [1, 2, 3, 4]
    assert [str(row["what"]).removesuffix(".0") for row in rows] == ["7", "1.5", str(2**70), "seven"]
    assert [row["more"] for row in rows] == [None, None, None, "x"]


def test_the_last_record_of_a_key_wins_across_batches_and_keys_may_change(keeping):
    people = [record(id=number % 3, name=f"n{number}") for number in range(20)]
    keeping.load(schema(), *people, state({"n": 1}), batch_size_rows=4)
    assert [row["name"] for row in keeping.rows()] == ["n18", "n19", "n17"]
    keys = [schema(keys=("id", "name")), record(id=1, name="n19"), record(id=1, name="new"), state({"n": 2})]
    keeping.load(schema(), record(id=0, name="changed"), *keys, batch_size_rows=1)
    assert sorted(row["name"] for row in keeping.rows()) == ["changed", "n17", "n19", "new"]


def test_versions_are_retired_with_a_state(keeping):
    keeping.config |= {"add_record_metadata": True, "hard_delete": True}
    old = [record(id=number, name="old", version=1) for number in (1, 2)]
    keeping.load(schema(), *old, state({"n": 1}))
    new = [record(id=1, name="new", version=2), {"type": "ACTIVATE_VERSION", "stream": "people", "version": 2}]
    ended = keeping.run(schema(), *new)
    assert ended.code == 1
    assert [row["name"] for row in keeping.rows()] == ["old", "old"]
    keeping.load(schema(), *new, state({"n": 2}))
    assert [row["name"] for row in keeping.rows()] == ["new"]


DAMAGED = {
    "digest = 'x'": "its digest does not match",
    "state = '{\"n\": 2}'": "its digest does not match",
    "state = NULL": "its digest does not match",
    "commits = 0": "its row is not one that was stored here",
    "commits = NULL": "its row is not one that was stored here",
    "format = 9": "later version of singerkit (format 9)",
}


def test_a_state_that_is_damaged_or_unknown_is_an_error_and_never_taken_for_none(keeping):
    messages = [schema("events", keys=(), **EVENTS), *events(1), state({"n": 1})]
    keeping.load(*messages)
    (kept,) = keeping.rows("_singerkit_state", order=None)
    for assignment, problem in DAMAGED.items():
        change(keeping, assignment)
        with pytest.raises(StateError, match=re.escape(problem)) as raised:
            keeping.stored_state()
        assert "'shop'" in str(raised.value), assignment
        back = {name: f"'{value}'" if isinstance(value, str) else value for name, value in kept.items()}
        change(keeping, ", ".join(f"{name} = {value}" for name, value in back.items() if name != "pipeline"))
    change(keeping, "format = 9")
    for words in (["--print-state"], []):
        ended = keeping.run(*messages, words=words)
        assert (ended.code, ended.out) == (2, "")
        assert "later version" in ended.err and "Traceback" not in ended.err
    assert [row["id"] for row in keeping.rows("events")] == [1]


def test_a_table_that_is_no_table_of_states_is_told(keeping):
    keeping.load(schema("events", keys=(), **EVENTS), *events(1), state({"n": 1}))
    name = table_of(keeping, "mine")
    servers.execute(keeping.name, f"CREATE TABLE {name} (a int)", folder=keeping.folder)
    with pytest.raises(FatalSyncError, match=r"table of states, .*mine"):
        keeping.stored_state(state_table="mine")


def test_a_tap_that_was_started_with_another_state_is_noticed(tmp_path):
    keeping = plugin("target-sqlite", tmp_path, state_key="shop")
    file = tmp_path / "state.json"
    words = ["--started-from", str(file)]
    messages = [schema("events", keys=(), **EVENTS), *events(1), state({"n": 1.50})]
    file.write_text("{}")
    assert keeping.run(*messages, words=words).states == [{"n": 1.5}]
    for content, problem in (("{}", "'shop'"), ('{"n": 2}', "'shop'"), ("{", "JSON"), (None, "can't be read")):
        file.unlink() if content is None else file.write_text(content)
        ended = keeping.run(*messages, words=words)
        assert (ended.code, ended.out) == (2, "")
        assert problem in ended.err and "Traceback" not in ended.err
    file.write_text('{"n":\n1.5}')
    ended = keeping.run(words=words, state_key="")
    assert (ended.code, ended.out) == (2, "") and "state_key: is not set" in ended.err
    assert keeping.run(*messages, words=words).code == 0
    assert len(keeping.rows("events")) == 2


def test_settings_that_do_not_go_with_it_are_refused(tmp_path):
    keeping = plugin("target-sqlite", tmp_path, state_key="shop")
    head = [schema("_singerkit_state"), record("_singerkit_state", id=1, name="x"), state({"n": 1})]
    ended = keeping.run(*head)
    assert (ended.code, ended.out) == (2, "")
    assert "the table of states" in ended.err and "Traceback" not in ended.err
    for settings in (
        {"load_method": "overwrite"},
        {"state_table": "sqlite_states"},
        {"state_table": "what?"},
        {"state_key": "x" * 300},
        {"state_key": ""},
    ):
        with pytest.raises(ConfigurationError, match=r"^state_"):
            keeping.stored_state(**settings)
