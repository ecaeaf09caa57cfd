"""Where the loading rows load: a place that is emptied before each run, and read to see that all is there."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Stored = tuple[int, str, int]
"""What is compared of a record: `id`, `name` and `quantity`, which every format can hold."""

SELECTED = "SELECT id, name, quantity FROM"

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
}
"""The servers, as the tests of the connectors have them."""


class Store(Protocol):
    """A place for one loader alone."""

    def empty(self) -> None:
        """Remove what earlier runs left."""

    def read(self) -> Iterable[Iterable[Any]]:
        """Give what the stream `orders` has, in any order, values as they were stored."""


@dataclass(frozen=True)
class Files:
    """A folder with files of the stream, in the format of their suffix, or with an SQLite or DuckDB file."""

    folder: Path
    schema: str = "main"

    @property
    def database(self) -> Path:
        """The path of a database file."""
        return self.folder / "loaded.db"

    def empty(self) -> None:
        """Remove the folder's contents."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def read(self) -> Iterable[Iterable[Any]]:
        """Read the database, or all of the stream's files."""
        if self.database.exists():
            return _read_database(self.database, self.schema)
        paths = [path for path in self.folder.iterdir() if path.stem.split("-")[0] == "orders"]
        return [row for path in paths for row in _READERS[path.suffix](path)]


@dataclass(frozen=True)
class FilesOfDlt(Files):
    """A folder as dlt fills it: one for the dataset, in it one for each table."""

    def read(self) -> Iterable[Iterable[Any]]:
        """Read all files of the stream's table."""
        return [row for path in self.folder.glob("*/orders/*.parquet") for row in _read_parquet(path)]


@dataclass(frozen=True)
class MySQLDatabase:
    """A database on the MariaDB or MySQL server."""

    name: str

    def empty(self) -> None:
        """Make it anew."""
        with self._connection() as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS `{self.name}`")
            cursor.execute(f"CREATE DATABASE `{self.name}` CHARACTER SET utf8mb4")

    def read(self) -> Iterable[Iterable[Any]]:
        """Read the stream's table."""
        with self._connection() as connection, connection.cursor() as cursor:
            cursor.execute(f"{SELECTED} `{self.name}`.orders")
            return cursor.fetchall()

    def _connection(self) -> Any:
        import pymysql

        return pymysql.connect(**MYSQL)


@dataclass(frozen=True)
class PostgresSchema:
    """A schema on the server."""

    name: str

    def empty(self) -> None:
        """Drop the schema."""
        import psycopg

        with psycopg.connect(**POSTGRES) as connection:  # type: ignore[arg-type]
            connection.execute(f'DROP SCHEMA IF EXISTS "{self.name}" CASCADE')

    def read(self) -> Iterable[Iterable[Any]]:
        """Read the stream's table."""
        import psycopg

        with psycopg.connect(**POSTGRES) as connection:  # type: ignore[arg-type]
            return connection.execute(f'{SELECTED} "{self.name}".orders').fetchall()


def as_stored(rows: Iterable[Iterable[Any]]) -> list[Stored]:
    """Sort rows, whatever types a format has given the numbers."""
    return sorted((int(number), name, int(quantity)) for number, name, quantity in rows)


def _read_database(path: Path, schema: str) -> list[Any]:
    if path.read_bytes()[:6] == b"SQLite":
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute(f"{SELECTED} orders").fetchall()
    import duckdb

    with duckdb.connect(str(path), read_only=True) as database:
        return database.execute(f"{SELECTED} {schema}.orders").fetchall()


def _read_parquet(path: Path) -> list[Any]:
    import pyarrow.parquet

    columns = pyarrow.parquet.read_table(path, columns=["id", "name", "quantity"]).to_pydict()
    return list(zip(columns["id"], columns["name"], columns["quantity"], strict=True))


def _read_json_lines(path: Path) -> list[Any]:
    return [_of_object(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def _read_csv(path: Path) -> list[Any]:
    with path.open(newline="", encoding="utf-8") as file:
        return [_of_object(row) for row in csv.DictReader(file)]


def _of_object(row: dict[str, Any]) -> tuple[Any, Any, Any]:
    return row["id"], row["name"], row["quantity"]


_READERS = {".parquet": _read_parquet, ".jsonl": _read_json_lines, ".csv": _read_csv}
