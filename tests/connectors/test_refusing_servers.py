"""Databases that refuse: one clear error without a secret or a value, and nothing released."""

from __future__ import annotations

import socket
from contextlib import contextmanager, suppress
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from singerkit.sql.dialects.mysql import MySQL
from singerkit.sql.dialects.postgresql import PostgreSQL
from singerkit.sql.kinds import INTEGER, TEXT
from singerkit.sql.server import ServerDatabase
from singerkit.sql.tables import TablePlan

from . import servers
from .conftest import made, plugin, record, schema, schema_of, state
from .test_rejects import ids, quarantined

SECRET = "s3cret-can4ry"
VALUE = "can4ry"


@pytest.fixture(params=["target-postgres", "target-mysql"])
def server(request, tmp_path):
    yield from made(request.param, tmp_path)


def execute(server, *statements):
    servers.execute(server.name, *statements, folder=server.folder)


def refused(server, code, *words, messages=None, **given):
    """Run, and expect one clear error."""
    ended = server.run(*(messages or [schema(), record(id=1, name="a"), state(1)]), **given)
    assert (ended.code, ended.states) == (code, []), ended.err
    assert all(word in ended.err for word in words), ended.err
    assert "Traceback" not in ended.err
    assert ended.err.count("\n") <= 3, ended.err
    assert SECRET not in ended.err
    assert VALUE not in ended.err
    return ended


SCHEMES = {"postgres": "postgresql", "mysql": "mysql"}


def name_of(server):
    return "database" if server.name == "target-mysql" else "dbname"


def test_a_user_who_is_not_let_in_is_a_problem_of_the_config(server):
    refused(server, 2, "refuses the connection", "nobody", user="nobody", password=SECRET)


def test_a_database_that_is_not_there_is_a_problem_of_the_config(server):
    refused(server, 2, "refuses the connection", "nowhere", **{name_of(server): "nowhere"})


def test_a_server_that_is_not_there_is_told_at_once(server):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ended = refused(server, 1, "can't be reached", port=port, password=SECRET)
    assert "trying again" not in ended.err
    assert ended.err.endswith("errors.html#retriablesyncerror\n")


def test_a_server_that_is_starting_is_not_a_problem_of_the_config(tmp_path):
    target = plugin("target-postgres", tmp_path)
    fields = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"
    answer = b"E" + (len(fields) + 4).to_bytes(4, "big") + fields
    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=refuse_all, args=(listener, answer), daemon=True).start()
        settings = {"host": "127.0.0.1", "port": listener.getsockname()[1], "ssl_mode": "disable"}
        ended = refused(target, 1, "can't be reached", "starting up", **settings)
        listener.shutdown(socket.SHUT_RDWR)
    assert ended.err.endswith("errors.html#retriablesyncerror\n")


def refuse_all(listener, answer):
    """Give the same answer to whoever connects, until the listener ends."""
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            with client:
                client.recv(4096)
                client.sendall(answer)


@pytest.mark.parametrize(
    ("name", "rest"),
    [
        ("postgres", f"u:{SECRET} x@127.0.0.1/test"),
        ("postgres", f"u:x@{SECRET}@127.0.0.1/test"),
        ("postgres", f"u:{SECRET}/x@127.0.0.1/test"),
        ("postgres", f"u:%{SECRET}@127.0.0.1/test"),
        ("mysql", f"u:{SECRET}/x@127.0.0.1/test"),
    ],
)
def test_no_part_of_an_url_that_is_none_is_shown(tmp_path, name, rest):
    ended = plugin(f"target-{name}", tmp_path).run(schema(), record(id=1), sqlalchemy_url=f"{SCHEMES[name]}://{rest}")
    assert ended.code == 2
    assert "percent-encoded" in ended.err
    assert SECRET not in ended.err
    assert "Traceback" not in ended.err


def test_settings_in_an_url_of_postgresql_are_kept():
    servers.need("target-postgres")
    place = servers.POSTGRES
    url = f"postgresql://{place['user']}@{place['host']}:{place['port']}/{place['dbname']}"
    dialect = PostgreSQL({"conninfo": f"{url}?application_name=mine&options=-c%20statement_timeout%3D4321"})
    with dialect.connect() as connection:
        for name, value in (("application_name", "mine"), ("statement_timeout", "4321ms"), ("timezone", "UTC")):
            assert connection.execute(f"SHOW {name}").fetchone() == (value,)
    connection.close()


@contextmanager
def limited_user(server, *, may_read_and_write):
    """Give a user who may not make or change tables, but read and write a table that there is."""
    own = schema_of(server.folder)
    name = f"user_{own[5:]}"
    if server.name == "target-postgres":
        execute(server, f"CREATE SCHEMA {own}", f"CREATE ROLE {name} LOGIN", f"GRANT USAGE ON SCHEMA {own} TO {name}")
        table = f'{own}."people"'
        end = [f"DROP OWNED BY {name}", f"DROP ROLE {name}"]
        execute(server, f"CREATE TABLE {table} (id bigint PRIMARY KEY, name text)") if may_read_and_write else None
        who = name
    else:
        who = f"'{name}'@'127.0.0.1'"
        table = f"{own}.people"
        execute(
            server,
            f"CREATE DATABASE {own}",
            f"CREATE USER {who}",
            f"GRANT SELECT ON {servers.MYSQL['database']}.* TO {who}",
            f"GRANT CREATE TEMPORARY TABLES ON {own}.* TO {who}",
        )
        end = [f"DROP USER {who}"]
        if may_read_and_write:
            execute(server, f"CREATE TABLE {table} (id bigint PRIMARY KEY, name longtext)")
    if may_read_and_write:
        execute(server, f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {who}")
    try:
        yield name
    finally:
        execute(server, *end)


def test_a_permission_that_is_missing_for_a_new_table_is_one_error(server):
    with limited_user(server, may_read_and_write=False) as user:
        refused(server, 1, "stream 'people'", "denied", "make the table beforehand", user=user)


def test_a_permission_that_is_missing_for_a_new_schema_is_one_error(server):
    with limited_user(server, may_read_and_write=False) as user:
        refused(server, 1, "denied", "grant it", user=user, default_target_schema="not_there")


def test_a_table_that_was_made_beforehand_needs_no_more_than_reading_and_writing(server):
    with limited_user(server, may_read_and_write=True) as user:
        server.load(schema(), record(id=1, name="a"), record(id=2, name="b"), user=user)
        server.load(schema(), record(id=2, name="c"), user=user)
        assert [row["name"] for row in server.rows()] == ["a", "c"]
        wider = schema(id={"type": "integer"}, more={"type": "string"})
        refused(server, 1, "stream 'people'", messages=[wider, record(id=3, more="x"), state(1)], user=user)


TEXT_OR_NULL = {"type": ["string", "null"]}
COLUMNS = {"id": {"type": "integer"}, "mood": TEXT_OR_NULL, "code": TEXT_OR_NULL, "age": {"type": ["integer", "null"]}}
OWNER = {
    "target-postgres": [
        "CREATE SCHEMA {own}",
        "CREATE TYPE {own}.mood AS ENUM ('happy', 'sad')",
        "CREATE TABLE {own}.people (id bigint PRIMARY KEY, mood {own}.mood, code varchar(3), age bigint, "
        "CONSTRAINT grown CHECK (age > 17))",
        "CREATE UNIQUE INDEX one_code ON {own}.people (code)",
    ],
    "target-mysql": [
        "CREATE DATABASE {own}",
        "CREATE TABLE {own}.people (id bigint PRIMARY KEY, mood enum('happy', 'sad'), code varchar(3), age bigint, "
        "CONSTRAINT grown CHECK (age > 17))",
        "CREATE UNIQUE INDEX one_code ON {own}.people (code)",
    ],
    "target-sqlite": [
        "CREATE TABLE people (id INTEGER PRIMARY KEY, mood TEXT CONSTRAINT moods CHECK (mood IN ('happy', 'sad')), "
        "code TEXT CONSTRAINT three CHECK (length(code) < 4), age INTEGER CONSTRAINT grown CHECK (age > 17))",
        "CREATE UNIQUE INDEX one_code ON people (code)",
    ],
    "target-duckdb": [
        "CREATE TYPE mood AS ENUM ('happy', 'sad')",
        "CREATE TABLE people (id BIGINT, mood mood, code VARCHAR UNIQUE CHECK (length(code) < 4), "
        "age BIGINT CHECK (age > 17))",
    ],
}
GOOD = {"mood": "sad", "code": None, "age": 40}
#: What the table of the owner can't hold, and what the error says of it.
BAD = [{**GOOD, "mood": VALUE}, {**GOOD, "code": VALUE}, {**GOOD, "age": 16}, {**GOOD, "code": "abc"}]
SAID = {
    "target-postgres": [["'mood'", "type str"], ["'code'", "(3)", "type str"], ["grown"], ["one_code"]],
    "target-mysql": [["'mood'", "type str"], ["'code'", "(3)", "type str"], ["grown"], ["one_code"]],
    "target-sqlite": [["moods"], ["three"], ["grown"], ["people.code"]],
    "target-duckdb": [["'mood'", "type str"], ["length(code)"], ["(age > 17)"], ["unique"]],
}


@pytest.fixture
def owned(database):
    own = schema_of(database.folder)
    execute(database, *(statement.format(own=own) for statement in OWNER[database.name]))
    database.config["on_schema_change"] = "freeze"
    database.load(schema(**COLUMNS), record(id=1, mood="happy", code="abc", age=20))
    return database


def test_what_a_column_of_the_owner_can_not_hold_is_one_error(owned, monkeypatch):
    messages = [schema(**COLUMNS), record(id=2, **GOOD), record(id=3, **BAD[0]), state(1)]
    refused(owned, 1, "stream 'people'", *SAID[owned.name][0], messages=messages)
    assert ids(owned) == [1]
    monkeypatch.setenv("SINGERKIT_LOG_LEVEL", "debug")
    traced = owned.run(*messages)
    assert "Traceback" in traced.err
    assert VALUE not in traced.err  # nor in the errors of drivers that a trace tells of


@pytest.mark.parametrize("load_method", ["upsert", "append-only"])
def test_what_a_column_of_the_owner_can_not_hold_goes_to_quarantine_alone(owned, load_method):
    bad = {10 * number: values for number, values in enumerate(BAD, start=1)}
    messages = [record(id=number, **bad.get(number, GOOD)) for number in range(2, 60)]
    ended = owned.load(
        schema(**COLUMNS),
        *messages,
        state("end"),
        load_method=load_method,
        on_invalid="quarantine",
        quarantine_path=str(owned.folder.parent / "aside"),
        max_invalid_ratio=0.5,
    )
    assert ended.states == ["end"]
    assert ids(owned) == [number for number in range(1, 60) if number not in bad]
    assert [entry["record"]["id"] for entry in quarantined(owned)] == list(bad)
    for entry, words in zip(quarantined(owned), SAID[owned.name], strict=True):
        assert all(word in entry["error"] for word in words), entry["error"]
        assert VALUE not in entry["error"]
    assert VALUE not in ended.err


NAMES = st.text(min_size=1, max_size=80).filter(lambda name: not any("\ud800" <= c <= "\udfff" for c in name))
HOSTILE = st.sampled_from(
    ['"; DROP TABLE bystander; --', "`; DROP TABLE bystander; --", "a%sb%%", "x\\", "'", '\\"', "#", "/*"]
)


def test_no_name_becomes_sql(server):
    own = schema_of(server.folder)
    dialect = PostgreSQL(servers.POSTGRES) if server.name == "target-postgres" else MySQL(servers.MYSQL)
    database = ServerDatabase(dialect, own)
    bystander = database.table("bystander", overwrite=False)
    bystander.adapt(TablePlan({"id": INTEGER}, {}, ("id",)))
    streams = {"bystander"}

    @settings(max_examples=15, suppress_health_check=list(HealthCheck))
    @given(NAMES | HOSTILE, st.lists(NAMES | HOSTILE, min_size=1, max_size=4, unique=True), st.booleans())
    def check(stream, properties, with_keys):
        stream = f"{len(streams)}{stream}"  # a table of its own: another's key may refuse what comes
        table = database.table(stream, overwrite=False)
        streams.add(stream)
        for _ in range(2):
            table.adapt(TablePlan(dict.fromkeys(properties, TEXT), {}, tuple(properties[:1]) if with_keys else ()))
            table.store([{name: f"v{number}" for number, name in enumerate(properties)}], remove_deleted=False)
        found = database.run(lambda cursor: dialect.tables(cursor, own))
        assert len(found) == len(streams)
        assert "bystander" in found
        assert set(table.columns) == set(properties)
        assert len(set(table.columns.values())) == len(properties)

    check()
    contents = servers.tables(server.name, own)
    database.close()
    assert sum(not column for column in contents) == 1
    assert all(set(column) == {"v0"} for column in contents if column)
