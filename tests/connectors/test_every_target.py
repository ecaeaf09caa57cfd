"""What holds for every target that comes with singerkit."""

from __future__ import annotations

import json
import subprocess

import pytest

from . import servers
from .conftest import PARQUET_NAME, lines, record, schema, schema_of, state

NAMES = [
    "../escape",
    "/abs/olute",
    "a/b",
    "..",
    ".hidden",
    "-rf",
    "with space",
    'qu"ote',
    "semi;colon'; DROP TABLE people; --",
    "percent%s{x}",
    "emoji 😀",
    "x" * 300,
    "line\nbreak",
    "nul\0byte",
    "People",
    "people",
    "PEOPLE",
    "select",
    "1number",
    "s",
    "sqlite_sequence",
    "people_0123456789ab",
    "people-0123456789ab",
]


def ids(rows):
    return sorted(int(row["id"]) for row in rows)


def test_records_are_stored_and_the_state_is_released(target):
    ended = target.load(schema(), record(id=1, name="a"), record(id=2, name=None), state({"at": 2}))
    assert ended.states == [{"at": 2}]
    assert ids(target.rows(order=None)) == [1, 2]


@pytest.mark.parametrize("count", [0, 1, 7, 12_000])
def test_every_record_arrives_whatever_the_size_of_a_batch(target, count):
    records = [record(id=number, name=f"n{number}") for number in range(count)]
    target.load(schema(), *records, state(count), batch_size_rows=1_000 if count > 10 else 3)
    rows = target.rows(order=None)
    assert sorted((int(row["id"]), row["name"]) for row in rows) == [(n, f"n{n}") for n in range(count)]


def test_empty_input_touches_nothing(target):
    assert target.load().out == ""
    assert list(target.folder.iterdir()) == []


def test_values_go_to_their_property_whatever_their_order(target):
    target.load(
        schema(id={"type": "integer"}, a={"type": ["string", "null"]}, b={"type": ["string", "null"]}),
        b'{"type":"RECORD","stream":"people","record":{"b":"B1","id":1,"a":"A1"}}\n',
        b'{"type":"RECORD","stream":"people","record":{"id":2,"b":"B2"}}\n',
    )
    first, second = sorted(target.rows(order=None), key=lambda row: int(row["id"]))
    assert (first["a"], first["b"]) == ("A1", "B1")
    assert (second.get("a") or None, second["b"]) == (None, "B2")


def test_a_schema_without_properties_is_bad_input(target):
    bare = {"type": "SCHEMA", "stream": "people", "schema": {"type": "object"}, "key_properties": []}
    ended = target.run(bare, state(1))
    if target.name == "target-jsonl":  # it writes what comes, whatever the schema names
        assert (ended.code, ended.states) == (0, [1])
    else:
        assert (ended.code, ended.out) == (4, "")
        assert "line 1" in ended.err
        assert "stream 'people': the schema names no properties" in ended.err


def test_a_property_with_half_a_character_in_its_name_gives_one_clear_error(target):
    odd = {"id": {"type": "integer"}, "n\ud800": {"type": "string"}}
    ended = target.run(schema(**odd), record(id=1), state(1))
    assert ended.code in (2, 4)
    assert ended.out == ""
    line, help_page = ended.err.splitlines()
    assert help_page.startswith("  help: ")
    assert "stream 'people'" in line
    assert "half a character (a lone surrogate)" in line


def test_a_stream_with_half_a_character_in_its_name_has_a_place(target):
    target.load(schema("a\ud800b"), record("a\ud800b", id=1, name="x"))
    if target.name in ("target-jsonl", "target-csv", "target-parquet"):
        (path,) = target.folder.iterdir()
        assert path.stem.startswith("a_b-")
    else:
        assert ids(target.rows("a_b_45e334b6c74c")) == [1]


def test_no_name_leaves_the_folder_or_shares_a_place(target):
    outside = set(target.folder.parent.iterdir())
    messages = []
    for number, name in enumerate(NAMES):
        messages += [schema(name), record(name, id=number, name=name.replace("\0", ""))]
    target.load(*messages, state(1))
    assert {path.name for path in set(target.folder.parent.iterdir()) - outside} <= {"config.json"}
    assert all(path.is_file() and path.parent == target.folder for path in target.folder.rglob("*"))
    assert stored_numbers(target) == list(range(len(NAMES)))
    # A second run finds the same places again.
    target.load(*messages, state(1))
    stored = stored_numbers(target)
    assert sorted(set(stored)) == list(range(len(NAMES)))


def stored_numbers(target):
    """Give the id of every row of every table or file."""
    import sqlite3

    import duckdb

    numbers = []
    if target.name in ("target-postgres", "target-mysql"):
        return sorted(number for table in servers.tables(target.name, schema_of(target.folder)) for number in table)
    if target.name == "target-sqlite":
        connection = sqlite3.connect(target.folder / "db.sqlite")
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            numbers += [row[0] for row in connection.execute('SELECT id FROM "{}"'.format(name.replace('"', '""')))]
        connection.close()
    elif target.name == "target-duckdb":
        with duckdb.connect(str(target.folder / "db.duckdb")) as connection:
            for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
                found = connection.execute('SELECT id FROM "{}"'.format(name.replace('"', '""'))).fetchall()
                numbers += [row[0] for row in found]
    elif target.name == "target-parquet":
        streams = {PARQUET_NAME.fullmatch(path.name)[1] for path in target.folder.iterdir()}
        numbers = [row["id"] for stream in streams for row in target.rows(stream)]
    else:
        numbers = [int(row["id"]) for path in target.folder.iterdir() for row in target.rows(path.stem, order=None)]
    return sorted(numbers)


def test_a_property_that_comes_later_moves_nothing(target):
    wide = {"id": {"type": "integer"}, "new": {"type": ["string", "null"]}, "name": {"type": ["string", "null"]}}
    target.load(
        schema(),
        record(id=1, name="a"),
        schema(**wide),
        record(id=2, name="b", new="n2"),
    )
    target.load(schema(id={"type": "integer"}, later={"type": ["integer", "null"]}), record(id=3, later=7))
    rows = sorted(target.rows(order=None), key=lambda row: int(row["id"]))
    assert [row.get("name") or None for row in rows] == ["a", "b", None]
    assert [row.get("new") or None for row in rows] == [None, "n2", None]
    assert [row.get("later") or None for row in rows] in ([None, None, 7], [None, None, "7"])


def test_a_bad_line_releases_nothing_that_is_not_stored(target):
    ended = target.run(schema(), record(id=1, name="a"), state(1), record(id="no"), state(2))
    assert ended.code == 1
    assert 2 not in ended.states
    assert "Traceback" not in ended.err
    assert ids(target.rows(order=None)) == [1] if ended.states else True


def test_an_unknown_load_method_is_a_problem_of_the_config(target):
    ended = target.run(schema(), record(id=1), load_method="merge")
    assert ended.code == 2
    assert "load_method" in ended.err
    assert list(target.folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_error_and_nothing_is_released(local_target):
    target = local_target
    blocked = target.folder / "file"
    blocked.write_text("")
    for setting in ("destination_path", "output_path", "path_to_database", "path"):
        if setting in target.config:
            target.config[setting] = str(blocked / "below")
    ended = target.run(schema(), record(id=1), state(1))
    assert (ended.code, ended.out) == (1, "")
    assert len([line for line in ended.err.splitlines() if "CRITICAL" in line]) == 1
    assert "Traceback" not in ended.err


def test_a_full_disk_releases_nothing(local_target):
    import resource

    target = local_target
    if target.name == "target-parquet":
        target.config["compression_method"] = "none"

    def limit():
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))

    records = [record(id=number, name=f"{number}" * 200) for number in range(5_000)]
    ended = target.run(schema(), *records, state(1), preexec_fn=limit)
    assert ended.code == 1, ended.err
    assert ended.out == ""
    assert "Traceback" not in ended.err
    # The next run goes on as if nothing had happened.
    target.load(schema(), *records, state(1))
    assert set(ids(target.rows(order=None))) == set(range(5_000))


def test_a_killed_run_has_stored_what_it_released_and_can_be_repeated(target):
    messages = [schema()]
    for number in range(30_000):
        messages.append(record(id=number, name=f"name {number}"))
        if number % 500 == 499:
            messages.append(state(number))
    target.config["batch_size_rows"] = 500
    if target.name == "target-parquet":
        target.config["file_size"] = 500
    data = lines(*messages)
    for released in (1, 3, 9):
        states = target.kill_after(data, released)
        stored = set(ids(rows_after_crash(target)))
        assert not states or set(range(states[-1] + 1)) <= stored
    target.load(data)
    found = ids(target.rows(order=None))
    assert set(found) == set(range(30_000))
    if target.name in ("target-sqlite", "target-duckdb"):
        assert len(found) == 30_000


def rows_after_crash(target):
    """Read without what a torn last line holds."""
    if target.name == "target-jsonl":
        path = target.folder / "people.jsonl"
        return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
    if target.name == "target-csv":
        text = (target.folder / "people.csv").read_bytes()
        return [{"id": line.split(b",")[0]} for line in text.split(b"\r\n")[1:-1]]
    return target.rows(order=None)


def test_many_streams_are_stored_in_parallel(target):
    messages = [schema(f"s{number}") for number in range(8)]
    messages += [record(f"s{number % 8}", id=number // 8, name="x") for number in range(16_000)]
    target.load(*messages, state(1), batch_size_rows=300, max_parallelism=4)
    for number in range(8):
        assert ids(target.rows(f"s{number}", order=None)) == list(range(2_000))


def test_overwrite_replaces_when_the_run_has_succeeded_and_not_before(target):
    target.load(schema(), record(id=1, name="old"), record(id=2, name="old"))
    failed = target.run(schema(), record(id=3, name="new"), b"not json\n", load_method="overwrite")
    assert failed.code == 4
    assert ids(target.rows(order=None)) == [1, 2]
    wide = schema(id={"type": "integer"}, more={"type": ["string", "null"]})
    ended = target.load(
        schema(), record(id=3, name="new"), state(1), wide, record(id=4, more="m"), state(2), load_method="overwrite"
    )
    assert ended.states == [2]  # the one before it would speak of rows that are not there yet
    assert ids(target.rows(order=None)) == [3, 4]
    target.load(schema(), record(id=5, name="newer"), load_method="overwrite")
    assert ids(target.rows(order=None)) == [5]


def test_sigterm_stores_what_came_and_leaves_what_an_overwrite_would_replace(target):
    target.load(schema(), record(id=1, name="old"))
    process = subprocess.Popen(
        target.command(load_method="overwrite"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=target.folder.parent,
    )
    # More than a pipe holds: when it is written, the target reads.
    process.stdin.write(lines(schema(), record(id=2, name="n" * 2_000_000), state(1)))
    process.stdin.flush()
    process.terminate()
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (143, b"")
    assert ids(target.rows(order=None)) == [1]


def test_unknown_properties_are_kept_or_counted(target):
    ended = target.load(schema(), record(id=1, name="a", extra="x"))
    if target.name == "target-jsonl":
        assert target.rows()[0]["extra"] == "x"
    else:
        assert "'extra'" in ended.err
        assert "Left out 1 values" in ended.err


def test_a_flood_of_unknown_properties_is_no_flood_of_log_lines(target):
    flood = {f"p{number}": 1 for number in range(5_000)}
    ended = target.load(schema(), {**record(), "record": {"id": 1, **flood}})
    assert len(ended.err) < 16_000


def test_about_lists_its_settings(target):
    about = json.loads(target.run(words=["--about", "--format", "json"]).out)
    assert about["name"] == target.name
    assert "load_method" in json.dumps(about)
