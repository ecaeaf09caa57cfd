"""Connectors as their users run them: processes, pipes, real files and databases."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

import duckdb
import psycopg
import pymysql
import pytest
from psycopg.types.json import set_json_loads
from pyarrow import parquet

from singerkit.built_in import CONNECTORS

from . import servers

COMMAND = [sys.executable, "-c", "from singerkit.cli.main import main; main()"]


def schema(stream="people", keys=("id",), **properties):
    properties = properties or {"id": {"type": "integer"}, "name": {"type": ["string", "null"]}}
    return {
        "type": "SCHEMA",
        "stream": stream,
        "schema": {"type": "object", "properties": properties},
        "key_properties": list(keys),
    }


def record(stream="people", version=None, **values):
    message = {"type": "RECORD", "stream": stream, "record": values}
    return message if version is None else {**message, "version": version}


def state(value):
    return {"type": "STATE", "value": value}


def lines(*messages):
    return b"".join(m if isinstance(m, bytes) else json.dumps(m).encode() + b"\n" for m in messages)


def feed(pipe, data):
    """Write as fast as the target reads, until it is gone."""
    with suppress(OSError):
        pipe.write(data)
    with suppress(OSError):
        pipe.close()


@dataclass
class Ended:
    code: int
    out: str
    err: str

    @property
    def states(self):
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Plugin:
    """A connector with its config."""

    name: str
    folder: Path
    config: dict[str, Any] = field(default_factory=dict)

    def command(self, **settings):
        path = self.folder.parent / "config.json"
        path.write_text(json.dumps({**self.config, **settings}))
        return [*COMMAND, self.name, "--config", str(path)]

    def run(self, *messages, words=(), timeout=60, preexec_fn=None, **settings):
        ended = subprocess.run(
            [*self.command(**settings), *words],
            input=lines(*messages),
            capture_output=True,
            cwd=self.folder.parent,
            timeout=timeout,
            check=False,
            preexec_fn=preexec_fn,
        )
        return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    def load(self, *messages, **settings):
        """Run, and expect that all went well."""
        ended = self.run(*messages, **settings)
        assert ended.code == 0, ended.err
        return ended

    def stored_state(self, **settings):
        """Give the state that the database keeps, asked in this process."""
        module, _, plugin = CONNECTORS[self.name].location.partition(":")
        return getattr(import_module(module), plugin)(config={**self.config, **settings}).stored_state()

    def kill_after(self, data, released):
        """Feed it data, kill it when it has released so many states, and give the states."""
        process = subprocess.Popen(
            self.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=self.folder
        )
        feeder = Thread(target=feed, args=(process.stdin, data))
        feeder.start()
        states = []
        for line in process.stdout:
            states.append(json.loads(line))
            if len(states) >= released:
                process.send_signal(signal.SIGKILL)
                break
        states += [json.loads(line) for line in process.stdout.read().splitlines()]
        process.stdout.close()
        process.wait()
        feeder.join()
        return states

    def rows(self, stream="people", order="id"):
        rows = READERS[self.name](self.folder, stream)
        return sorted(rows, key=lambda row: (row[order] is not None, row[order])) if order else rows


def read_jsonl(folder, stream):
    text = (folder / f"{stream}.jsonl").read_bytes()
    return [json.loads(line, parse_float=Decimal) for line in text.splitlines()]


def read_csv(folder, stream):
    with (folder / f"{stream}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, strict=True))


def read_sqlite(folder, stream):
    with sqlite3.connect(folder / "db.sqlite") as connection:
        connection.row_factory = sqlite3.Row
        quoted = stream.replace('"', '""')
        rows = [dict(row) for row in connection.execute(f'SELECT * FROM "{quoted}"')]
    connection.close()
    return rows


def read_duckdb(folder, stream):
    with duckdb.connect(str(folder / "db.duckdb")) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        quoted = stream.replace('"', '""')
        described = connection.execute(f'DESCRIBE main."{quoted}"').fetchall()
        # Instants as text: the client would need a further package for them.
        columns = [
            '"{}"{}'.format(name.replace('"', '""'), "::VARCHAR" if "ZONE" in column_type else "")
            for name, column_type, *_ in described
        ]
        found = connection.execute(f'SELECT {", ".join(columns)} FROM main."{quoted}"').fetchall()
    return [dict(zip([name for name, *_ in described], row, strict=True)) for row in found]


def read_postgres(folder, stream):
    with psycopg.connect(**servers.POSTGRES) as connection:
        set_json_loads(lambda text: json.loads(text, parse_float=Decimal), connection)
        quoted = stream.replace('"', '""').replace("%", "%%")
        cursor = connection.cursor()
        found = cursor.execute(f'SELECT * FROM {schema_of(folder)}."{quoted}"').fetchall()
        return [dict(zip([column.name for column in cursor.description], row, strict=True)) for row in found]


def read_mysql(folder, stream):
    with pymysql.connect(**servers.MYSQL) as connection, connection.cursor() as cursor:
        quoted = stream.replace("`", "``")
        cursor.execute(f"SELECT * FROM {schema_of(folder)}.`{quoted}`")
        return [dict(zip([name for name, *_ in cursor.description], row, strict=True)) for row in cursor.fetchall()]


def read_parquet(folder, stream):
    rows = []
    for path in sorted(folder.rglob("*.parquet")):
        if PARQUET_NAME.fullmatch(path.name)[1] == stream:
            rows += parquet.read_table(path, partitioning=None).to_pylist()
    return rows


PARQUET_NAME = re.compile(r"(.*)-[0-9]{8}T[0-9]{6}Z-[0-9]{10}-[0-9]{5}\.parquet", re.DOTALL)


def schema_of(folder):
    """Give the test's own schema in a server's database."""
    return "test_" + hashlib.sha256(str(folder).encode()).hexdigest()[:16]


READERS = {
    "target-jsonl": read_jsonl,
    "target-csv": read_csv,
    "target-sqlite": read_sqlite,
    "target-duckdb": read_duckdb,
    "target-mysql": read_mysql,
    "target-parquet": read_parquet,
    "target-postgres": read_postgres,
}


def plugin(name, tmp_path, **config):
    folder = tmp_path / "out"
    folder.mkdir()
    places = {
        "target-jsonl": {"destination_path": str(folder)},
        "target-csv": {"output_path": str(folder)},
        "target-parquet": {"destination_path": str(folder)},
        "target-sqlite": {"path_to_database": str(folder / "db.sqlite")},
        "target-duckdb": {"path": str(folder / "db.duckdb")},
        "target-mysql": {**servers.MYSQL, "default_target_schema": schema_of(folder)},
        "target-postgres": {**servers.POSTGRES, "default_target_schema": schema_of(folder)},
    }
    return Plugin(name, folder, {**places.get(name, {}), **config})


@pytest.fixture
def jsonl(tmp_path):
    return plugin("target-jsonl", tmp_path)


@pytest.fixture
def to_csv(tmp_path):
    return plugin("target-csv", tmp_path)


@pytest.fixture
def sqlite(tmp_path):
    return plugin("target-sqlite", tmp_path)


@pytest.fixture
def duck(tmp_path):
    return plugin("target-duckdb", tmp_path)


DATABASES = ["target-sqlite", "target-duckdb", "target-postgres", "target-mysql"]


def made(name, tmp_path):
    """Give a plugin; what it leaves on a server is removed afterwards."""
    servers.need(name)
    made = plugin(name, tmp_path)
    yield made
    servers.clean(name, schema_of(made.folder))


@pytest.fixture(params=DATABASES)
def database(request, tmp_path):
    yield from made(request.param, tmp_path)


@pytest.fixture
def postgres(tmp_path):
    yield from made("target-postgres", tmp_path)


@pytest.fixture
def mysql(tmp_path):
    yield from made("target-mysql", tmp_path)


@pytest.fixture
def to_parquet(tmp_path):
    return plugin("target-parquet", tmp_path)


@pytest.fixture(params=["target-jsonl", "target-csv", "target-parquet", "target-sqlite", "target-duckdb"])
def local_target(request, tmp_path):
    return plugin(request.param, tmp_path)


@pytest.fixture(params=["target-jsonl", "target-csv"])
def files(request, tmp_path):
    return plugin(request.param, tmp_path)


@pytest.fixture(params=["target-jsonl", "target-csv", "target-parquet", *DATABASES])
def target(request, tmp_path):
    yield from made(request.param, tmp_path)
