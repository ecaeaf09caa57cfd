"""Connections that break at any byte: the work is done again where that is safe, else the run stops and says so."""

from __future__ import annotations

import json
import subprocess
from threading import Thread

import psycopg
import pymysql
import pytest
from cut_proxy import CUT, CUT_BEHIND, PASS, CutProxy

from singerkit.errors import FatalSyncError, RetriableSyncError
from singerkit.sql.dialects.mysql import MySQL
from singerkit.sql.dialects.postgresql import PostgreSQL
from singerkit.sql.kinds import INTEGER, TEXT
from singerkit.sql.server import ServerDatabase
from singerkit.sql.state_table import StateTable
from singerkit.sql.tables import TablePlan
from singerkit.sql.waiting import Waiting

from . import servers
from .conftest import feed, lines, made, record, schema, schema_of, state

SERVERS = {"target-postgres": (servers.POSTGRES, PostgreSQL), "target-mysql": (servers.MYSQL, MySQL)}


@pytest.fixture(params=list(SERVERS))
def server(request, tmp_path):
    yield from made(request.param, tmp_path)


def proxy_to(server, judge):
    parameters, _ = SERVERS[server.name]
    return CutProxy(parameters["host"], parameters["port"], judge)


def open_through(server, proxy):
    parameters, dialect = SERVERS[server.name]
    # TLS would hide from the proxy what is sent.
    plain = {"sslmode": "disable"} if server.name == "target-postgres" else {}
    return ServerDatabase(
        dialect({**parameters, **plain, "host": "127.0.0.1", "port": proxy.port}), schema_of(server.folder)
    )


class CutAt:
    """Cuts at the n-th block on its way to the server."""

    def __init__(self, verdict):
        self.verdict = verdict
        self.blocks_left = 0

    def __call__(self, data):
        self.blocks_left -= 1
        return self.verdict if self.blocks_left == 0 else PASS


class CutUpToCommit:
    """Cuts once, at the n-th block or at the commit if that comes first.

    How many blocks precede a commit changes from one transaction to the next,
    as the sockets join what is sent in a row.
    """

    def __init__(self, verdict):
        self.verdict = verdict
        self.blocks_left = None
        self.was_commit = False

    def __call__(self, data):
        if self.blocks_left is None:
            return PASS
        self.blocks_left -= 1
        self.was_commit = b"COMMIT" in data
        if self.blocks_left and not self.was_commit:
            return PASS
        self.blocks_left = None
        return self.verdict


@pytest.mark.parametrize("verdict", [CUT, CUT_BEHIND])
@pytest.mark.parametrize("keys", [("id",), ()])
def test_a_connection_cut_anywhere_stores_each_batch_once_or_says_that_it_may_not(server, keys, verdict):
    cut = CutUpToCommit(verdict)
    cut_commits = 0
    with proxy_to(server, cut) as proxy:
        database = open_through(server, proxy)
        table = database.table("people", overwrite=False)
        table.adapt(TablePlan({"id": INTEGER, "name": TEXT}, {}, keys))
        present, number = set(), 0
        while not cut.was_commit:
            number += 1
            cut.blocks_left = number
            try:
                table.store([{"id": number, "name": "x"}], remove_deleted=False)
                present.add(number)
            except RetriableSyncError as error:
                assert cut.was_commit and not keys
                assert "it may be stored or not" in str(error)
                cut_commits += 1
                if verdict == CUT_BEHIND:  # as it was, though nobody could know
                    present.add(number)
        database.close()
    assert proxy.cuts == number >= 2
    assert cut_commits == (not keys)
    assert [row["id"] for row in server.rows()] == sorted(present)


def test_a_server_that_restarts_is_waited_for(server):
    cut = CutAt(CUT)
    with proxy_to(server, cut) as proxy:
        database = open_through(server, proxy)
        table = database.table("people", overwrite=False)
        table.adapt(TablePlan({"id": INTEGER, "name": TEXT}, {}, ()))
        cut.blocks_left, proxy.refusals, before = 2, 3, proxy.connections
        table.store([{"id": 1, "name": "x"}], remove_deleted=False)
        assert (proxy.cuts, proxy.connections - before) == (1, 4)
        database.close()
    assert [row["id"] for row in server.rows()] == [1]


def test_a_server_that_does_not_come_back_is_told(server, monkeypatch):
    monkeypatch.setattr("singerkit.sql.server._WAITS_S", (0.001,) * 3)
    cut = CutAt(CUT)
    with proxy_to(server, cut) as proxy:
        database = open_through(server, proxy)
        table = database.table("people", overwrite=False)
        table.adapt(TablePlan({"id": INTEGER, "name": TEXT}, {}, ("id",)))
        cut.blocks_left, proxy.refusals, before = 2, 100, proxy.connections
        with pytest.raises(RetriableSyncError, match=r"reached|Lost connection"):
            table.store([{"id": 1, "name": "x"}], remove_deleted=False)
        assert proxy.connections - before == 3
        database.close()
    assert server.rows() == []


def test_new_tables_are_published_once_though_the_answer_is_lost(server):
    server.load(schema(), record(id=1, name="old"))
    cut, number, cuts_before = CutAt(CUT_BEHIND), 0, -1
    with proxy_to(server, cut) as proxy:
        while proxy.cuts > cuts_before:
            cuts_before = proxy.cuts
            number += 1
            database = open_through(server, proxy)
            table = database.table("people", overwrite=True)
            table.adapt(TablePlan({"id": INTEGER, "name": TEXT}, {}, ("id",)))
            table.store([{"id": number, "name": "new"}], remove_deleted=False)
            cut.blocks_left = number
            database.publish()
            database.close()
            assert [row["id"] for row in server.rows()] == [number]
    assert number > 3


def test_an_overwrite_that_another_run_took_away_is_an_error(server):
    with proxy_to(server, lambda data: PASS) as proxy:
        first, second = open_through(server, proxy), open_through(server, proxy)
        for database, name in ((first, "first"), (second, "second")):
            table = database.table("people", overwrite=True)
            table.adapt(TablePlan({"id": INTEGER, "name": TEXT}, {}, ("id",)))
            table.store([{"id": 1, "name": name}], remove_deleted=False)
        second.publish()
        with pytest.raises(FatalSyncError, match="another run"):
            first.publish()
        first.close()
        second.close()
    assert [row["name"] for row in server.rows()] == ["second"]


class CutCommit:
    """Cuts the n-th commit when the server has it."""

    def __init__(self, number):
        self.commits_left = number

    def __call__(self, data):
        self.commits_left -= b"COMMIT" in data
        if self.commits_left == 0 and b"COMMIT" in data:
            return CUT_BEHIND
        return PASS


@pytest.mark.parametrize("keys", [("id",), ()])
def test_a_commit_without_an_answer_stops_a_run_that_appends_and_no_other(server, keys):
    messages = [schema(keys=keys)]
    for number in range(10):
        messages += [record(id=number, name="x"), state(number)]
    with proxy_to(server, CutCommit(8)) as proxy:
        server.config |= {"host": "127.0.0.1", "port": proxy.port, "batch_size_rows": 1}
        if server.name == "target-postgres":
            server.config["ssl_mode"] = "disable"
        ended = server.run(*messages)
        assert proxy.cuts == 1
    ids = [row["id"] for row in server.rows()]
    if keys:
        assert (ended.code, ended.states[-1], ids) == (0, 9, list(range(10))), ended.err
        return
    assert ended.code == 1
    assert "stream 'people': the connection was lost while a batch was committed" in ended.err
    assert "Traceback" not in ended.err
    # The batch that was cut is there, and what was released before it stands.
    assert ids == list(range(ended.states[-1] + 2))


def end_connections(server):
    """End all of the target's connections, and give how many those were."""
    found = servers.sessions(server.name, schema_of(server.folder))
    if server.name == "target-postgres":
        with psycopg.connect(**servers.POSTGRES) as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", [found])
        return len(found)
    with pymysql.connect(**servers.MYSQL) as connection, connection.cursor() as cursor:
        for number in found:
            try:
                cursor.execute(f"KILL {number}")
            except pymysql.err.OperationalError as error:
                assert error.args[0] == 1094  # it has gone already
    return len(found)


def test_a_server_that_ends_connections_again_and_again_delays_a_load_and_no_more(server):
    server.config |= servers.named(server.name, schema_of(server.folder))
    count, ended = 20_000, 0
    messages = [schema("a"), schema("b")]
    for number in range(count):
        messages.append(record("ab"[number % 2], id=number // 2, name=f"n{number}"))
        if number % 250 == 249:
            messages.append(state(number))
    process = subprocess.Popen(
        server.command(batch_size_rows=250), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    feeder = Thread(target=feed, args=(process.stdin, lines(*messages)))
    feeder.start()
    states = []
    for line in process.stdout:
        states.append(json.loads(line))
        if len(states) <= 24 and len(states) % 4 == 0:
            ended += end_connections(server)
    log = process.stderr.read().decode()
    feeder.join()
    process.stdout.close()
    process.stderr.close()
    assert (process.wait(), states[-1]) == (0, count - 1), log
    assert ended >= 3
    assert "trying again" in log
    for stream in "ab":
        assert [row["id"] for row in server.rows(stream)] == list(range(count // 2))


@pytest.mark.parametrize("verdict", [CUT, CUT_BEHIND])
def test_a_connection_cut_anywhere_stores_rows_and_their_state_once(server, verdict):
    cut = CutUpToCommit(verdict)
    with proxy_to(server, cut) as proxy:
        database = open_through(server, proxy)
        table = database.table("people", overwrite=False)
        table.adapt(TablePlan({"id": INTEGER, "name": TEXT}, {}, ()))
        states, waiting = StateTable(database, "states", "shop"), Waiting()
        states.open()
        number = 0
        while not cut.was_commit:
            number += 1
            for name in "xy":
                waiting.add_rows("people", table, table.prepare([{"id": number, "name": name}], remove_deleted=False))
            cut.blocks_left = number
            states.store(b"%d" % number, waiting.write)
            waiting.clear()
            assert states.read().text == str(number)
        database.close()
    assert proxy.cuts == number >= 2
    assert [row["id"] for row in server.rows()] == sorted([*range(1, number + 1)] * 2)


def test_of_two_runs_of_a_pipeline_one_goes_on(server):
    with proxy_to(server, lambda data: PASS) as proxy:
        first, second = open_through(server, proxy), open_through(server, proxy)
        table = first.table("people", overwrite=False)
        table.adapt(TablePlan({"id": INTEGER, "name": TEXT}, {}, ()))
        one, other = (StateTable(database, "states", "shop") for database in (first, second))
        one.open()
        other.open()
        other.store(b"1", lambda cursor: None)
        rows = table.prepare([{"id": 1, "name": "x"}], remove_deleted=False)
        with pytest.raises(FatalSyncError, match="another run of the pipeline 'shop'"):
            one.store(b"2", lambda cursor: table.write(cursor, rows))
        other.store(b"3", lambda cursor: None)
        assert other.read().text == "3"
        first.close()
        second.close()
    assert server.rows() == []
