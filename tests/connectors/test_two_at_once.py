"""Targets that load the same tables at the same time: all end, and every key is there."""

from __future__ import annotations

import subprocess
from threading import Barrier, Thread

import pytest

from singerkit.sql.dialects.mysql import MySQL
from singerkit.sql.dialects.postgresql import PostgreSQL
from singerkit.sql.kinds import INTEGER, TEXT
from singerkit.sql.server import ServerDatabase
from singerkit.sql.tables import TablePlan

from . import servers
from .conftest import feed, lines, made, record, schema, schema_of, state

DIALECTS = {
    "target-postgres": lambda: PostgreSQL(servers.POSTGRES),
    "target-mysql": lambda: MySQL(servers.MYSQL),
}


# DuckDB lets one process at a time write a file; a second one is told so (see its own tests).
@pytest.fixture(params=["target-sqlite", *DIALECTS])
def shared(request, tmp_path):
    yield from made(request.param, tmp_path)


@pytest.fixture(params=list(DIALECTS))
def server(request, tmp_path):
    yield from made(request.param, tmp_path)


def test_two_targets_that_load_the_same_table_end_both(shared):
    count = 3_000
    forth = [record(id=number, name=f"n{number}") for number in range(count)]
    # Opposite orders, so that each waits for rows of the other; half of the keys are loaded by both.
    back = [record(id=number, name=f"n{number}") for number in reversed(range(count // 2, count + count // 2))]
    # Both use one config file.
    words = shared.command(batch_size_rows=100)
    started = []
    for messages in (forth, back):
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        feeder = Thread(target=feed, args=(process.stdin, lines(schema(), *messages, state("end"))))
        feeder.start()
        process.stdin = None  # the feeder's
        started.append((process, feeder))
    for process, feeder in started:
        out, err = process.communicate(timeout=120)
        feeder.join()
        assert (process.returncode, out) == (0, b'"end"\n'), err.decode()
    assert [(row["id"], row["name"]) for row in shared.rows()] == [(n, f"n{n}") for n in range(count + count // 2)]


def test_tables_and_columns_are_made_by_several_at_once(server):
    own = schema_of(server.folder)
    count, rounds = 4, 5
    barrier = Barrier(count)
    failures = []

    def load(number):
        try:
            database = ServerDatabase(DIALECTS[server.name](), own)
            for turn in range(rounds):
                barrier.wait(60)
                table = database.table(f"t{turn}", overwrite=False)
                table.adapt(TablePlan({"id": INTEGER, "name": TEXT}, {}, ("id",)))
                barrier.wait(60)
                table.adapt(TablePlan({"id": INTEGER, "name": TEXT, "more": TEXT}, {}, ("id",)))
                table.store([{"id": number, "name": "x", "more": "y"}], remove_deleted=False)
            database.close()
        except Exception as error:  # noqa: BLE001 - told below, in the thread that pytest hears
            failures.append(error)
            barrier.abort()

    threads = [Thread(target=load, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for turn in range(rounds):
        assert [(row["id"], row["more"]) for row in server.rows(f"t{turn}")] == [(n, "y") for n in range(count)]
