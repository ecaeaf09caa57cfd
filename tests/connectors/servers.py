"""The database servers that tests load: on this machine, or where the environment says.

A test whose server does not answer is skipped, and says so; where ``CI`` is set it fails.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pymysql
import pytest

POSTGRES = {
    "host": os.environ.get("SINGERKIT_TEST_POSTGRES_HOST", "127.0.0.1"),
    "port": int(os.environ.get("SINGERKIT_TEST_POSTGRES_PORT", "5432")),
    "user": os.environ.get("SINGERKIT_TEST_POSTGRES_USER", "postgres"),
    "dbname": os.environ.get("SINGERKIT_TEST_POSTGRES_DATABASE", "test"),
}

MYSQL = {
    "host": os.environ.get("SINGERKIT_TEST_MYSQL_HOST", "127.0.0.1"),
    "port": int(os.environ.get("SINGERKIT_TEST_MYSQL_PORT", "3306")),
    "user": os.environ.get("SINGERKIT_TEST_MYSQL_USER", "root"),
    "database": os.environ.get("SINGERKIT_TEST_MYSQL_DATABASE", "test"),
}

SERVERS = ("target-postgres", "target-mysql")


def need(target: str) -> None:
    """Skip the test if the target's server does not answer."""
    problem = _PROBES[target]() if target in _PROBES else None
    if problem is None:
        return
    if os.environ.get("CI"):
        pytest.fail(f"no server for {target}: {problem}")
    pytest.skip(f"no server for {target}: {problem}")


def clean(target: str, schema: str) -> None:
    """Remove what a test left."""
    if target == "target-postgres":
        with psycopg.connect(**POSTGRES) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
    if target == "target-mysql":
        with pymysql.connect(**MYSQL) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {schema}")


def execute(target: str, *statements: str, folder: Path | None = None) -> None:
    """Run statements as the owner of a target's database; ``folder`` is where a file would be."""
    connections: dict[str, Callable[[], Any]] = {
        "target-postgres": lambda: psycopg.connect(**POSTGRES),
        "target-mysql": lambda: pymysql.connect(**MYSQL),
        "target-sqlite": lambda: sqlite3.connect(f"{folder}/db.sqlite"),
        "target-duckdb": lambda: duckdb.connect(f"{folder}/db.duckdb"),
    }
    with closing(connections[target]()) as connection:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        connection.commit()


def named(target: str, name: str) -> dict[str, str]:
    """Give the settings by which a target's own sessions are known by a name; see :func:`sessions`."""
    if target == "target-postgres":
        place = "{user}@{host}:{port}/{dbname}".format(**POSTGRES)
        return {"sqlalchemy_url": f"postgresql://{place}?application_name={name}"}
    if target == "target-mysql":
        with pymysql.connect(**MYSQL) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS {name}")
        return {"database": name}
    return {}


def sessions(target: str, name: str) -> list[int]:
    """Give the numbers of the server's sessions that a target of this name has."""
    if target == "target-postgres":
        with psycopg.connect(**POSTGRES) as connection:
            found = connection.execute("SELECT pid FROM pg_stat_activity WHERE application_name = %s", [name])
            return [number for (number,) in found]
    if target == "target-mysql":
        with pymysql.connect(**MYSQL) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", [name])
            return [number for (number,) in cursor.fetchall()]
    return []


def tables(target: str, schema: str) -> list[list[int]]:
    """Give the first column of every table of a schema."""
    server = psycopg.connect(**POSTGRES) if target == "target-postgres" else pymysql.connect(**MYSQL)
    quote = '"' if target == "target-postgres" else "`"
    with server as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{schema}'")
        columns = []
        for (name,) in cursor.fetchall():
            cursor.execute(f"SELECT * FROM {schema}.{quote}{name.replace(quote, quote * 2)}{quote}")
            columns.append([row[0] for row in cursor.fetchall()])
    return columns


@cache
def _probe_postgres() -> str | None:
    try:
        psycopg.connect(**POSTGRES, connect_timeout=3).close()
    except psycopg.Error as error:
        return str(error)
    return None


@cache
def _probe_mysql() -> str | None:
    try:
        pymysql.connect(**MYSQL, connect_timeout=3).close()
    except pymysql.MySQLError as error:
        return str(error)
    return None


_PROBES = {"target-mysql": _probe_mysql, "target-postgres": _probe_postgres}
