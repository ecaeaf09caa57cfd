"""tap-sql against real databases: what it discovers, what it reads, where it goes on."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pymysql
import pytest

from . import servers
from .conftest import COMMAND


@dataclass
class Ended:
    code: int
    messages: list[dict[str, Any]]
    err: str

    def records(self, stream):
        return [m["record"] for m in self.messages if m["type"] == "RECORD" and m["stream"] == stream]

    @property
    def state(self):
        return next(m["value"] for m in reversed(self.messages) if m["type"] == "STATE")


@dataclass
class Source:
    """A database with a schema of the test's own."""

    kind: str
    url: str
    schema: str
    folder: Path

    def execute(self, *statements):
        if self.kind == "sqlite":
            with sqlite3.connect(self.url.removeprefix("sqlite:///")) as connection:
                for statement in statements:
                    connection.execute(statement)
            connection.close()
            return
        server = psycopg.connect(**servers.POSTGRES) if self.kind == "postgresql" else pymysql.connect(**servers.MYSQL)
        with server as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            connection.commit()

    def stream(self, table):
        return table if self.kind == "sqlite" else f"{self.schema}-{table}"

    def table(self, name):
        return name if self.kind == "sqlite" else f"{self.schema}.{name}"

    def run(self, *words, catalog=None, state=None, **settings):
        schemas = {} if self.kind == "sqlite" else {"schemas": [self.schema]}
        words = [*words, "--config", self.file("config.json", {"sqlalchemy_url": self.url, **schemas, **settings})]
        words += ["--catalog", self.file("catalog.json", catalog)] if catalog else []
        words += ["--state", self.file("state.json", state)] if state else []
        ended = subprocess.run([*COMMAND, "tap-sql", *words], capture_output=True, timeout=60, check=False, text=True)
        is_messages = "--discover" not in words and ended.stdout
        lines = ended.stdout.splitlines() if is_messages else [ended.stdout] if ended.stdout else []
        return Ended(ended.returncode, [json.loads(line, parse_float=Decimal) for line in lines], ended.stderr)

    def discover(self):
        ended = self.run("--discover")
        assert ended.code == 0, ended.err
        return ended.messages[0]

    def file(self, name, document):
        path = self.folder / name
        path.write_text(json.dumps(document))
        return str(path)


def open_source(kind, folder):
    schema = f"source_{uuid4().hex[:12]}"
    if kind == "sqlite":
        return Source(kind, f"sqlite:///{folder}/source.sqlite", "", folder)
    if kind == "postgresql":
        servers.need("target-postgres")
        given = servers.POSTGRES
        url = f"postgresql://{given['user']}:pa55word@{given['host']}:{given['port']}/{given['dbname']}"
    else:
        servers.need("target-mysql")
        given = servers.MYSQL
        url = f"mysql://{given['user']}@{given['host']}:{given['port']}/{given['database']}"
    source = Source(kind, url, schema, folder)
    source.execute(f"CREATE SCHEMA {schema}")
    return source


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def source(request, tmp_path):
    opened = open_source(request.param, tmp_path)
    yield opened
    servers.clean({"postgresql": "target-postgres", "mysql": "target-mysql"}.get(opened.kind, ""), opened.schema)


@pytest.fixture
def postgresql(tmp_path):
    opened = open_source("postgresql", tmp_path)
    yield opened
    servers.clean("target-postgres", opened.schema)


def fill(source, rows=10):
    table = source.table("people")
    source.execute(
        f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, name VARCHAR(40), at TIMESTAMP NULL)",
        *(
            f"INSERT INTO {table} VALUES ({n}, 'n{n}', '2024-01-{n + 1:02d} 12:00:00')"
            if n % 7 != 3
            else f"INSERT INTO {table} VALUES ({n}, NULL, '2024-01-{n + 1:02d} 12:00:00')"
            for n in range(rows)
        ),
    )


def entry(catalog, stream):
    return next(found for found in catalog["streams"] if found["tap_stream_id"] == stream)


def incremental(catalog, stream, key):
    root = next(part for part in entry(catalog, stream)["metadata"] if part["breadcrumb"] == [])
    root["metadata"].update({"replication-method": "INCREMENTAL", "replication-key": key})
    return catalog


def test_discovery_gives_tables_views_keys_and_types(source):
    fill(source)
    source.execute(f"CREATE VIEW {source.table('names')} AS SELECT name FROM {source.table('people')}")
    catalog = source.discover()
    people, names = entry(catalog, source.stream("people")), entry(catalog, source.stream("names"))
    assert people["key_properties"] == ["id"]
    assert people["schema"]["properties"] == {
        "id": people["schema"]["properties"]["id"],
        "name": {"type": ["string", "null"]},
        "at": {"type": ["string", "null"], "format": "date-time"},
    }
    assert "integer" in people["schema"]["properties"]["id"]["type"]
    root = next(part["metadata"] for part in names["metadata"] if part["breadcrumb"] == [])
    assert (names["key_properties"], root["is-view"], names["table_name"]) == ([], True, "names")


def test_a_table_is_read_in_full_with_the_selected_columns_only(source):
    fill(source)
    catalog = source.discover()
    entry(catalog, source.stream("people"))["metadata"].append(
        {"breadcrumb": ["properties", "name"], "metadata": {"selected": False}}
    )
    ended = source.run(catalog=catalog)
    assert ended.code == 0, ended.err
    records = ended.records(source.stream("people"))
    assert [record["id"] for record in sorted(records, key=lambda record: record["id"])] == list(range(10))
    assert set(records[0]) == {"id", "at"}
    assert records[0]["at"].startswith("2024-01-")


@pytest.mark.parametrize("key", ["id", "at"])
def test_incremental_goes_on_from_the_bookmark(source, key):
    fill(source)
    stream = source.stream("people")
    catalog = incremental(source.discover(), stream, key)
    first = source.run(catalog=catalog)
    assert [record["id"] for record in first.records(stream)] == list(range(10))
    source.execute(f"INSERT INTO {source.table('people')} VALUES (10, 'new', '2024-02-01 00:00:00')")
    second = source.run(catalog=catalog, state=first.state)
    assert [record["id"] for record in second.records(stream)] == [9, 10]


def test_a_large_table_is_read_in_ranges_that_together_are_all_of_it(source):
    fill(source, rows=20)
    source.execute(f"INSERT INTO {source.table('people')} VALUES (-5, 'low', NULL), (1000, 'high', NULL)")
    ended = source.run(catalog=source.discover(), split_rows=3)
    ids = [record["id"] for record in ended.records(source.stream("people"))]
    assert sorted(ids) == [-5, *range(20), 1000]
    assert ended.state == {"bookmarks": {}}


def test_values_keep_what_they_are(postgresql):
    table = postgresql.table("golden")
    postgresql.execute(
        f"CREATE TABLE {table} (n numeric(40,20), big bigint, bytes bytea, j jsonb, list int[], at timestamptz, "
        "naive timestamp, u uuid, f float8, t time, d date)",
        f"INSERT INTO {table} VALUES ('12345678901234567890.12345678901234567890', 9223372036854775807, '\\x00ff', "
        "'{\"a\": 1.123456789012345678}', '{1,null,3}', '2024-01-01 02:00:00.123456+02', '2024-01-01', "
        "'00000000-0000-0000-0000-000000000001', 1e300, '12:30', '0001-01-01')",
    )
    (record,) = postgresql.run(catalog=postgresql.discover()).records(postgresql.stream("golden"))
    assert record == {
        "n": Decimal("12345678901234567890.12345678901234567890"),
        "big": 9223372036854775807,
        "bytes": "00ff",
        "j": {"a": Decimal("1.123456789012345678")},
        "list": [1, None, 3],
        "at": "2024-01-01T00:00:00.123456Z",
        "naive": "2024-01-01T00:00:00Z",
        "u": "00000000-0000-0000-0000-000000000001",
        "f": Decimal("1e300"),
        "t": "12:30:00",
        "d": "0001-01-01",
    }


def test_a_table_that_is_gone_is_one_error_and_the_others_are_read(source):
    fill(source)
    source.execute(f"CREATE TABLE {source.table('other')} (id INTEGER PRIMARY KEY)")
    catalog = source.discover()
    source.execute(f"DROP TABLE {source.table('other')}")
    ended = source.run(catalog=catalog)
    assert ended.code == 1
    assert len(ended.records(source.stream("people"))) == 10
    assert "discover again" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("url", "code", "word"),
    [
        ("postgresql://someone:pa55word@127.0.0.1:1/none", 3, "refused"),
        ("nosuch://someone:pa55word@host/db", 2, "sqlalchemy_url"),
        ("no url at all", 2, "sqlalchemy_url"),
        ("oracle+oracledb://someone:pa55word@host/db", 2, "is not installed"),
    ],
)
def test_a_bad_url_is_one_clear_error_without_its_password(tmp_path, url, code, word):
    ended = Source("sqlite", url, "", tmp_path).run("--discover")
    assert (ended.code, ended.messages) == (code, [])
    assert word in ended.err
    assert "Traceback" not in ended.err
    assert "pa55word" not in ended.err
