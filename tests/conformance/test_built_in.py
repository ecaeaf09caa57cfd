"""The connectors that come with singerkit, and the demo's tap, break no must and no should.

By default a sample of the rules; ``SINGERKIT_CONFORMANCE=all`` applies all of them, and generates input as well.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen
from uuid import uuid4

import psycopg
import pymysql
import pytest

import flights_data
from flights_api import Api, Data, Server, Throttle, Tokens
from singerkit_testing.mapper_lab import MapperLab
from singerkit_testing.report.text import explanation
from singerkit_testing.rules import Verdict, judge, mapper_rules, tap_rules, target_rules
from singerkit_testing.tap_lab import TapLab
from singerkit_testing.target_lab import TargetLab

ALL = os.environ.get("SINGERKIT_CONFORMANCE") == "all"
DEMO = Path(__file__).parents[2] / "demo"
SAMPLE = {
    "tap": {"CAT-014", "SEL-001", "SEL-014", "TAP-001", "TAP-008", "TAP-041", "TAP-050", "TAP-062"},
    "target": {"TGT-001", "TGT-060", "TGT-064", "TGT-067", "TGT-082", "TGT-100", "TGT-123", "TGT-144"},
}
SERVERS = {
    "postgres": {
        "host": os.environ.get("SINGERKIT_TEST_POSTGRES_HOST", "127.0.0.1"),
        "port": int(os.environ.get("SINGERKIT_TEST_POSTGRES_PORT", "5432")),
        "user": os.environ.get("SINGERKIT_TEST_POSTGRES_USER", "postgres"),
    },
    "mysql": {
        "host": os.environ.get("SINGERKIT_TEST_MYSQL_HOST", "127.0.0.1"),
        "port": int(os.environ.get("SINGERKIT_TEST_MYSQL_PORT", "3306")),
        "user": os.environ.get("SINGERKIT_TEST_MYSQL_USER", "root"),
    },
}
TARGETS = {
    "target-jsonl": ({"destination_path": "{workdir}"}, "{workdir}"),
    "target-csv": ({"output_path": "{workdir}"}, "{workdir}"),
    "target-parquet": ({"destination_path": "{workdir}", "file_size": 1}, "{workdir}"),
    "target-sqlite": ({"path_to_database": "{workdir}/out.db"}, "sqlite:///{workdir}/out.db"),
    "target-duckdb": ({"path": "{workdir}/out.duckdb"}, "duckdb:///{workdir}/out.duckdb"),
}
PEOPLE = (
    "id,name,updated_at,balance\n"
    "1,Ada,2024-01-01T00:00:00Z,1.50\n"
    '2,"Boris, ""the blade""",2024-01-05T12:00:00+02:00,-0.125\n'
    "3,,2024-01-05T10:00:00Z,\n"
    "4,Chloé 🌸,2024-02-01T00:00:00Z,123456789.123456789012345678\n"
    '5,"two\nlines",2024-03-01T00:00:00Z,7\n'
)
CODES = "code,meaning\nA,one\nB,two\nC,NULL\n"


def broken(lab: TapLab | TargetLab) -> list[str]:
    """What the rules say against a connector, explained."""
    kind, known = ("tap", tap_rules) if isinstance(lab, TapLab) else ("target", target_rules)
    results = judge(known(properties=ALL), lab, None if ALL else SAMPLE[kind])
    bad = [each for each in results if each.verdict in (Verdict.FAIL, Verdict.WARN, Verdict.ERROR)]
    assert sum(each.verdict is not Verdict.SKIPPED for each in results) > len(results) / 2, "next to nothing is judged"
    return ["\n".join([each.rule.id, *explanation(each)]) for each in bad]


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.mark.parametrize("name", TARGETS)
def test_a_built_in_target_breaks_nothing(name):
    config, reader = TARGETS[name]
    with TargetLab([sys.executable, "-m", "singerkit", name], config, reader=reader) as lab:
        assert not broken(lab)


def test_a_mapper_on_inline_mapper_breaks_nothing():
    mapper = Path(__file__).parents[1] / "connectors_for_tests" / "mapper_upper.py"
    with MapperLab([sys.executable, str(mapper)]) as lab:
        results = judge(mapper_rules(), lab)
        assert not lab.hollow

    assert {each.rule.id: each.findings or each.note for each in results if each.verdict is not Verdict.PASS} == {}


@pytest.fixture
def postgres():
    """A database of its own; its name."""
    database = f"singerkit_{uuid4().hex[:12]}"
    try:
        with psycopg.connect(**SERVERS["postgres"], dbname="postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {database}")
    except psycopg.OperationalError as error:
        no_server(error)
    yield database
    with psycopg.connect(**SERVERS["postgres"], dbname="postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {database} WITH (FORCE)")


@pytest.fixture
def mysql():
    """The beginning of the names of databases of its own."""
    prefix = f"singerkit_{uuid4().hex[:12]}_"
    try:
        connection = pymysql.connect(**SERVERS["mysql"])
    except pymysql.MySQLError as error:
        no_server(error)
    yield prefix
    with connection, connection.cursor() as cursor:
        cursor.execute("SHOW DATABASES LIKE %s", [f"{prefix}%"])
        for (name,) in cursor.fetchall():
            cursor.execute(f"DROP DATABASE `{name}`")


def no_server(error):
    if os.environ.get("CI"):
        pytest.fail(f"no server: {error}")
    pytest.skip(f"no server: {error}")


def test_target_postgres_breaks_nothing(postgres):
    config = {**SERVERS["postgres"], "database": postgres, "default_target_schema": "{case}"}
    url = "postgresql+psycopg://{user}@{host}:{port}/".format(**SERVERS["postgres"]) + postgres + "?schema={case}"
    with TargetLab([sys.executable, "-m", "singerkit", "target-postgres"], config, reader=url) as lab:
        assert not broken(lab)


def test_target_mysql_breaks_nothing(mysql):
    config = {**SERVERS["mysql"], "database": "test", "default_target_schema": mysql + "{case}"}
    url = "mysql+pymysql://{user}@{host}:{port}/".format(**SERVERS["mysql"]) + mysql + "{case}"
    with TargetLab([sys.executable, "-m", "singerkit", "target-mysql"], config, reader=url) as lab:
        assert not broken(lab)


def test_tap_csv_breaks_nothing(tmp_path):
    people, codes = tmp_path / "people.csv", tmp_path / "codes.csv"
    people.write_text(PEOPLE)
    codes.write_text(CODES)
    streams = [
        {"entity": "people", "path": str(people), "keys": ["id"], "replication_key": "updated_at"},
        {"entity": "codes", "path": str(codes), "keys": []},
    ]
    with TapLab(
        [sys.executable, "-m", "singerkit", "tap-csv"],
        {"files": streams, "infer_types": True},
        expect={"streams": ["people", "codes"], "non_empty": ["people"], "records": {"codes": rows_of(CODES)}},
        broken_configs=[{"files": [{**streams[0], "path": str(tmp_path / "nowhere.csv")}]}, {"files": "none"}],
        mutate_source=mutator(people),
    ) as lab:
        assert not broken(lab)


def rows_of(text: str) -> list[dict[str, Any]]:
    header, *lines = (line.split(",") for line in text.splitlines())
    return [dict(zip(header, line, strict=True)) for line in lines]


def mutator(path: Path) -> Callable[[str], None]:
    """Gives what edits the people between two runs, by the name of the change."""

    def change(action: str) -> None:
        text = path.read_text()
        if action == "insert_tie":
            text += f"{100 + text.count(chr(10))},late,2024-03-01T00:00:00Z,1\n"
        elif action == "update_old":
            text = text.replace("1,Ada,2024-01-01T00:00:00Z", "1,Ada II,2024-04-01T00:00:00Z")
        else:
            text = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("3,"))
        path.write_text(text)

    return change


def test_the_demos_tap_breaks_nothing(monkeypatch):
    with api_of_few(monkeypatch) as url:
        config = {"api_url": url, "api_token": "test-token", "page_size": 20}
        with TapLab(
            [sys.executable, str(DEMO / "tap_flights.py")],
            config,
            expect={"non_empty": ["airlines", "airports", "planes", "weather", "flights"]},
            broken_configs=[{"api_url": url}, {**config, "api_token": "wrong"}],
            mutate_source=lambda action: amend(url) if action == "update_old" else None,
        ) as lab:
            assert not broken(lab)


@contextmanager
def api_of_few(monkeypatch) -> Iterator[str]:
    """Serves a few rows of each kind; gives the URL."""
    for kind, every in (("weather", 1500), ("airports", 60), ("planes", 10)):
        rows = getattr(flights_data, kind)
        monkeypatch.setattr(flights_data, kind, lambda rows=rows, every=every: few(rows(), every))
    server = Server(Api(Data(max_flights=70), Tokens("test-token"), Throttle(0), 0.0))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.url
    server.shutdown()
    server.server_close()
    thread.join()


def few(rows: Any, every: int) -> list[Any]:
    """One of many, and the airports that have a station."""
    return [row for number, row in enumerate(rows) if number % every == 0 or row.get("has_weather_station")]


def amend(url: str) -> None:
    request = Request(f"{url}/v1/_amend_flights?count=1", method="POST", headers={"Authorization": "Bearer test-token"})
    urlopen(request, timeout=10).close()
