"""States of Meltano are found wherever it keeps them, and as its commands write them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from singerkit.errors import StateError
from singerkit.runner.state_files import read_states, states_of_text

#: The table that Meltano 4.4 makes.
TABLE = """CREATE TABLE state (
    state_id VARCHAR(900) NOT NULL, partial_state VARCHAR, completed_state VARCHAR, updated_at DATETIME,
    PRIMARY KEY (state_id), UNIQUE (state_id))"""


def singer(**bookmarks):
    return {
        "singer_state": {
            "bookmarks": {
                stream: {"replication_key": "updated_at", "replication_key_value": value}
                for stream, value in bookmarks.items()
            }
        }
    }


def bare(**bookmarks):
    return singer(**bookmarks)["singer_state"]


@pytest.fixture
def project(tmp_path):
    """Make a project with states in its system database: one whole, one begun anew, one failed at once, one empty."""
    (tmp_path / ".meltano").mkdir()
    rows = [
        ("dev:tap-a-to-target-b", "{}", json.dumps(singer(orders="2024-05-01"))),
        (
            "prod:tap-a-to-target-b",
            json.dumps(singer(orders="2024-06-01")),
            json.dumps(singer(orders="2024-05-01", x="1")),
        ),
        ("prod:tap-c-to-target-b:full", json.dumps(singer(orders="2024-07-01")), None),
        ("dev:nothing", "{}", "{}"),
    ]
    with closing(sqlite3.connect(tmp_path / ".meltano/meltano.db")) as database:
        database.execute(TABLE)
        database.executemany("INSERT INTO state (state_id, partial_state, completed_state) VALUES (?, ?, ?)", rows)
        database.commit()
    return tmp_path


EXPECTED = {
    "dev:tap-a-to-target-b": bare(orders="2024-05-01"),
    "prod:tap-a-to-target-b": bare(orders="2024-06-01", x="1"),
    "prod:tap-c-to-target-b:full": bare(orders="2024-07-01"),
}


@pytest.mark.parametrize("where", ["", ".meltano", ".meltano/meltano.db"])
def test_states_are_found_in_the_system_database(project, where):
    before = sorted(project.rglob("*"))
    assert read_states(project / where) == EXPECTED
    assert sorted(project.rglob("*")) == before


@pytest.mark.parametrize("where", ["", ".meltano", ".meltano/state"])
def test_states_are_found_in_the_folders_of_a_state_backend(tmp_path, where):
    states = {
        "dev:tap-a-to-target-b": {"completed": singer(orders="2024-05-01"), "partial": {}},
        "odd/id": {"completed": singer(orders="2024-05-01", x="1"), "partial": singer(orders="2024-06-01")},
        "nothing": {"completed": {}, "partial": {}},
    }
    for id, parts in states.items():
        folder = tmp_path / ".meltano/state" / id
        folder.mkdir(parents=True)
        (folder / "state.json").write_text(json.dumps(parts))
        (folder / "lock").write_text("1732312065.1")
    assert read_states(tmp_path / where) == {
        "dev:tap-a-to-target-b": bare(orders="2024-05-01"),
        "odd/id": bare(orders="2024-06-01", x="1"),
    }


def test_what_its_commands_write_is_read():
    exported = {
        "dev:a": {"completed": singer(orders="2024-05-01"), "partial": {}},
        "dev:b": {"completed": {}, "partial": singer(orders="2024-06-01")},
        "dev:c": {"completed": None, "partial": None},
    }
    assert states_of_text(json.dumps(exported).encode(), "stdin") == {
        "dev:a": bare(orders="2024-05-01"),
        "dev:b": bare(orders="2024-06-01"),
    }
    assert states_of_text(json.dumps(singer(orders="1")).encode(), "stdin") == {None: bare(orders="1")}
    assert states_of_text(json.dumps(exported["dev:a"]).encode(), "stdin") == {None: bare(orders="2024-05-01")}


@pytest.mark.parametrize(
    ("text", "state"),
    [
        # As taps of the SDKs have it, with a byte order mark, pretty, and as messages.
        (json.dumps(bare(orders="1"), indent=2), bare(orders="1")),
        ("\ufeff" + json.dumps(bare(orders="1")), bare(orders="1")),
        (json.dumps({"type": "STATE", "value": bare(orders="1")}), bare(orders="1")),
        # As singer-python's taps have it, and values that only a tap understands.
        ('{"bookmarks": {"orders": {"updated_at": "2024"}}, "currently_syncing": null}', None),
        ('{"last_id": 7, "price": 1.5}', None),
        ('{"completed": 1}\n{"last_id": 8}\n', {"last_id": 8}),
    ],
)
def test_plain_state_files_are_read(text, state):
    assert states_of_text(text.encode(), "the file") == {None: state or json.loads(text)}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b'{"completed": {"bookmarks": {}}, "partial": {}}',
            "completed is no state of Meltano: it has no object 'singer",
        ),
        (b'{"singer_state": 1}', "it has no object 'singer_state'"),
        (b'{"a": {"completed": [1], "partial": null}}', "state 'a', completed is no state of Meltano"),
        (b'{"format": "singerkit states", "version": 2, "states": {}}', "does not know: upgrade it"),
        (b"  \n", "is empty"),
        (b"[]", "is no JSON object"),
        (b"{", "is no JSON"),
        (b"\xff{}", "is no JSON"),
        (b"SQLite format 3\0" + b"x" * 100, "is no system database of Meltano"),
    ],
)
def test_what_is_no_state_is_an_error(tmp_path, content, said):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(StateError, match=said):
        read_states(tmp_path / "file")


def test_a_folder_without_states_is_an_error(tmp_path):
    with pytest.raises(StateError, match="has no state of Meltano: no database"):
        read_states(tmp_path)
    with pytest.raises(StateError, match="can't be read: No such file"):
        read_states(tmp_path / "none")
    with closing(sqlite3.connect(tmp_path / "other.db")) as database:
        database.execute("CREATE TABLE t (a INT)")
    with pytest.raises(StateError, match="no system database of Meltano: no such table: state"):
        read_states(tmp_path / "other.db")
